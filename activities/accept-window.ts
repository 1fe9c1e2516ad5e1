import { versionsOf } from '../pipelines/standing-versions';
import { ATTEMPT_STATES } from '../pipelines/status';
import type { Plan, RunRef, StageOutput } from '../pipelines/types';
import { decideRetry, fenced, toAlmanacError, toApplicationFailure } from './failure';
import { AlmanacError, failureInfo } from '../pipelines/failures';
import { formatRun } from '../pipelines/run-id';
import { listAttempts, type AttemptRow } from './ledger/attempts';
import { endRun, readRun, type RunRow } from './ledger/runs';
import { recordCarried } from './ledger/taken';
import { markAccepted } from './quality/history';
import type { StageServices } from './stage';
import { recordAccepted } from './storage/catalog';
import type { AcceptTask, ControlActivities } from './tasks';

export interface AcceptanceShell {
  readonly services: Pick<StageServices, 'database' | 'datasets' | 'clock'>;
  plan(hash: string): Promise<Plan>;
  /** The execution whose order this is, by its id in Temporal. */
  execution(): string;
  /** Whether the workflow stopped waiting for this order: it gave another, and verbs may have come since. */
  overtaken(): boolean;
  /** A named point where a kill test may stop the process; does nothing otherwise. */
  point(name: string): Promise<void>;
}

/**
 * Makes the versions this run wrote current together. The ledger is asked first, the store decides: a generation that
 * was revoked, or that another one overtook, is refused by the numbered put.
 */
export async function acceptWindow(shell: AcceptanceShell, task: AcceptTask): ReturnType<ControlActivities['acceptWindow']> {
  const { services } = shell;
  const begun = services.clock.now();
  const closes = task.closes === true;
  try {
    const [row, attempts] = await Promise.all([readRun(services.database, task.run), listAttempts(services.database, task.run)]);
    // It was done, and the answer was lost with the worker.
    if (closes && row?.claim === task.claim && row.state === 'succeeded') {
      const { pipeline, branch, window } = task.run;
      return { sequence: (await services.datasets.accepted(pipeline, branch, window))?.sequence ?? 0, closed: true };
    }
    if (row === undefined || row.claim !== task.claim || row.endedAt !== null) throw fenced(task.run);
    await recordCarried(services.database, task, begun);
    const plan = await shell.plan(task.planHash);
    const outputs = standingOutputs(attempts);
    requireWhole(plan, task.run, outputs);
    const gates: Record<string, string> = {};
    for (const { id, kind } of plan.stages) if (kind === 'check') gates[id] = outputs[id]?.output.gate?.status ?? 'ERROR';
    const versions = versionsOf(plan.stages, outputsOf(outputs));
    const { pipeline, branch, window } = task.run;
    await shell.point('accept:before');
    const accepted = await services.datasets.accept(
      {
        pipeline,
        branch,
        window,
        run: task.run,
        versions,
        gates,
        ...(row.bootstrap ? { bootstrap: true as const } : {}),
        ...(row.origin ? { origin: true as const } : {}),
        ...(isTainted(row, outputs) ? { tainted: true as const } : {}),
        ...(row.matrix.over === undefined ? {} : { over: Number(row.matrix.over) }),
      },
      { claimedUnder: Number(row.matrix.head ?? 0) },
    );
    await shell.point('accept:after');
    await recordAccepted(services.database, accepted);
    await markAccepted(services.database, task.run, versions);
    if (!closes || shell.overtaken()) return { sequence: accepted.sequence };
    await endRun(services.database, task.run, task.claim, 'succeeded', undefined, shell.execution(), services.clock.now());
    return { sequence: accepted.sequence, closed: true };
  } catch (thrown) {
    const error = toAlmanacError(thrown, { run: task.run, stage: 'accept' });
    const history = { firstStartedAt: begun, resourceFailures: 1, patienceSeconds: 0 };
    throw toApplicationFailure(error, decideRetry(failureInfo(error), history, services.clock.now()));
  }
}

/** A late order to accept may find a stage that is being run again: half a set must not become current. */
function requireWhole(plan: Plan, run: RunRef, outputs: ReturnType<typeof standingOutputs>): void {
  const missing = plan.stages.filter(({ id, kind }) => kind !== 'publish' && !(id in outputs)).map(({ id }) => id);
  if (missing.length === 0) return;
  const name = formatRun(run);
  throw new AlmanacError('run.stale', `${name} cannot be accepted: no output stands for ${missing.join(', ')}`, {
    next: `almanac why ${name}`,
    details: { missing },
  });
}

/** What follows a skip, or was computed from pins that do, is tainted until rebuilt. */
export function isTainted({ pinsTainted }: Pick<RunRow, 'pinsTainted'>, outputs: ReturnType<typeof standingOutputs>): boolean {
  return pinsTainted || Object.values(outputs).some(({ tainted }) => tainted);
}

/** The outputs alone. */
export function outputsOf(standing: ReturnType<typeof standingOutputs>): Record<string, StageOutput> {
  return Object.fromEntries(Object.entries(standing).map(([id, { output }]) => [id, output]));
}

/** Outputs by stage where the newest attempt stands; an output that a later attempt set out to replace does not. */
export function standingOutputs(
  attempts: readonly AttemptRow[],
): Record<string, { readonly output: StageOutput; readonly attempt: number; readonly stageHash: string; readonly tainted: boolean }> {
  const newest = new Map<string, AttemptRow>();
  for (const row of attempts) if (row.attempt >= (newest.get(row.stage)?.attempt ?? -1)) newest.set(row.stage, row);
  const standing: ReturnType<typeof standingOutputs> = {};
  for (const [stage, { attempt, state, stageHash, output, tainted }] of newest) {
    if (ATTEMPT_STATES[state].stands && output !== null) standing[stage] = { output, attempt, stageHash, tainted };
  }
  return standing;
}
