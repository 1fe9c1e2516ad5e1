import type { Queryable } from '../../lib/postgres';
import type { RunTask, Taken } from '../tasks';
import { runKey } from './runs';

/** What an open run took from operators, under the plan it has since. */
export interface TakenTask extends Pick<RunTask, 'run' | 'claim' | 'planHash'> {
  readonly taken: Taken;
}

/**
 * Puts on record what a run took from operators. Older news than the ledger has change nothing: the sender of a verb and every
 * order after it may tell the same, in any order.
 */
export async function recordTaken(database: Queryable, task: TakenTask, now: Date): Promise<void> {
  const { woken, plans, actions } = task.taken;
  await database.query({
    name: 'record-taken',
    text: `with known as (
        update almanac.run set woken = greatest(woken, $6), plan_number = greatest(plan_number, $8),
          plan_hash = case when plan_number < $8 then $9 else plan_hash end,
          state = case when state = 'held' and hold <= $6 then 'running' else state end,
          failure = case when state = 'held' and hold <= $6 then null else failure end,
          changed_at = case when state = 'held' and hold <= $6 then $7 else changed_at end
        where pipeline = $1 and window_key = $2 and branch = $3 and generation = $4 and claim = $5 and ended_at is null
          and (woken < $6 or plan_number < $8)
      )
      update almanac.action set state = 'done'
      where pipeline = $1 and window_key = $2 and branch = $3 and generation = $4 and id = any($10::bigint[]) and state <> 'done'`,
    values: [...runKey(task.run), task.claim, woken, now, plans, task.planHash, actions],
  });
}

/** What an order carries, if it is worth a statement: most runs get no verb. */
export async function recordCarried(database: Queryable, { taken, ...task }: RunTask, now: Date): Promise<void> {
  if (taken === undefined || (taken.woken === 0 && taken.plans === 0 && taken.actions.length === 0)) return;
  await recordTaken(database, { ...task, taken }, now);
}
