import { gunzipSync } from 'node:zlib';
import { DefaultLogger, makeTelemetryFilterString, Runtime, Worker } from '@temporalio/worker';
import { drivenBackfills } from '../activities/ledger/backfills';
import { exportedHistories, openExecutions, windowsByPlan, type AcceptedUnder, type OpenExecution } from '../activities/ledger/deploys';
import { planReader } from '../activities/ledger/plans';
import { listSchedules, type ScheduleRow } from '../activities/ledger/schedules';
import { isForgotten } from '../lib/forgotten-execution';
import { hasSchema, pendingMigrations, type PendingMigrations } from '../lib/migrate';
import type { Migration } from '../lib/migrations';
import { backfillWorkflowId, CLOCK_WORKFLOW_ID } from '../lib/queues';
import { changedStages, type StageChange } from '../pipelines/deploy-changes';
import { AlmanacError } from '../pipelines/failures';
import { formatRun } from '../pipelines/run-id';
import { workflowBundle } from '../workers/bundle';
import { unavailable } from './runs/execution';
import type { OperatorSession } from './session';

/** Closed runs whose exported histories are replayed, unless told otherwise. */
export const RECENT = 50;
/** Runs a message names. */
const NAMED = 5;

export interface DeployCheckOptions {
  /** So many of the newest exported histories. */
  readonly recent: number;
  /** Default: those of this build. */
  readonly bundle?: { readonly code: string } | undefined;
  readonly migrations?: readonly Migration[] | undefined;
}

/** What the deploy changes for one pipeline of the project. */
export interface DeployChange {
  readonly pipeline: string;
  /** What slots start today, against the project; null when no schedule is installed. */
  readonly schedule: readonly StageChange[] | null;
  /** Open runs that go on under the plan they have. */
  readonly openRuns: readonly { readonly run: string; readonly stages: readonly StageChange[] }[];
  /** Accepted windows that other code computed: `backfill plan --reprocess stale` and `retry` would compute them anew. */
  readonly windows: readonly (Omit<AcceptedUnder, 'pipeline'> & { readonly stages: readonly StageChange[] })[];
}

/** A pipeline that the project has no longer, of which something is installed, open or accepted. */
export interface GonePipeline {
  readonly pipeline: string;
  /** Its schedule, which goes on with what was applied last until it is pruned; null when none is installed. */
  readonly schedule: 'firing' | 'paused' | null;
  readonly openRuns: readonly string[];
  /** Accepted windows, which stay. */
  readonly windows: number;
}

export interface DeployCheck {
  /** Histories that replay under the new bundle. */
  readonly replayed: { readonly open: number; readonly recent: number };
  /** Open runs of the ledger that Temporal does not know. */
  readonly lost: readonly string[];
  /** Only pipelines for which something changes. */
  readonly changes: readonly DeployChange[];
  readonly gone: readonly GonePipeline[];
  /** What the next verb or worker of this build does to the control schema. */
  readonly migrations: PendingMigrations;
}

/** What the SDK would say of histories that do not replay is in the refusal; once a process, before its first check. */
export function quietReplay(): void {
  Runtime.install({
    logger: new DefaultLogger('ERROR'),
    telemetryOptions: { logging: { filter: makeTelemetryFilterString({ core: 'ERROR', other: 'ERROR' }), forward: {} } },
  });
}

/**
 * Whether the runs that are open, held or closed lately, the clock and the controllers of backfills replay under the workflow code of this build, and what a deploy of the project
 * would change. Changes nothing. Throws `deploy.incompatible`, naming the runs whose history another build cannot go on with.
 */
export async function deployCheck(session: OperatorSession, options: DeployCheckOptions): Promise<DeployCheck> {
  const migrations = await pendingMigrations(session.database, options.migrations);
  const lost: string[] = [];
  const counted = { open: 0, recent: 0 };
  // Nothing ever ran here.
  if (!(await hasSchema(session.database))) return { replayed: counted, lost, changes: [], gone: [], migrations };
  const refused: { run: string; error: string }[] = [];
  const bundle = options.bundle ?? (await workflowBundle());
  const results = Worker.runReplayHistories({ workflowBundle: bundle }, histories(session, options.recent, lost, counted));
  for await (const { workflowId, error } of results) if (error !== undefined) refused.push({ run: workflowId, error: firstLine(error) });
  if (refused.length > 0) throw incompatible(refused);
  return { replayed: counted, lost, ...(await changesOf(session)), migrations };
}

/** Histories one after the other: they may be many, and each some megabytes. */
async function* histories(
  session: OperatorSession,
  recent: number,
  lost: string[],
  counted: { open: number; recent: number },
): AsyncGenerator<Parameters<typeof Worker.runReplayHistory>[1] extends infer H ? { workflowId: string; history: H } : never> {
  const client = await session.temporal();
  const open = (await openExecutions(session.database)).map(({ run, temporalRunId }) => ({
    name: `${formatRun(run)}`,
    temporalRunId: temporalRunId ?? undefined,
  }));
  const controllers = [CLOCK_WORKFLOW_ID, ...(await drivenBackfills(session.database)).map(backfillWorkflowId)];
  for (const { name, temporalRunId } of [...open, ...controllers.map((id) => ({ name: id, temporalRunId: undefined }))]) {
    try {
      const history = await client.workflow.getHandle(name, temporalRunId).fetchHistory();
      counted.open += 1;
      yield { workflowId: name, history };
    } catch (error) {
      if (!isForgotten(error)) throw unavailable(error);
      // Without a schedule there is no clock, and a backfill without its controller gets one within a minute.
      if (!controllers.includes(name)) lost.push(name);
    }
  }
  for (const { run, path } of await exportedHistories(session.database, recent)) {
    const bytes = await session.store.get(path);
    // Retention takes histories too.
    if (bytes === undefined) continue;
    counted.recent += 1;
    yield { workflowId: `${formatRun(run)}`, history: JSON.parse(gunzipSync(bytes).toString()) as unknown };
  }
}

async function changesOf(session: OperatorSession): Promise<Pick<DeployCheck, 'changes' | 'gone'>> {
  const { database } = session;
  const plan = planReader(database);
  const [project, schedules, open, accepted] = await Promise.all([
    session.project(),
    listSchedules(database),
    openExecutions(database),
    windowsByPlan(database),
  ]);
  const changes: DeployChange[] = [];
  for (const [id, pipeline] of project.pipelines) {
    const next = pipeline.plan();
    const against = async (hash: string): Promise<StageChange[]> => (hash === next.hash ? [] : changedStages(await plan(hash), next));
    const installed = schedules.find((schedule) => schedule.pipeline === id);
    const openRuns = await Promise.all(
      open
        .filter(({ run }) => run.pipeline === id)
        .map(async ({ run, planHash }) => ({ run: formatRun(run), stages: await against(planHash) })),
    );
    const windows = await Promise.all(
      accepted
        .filter((row) => row.pipeline === id)
        .map(async ({ pipeline: _, ...row }) => ({ ...row, stages: await against(row.planHash) })),
    );
    const change: DeployChange = {
      pipeline: id,
      schedule: installed === undefined ? null : await against(installed.planHash),
      openRuns: openRuns.filter(({ stages }) => stages.length > 0),
      windows: windows.filter(({ stages }) => stages.length > 0),
    };
    if ((change.schedule?.length ?? 0) + change.openRuns.length + change.windows.length > 0) changes.push(change);
  }
  const known = [
    ...schedules.map(({ pipeline }) => pipeline),
    ...open.map(({ run }) => run.pipeline),
    ...accepted.map(({ pipeline }) => pipeline),
  ];
  const gone = [...new Set(known)].filter((id) => !project.pipelines.has(id)).sort();
  return { changes, gone: gone.map((id) => goneOf(id, schedules, open, accepted)) };
}

function goneOf(
  pipeline: string,
  schedules: readonly ScheduleRow[],
  open: readonly OpenExecution[],
  accepted: readonly AcceptedUnder[],
): GonePipeline {
  const installed = schedules.find((schedule) => schedule.pipeline === pipeline);
  return {
    pipeline,
    schedule: installed === undefined ? null : installed.paused ? 'paused' : 'firing',
    openRuns: open.flatMap(({ run }) => (run.pipeline === pipeline ? [formatRun(run)] : [])),
    windows: accepted.reduce((sum, row) => sum + (row.pipeline === pipeline ? row.windows : 0), 0),
  };
}

function incompatible(refused: readonly { run: string; error: string }[]): AlmanacError {
  const names = [...new Set(refused.map(({ run }) => run))];
  const more = names.length > NAMED ? ` and ${names.length - NAMED} more` : '';
  return new AlmanacError(
    'deploy.incompatible',
    `this build cannot go on with the histories of ${names.slice(0, NAMED).join(', ')}${more}: ${refused[0]?.error ?? ''}`,
    {
      next: 'keep the old workers until those runs are closed, or guard the change of the workflow with patched(), then almanac deploy-check',
      details: { runs: refused.slice(0, 50) },
    },
  );
}

function firstLine(error: Error): string {
  return error.message.split('\n')[0] ?? '';
}
