import type { Queryable } from '../../lib/postgres';
import type { AttemptState, RunState } from '../../pipelines/status';

/** The newest generation of a window, with the state of the last attempt of each stage that has one. */
export interface GridRow {
  readonly window: string;
  readonly generation: number;
  readonly state: RunState;
  readonly planHash: string;
  readonly changedAt: string;
  readonly stages: Readonly<Record<string, AttemptState>>;
}

export interface GridFilter {
  readonly pipeline: string;
  readonly branch: string;
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  /** So many windows. */
  readonly limit: number;
}

/** Newest window first; the page after this one ends before its last window. */
export async function readGrid(database: Queryable, { pipeline, branch, from, to, limit }: GridFilter): Promise<GridRow[]> {
  const { rows } = await database.query<{
    window_key: string;
    generation: number;
    state: RunState;
    plan_hash: string;
    changed_at: Date;
    stages: Record<string, AttemptState> | null;
  }>(
    `select r.*, (
       select jsonb_object_agg(stage, state) from (
         select distinct on (a.stage) a.stage, a.state from almanac.attempt a
         where (a.pipeline, a.window_key, a.branch, a.generation) = ($1, r.window_key, $2, r.generation) order by a.stage, a.attempt desc) newest) as stages
     from (
       select distinct on (window_key) window_key, generation, state, plan_hash, changed_at from almanac.run
       where pipeline = $1 and branch = $2 and ($3::text is null or window_key >= $3) and ($4::text is null or window_key <= $4)
       order by window_key desc, generation desc limit $5) r
     order by r.window_key desc`,
    [pipeline, branch, from ?? null, to ?? null, limit],
  );
  return rows.map((row) => ({
    window: row.window_key,
    generation: row.generation,
    state: row.state,
    planHash: row.plan_hash,
    changedAt: row.changed_at.toISOString(),
    stages: row.stages ?? {},
  }));
}
