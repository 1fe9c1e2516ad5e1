import type { Queryable } from '../../lib/postgres';
import { runKey } from '../../activities/ledger/runs';
import type { RunRef } from '../../pipelines/types';

export interface Action {
  readonly run: RunRef;
  readonly verb: string;
  readonly who: string;
  readonly stage?: string | undefined;
  readonly reason?: string | undefined;
  readonly detail: Readonly<Record<string, unknown>>;
  readonly now: Date;
}

/** `intended`: on record, and not known to have been taken. `refused`: the run did not take it. */
export type ActionState = 'intended' | 'done' | 'refused';

/** Every verb leaves who, when, why. */
export async function recordAction(database: Queryable, action: Action): Promise<void> {
  await insertAction(database, action, 'done');
}

/** Leaves who, when, why before the verb is sent; answers the id under which the run settles it. */
export function intendAction(database: Queryable, action: Action): Promise<number> {
  return insertAction(database, action, 'intended');
}

/** Notes that the run did not take these; what it took stays done. */
export async function refuseAction(database: Queryable, run: RunRef, actions: readonly number[]): Promise<void> {
  await database.query(
    `update almanac.action set state = 'refused'
     where pipeline = $1 and window_key = $2 and branch = $3 and generation = $4 and id = any($5::bigint[]) and state = 'intended'`,
    [...runKey(run), actions],
  );
}

async function insertAction(database: Queryable, action: Action, state: ActionState): Promise<number> {
  const { rows } = await database.query<{ id: number }>(
    `insert into almanac.action (pipeline, window_key, branch, generation, at, who, verb, stage, reason, detail, state)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) returning id`,
    [
      ...runKey(action.run),
      action.now,
      action.who,
      action.verb,
      action.stage ?? null,
      action.reason ?? null,
      JSON.stringify(action.detail),
      state,
    ],
  );
  const [row] = rows;
  if (row === undefined) throw new Error('an insert returned no id');
  return row.id;
}
