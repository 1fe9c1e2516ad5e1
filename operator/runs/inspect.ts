import { isTainted, standingOutputs } from '../../activities/accept-window';
import { listAttempts, type AttemptRow } from '../../activities/ledger/attempts';
import { listEffects, type EffectRow } from '../../activities/ledger/effects';
import { planReader } from '../../activities/ledger/plans';
import { latestRun, listRuns, readRun, runKey, type ListedRun, type RunFilter, type RunRow } from '../../activities/ledger/runs';
import { AlmanacError } from '../../pipelines/failures';
import { formatRun, type RunAddress } from '../../pipelines/run-id';
import type { Plan, RunRef } from '../../pipelines/types';
import { rebuildCommand, staleText, type StaleWindow } from '../../pipelines/stale';
import { why, type FailingOrder, type PermitWait, type Why } from '../../pipelines/why';
import { findStale, staleOf } from '../stale';
import { requirePipeline, requireRange } from '../names';
import { permitWaits } from '../pools';
import type { OperatorSession } from '../session';
import type { ActionState } from './actions';
import { failingOrder } from './execution';

export interface RunView {
  readonly row: RunRow;
  /** What it wrote follows a skip or tainted pins. */
  readonly tainted: boolean;
  readonly plan: Plan;
  readonly attempts: readonly AttemptRow[];
  readonly actions: readonly ActionView[];
  /** Its jobs on EMR, by stage and round. */
  readonly steps: readonly StepView[];
  readonly why: Why;
  /** Its stages in the lines of pools. */
  readonly permits: readonly PermitWait[];
  /** Set when what its window accepts was built on rows that are no longer current. */
  readonly stale: StaleWindow | null;
}

/** One round of a stage's Spark job. */
export interface StepView {
  readonly stage: string;
  readonly round: number;
  /** The newest that took it up. */
  readonly attempt: number;
  readonly state: EffectRow['state'];
  /** Null before it was submitted. */
  readonly cluster: string | null;
  readonly step: string | null;
  readonly endedAt: string | null;
  /** Of the step, as EMR tells them; null while it is not over. */
  readonly seconds: number | null;
  /** By the prices in the settings; null without them. */
  readonly cost: number | null;
  /** What EMR says of an end otherwise than COMPLETED. */
  readonly reason: string | null;
}

export interface ActionView {
  readonly at: string;
  readonly who: string;
  readonly verb: string;
  readonly generation: number;
  readonly stage: string | null;
  readonly reason: string | null;
  readonly detail: unknown;
  /** `intended`: it is not known whether the run took it. */
  readonly state: ActionState;
}

export interface LogLine {
  readonly at: string;
  readonly stage: string;
  readonly attempt: number;
  readonly line: string;
}

/** The named generation, else the newest; throws `run.unknown`. */
export async function findRun(session: OperatorSession, address: RunAddress & { readonly generation?: number }): Promise<RunRow> {
  const row =
    address.generation === undefined
      ? await latestRun(session.database, address.pipeline, address.window, address.branch)
      : await readRun(session.database, { ...address, generation: address.generation });
  if (row !== undefined) return row;
  throw new AlmanacError(
    'run.unknown',
    `no run ${formatRun(address)}${address.generation === undefined ? '' : ` generation ${address.generation}`} in the ledger`,
    {
      next: `almanac runs --pipeline ${address.pipeline} lists them`,
    },
  );
}

export async function showRun(session: OperatorSession, address: RunAddress & { readonly generation?: number }): Promise<RunView> {
  const row = await findRun(session, address);
  const [plan, attempts, actions, effects, newest, allStale] = await Promise.all([
    planReader(session.database)(row.planHash),
    listAttempts(session.database, row.run),
    listActions(session, row.run),
    listEffects(session.database, row.run),
    latestRun(session.database, row.run.pipeline, row.run.window, row.run.branch),
    findStale(session.database),
  ]);
  const stale = newest?.run.generation === row.run.generation ? staleOf(allStale, row.run) : undefined;
  const permits = row.endedAt === null ? await permitWaits(session, row.run, plan) : [];
  // Between stages nothing in the ledger says what a run is at.
  const between = row.state === 'running' && !attempts.some(({ endedAt }) => endedAt === null);
  const failing = between ? await failingOrder(() => session.temporal(), formatRun(row.run)) : undefined;
  return {
    row,
    tainted: isTainted(row, standingOutputs(attempts)),
    plan,
    attempts,
    actions,
    steps: effects.map(stepView),
    why: whyStale(whyOf(row, plan, attempts, actions, permits, failing), row, stale, allStale),
    permits,
    stale: stale ?? null,
  };
}

function stepView({ stage, round, attempt, state, cluster, step, endedAt, seconds, cost, reason }: EffectRow): StepView {
  return { stage, round, attempt, state, cluster, step, endedAt: endedAt?.toISOString() ?? null, seconds, cost, reason };
}

export async function whyRun(
  session: OperatorSession,
  address: RunAddress & { readonly generation?: number },
): Promise<Why & { readonly run: RunRef; readonly state: string }> {
  const view = await showRun(session, address);
  return { run: view.row.run, state: view.row.state, ...view.why };
}

/** A run that is done and stale waits for nothing, but whoever asks wants to know: the oldest stale window of its chain comes first. */
function whyStale(answer: Why, row: RunRow, stale: StaleWindow | undefined, all: readonly StaleWindow[]): Why {
  if (stale === undefined || row.state !== 'succeeded') return answer;
  const first = all.find(({ pipeline, branch }) => pipeline === stale.pipeline && branch === stale.branch) ?? stale;
  return { ...answer, waitsFor: `${answer.waitsFor}, but it is stale: ${staleText(stale)}`, next: rebuildCommand(first) };
}

function whyOf(
  row: RunRow,
  plan: Plan,
  attempts: readonly AttemptRow[],
  actions: readonly ActionView[],
  permits: readonly PermitWait[],
  failing: FailingOrder | undefined,
): Why {
  return why(
    { ...row, failing, name: formatRun(row.run), pipeline: row.run.pipeline, window: row.run.window },
    plan.stages,
    attempts.map((attempt) => ({
      ...attempt,
      publication: attempt.output?.publication,
      permits: attempt.endedAt === null ? permits.find(({ stage }) => stage === attempt.stage) : undefined,
    })),
    actions.filter(({ generation }) => generation === row.run.generation),
  );
}

/** A run, and whether what its window accepts is stale. */
export type RunListing = ListedRun & { readonly stale: boolean };

/** Throws `pipeline.unknown`, `window.invalid`. */
export async function runs(session: OperatorSession, filter: RunFilter): Promise<RunListing[]> {
  if (filter.pipeline !== undefined) await requirePipeline(session, filter.pipeline);
  await requireRange(session, filter.pipeline, filter.from, filter.to);
  const [rows, stale] = await Promise.all([listRuns(session.database, filter), findStale(session.database)]);
  return rows.map((row) => ({ ...row, stale: staleOf(stale, row.run) !== undefined }));
}

/** Log lines of a run or one stage of it, oldest first. Throws `run.usage` for a stage it does not have. */
export async function runLogs(
  session: OperatorSession,
  address: RunAddress & { readonly generation?: number },
  stage: string | undefined,
): Promise<LogLine[]> {
  const row = await findRun(session, address);
  if (stage !== undefined) await requireStage(session, row, stage);
  const { rows } = await session.database.query<{ at: Date; stage: string; attempt: number; line: string }>(
    `select at, stage, attempt, line from almanac.log_line
     where pipeline = $1 and window_key = $2 and branch = $3 and generation = $4 and ($5::text is null or stage = $5) order by id`,
    [...runKey(row.run), stage ?? null],
  );
  return rows.map(({ at, ...rest }) => ({ at: at.toISOString(), ...rest }));
}

async function requireStage(session: OperatorSession, row: RunRow, stage: string): Promise<void> {
  const { stages } = await planReader(session.database)(row.planHash);
  if (stages.some(({ id }) => id === stage)) return;
  throw new AlmanacError('run.usage', `${formatRun(row.run)} has no stage ${stage}`, {
    next: `use one of: ${stages.map(({ id }) => id).join(', ')}`,
  });
}

/** Verbs over all generations of the run, oldest first. */
async function listActions(session: OperatorSession, run: RunRef): Promise<ActionView[]> {
  const { rows } = await session.database.query<Omit<ActionView, 'at'> & { at: Date }>(
    `select at, who, verb, generation, stage, reason, detail, state from almanac.action
     where pipeline = $1 and window_key = $2 and branch = $3 order by id`,
    [run.pipeline, run.window, run.branch],
  );
  return rows.map(({ at, ...rest }) => ({ ...rest, at: at.toISOString() }));
}
