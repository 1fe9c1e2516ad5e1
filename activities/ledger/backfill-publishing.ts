import type { Queryable } from '../../lib/postgres';
import type { RunRef } from '../../pipelines/types';

/** Notes that a window is being published again, before its run is started. */
export async function beginPublishing(database: Queryable, hash: string, run: RunRef): Promise<void> {
  await database.query(
    `insert into almanac.backfill_publishing (hash, window_key, after_generation) values ($1, $2, $3)
     on conflict (hash, window_key) do update set after_generation = excluded.after_generation`,
    [hash, run.window, run.generation],
  );
}

/** Windows that were set out to be published again, each with the newest generation of then. */
export async function begunPublishing(database: Queryable, hash: string): Promise<ReadonlyMap<string, number>> {
  const { rows } = await database.query<{ window_key: string; after_generation: number }>(
    'select window_key, after_generation from almanac.backfill_publishing where hash = $1',
    [hash],
  );
  return new Map(rows.map(({ window_key, after_generation }) => [window_key, after_generation]));
}

/** Lets what was not published be published once more. */
export async function forgetPublishing(database: Queryable, hash: string): Promise<void> {
  await database.query('delete from almanac.backfill_publishing where hash = $1', [hash]);
}
