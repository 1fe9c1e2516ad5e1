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

/** Every verb leaves who, when, why. */
export async function recordAction(database: Queryable, action: Action): Promise<void> {
  await database.query(
    `insert into almanac.action (pipeline, window_key, branch, generation, at, who, verb, stage, reason, detail)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
    [
      ...runKey(action.run),
      action.now,
      action.who,
      action.verb,
      action.stage ?? null,
      action.reason ?? null,
      JSON.stringify(action.detail),
    ],
  );
}
