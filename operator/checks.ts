/** What gates measured and judged, as data. */
import type { Queryable } from '../lib/postgres';
import { nearest } from '../lib/nearest';
import { AlmanacError } from '../pipelines/failures';
import { formatRun } from '../pipelines/run-id';
import type { SampleRow } from '../pipelines/suite-sql';
import type { CheckStatus, RunRef } from '../pipelines/types';
import type { Overruled } from '../pipelines/verdict';

/** One judged check of a run. */
export interface ShownCheck {
  readonly stage: string;
  /** The generation that judged it: an earlier one for a stage that was carried over. */
  readonly generation: number;
  readonly attempt: number;
  readonly check: string;
  readonly dataset: string;
  readonly owner: string | null;
  readonly status: CheckStatus;
  readonly observed: number | null;
  readonly low: number | null;
  readonly high: number | null;
  readonly method: string;
  /** Earlier windows a drift verdict rests on. */
  readonly n: number | null;
  readonly score: number | null;
  readonly failedRows: number | null;
  readonly sample: readonly SampleRow[];
  readonly message: string;
  /** Who let it pass although it fails, until when and why. */
  readonly overridden: Overruled | null;
  readonly judgedAt: string;
}

/** The newest results of each check stage of a run, the worst first. Throws `check.unknown` when there are none. */
export async function showChecks(database: Queryable, run: RunRef): Promise<ShownCheck[]> {
  const { rows } = await database.query<ShownCheck & { judgedAt: Date }>(
    `select stage, generation, attempt, check_id as "check", dataset, owner, status, observed, low, high, method, n, score,
       failed_rows as "failedRows", sample, message, case when overridden_by is not null then jsonb_build_object('who', overridden_by,
         'until', to_char(overridden_until at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), 'reason', override_reason) end as overridden, judged_at as "judgedAt"
     from (select r.*, rank() over (partition by stage order by generation desc, attempt desc) as newest from almanac.check_result r
           where pipeline = $1 and window_key = $2 and branch = $3 and generation <= $4) r
     where newest = 1
     order by array_position(array['ERROR', 'FAIL', 'WARN', 'NO_HISTORY', 'PASS'], status), stage, check_id`,
    [run.pipeline, run.window, run.branch, run.generation],
  );
  if (rows.length > 0) return rows.map((row) => ({ ...row, judgedAt: row.judgedAt.toISOString() }));
  const name = formatRun(run);
  throw new AlmanacError('check.unknown', `no check of ${name} has been judged`, { next: `almanac show ${name} tells how far the run is` });
}

/** One measured value of a metric's history. */
export interface HistoryPoint {
  readonly pipeline: string;
  readonly branch: string;
  readonly window: string;
  readonly metric: string;
  readonly value: number;
  readonly rows: number;
  readonly version: string;
  readonly generation: number;
  /** Whether the version is the window's accepted one; only those are baselines. */
  readonly accepted: boolean;
  readonly measuredAt: string;
}

const HISTORY_LIMIT = 400;

/**
 * Values of a metric over the windows, newest first. `metric` is a kind (`null-count`: all of them) or one metric in
 * words (`null-count(pixel_id)`). Throws `check.unknown` naming those there are.
 */
export async function metricHistory(database: Queryable, dataset: string, metric: string): Promise<HistoryPoint[]> {
  const { rows } = await database.query<HistoryPoint & { measuredAt: Date }>(
    `select pipeline, branch, window_key as "window", label as metric, value, row_count as "rows", version, generation, accepted, measured_at as "measuredAt"
     from almanac.check_metric where dataset = $1 and (metric = $2 or label = $2)
     order by pipeline, window_key desc, branch, label, accepted desc, measured_at desc limit ${HISTORY_LIMIT}`,
    [dataset, metric],
  );
  if (rows.length > 0) return rows.map((row) => ({ ...row, measuredAt: row.measuredAt.toISOString() }));
  const known = await database.query<{ metric: string; label: string }>(
    'select distinct metric, label from almanac.check_metric where dataset = $1 order by label',
    [dataset],
  );
  if (known.rows.length > 0) throw unknownMetric(dataset, metric, known.rows);
  const all = await database.query<{ dataset: string; metric: string }>(
    'select distinct dataset, metric from almanac.check_metric order by dataset, metric',
  );
  throw unknownDataset(dataset, all.rows);
}

/** A metric in words may hold quotes, which a shell takes: its kind is what can be typed. */
function unknownMetric(
  dataset: string,
  metric: string,
  measured: readonly { readonly metric: string; readonly label: string }[],
): AlmanacError {
  const labels = measured.map(({ label }) => label);
  const kinds = [...new Set(measured.map((one) => one.metric))];
  const meant = nearest(metric, kinds) ?? kinds.find((kind) => metric.startsWith(kind)) ?? kinds[0] ?? '';
  return new AlmanacError('check.unknown', `${dataset} has no metric ${metric}; measured were: ${labels.join(' | ')}`, {
    next: `almanac check history ${dataset} ${meant}`,
    details: { dataset, metrics: labels },
  });
}

function unknownDataset(dataset: string, measured: readonly { readonly dataset: string; readonly metric: string }[]): AlmanacError {
  const names = [...new Set(measured.map((one) => one.dataset))];
  const meant = nearest(dataset, names) ?? names[0];
  const metric = measured.find((one) => one.dataset === meant)?.metric ?? '';
  return new AlmanacError('check.unknown', `no check has measured a dataset ${dataset}; measured were: ${names.join(', ') || 'none'}`, {
    next: meant === undefined ? 'almanac run PIPELINE --window KEY measures its checks' : `almanac check history ${meant} ${metric}`,
    details: { dataset, datasets: names },
  });
}
