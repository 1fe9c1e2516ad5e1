/** Results of checks in the control schema: one row a check and attempt. */
import type { SampleRow } from '../../pipelines/suite-sql';
import type { CheckDeclaration, RunRef } from '../../pipelines/types';
import type { Verdict } from '../../pipelines/verdict';
import type { Queryable } from '../../lib/postgres';

/** A judged check with the rows that made it fail. */
export interface CheckResult {
  readonly check: CheckDeclaration;
  readonly verdict: Verdict;
  /** Rows counted as failing; null for metrics that count no failing rows. */
  readonly failedRows: number | null;
  readonly sample: readonly SampleRow[];
}

/** Stores an attempt's results; storing them again replaces them. */
export async function storeResults(
  database: Queryable,
  run: RunRef,
  stage: string,
  attempt: number,
  results: readonly CheckResult[],
  now: Date,
): Promise<void> {
  const column = <T>(value: (result: CheckResult) => T): T[] => results.map(value);
  await database.query(
    `insert into almanac.check_result
       (pipeline, window_key, branch, generation, stage, attempt, judged_at,
        check_id, dataset, owner, status, observed, low, high, method, n, score, failed_rows, sample, message,
        overridden_by, overridden_until, override_reason)
     select $1, $2, $3, $4, $5, $6, $7, r.* from
       unnest($8::text[], $9::text[], $10::text[], $11::text[], $12::float8[], $13::float8[], $14::float8[], $15::text[],
              $16::int[], $17::float8[], $18::bigint[], $19::jsonb[], $20::text[],
              $21::text[], $22::timestamptz[], $23::text[]) r
     on conflict (pipeline, window_key, branch, generation, stage, attempt, check_id) do update set
       judged_at = excluded.judged_at, dataset = excluded.dataset, owner = excluded.owner, status = excluded.status, observed = excluded.observed,
       low = excluded.low, high = excluded.high, method = excluded.method, n = excluded.n, score = excluded.score,
       failed_rows = excluded.failed_rows, sample = excluded.sample, message = excluded.message,
       overridden_by = excluded.overridden_by, overridden_until = excluded.overridden_until, override_reason = excluded.override_reason`,
    [
      ...[run.pipeline, run.window, run.branch, run.generation, stage, attempt, now],
      column(({ check }) => check.id),
      column(({ check }) => check.dataset),
      column(({ check }) => check.owner ?? null),
      column(({ verdict }) => verdict.status),
      column(({ verdict }) => verdict.observed),
      column(({ verdict }) => verdict.low),
      column(({ verdict }) => verdict.high),
      column(({ verdict }) => verdict.method),
      column(({ verdict }) => verdict.n),
      column(({ verdict }) => verdict.score),
      column(({ failedRows }) => failedRows),
      column(({ sample }) => JSON.stringify(sample)),
      column(({ verdict }) => verdict.message),
      column(({ verdict }) => verdict.overridden?.who ?? null),
      column(({ verdict }) => verdict.overridden?.until ?? null),
      column(({ verdict }) => verdict.overridden?.reason ?? null),
    ],
  );
}
