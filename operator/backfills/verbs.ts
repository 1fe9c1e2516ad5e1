import {
  backfillEvents,
  backfillWindows,
  changeBackfill,
  listBackfills,
  resumeWindows,
  setConcurrency,
  type BackfillChange,
  type BackfillEvent,
  type BackfillRow,
  type BackfillWindowRow,
} from '../../activities/ledger/backfills';
import { forgetPublishing } from '../../activities/ledger/backfill-publishing';
import { backfillWorkflowId, queueNames } from '../../lib/queues';
import { driftOf } from '../../pipelines/backfill-drift';
import type { BackfillEstimate } from '../../pipelines/backfill-estimate';
import { BACKFILL_STATES, phaseOf, type BackfillState, type WindowPhase } from '../../pipelines/backfill-steps';
import { AlmanacError } from '../../pipelines/failures';
import { formatRun, MAIN_BRANCH, type RunAddress } from '../../pipelines/run-id';
import { requirePipeline } from '../names';
import { requireReason } from '../reason';
import { unavailable } from '../runs/execution';
import { headOf } from '../runs/head';
import type { OperatorSession } from '../session';
import { estimate, findBackfill, planNow, requireOne } from './plan';
import { dueRuns, unpublished, type Unpublished } from './publish-head';

/** A stop of many runs: each takes a minute at most, and they are stopped together. */
const SETTLE_DEADLINE_MS = 150_000;
const POLL_MS = 100;
/** Nothing publishes any more, for now or for good. */
const STOPPED: readonly BackfillState[] = ['halted', 'cancelling', 'quiesced'];

export interface BackfillView extends Omit<BackfillRow, 'plan'> {
  readonly plan: BackfillRow['plan'];
  readonly windows: readonly (BackfillWindowRow & { readonly phase: WindowPhase })[];
  readonly counts: Readonly<Record<WindowPhase, number>>;
  /** What is left to do. */
  readonly remaining: BackfillEstimate;
  /** When it will be done by the history of its stages; null unless it runs and there is one. */
  readonly eta: string | null;
  readonly events: readonly BackfillEvent[];
  /** What the tables do not show of a promoted branch whose publishing halted or was cancelled. */
  readonly unpublished: readonly Unpublished[];
}

/** Progress, ETA, windows and verbs. Throws `backfill.unknown`. */
export async function showBackfill(session: OperatorSession, hash: string): Promise<BackfillView> {
  const row = await findBackfill(session, hash);
  const windows = (await backfillWindows(session.database, hash)).map((window) => ({ ...window, phase: phaseOfRow(window) }));
  const counts: Record<WindowPhase, number> = { pending: 0, starting: 0, claimed: 0, running: 0, held: 0, done: 0, ended: 0 };
  for (const { phase } of windows) counts[phase] += 1;
  const done = new Set(windows.filter(({ phase }) => phase === 'done').map(({ window }) => window));
  const undone = windows
    .filter(({ window }) => !done.has(window))
    .map(({ window, after }) => row.plan.windows.find((one) => one.window === window) ?? { window, after, stages: [], carried: [] });
  const remaining = await estimate(session, row.plan, undone, row.concurrency);
  const eta =
    row.state === 'running' && remaining.minutes !== null
      ? new Date(session.clock.now().getTime() + remaining.minutes * 60_000).toISOString()
      : null;
  const left = STOPPED.includes(row.state) ? await unpublished(session, row) : [];
  return { ...row, windows, counts, remaining, eta, events: await backfillEvents(session.database, hash), unpublished: left };
}

export interface BackfillListing extends Omit<BackfillRow, 'plan' | 'proof'> {
  readonly windows: number;
  readonly done: number;
  readonly from: string;
  readonly to: string;
}

/** Newest change first. Throws `pipeline.unknown`. */
export async function backfills(session: OperatorSession, pipeline: string | undefined, limit: number): Promise<BackfillListing[]> {
  if (pipeline !== undefined) await requirePipeline(session, pipeline);
  const rows = await listBackfills(session.database, pipeline, limit);
  return Promise.all(
    rows.map(async ({ plan, proof: _proof, ...row }) => {
      const windows = await backfillWindows(session.database, row.hash);
      const done = windows.filter((window) => phaseOfRow(window) === 'done').length;
      return { ...row, windows: windows.length, done, from: plan.request.from, to: plan.request.to };
    }),
  );
}

function phaseOfRow({ window, begunAt, run }: BackfillWindowRow): WindowPhase {
  return phaseOf({ window, begun: begunAt !== null, run: run?.state });
}

/** Starts exactly what was planned. Throws `backfill.drift`, naming what is no longer so, and `backfill.state`. */
export async function startBackfill(session: OperatorSession, hash: string, reason: string | undefined): Promise<BackfillRow> {
  const row = await findBackfill(session, hash);
  const said = reason === undefined ? null : requireReason(reason, 'backfill start');
  if (row.state !== 'planned') throw wrongState(row, 'start');
  const drift = driftOf(row.plan, await planNow(session, row.plan.request));
  if (drift.length > 0) throw drifted(row, drift);
  return move(session, row, { from: ['planned'], to: 'running', verb: 'start', reason: said });
}

/** Lets open runs end and starts no more; answers once none is open, or after a while as `pausing`. */
export async function pauseBackfill(session: OperatorSession, hash: string, reason: string): Promise<BackfillRow> {
  const row = await findBackfill(session, hash);
  const said = requireReason(reason, 'backfill pause');
  return move(session, row, { from: ['running'], to: 'pausing', verb: 'pause', reason: said });
}

/** Goes on after a pause, or after what halted it was mended (publishing, once its branch is promoted), or builds what a branch is behind of `main`; windows whose run ended unaccepted run once more. Throws `backfill.state` while one is held. */
export async function resumeBackfill(session: OperatorSession, hash: string, reason: string): Promise<BackfillRow> {
  const row = await findBackfill(session, hash);
  const said = requireReason(reason, 'backfill resume');
  if (!['pausing', 'paused', 'halted', 'built'].includes(row.state)) throw wrongState(row, 'resume');
  if (row.branch !== MAIN_BRANCH && (await headOf(session, row.pipeline)).branches[row.branch]?.state === 'promoted')
    return resumePublishing(session, row, said);
  const windows = await backfillWindows(session.database, hash);
  const held = windows.filter((window) => phaseOfRow(window) === 'held');
  requireNoneHeld(
    hash,
    held.map(({ window }) => ({ pipeline: row.pipeline, window, branch: row.branch })),
  );
  const { database, clock } = session;
  const change = { from: ['pausing', 'paused', 'halted', 'built'], to: 'running', verb: 'resume', reason: said } as const;
  return move(session, row, change, (moved) => resumeWindows(database, moved, windows, clock.now()));
}

async function resumePublishing(session: OperatorSession, row: BackfillRow, reason: string): Promise<BackfillRow> {
  const due = await dueRuns(session, row);
  requireNoneHeld(
    row.hash,
    due.filter(({ state }) => state === 'held').map(({ run }) => run),
  );
  await forgetPublishing(session.database, row.hash);
  return move(session, row, { from: ['halted'], to: 'publishing', verb: 'resume', reason });
}

function requireNoneHeld(hash: string, held: readonly RunAddress[]): void {
  const [first] = held;
  if (first === undefined) return;
  const run = formatRun(first);
  const more = held.length === 1 ? '' : `, and ${held.length - 1} more`;
  throw new AlmanacError('backfill.state', `${run} is held${more}; the backfill cannot go on before it is mended`, {
    next: `almanac why ${run} says what to mend; almanac retry ${run} --reason …, then almanac backfill resume ${hash} --reason …`,
  });
}

/** Of a promoted branch, what stays as it is: the chain reads the branch, and these windows are not published. */
export type CancelledBackfill = BackfillRow & { readonly unpublished: readonly Unpublished[] };

/** Stops its open runs and answers with the proof that nothing of it goes on. Throws `backfill.state` once it is done. */
export async function cancelBackfill(session: OperatorSession, hash: string, reason: string): Promise<CancelledBackfill> {
  const row = await findBackfill(session, hash);
  const said = requireReason(reason, 'backfill cancel');
  const quiesced = async (now: BackfillRow): Promise<CancelledBackfill> => ({ ...now, unpublished: await unpublished(session, now) });
  if (row.state === 'quiesced') return quiesced(row);
  if (row.state !== 'cancelling') {
    await move(session, row, {
      from: ['planned', 'running', 'pausing', 'paused', 'halted', 'built'],
      to: 'cancelling',
      verb: 'cancel',
      reason: said,
    });
  }
  const deadline = Date.now() + SETTLE_DEADLINE_MS;
  for (;;) {
    const now = await findBackfill(session, hash);
    if (now.state === 'quiesced') return quiesced(now);
    if (Date.now() > deadline) {
      throw new AlmanacError(
        'service.unavailable',
        `backfill ${hash} was told to stop and has not proved it within ${SETTLE_DEADLINE_MS / 1000} s${now.failure === null ? '' : `: ${now.failure.message}`}`,
        {
          next: `almanac status, then almanac backfill show ${hash}`,
        },
      );
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** How many windows of an independent range run at a time, from now on. */
export async function widenBackfill(
  session: OperatorSession,
  hash: string,
  concurrency: number,
  reason: string | undefined,
): Promise<BackfillRow> {
  const { database, config, clock } = session;
  const row = await findBackfill(session, hash);
  if (row.plan.chain === 'ordered') requireOne(row.pipeline, concurrency);
  const said = reason === undefined ? null : requireReason(reason, 'backfill set');
  if (!(await setConcurrency(database, hash, concurrency, { who: config.actor, reason: said, now: clock.now() })))
    throw wrongState(row, 'set');
  if (BACKFILL_STATES[row.state].driven) await wakeBackfill(session, hash);
  return findBackfill(session, hash);
}

async function move(
  session: OperatorSession,
  row: BackfillRow,
  change: Pick<BackfillChange, 'from' | 'to' | 'verb' | 'reason'>,
  write = (moved: BackfillChange): Promise<boolean> => changeBackfill(session.database, moved, session.clock.now()),
): Promise<BackfillRow> {
  if (!(await write({ ...change, hash: row.hash, who: session.config.actor })))
    throw wrongState(await findBackfill(session, row.hash), change.verb);
  await wakeBackfill(session, row.hash);
  return findBackfill(session, row.hash);
}

/** Has the controller look now; starts it where it does not run. */
export async function wakeBackfill(session: OperatorSession, hash: string): Promise<void> {
  try {
    await (
      await session.temporal()
    ).workflow.signalWithStart('backfill', {
      workflowId: backfillWorkflowId(hash),
      taskQueue: queueNames(session.config).control,
      args: [hash],
      signal: 'look',
      workflowIdReusePolicy: 'ALLOW_DUPLICATE',
    });
  } catch (error) {
    throw unavailable(error);
  }
}

export function wrongState(row: BackfillRow, verb: string): AlmanacError {
  return new AlmanacError('backfill.state', `backfill ${row.hash} is ${row.state}; there is nothing to ${verb}`, {
    next: BACKFILL_STATES[row.state].over
      ? `almanac backfill plan ${row.pipeline} --from ${row.plan.request.from} --to ${row.plan.request.to} plans what is left`
      : `almanac backfill show ${row.hash}`,
  });
}

/** The message names so many differences; the details all. */
const NAMED = 5;

function drifted(row: BackfillRow, drift: readonly string[]): AlmanacError {
  const more = drift.length > NAMED ? `; and ${drift.length - NAMED} more` : '';
  const { pipeline, from, to, reprocess, params = {}, engine } = row.plan.request;
  const given = [
    ...Object.entries(params).map(([name, value]) => ` --param ${name}=${String(value)}`),
    ...(engine === undefined ? [] : [` --engine ${engine}`]),
  ];
  return new AlmanacError(
    'backfill.drift',
    `the plan ${row.hash} is not what would be done now: ${drift.slice(0, NAMED).join('; ')}${more}`,
    {
      next: `almanac backfill plan ${pipeline} --from ${from} --to ${to} --reprocess ${reprocess}${given.join('')}, look at it, then start its hash`,
      details: { drift },
    },
  );
}
