/** The history of metrics in the control schema: what was measured of which version, and which versions were accepted. */
import { sha256 } from '../../lib/sha256';
import { baselineWindows } from '../../pipelines/baseline-windows';
import { canonicalJson } from '../../pipelines/canonical';
import { metricText } from '../../pipelines/metric-text';
import type { MetricDetail } from '../../pipelines/quality/reading';
import type { MetricState } from '../../pipelines/quality/states';
import type { CheckDeclaration, Metric, RunRef, VersionRef, WindowSpec } from '../../pipelines/types';
import type { Baseline } from '../../pipelines/verdict';
import type { Queryable } from '../../lib/postgres';

/** A metric of one version, as measured. */
export interface MeasuredMetric {
  readonly dataset: string;
  readonly version: string;
  readonly measure: Metric;
  readonly value: number;
  readonly rows: number;
  readonly state?: MetricState;
  readonly detail?: MetricDetail;
}

interface MetricName {
  readonly dataset: string;
  readonly measure: Metric;
}

const HASH_DIGITS = 16;

/** Tells one metric of a dataset from another: the same declaration has the same hash, whatever the order of its members. */
export function paramsHash(measure: Metric): string {
  return sha256(canonicalJson(measure)).slice(0, HASH_DIGITS);
}

/** Stores what was measured; measuring the same version again replaces the value and leaves its acceptance as it is. */
export async function storeMetrics(
  database: Queryable,
  run: RunRef,
  stage: string,
  metrics: readonly MeasuredMetric[],
  now: Date,
): Promise<void> {
  const rows = new Map(metrics.map((metric) => [canonicalJson([metric.dataset, metric.version, metric.measure]), metric]));
  // One order for everyone: two attempts that store the same rows cannot lock each other out.
  const sorted = [...rows].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, metric]) => metric);
  await database.query(
    `insert into almanac.check_metric
       (pipeline, branch, window_key, generation, stage, measured_at, dataset, version, metric, params_hash, label, params, value, row_count, state, detail)
     select $1, $2, $3, $4, $5, $6, m.* from
       unnest($7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::jsonb[], $13::float8[], $14::bigint[], $15::jsonb[], $16::jsonb[]) m
     on conflict (pipeline, branch, dataset, metric, params_hash, window_key, version) do update set
       value = excluded.value, row_count = excluded.row_count, state = excluded.state, detail = excluded.detail, generation = excluded.generation, stage = excluded.stage, measured_at = excluded.measured_at`,
    [
      ...[run.pipeline, run.branch, run.window, run.generation, stage, now],
      sorted.map(({ dataset }) => dataset),
      sorted.map(({ version }) => version),
      sorted.map(({ measure }) => measure.metric),
      sorted.map(({ measure }) => paramsHash(measure)),
      sorted.map(({ measure }) => metricText(measure)),
      sorted.map(({ measure }) => JSON.stringify(measure)),
      sorted.map(({ value }) => value),
      sorted.map(({ rows: count }) => count),
      sorted.map(({ state }) => (state === undefined ? null : JSON.stringify(state))),
      sorted.map(({ detail }) => (detail === undefined ? null : JSON.stringify(detail))),
    ],
  );
}

/**
 * SQL: whether a row `m` of the history counts on the branch $2 of the pipeline $1 for the dataset $3: its own, and of `main` what was before its
 * fork and what it carries.
 */
const ON_BRANCH = `(m.branch = $2 or (m.branch = 'main' and (
  m.window_key < (select from_window from almanac.chain_branch where pipeline = $1 and branch = $2)
  or exists (select from almanac.accepted_version a where (a.pipeline, a.branch, a.window_key, a.dataset, a.version) = ($1, $2, m.window_key, $3, m.version)))))`;

/**
 * Accepted values of a metric in windows before the run's own, on its branch; of a branch also those of `main` before its fork, and of what it
 * carries, but for those on record as like no others. Only of windows that the check's method of drift looks at.
 */
export async function readBaseline(
  database: Queryable,
  run: RunRef,
  windows: WindowSpec,
  { dataset, measure, drift }: MetricName & Pick<CheckDeclaration, 'drift'>,
): Promise<Baseline> {
  const { keys, each, limit, states } = baselineWindows(windows, run.window, drift?.method ?? 'level');
  const season = each === undefined ? '1' : `row_number() over (partition by substring(window_key from 10 for 4) order by window_key desc)`;
  const { rows } = await database.query<{ window: string; value: number; rows: number; state?: MetricState | null }>(
    `select window_key as window, value, row_count as rows${states ? ", case when state ->> 'kind' = 'frequencies' then state end as state" : ''}
     from (select *, ${season} as nth from almanac.check_metric m
       where pipeline = $1 and branch = any (array[$2, 'main']) and dataset = $3 and metric = $4 and params_hash = $5 and window_key < $6
         and ${keys === undefined ? '$7::text[] is null' : 'window_key = any ($7::text[])'} and accepted and ${ON_BRANCH}
         and not exists (select 1 from almanac.check_exclusion x where x.withdrawn_at is null and x.pipeline = m.pipeline
           and coalesce(x.dataset, m.dataset) = m.dataset and m.window_key between x.from_window and x.to_window)) known
     where nth <= ${each ?? 1} order by window_key desc limit ${limit}`,
    [run.pipeline, run.branch, dataset, measure.metric, paramsHash(measure), run.window, keys ?? null],
  );
  return { window: run.window, accepted: rows.map(({ state, ...past }) => (state == null ? past : { ...past, state })) };
}

/** What an accepted window left of a metric; `state` is null where it left none that merges. */
export interface PastState {
  readonly window: string;
  readonly rows: number;
  readonly state: MetricState | null;
}

/** What the accepted windows from `first` up to the run's own left of a metric, oldest first, seen from the branch of the run. */
export async function readStates(database: Queryable, run: RunRef, { dataset, measure }: MetricName, first: string): Promise<PastState[]> {
  const { rows } = await database.query<PastState>(
    `select distinct on (window_key) window_key as window, state, row_count::float8 as rows from almanac.check_metric m
     where pipeline = $1 and branch = any (array[$2, 'main']) and dataset = $3 and metric = $4 and params_hash = $5
       and window_key >= $6 and window_key < $7 and accepted and ${ON_BRANCH}
     order by window_key, branch = $2 desc, measured_at desc`,
    [run.pipeline, run.branch, dataset, measure.metric, paramsHash(measure), first, run.window],
  );
  return rows;
}

/**
 * Makes the metrics of the accepted versions the window's baseline, and those of versions they replace no baseline. For
 * the runner, with the acceptance; doing it again changes nothing.
 */
export async function markAccepted(database: Queryable, run: RunRef, versions: readonly VersionRef[]): Promise<void> {
  if (versions.length === 0) return;
  await database.query(
    `update almanac.check_metric m set accepted = (m.version = v.version)
     from unnest($4::text[], $5::text[]) as v (dataset, version)
     where m.pipeline = $1 and m.branch = $2 and m.window_key = $3 and m.dataset = v.dataset and m.accepted <> (m.version = v.version)`,
    [run.pipeline, run.branch, run.window, versions.map(({ dataset }) => dataset), versions.map(({ version }) => version)],
  );
}
