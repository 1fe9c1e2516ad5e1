/**
 * SQL of a suite: one SELECT a dataset measures all its metrics in one scan, and where rows fail another samples them;
 * metrics that group (duplicate keys) have a SELECT of their own. Pure: it names views, the caller makes them.
 */
import { versionSelect, type Column } from './duckdb-sql';
import { metricText } from './metric-text';
import { DUCKDB, type Dialect } from './quality/dialect';
import { isGroupMetric, isRowMetric, isSketchMetric, isTableMetric } from './quality/metrics';
import { numeric, type MetricDetail, type Reading } from './quality/reading';
import type { MetricState } from './quality/states';
import { ownStatements, type OwnMetric } from './quality/statements';
import { quoteName, quoteText } from './quote-sql';
import { sampled, SAMPLE_ROWS, type SampleRow } from './sample-sql';
import { scanStatement, type ScannedMetric } from './scan-sql';
import type { CheckDeclaration, ColumnType, DatasetSpec, Metric, SuiteSpec } from './types';

export type { SampleRow } from './sample-sql';

/** Datasets without a key show this many columns. */
const SAMPLE_COLUMNS = 8;

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
  /** The run's logical time, ISO: what freshness is measured against. */
  readonly reference?: string;
  /** The engine the texts are for. Default DuckDB. */
  readonly dialect?: Dialect;
}

/** One SELECT with one row, and what its columns say of each of its metrics, in order. */
export interface MetricQuery {
  readonly dataset: string;
  readonly sql: string;
  readonly metrics: readonly SuiteMetric[];
  /** After the answer: the statement that samples the failing rows, whose one row joins the answer's. Undefined where there are none. */
  sampleSql?(row: Readonly<Record<string, unknown>>): string | undefined;
  read(row: Readonly<Record<string, unknown>>): readonly (Measurement | Unreadable | undefined)[];
}

/** The engine answered, and there is nothing to measure. */
export interface Unreadable {
  readonly reason: string;
}

export interface Measurement {
  readonly value: number;
  /** Rows of the dataset. */
  readonly rows: number;
  readonly sample: readonly SampleRow[];
  /** What the value is of: a distribution, a comparison. */
  readonly detail?: MetricDetail;
  /** What merges with other windows' into the metric of all of them. */
  readonly state?: MetricState;
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
  const base = baseOf(measure);
  const sample = sampleColumns(check, base, dataset);
  return { key: JSON.stringify([check.dataset, metricText(base), sample]), dataset: check.dataset, measure: base, sample };
}

/** The metric of one window that a metric over many of them is merged from; other metrics are their own. */
export function baseOf<M extends Metric>(measure: M): M {
  if (!('over' in measure)) return measure;
  const { over: _, ...base } = measure;
  return base as M;
}

/** One scan a dataset, then the statements of metrics that cannot share it: one for the metrics of the same groups, one for each other. */
export function suiteQueries(metrics: readonly SuiteMetric[], scope: SuiteScope): MetricQuery[] {
  const scanned = new Map<string, SuiteMetric[]>();
  const own = new Map<string, OwnedMetric[]>();
  const duplicates: MetricQuery[] = [];
  for (const metric of metrics) {
    if (metric.measure.metric === 'duplicate-keys') duplicates.push(duplicatesQuery(metric, metric.measure.key, scope));
    else if (isOwned(metric)) own.set(metric.dataset, [...(own.get(metric.dataset) ?? []), metric]);
    else scanned.set(metric.dataset, [...(scanned.get(metric.dataset) ?? []), metric]);
  }
  return [
    ...[...scanned].map(([dataset, group]) => scanQuery(dataset, group, scope)),
    ...duplicates,
    ...[...own].flatMap(([dataset, group]) => ownQueries(dataset, group, scope)),
  ];
}

/** A query for one metric: what is asked again when a shared scan fails, so that only the broken metric fails. */
export function metricQuery(metric: SuiteMetric, scope: SuiteScope): MetricQuery {
  const [query] = suiteQueries([metric], scope);
  if (query === undefined) throw new TypeError('every metric has a query');
  return query;
}

/** Reads the one row of a query back, by metric key; undefined for what is not a number there. */
export function readMeasurements(
  query: MetricQuery,
  row: Readonly<Record<string, unknown>>,
): Map<string, Measurement | Unreadable | undefined> {
  const readings = query.read(row);
  return new Map(query.metrics.map(({ key }, index) => [key, readings[index]]));
}

type OwnedMetric = SuiteMetric & { readonly measure: OwnMetric };

function isOwned(metric: SuiteMetric): metric is OwnedMetric {
  return isGroupMetric(metric.measure) || isSketchMetric(metric.measure) || isTableMetric(metric.measure);
}

function ownQueries(dataset: string, metrics: readonly OwnedMetric[], scope: SuiteScope): MetricQuery[] {
  const columnsOf = (name: string): Readonly<Record<string, ColumnType>> => scope.datasets[name]?.columns ?? {};
  return ownStatements(metrics, columnsOf, scope.dialect ?? DUCKDB).map(({ sql, metrics: answered, read }) => ({
    dataset,
    sql,
    metrics: answered,
    read: (row) => read(row).map((reading) => measurementOf(reading, [])),
  }));
}

function scanQuery(dataset: string, metrics: readonly SuiteMetric[], scope: SuiteScope): MetricQuery {
  const scanned = metrics.map(({ measure, sample }): ScannedMetric => {
    if (measure.metric === 'duplicate-keys' || isGroupMetric(measure) || isSketchMetric(measure) || isTableMetric(measure))
      throw new TypeError(`${measure.metric} has a statement of its own`);
    return { measure, sample };
  });
  const spec = scope.datasets[dataset];
  const { sql, sampleSql, read } = scanStatement(dataset, scanned, {
    spec,
    salt: scope.salt,
    reference: scope.reference,
    dialect: scope.dialect ?? DUCKDB,
  });
  return { dataset, metrics, sql, sampleSql, read: (row) => read(row).map(({ sample, ...reading }) => measurementOf(reading, sample)) };
}

function measurementOf(
  { value, rows, detail, state, reason }: Reading,
  sample: readonly SampleRow[],
): Measurement | Unreadable | undefined {
  if (value === undefined) return reason === undefined ? undefined : { reason };
  return { value, rows, sample, ...(detail === undefined ? {} : { detail }), ...(state === undefined ? {} : { state }) };
}

/** Quarantined rows of some reasons: where they came from and what is wrong with them, never what they held. One row, column `sample`. */
export function quarantineSampleQuery(files: readonly string[], reasons: readonly string[], salt: string): string {
  const shown = '{reason: reason, column_name: column_name, detail: detail, file: file, line: cast(line as varchar)}';
  return `select arg_min(${shown}, hash(file, line, ${quoteText(salt)}), ${SAMPLE_ROWS}) as sample
from read_parquet([${files.map(quoteText).join(', ')}]) where reason in (${reasons.map(quoteText).join(', ')})`;
}

/** Rows beyond the first of each key; NULLs are equal here, as they are for who looks at the rows. */
function duplicatesQuery(metric: SuiteMetric, key: readonly string[], scope: SuiteScope): MetricQuery {
  const { datasets, salt, dialect = DUCKDB } = scope;
  const names = key.map((name) => dialect.quote(name)).join(', ');
  const copies = dialect.quote('copies');
  // Spark has no aggregate that keeps a few rows of many; its samples come with its engine.
  const columns = [
    `coalesce(sum(${copies}), 0) as ${dialect.quote('rows')}`,
    `coalesce(sum(${copies} - 1), 0) as v0`,
    ...(dialect.name === 'spark'
      ? []
      : [`${sampled(`${copies} > 1`, metric.sample, datasets[metric.dataset], salt, [`${copies}: cast(${copies} as varchar)`])} as s0`]),
  ];
  const sql = `select ${columns.join(',\n  ')}
from (select ${names}, count(*) as ${copies} from ${dialect.quote(metric.dataset)} group by ${names})`;
  const read = (row: Readonly<Record<string, unknown>>): [Measurement | undefined] => {
    const value = numeric(row['v0']);
    const rows = numeric(row['rows']);
    const known = value !== undefined && rows !== undefined && Number.isFinite(value) && Number.isFinite(rows);
    return [known ? { value, rows, sample: (row['s0'] ?? []) as readonly SampleRow[] } : undefined];
  };
  return { dataset: metric.dataset, metrics: [metric], sql, read };
}

/** None for metrics that count no failing rows. */
function sampleColumns(check: CheckDeclaration, measure: EngineMetric, dataset: DatasetSpec | undefined): string[] {
  const key = dataset?.key ?? Object.keys(dataset?.columns ?? {}).slice(0, SAMPLE_COLUMNS);
  switch (measure.metric) {
    // Only the key is left of grouped rows.
    case 'duplicate-keys':
      return [...measure.key];
    case 'null-count':
    case 'missing-references':
      return [...new Set([...(check.sample ?? key), measure.column])];
    case 'rows-where':
      return [...(check.sample ?? key)];
    default: {
      if (!isRowMetric(measure)) return [];
      const own = 'column' in measure ? [measure.column] : 'columns' in measure ? measure.columns : [];
      return [...new Set([...(check.sample ?? key), ...own])];
    }
  }
}
