/** Windows on record as like no others: holidays and known incidents. */
import type { Queryable } from '../../lib/postgres';

export interface Exclusion {
  readonly id: number;
  readonly pipeline: string;
  /** Null for every dataset of the pipeline. */
  readonly dataset: string | null;
  readonly from: string;
  readonly to: string;
  readonly reason: string;
  readonly who: string;
}

/** Puts windows `from` to `to`, both included, on record. Returns its number. */
export async function excludeWindows(database: Queryable, exclusion: Omit<Exclusion, 'id'>, now: Date): Promise<number> {
  const { pipeline, dataset, from, to, reason, who } = exclusion;
  const { rows } = await database.query<{ id: number }>(
    `insert into almanac.check_exclusion (pipeline, dataset, from_window, to_window, reason, who, created_at)
     values ($1, $2, $3, $4, $5, $6, $7) returning id::int`,
    [pipeline, dataset, from, to, reason, who, now],
  );
  const [row] = rows;
  if (row === undefined) throw new Error('an insert returned no number');
  return row.id;
}

/** Exclusions that stand, of one pipeline or of all. */
export async function readExclusions(database: Queryable, pipeline?: string): Promise<Exclusion[]> {
  const { rows } = await database.query<Exclusion>(
    `select id::int, pipeline, dataset, from_window as "from", to_window as "to", reason, who from almanac.check_exclusion
     where withdrawn_at is null and ($1::text is null or pipeline = $1) order by pipeline, from_window, id`,
    [pipeline ?? null],
  );
  return rows;
}

/** Takes an exclusion back. False when there is none of that number, or it was taken back already. */
export async function withdrawExclusion(database: Queryable, id: number, now: Date): Promise<boolean> {
  const { rowCount } = await database.query('update almanac.check_exclusion set withdrawn_at = $2 where id = $1 and withdrawn_at is null', [
    id,
    now,
  ]);
  return (rowCount ?? 0) > 0;
}

/** Why a window of a dataset is excluded; undefined when it is not. */
export function excludedBy(exclusions: readonly Exclusion[], dataset: string, window: string): string | undefined {
  return exclusions.find((one) => (one.dataset === null || one.dataset === dataset) && one.from <= window && window <= one.to)?.reason;
}
