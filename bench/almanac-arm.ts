import { startRun } from '../operator/runs/start';
import { applySchedules } from '../operator/schedules/apply';
import { pauseSchedule } from '../operator/schedules/verbs';
import { readStackState } from '../operator/stack/stack-state';
import type { Project } from '../operator/project';
import type { OperatorSession } from '../operator/session';
import { formatRun } from '../pipelines/run-id';
import { nextKey } from '../pipelines/window';
import { startBenchStack } from './bench-stack';
import { projectText, type Shape } from './overhead-shapes';

const FIRST_WINDOW = '2000-01-01';
/** For what a run leaves to do after its close. */
const IDLE_DEADLINE_MS = 120_000;
const POLL_MS = 50;
const SCRAPE_MS = 5000;

/** A stack of its own with a project of no-op stages, driven through the operator layer. */
export interface AlmanacArm extends AsyncDisposable {
  readonly session: OperatorSession;
  /** Starts all runs of the shape at once; resolves when the client has seen the last of them closed. */
  run(shape: Shape): Promise<void>;
  /** Resolves when nothing is left to do for runs that closed. */
  idle(): Promise<void>;
}

/** Starts the stack of the arm. */
export async function startAlmanacArm(shapes: readonly Shape[], say: (line: string) => void, everything = false): Promise<AlmanacArm> {
  const stack = await startBenchStack('overhead', projectText(shapes, everything), say);
  const { session } = stack;
  const scraping = everything ? await everythingOn(session) : undefined;
  const next = new Map(shapes.map(({ pipeline }) => [pipeline, FIRST_WINDOW]));

  function takeWindow(project: Project, pipeline: Shape['pipeline']): string {
    const window = next.get(pipeline) ?? FIRST_WINDOW;
    next.set(pipeline, nextKey(project.pipeline(pipeline).spec.window, window));
    return window;
  }

  return {
    session,
    async run({ pipeline, runs }) {
      const project = await session.project();
      const windows = Array.from({ length: runs }, () => takeWindow(project, pipeline));
      const client = await session.temporal();
      const outcomes = await Promise.all(
        windows.map(async (window) => {
          const { run } = await startRun(session, { pipeline, window });
          return (await client.workflow.getHandle(formatRun(run)).result()) as unknown;
        }),
      );
      const failed = outcomes.filter((outcome) => JSON.stringify(outcome) !== '{"outcome":"succeeded"}');
      if (failed.length > 0) throw new Error(`${failed.length} of ${runs} runs of ${pipeline} ended as ${JSON.stringify(failed[0])}`);
    },
    async idle() {
      const deadline = Date.now() + IDLE_DEADLINE_MS;
      for (;;) {
        const { rows } = await session.database.query<{ left: number }>(
          `select count(*) as left from almanac.run where pipeline not like 'tick%' and (ended_at is null or history_path is null)`,
        );
        if (rows[0]?.left === 0) return;
        if (Date.now() > deadline)
          throw new Error(`${rows[0]?.left ?? 'unknown'} runs are not closed and exported after ${IDLE_DEADLINE_MS / 1000} s`);
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      }
    },
    async [Symbol.asyncDispose]() {
      clearInterval(scraping);
      await stack[Symbol.asyncDispose]();
    },
  };
}

/** Has the clock fire schedules, and scrapes every worker as often as a Prometheus would. */
async function everythingOn(session: OperatorSession): Promise<NodeJS.Timeout> {
  await applySchedules(session, { from: new Date(), dryRun: false, prune: false });
  for (const id of (await session.project()).pipelines.keys()) if (id.startsWith('tick')) await pauseSchedule(session, id, false, 'bench');
  const workers = (readStackState(session.config.home)?.processes ?? []).filter(({ name }) => name.startsWith('worker-'));
  return setInterval(() => {
    // A scrape that fails is one that Prometheus would miss as well.
    for (const { address } of workers) if (address !== undefined) void fetch(`http://${address}/metrics`).catch(() => undefined);
  }, SCRAPE_MS);
}
