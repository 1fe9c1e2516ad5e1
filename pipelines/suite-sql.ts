/**
 * SQL of a suite: one SELECT a dataset measures all its metrics in one scan and samples the failing rows on the way;
 * metrics that group (duplicate keys) have a SELECT of their own. Pure: it names views, the caller makes them.
 */
import { versionSelect, type Column } from './duckdb-sql';
import { metricText } from './metric-text';
import { quoteName, quoteText } from './quote-sql';
import type { CheckDeclaration, DatasetSpec, Metric, SuiteSpec } from './types';

const SAMPLE_ROWS = 5;
/** Longer values are cut, with an ellipsis as their last character. */
const SAMPLE_CHARACTERS = 200;
const PII_DIGITS = 8;
/** Datasets without a key show this many columns. */
const SAMPLE_COLUMNS = 8;

/** Metrics that are counts over rows, so that one scan serves any number of them. */
type CountedMetric = Exclude<EngineMetric, { metric: 'duplicate-keys' }>;

/** A metric some checks of a suite share, measured once. */
export interface SuiteMetric {
  /** Unique in its suite: dataset, metric and the columns sampled. */
  readonly key: string;
  readonly dataset: string;
  readonly measure: EngineMetric;
  /** Columns shown of failing rows. */
  readonly sample: readonly string[];
}

/** Metrics an engine computes; quarantine ratios are known from the ingest stage. */
export type EngineMetric = Exclude<Metric, { metric: 'quarantine-ratio' }>;

export interface SuiteScope {
  readonly datasets: Readonly<Record<string, DatasetSpec>>;
  /** Decides which failing rows are shown: the same ones in every try. */
  readonly salt: string;
}

/** One SELECT with one row: column `rows`, and for its i-th metric `v<i>` and, where rows can fail, `s<i>`. */
export interface MetricQuery {
  readonly dataset: string;
  readonly sql: string;
  readonly metrics: readonly SuiteMetric[];
}

/** A failing row: column → text as the engine prints it, cut and masked; null where there is no value. */
export type SampleRow = Readonly<Record<string, string | null>>;

export interface Measurement {
  readonly value: number;
  /** Rows of the dataset. */
  readonly rows: number;
  readonly sample: readonly SampleRow[];
}

/** The view a suite's queries read a version by; `files` are paths the engine can open, none for a version without rows. */
export function versionView(dataset: string, columns: readonly Column[], files: readonly string[]): string {
  return `create temp view ${quoteName(dataset)} as ${versionSelect(columns, files)}`;
}

/** The distinct metrics of a suite, in the order its checks name them; quarantine ratios are left out. */
export function suiteMetrics(suite: SuiteSpec, datasets: Readonly<Record<string, DatasetSpec>>): SuiteMetric[] {
  const metrics = new Map<string, SuiteMetric>();
  for (const check of suite.checks) {
    const metric = metricOf(check, datasets[check.dataset]);
    if (metric !== undefined && !metrics.has(metric.key)) metrics.set(metric.key, metric);
  }
  return [...metrics.values()];
}

/** The metric that answers a check; undefined when no engine is asked. */
export function metricOf(check: CheckDeclaration, dataset: DatasetSpec | undefined): SuiteMetric | undefined {
  const { measure } = check;
  if (measure.metric === 'quarantine-ratio') return undefined;
  const sample = measure.metric === 'rows' ? [] : sampleColumns(check, measure, dataset);
  return { key: JSON.stringify([check.dataset, metricText(measure), sample]), dataset: check.dataset, measure, sample };
}

/** One query a dataset, then one for each grouping metric. */
export function suiteQueries(metrics: readonly SuiteMetric[], scope: SuiteScope): MetricQuery[] {
  const counted = new Map<string, SuiteMetric[]>();
  const grouping: MetricQuery[] = [];
  for (const metric of metrics) {
    if (metric.measure.metric === 'duplicate-keys') grouping.push(duplicatesQuery(metric, metric.measure.key, scope));
    else counted.set(metric.dataset, [...(counted.get(metric.dataset) ?? []), metric]);
  }
  return [...[...counted].map(([dataset, group]) => scanQuery(dataset, group, scope)), ...grouping];
}

/** A query for one metric: what is asked again when a shared scan fails, so that only the broken metric fails. */
export function metricQuery(metric: SuiteMetric, scope: SuiteScope): MetricQuery {
  const { measure } = metric;
  return measure.metric === 'duplicate-keys' ? duplicatesQuery(metric, measure.key, scope) : scanQuery(metric.dataset, [metric], scope);
}

/** Reads the one row of a query back, by metric key; undefined for what is not a number there. */
export function readMeasurements(query: MetricQuery, row: Readonly<Record<string, unknown>>): Map<string, Measurement | undefined> {
  const rows = number(row.rows);
  return new Map(
    query.metrics.map(({ key }, index) => {
      const value = number(row[`v${index}`]);
      const sample = (row[`s${index}`] ?? []) as readonly SampleRow[];
      return [key, value === undefined || rows === undefined ? undefined : { value, rows, sample }];
    }),
  );
}

/** Quarantined rows of some reasons: where they came from and what is wrong with them, never what they held. One row, column `sample`. */
export function quarantineSampleQuery(files: readonly string[], reasons: readonly string[], salt: string): string {
  const shown = '{reason: reason, column_name: column_name, detail: detail, file: file, line: cast(line as varchar)}';
  return `select arg_min(${shown}, hash(file, line, ${quoteText(salt)}), ${SAMPLE_ROWS}) as sample
from read_parquet([${files.map(quoteText).join(', ')}]) where reason in (${reasons.map(quoteText).join(', ')})`;
}

function number(value: unknown): number | undefined {
  const read = typeof value === 'string' && value !== '' ? Number(value) : value;
  return typeof read === 'number' && Number.isFinite(read) ? read : undefined;
}

function scanQuery(dataset: string, metrics: readonly SuiteMetric[], scope: SuiteScope): MetricQuery {
  const spec = scope.datasets[dataset];
  const flags: string[] = [];
  const columns = ['count(*) as "rows"'];
  for (const [index, { measure, sample }] of metrics.entries()) {
    if (measure.metric === 'duplicate-keys') throw new TypeError('a grouping metric has a statement of its own');
    if (measure.metric === 'rows') {
      columns.push(`count(*) as v${index}`);
      continue;
    }
    const flag = quoteName(`failing ${index}`);
    flags.push(`${failing(dataset, measure)} as ${flag}`);
    columns.push(`count(*) filter (where ${flag}) as v${index}`, `${sampled(flag, sample, spec, scope.salt)} as s${index}`);
    // An aggregate that takes booleans only: without it a number would pass for a predicate.
    if (measure.metric === 'rows-where') columns.push(`bool_or(${flag}) as b${index}`);
  }
  const source = quoteName(dataset);
  const from = flags.length === 0 ? source : `(select ${source}.*,\n  ${flags.join(',\n  ')}\nfrom ${source})`;
  return { dataset, metrics, sql: `select ${columns.join(',\n  ')}\nfrom ${from}` };
}

/** True of the rows a metric counts; NULL counts as not true. */
function failing(dataset: string, measure: Exclude<CountedMetric, { metric: 'rows' }>): string {
  const own = (column: string): string => `${quoteName(dataset)}.${quoteName(column)}`;
  switch (measure.metric) {
    case 'null-count':
      return `(${own(measure.column)} is null)`;
    case 'rows-where':
      // The line ends before the parenthesis closes: the predicate may end in a comment.
      return `(${measure.predicate}\n)`;
    case 'missing-references': {
      const { dataset: names, column } = measure.in;
      const found = `select 1 from ${quoteName(names)} as "referenced" where "referenced".${quoteName(column)} = ${own(measure.column)}`;
      return `(${own(measure.column)} is not null and not exists (${found}))`;
    }
  }
}

/** Rows beyond the first of each key; NULLs are equal here, as they are for who looks at the rows. */
function duplicatesQuery(metric: SuiteMetric, key: readonly string[], scope: SuiteScope): MetricQuery {
  const spec = scope.datasets[metric.dataset];
  const names = key.map(quoteName).join(', ');
  const copies = quoteName('copies');
  const sql = `select coalesce(sum(${copies}), 0) as "rows",
  coalesce(sum(${copies} - 1), 0) as v0,
  ${sampled(`${copies} > 1`, metric.sample, spec, scope.salt, [`${copies}: cast(${copies} as varchar)`])} as s0
from (select ${names}, count(*) as ${copies} from ${quoteName(metric.dataset)} group by ${names})`;
  return { dataset: metric.dataset, metrics: [metric], sql };
}

/**
 * The first failing rows by a hash of what they show: spread over the data, the same in every try, whatever thread comes
 * first. The CASE has the hash and the mask computed for failing rows only, the FILTER keeps the others out of the
 * aggregate: on data without failures a sample costs a twentieth of what FILTER alone would take.
 */
function sampled(
  failingRow: string,
  columns: readonly string[],
  spec: DatasetSpec | undefined,
  salt: string,
  more: readonly string[] = [],
): string {
  const shown = columns.map((column) => `${quoteName(column)}: ${shownValue(column, spec)}`);
  const order = `hash(${[...columns.map(quoteName), quoteText(salt)].join(', ')})`;
  const only = (value: string): string => `case when ${failingRow} then ${value} end`;
  return `arg_min(${only(`{${[...shown, ...more].join(', ')}}`)}, ${only(order)}, ${SAMPLE_ROWS}) filter (where ${failingRow})`;
}

function shownValue(column: string, spec: DatasetSpec | undefined): string {
  const text = `cast(${quoteName(column)} as varchar)`;
  if (spec?.pii?.includes(column) === true) return `'sha256:' || left(sha256(${text}), ${PII_DIGITS})`;
  if (spec?.columns[column] !== 'text') return text;
  return `case when length(${text}) > ${SAMPLE_CHARACTERS} then left(${text}, ${SAMPLE_CHARACTERS - 1}) || '…' else ${text} end`;
}

function sampleColumns(check: CheckDeclaration, measure: EngineMetric, dataset: DatasetSpec | undefined): string[] {
  const key = dataset?.key ?? Object.keys(dataset?.columns ?? {}).slice(0, SAMPLE_COLUMNS);
  switch (measure.metric) {
    // Only the key is left of grouped rows.
    case 'duplicate-keys':
      return [...measure.key];
    case 'null-count':
    case 'missing-references':
      return [...new Set([...(check.sample ?? key), measure.column])];
    default:
      return [...(check.sample ?? key)];
  }
}
