import { Context } from '@temporalio/activity';
import {
  addWindows,
  backfillWindows,
  beginWindow,
  changeBackfill,
  openElsewhere,
  readBackfill,
  type BackfillRow,
  type BackfillWindowRow,
} from '../../activities/ledger/backfills';
import type { AttemptProof } from '../../activities/attempt-proof';
import type { BackfillActivities, BackfillStep } from '../../activities/tasks';
import { whileAlone } from '../../lib/postgres';
import { BACKFILL_STATES, decideBackfill } from '../../pipelines/backfill-steps';
import { AlmanacError, type FailureInfo } from '../../pipelines/failures';
import { MAIN_BRANCH } from '../../pipelines/run-id';
import type { RunState } from '../../pipelines/status';
import type { RunRef } from '../../pipelines/types';
import { proofOf, provenRun, stopRun } from '../runs/stop';
import type { OperatorSession } from '../session';
import { headOf } from '../runs/head';
import { behindMain, forkBranch } from './branch';
import { discardStep } from './discard';
import { CONTROLLER, halt, orHalt } from './halt';
import { publishStep } from './publish-head';
import { refusal } from './refusal';
import { startWindow } from './start-window';

/** That nothing of a cancelled backfill goes on. */
export interface BackfillProof {
  /** Every run that it began, how each ended, and how each attempt of a stopped one is known to do no more harm. */
  readonly runs: readonly {
    readonly run: RunRef;
    readonly state: RunState;
    readonly endedAt: string | null;
    readonly attempts: readonly AttemptProof[];
  }[];
  readonly neverBegun: readonly string[];
}

/** Spells "back": one step of a backfill at a time, be there two workers that think it is theirs. */
const STEP_LOCK = 0x6261636b;

/** The activity of the controller's workflow. */
export function createBackfills(session: OperatorSession): BackfillActivities {
  return { stepBackfill: (hash) => orHalt(session, hash, Context.current().info.attempt, () => stepBackfill(session, hash)) };
}

/** One step: reads the ledger, decides, acts. May be cut off anywhere and run again; a second one beside it does nothing. */
export async function stepBackfill(session: OperatorSession, hash: string): Promise<BackfillStep> {
  const done = await whileAlone(session.database, STEP_LOCK, hash, () => step(session, hash));
  return done ?? { idle: false, changed: false };
}

async function step(session: OperatorSession, hash: string): Promise<BackfillStep> {
  const { database, clock } = session;
  let row = await readBackfill(database, hash);
  if (row !== undefined && row.branch !== MAIN_BRANCH && row.state !== 'planned') {
    // Whoever promoted or discarded it may have died before the ledger heard of it.
    await headOf(session, row.pipeline);
    row = await readBackfill(database, hash);
  }
  if (row?.state === 'discarded') return discardStep(session, row);
  if (row === undefined || !BACKFILL_STATES[row.state].driven) return { idle: true, changed: false };
  if (row.state === 'publishing') return publishStep(session, row);
  const refused = row.state === 'running' && row.branch !== MAIN_BRANCH ? await refusal(() => forkBranch(session, row)) : undefined;
  if (refused !== undefined) return haltRunning(session, hash, `its branch could not be forked: ${refused.message}`, refused);
  const windows = await backfillWindows(database, hash);
  const progress = windows.map(({ window, begunAt, run }) => ({ window, begun: begunAt !== null, run: run?.state }));
  const ordered = row.plan.chain === 'ordered';
  const elsewhere = ordered ? await openElsewhere(database, row) : [];
  const control = { state: row.state, ordered, concurrency: row.concurrency, elsewhere, branched: row.branch !== MAIN_BRANCH };
  const decision = decideBackfill(control, progress);
  if (decision.state === 'built') {
    const behind = await behindMain(session, row);
    if (behind.length > 0) {
      await addWindows(
        database,
        row,
        behind.map(({ window }) => window),
      );
      return { idle: false, changed: true };
    }
  }
  for (const window of windows.filter((one) => decision.start.includes(one.window))) {
    const refused = await start(session, row, window);
    if (refused !== undefined) return haltRunning(session, hash, `${window.window} could not be started: ${refused.message}`, refused);
  }
  await Promise.all(decision.stop.map((window) => stop(session, row, window)));
  if (decision.state !== row.state) {
    await changeBackfill(
      database,
      {
        hash,
        from: [row.state],
        to: decision.state,
        who: CONTROLLER,
        verb: decision.state,
        reason: decision.why ?? row.reason,
        ...(decision.state === 'quiesced' ? { proof: await proofOfRuns(session, row, windows) } : {}),
      },
      clock.now(),
    );
  }
  // An operator may have changed the state meanwhile: the next step sees it.
  const now = decision.state === row.state ? row.state : ((await readBackfill(database, hash))?.state ?? decision.state);
  return { idle: !BACKFILL_STATES[now].driven, changed: decision.state !== row.state || decision.start.length + decision.stop.length > 0 };
}

/** Undefined once the run is on its way; what refuses it halts the backfill, what fails for now fails the step, which is made again. */
async function start(session: OperatorSession, row: BackfillRow, window: BackfillWindowRow): Promise<FailureInfo | undefined> {
  if (!(await beginWindow(session.database, row.hash, window.window, session.clock.now()))) return undefined;
  return refusal(() => startWindow(session, row, window));
}

function haltRunning(session: OperatorSession, hash: string, reason: string, failure: FailureInfo): Promise<BackfillStep> {
  return halt(session, { hash, from: ['running'], reason, failure });
}

async function stop(session: OperatorSession, { hash, pipeline, branch, reason }: BackfillRow, window: string): Promise<void> {
  try {
    const address = { pipeline, window, branch };
    await stopRun(session, { address, verb: 'cancel', reason: `backfill ${hash} was cancelled: ${reason ?? ''}`, who: `backfill ${hash}` });
  } catch (error) {
    // It ended by itself meanwhile, or is about to begin: the next step looks again.
    if (!(error instanceof AlmanacError) || error.code !== 'run.stale') throw error;
  }
}

/** How every run that the backfill began is known to do no more harm. */
async function proofOfRuns(session: OperatorSession, row: BackfillRow, windows: readonly BackfillWindowRow[]): Promise<BackfillProof> {
  const runs: BackfillProof['runs'][number][] = [];
  for (const { window, begunAt, run } of windows) {
    if (begunAt === null || run === null) continue;
    const ref = { pipeline: row.pipeline, window, branch: row.branch, generation: run.generation };
    const ended = run.endedAt === null ? undefined : await provenRun(session, ref);
    runs.push({ run: ref, state: run.state, endedAt: run.endedAt, attempts: ended === undefined ? [] : proofOf(ended) });
  }
  return { runs, neverBegun: windows.filter(({ run }) => run === null).map(({ window }) => window) };
}
