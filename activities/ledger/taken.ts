import type { Queryable } from '../../lib/postgres';
import type { RunRef } from '../../pipelines/types';
import type { Taken } from '../tasks';
import { runKey } from './runs';

/**
 * Puts on record what an open run took from operators. Older news than the ledger has change nothing: the sender of a verb and
 * every order after it may tell the same, in any order.
 */
export async function recordTaken(database: Queryable, run: RunRef, claim: string, taken: Taken, now: Date): Promise<void> {
  await database.query({
    name: 'record-taken',
    text: `update almanac.run set woken = $6,
        state = case when state = 'held' and hold <= $6 then 'running' else state end,
        failure = case when state = 'held' and hold <= $6 then null else failure end,
        changed_at = case when state = 'held' and hold <= $6 then $7 else changed_at end
      where pipeline = $1 and window_key = $2 and branch = $3 and generation = $4 and claim = $5 and ended_at is null and woken < $6`,
    values: [...runKey(run), claim, taken.woken, now],
  });
}

/** What an order carries, if it is worth a statement: most runs are never held. */
export async function recordCarried(
  database: Queryable,
  task: { readonly run: RunRef; readonly claim: string; readonly taken?: Taken },
  now: Date,
): Promise<void> {
  if (task.taken !== undefined && task.taken.woken > 0) await recordTaken(database, task.run, task.claim, task.taken, now);
}
