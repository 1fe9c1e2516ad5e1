import type { BackfillRow } from '../../activities/ledger/backfills';
import { whileAlone } from '../../lib/postgres';
import { AlmanacError } from '../../pipelines/failures';
import { headOf } from '../runs/head';
import type { OperatorSession } from '../session';
import { branchStart } from './branch';
import { findBackfill } from './plan';

/** One promotes or discards a branch of a pipeline at a time; spells "prom". */
const PROMOTE_LOCK = 0x70726f6d;

/** A named step, where kill tests stop. */
export type Point = (name: string) => Promise<void>;

/** Does what moves the branch of a backfill, as the only one who does. Throws `backfill.state` when somebody else is at it, or there is no branch. */
export async function asMover(
  session: OperatorSession,
  hash: string,
  verb: string,
  act: (row: BackfillRow) => Promise<BackfillRow>,
): Promise<BackfillRow> {
  const { pipeline, branch } = await findBackfill(session, hash);
  const done = await whileAlone(session.database, PROMOTE_LOCK, `${pipeline}~${branch}`, async () => {
    await headOf(session, pipeline);
    const row = await findBackfill(session, hash);
    branchStart(row);
    return act(row);
  });
  if (done !== undefined) return done;
  throw new AlmanacError('backfill.state', `somebody else promotes or discards backfill ${hash}; there is nothing to ${verb}`, {
    next: `almanac backfill show ${hash}`,
  });
}
