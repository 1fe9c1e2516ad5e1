import type { Queryable } from '../../lib/postgres';
import type { RunRef } from '../../pipelines/types';

export interface OpenExecution {
  readonly run: RunRef;
  readonly planHash: string;
  /** Null while nobody knows the execution of a claim yet. */
  readonly temporalRunId: string | null;
}

interface RawRun {
  pipeline: string;
  window_key: string;
  branch: string;
  generation: number;
  plan_hash: string;
  temporal_run_id: string | null;
  history_path: string | null;
}

function runOf({ pipeline, window_key: window, branch, generation }: RawRun): RunRef {
  return { pipeline, window, branch, generation };
}

/** Runs that are open, held ones among them. */
export async function openExecutions(database: Queryable): Promise<OpenExecution[]> {
  const { rows } = await database.query<RawRun>(
    'select * from almanac.run where ended_at is null order by pipeline, window_key, generation',
  );
  return rows.map((row) => ({ run: runOf(row), planHash: row.plan_hash, temporalRunId: row.temporal_run_id }));
}

/** The newest closed runs whose history is in the store. */
export async function exportedHistories(database: Queryable, limit: number): Promise<{ readonly run: RunRef; readonly path: string }[]> {
  const { rows } = await database.query<RawRun>(
    "select * from almanac.run where ended_at is not null and history_path like 'histories/%' order by ended_at desc limit $1",
    [limit],
  );
  return rows.map((row) => ({ run: runOf(row), path: row.history_path ?? '' }));
}

export interface AcceptedUnder {
  readonly pipeline: string;
  readonly planHash: string;
  readonly windows: number;
  readonly from: string;
  readonly to: string;
}

/** Windows of the main branch by the plan of their newest run that went through. */
export async function windowsByPlan(database: Queryable): Promise<AcceptedUnder[]> {
  const { rows } = await database.query<{ pipeline: string; plan_hash: string; windows: number; first: string; last: string }>(
    `select pipeline, plan_hash, count(*) as windows, min(window_key collate "C") as first, max(window_key collate "C") as last
     from (select distinct on (pipeline, window_key) pipeline, window_key, plan_hash from almanac.run
           where branch = 'main' and state = 'succeeded' order by pipeline, window_key, generation desc) newest
     group by 1, 2 order by 1, 4`,
  );
  return rows.map((row) => ({ pipeline: row.pipeline, planHash: row.plan_hash, windows: row.windows, from: row.first, to: row.last }));
}
