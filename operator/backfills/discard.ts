import { noteMover } from '../../activities/ledger/branches';
import type { BackfillRow } from '../../activities/ledger/backfills';
import { listOpenRuns, type RunRow } from '../../activities/ledger/runs';
import type { BackfillStep } from '../../activities/tasks';
import { withDiscarded } from '../../pipelines/chain-head';
import { AlmanacError } from '../../pipelines/failures';
import { faultPoints } from '../../workers/fault-points';
import { requireReason } from '../reason';
import { loseUnexecuted } from '../reconcile';
import { headOf } from '../runs/head';
import { stopRun } from '../runs/stop';
import type { OperatorSession } from '../session';
import { asMover, type Point } from './mover';
import { findBackfill } from './plan';
import { wrongState } from './verbs';

/** Runs that an operator wakes or starts while they are being closed are looked for again, so often. */
const TRIES = 5;

/**
 * Closes the branch of a backfill that starts nothing any more, and its open runs; `main` stays as it is. Done again after it was cut
 * off, it does what is left; so does the controller. Throws `backfill.state`.
 */
export async function discardBackfill(
  session: OperatorSession,
  hash: string,
  reason: string,
  point: Point = faultPoints(process.env),
): Promise<BackfillRow> {
  const said = requireReason(reason, 'backfill discard');
  return asMover(session, hash, 'discard', async (row) => {
    const { datasets, database, config } = session;
    const left = row.state === 'discarded' && (await listOpenRuns(database, row)).length > 0;
    const { branches } = await datasets.heads.read(row.pipeline);
    const stands = ['built', 'paused', 'halted', 'quiesced'].includes(row.state) && branches[row.branch]?.state === 'open';
    if (!left && !stands) throw wrongState(row, 'discard');
    if (stands) {
      await noteMover(database, hash, config.actor, said);
      await point('discard:noted');
      // Before the head moves: whoever is cut off here leaves a branch that is open, and is discarded by the next.
      await closeRuns(session, row, said);
      await point('discard:closed');
      for (;;) {
        const head = await datasets.heads.settled(row.pipeline);
        if (await datasets.heads.put(withDiscarded(head, row.branch))) break;
      }
      await point('discard:moved');
      await headOf(session, row.pipeline);
      await point('discard:followed');
    }
    // Those that were claimed while the head moved.
    await closeRuns(session, row, said);
    return findBackfill(session, hash);
  });
}

/** What is left of a discarded branch when who discarded it died over it. */
export async function discardStep(session: OperatorSession, row: BackfillRow): Promise<BackfillStep> {
  const open = await listOpenRuns(session.database, row);
  if (open.length > 0) await closeRuns(session, row, row.reason ?? 'it was discarded');
  return { idle: true, changed: open.length > 0 };
}

/** Ends every open run of the branch: gives up what is held, stops what runs, and writes off what has no execution. */
async function closeRuns(session: OperatorSession, row: BackfillRow, reason: string): Promise<void> {
  const said = `branch ${row.branch} is discarded: ${reason}`;
  for (let tries = 1; ; tries++) {
    const open = await listOpenRuns(session.database, row);
    if (open.length === 0) return;
    if (tries > TRIES) {
      throw new AlmanacError('service.unavailable', `${open.length} runs of branch ${row.branch} of ${row.pipeline} do not end`, {
        next: `almanac runs --pipeline ${row.pipeline} --state held, then almanac backfill discard ${row.hash} --reason …`,
      });
    }
    await Promise.all(open.map((run) => closeRun(session, run, said)));
  }
}

async function closeRun(session: OperatorSession, { run, state }: RunRow, reason: string): Promise<void> {
  try {
    await stopRun(session, { address: run, verb: state === 'held' ? 'abandon' : 'cancel', reason });
  } catch (error) {
    // It ended or went on meanwhile, or nothing executes it.
    if (!(error instanceof AlmanacError) || (error.code !== 'run.stale' && error.code !== 'run.running')) throw error;
    await loseUnexecuted(session, run, reason);
  }
}
