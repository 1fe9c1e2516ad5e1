/** The scan that the metrics of a dataset share: one SELECT of aggregates, each metric's own, those that are alike once. */
import type { Dialect } from './quality/dialect';
import { isRowMetric, type RowMetric, type ScanMetric } from './quality/metrics';
import { numeric, type Reading, type ScanPart } from './quality/reading';
import { rowCondition } from './quality/row-conditions';
import { rowPart, scanPart } from './quality/scan-parts';
import { sampled, type SampleRow } from './sample-sql';
import type { DatasetSpec, Metric } from './types';

/** Metrics that were there before the vocabulary: counts of rows. */
type CountedMetric = Extract<Metric, { metric: 'rows' | 'null-count' | 'rows-where' | 'missing-references' }>;

export interface ScannedMetric {
  readonly measure: CountedMetric | RowMetric | ScanMetric;
  readonly sample: readonly string[];
}

export interface ScanScope {
  readonly spec: DatasetSpec | undefined;
  readonly salt: string;
  readonly reference: string | undefined;
  readonly dialect: Dialect;
}

export interface ScanStatement {
  readonly sql: string;
  /**
   * The statement whose one row beside the scan's has the samples; undefined where no row fails. A second scan of the columns concerned:
   * aggregates that keep rows more than double the time of a scan even where nothing fails, and a filter of failing rows is cheap.
   */
  sampleSql(row: Readonly<Record<string, unknown>>): string | undefined;
  read(row: Readonly<Record<string, unknown>>): readonly (Reading & { readonly sample: readonly SampleRow[] })[];
}

/** Column `rows`; of the i-th metric `v<i>` or aggregates `a<n>`, and in the row of samples `s<i>`. */
export function scanStatement(dataset: string, metrics: readonly ScannedMetric[], scope: ScanScope): ScanStatement {
  const { dialect } = scope;
  const doubles = new Set(Object.entries(scope.spec?.columns ?? {}).flatMap(([name, type]) => (type === 'double' ? [name] : [])));
  const context = { types: scope.spec?.columns ?? {}, ...(scope.reference === undefined ? {} : { reference: scope.reference }) };
  const flags: string[] = [];
  const columns = ['count(*) as "rows"'.replaceAll('"', dialect.name === 'spark' ? '`' : '"')];
  const aggregates = new Map<string, string>();
  const readers: ((row: Readonly<Record<string, unknown>>) => Reading)[] = [];
  const samples: Sample[] = [];
  const shared = (part: ScanPart): readonly string[] => {
    const names = part.aggregates.map((sql) => {
      const name = aggregates.get(sql) ?? `a${aggregates.size}`;
      if (!aggregates.has(sql)) columns.push(`${sql} as ${name}`);
      aggregates.set(sql, name);
      return name;
    });
    readers.push((row) => part.read(names.map((name) => row[name])));
    return names;
  };
  for (const [index, { measure, sample: shown }] of metrics.entries()) {
    if (isRowMetric(measure)) {
      const { fails, counts } = rowCondition(measure, dialect, doubles);
      const flag = dialect.quote(`failing ${index}`);
      const counted = counts === 'true' ? counts : dialect.quote(`counted ${index}`);
      flags.push(`${fails} as ${flag}`);
      if (counted !== 'true') flags.push(`${counts} as ${counted}`);
      const [, failed = ''] = shared(rowPart(measure, flag, counted));
      samples.push({ name: `s${index}`, fails, flag, shown, failed });
    } else if (isCounted(measure)) {
      readers.push((row) => countedReading(row, index));
      if (measure.metric === 'rows') {
        columns.push(`count(*) as v${index}`);
        continue;
      }
      const flag = dialect.quote(`failing ${index}`);
      const fails = countedCondition(dataset, measure, dialect);
      flags.push(`${fails} as ${flag}`);
      columns.push(`count(*) filter (where ${flag}) as v${index}`);
      samples.push({ name: `s${index}`, fails, flag, shown, failed: `v${index}` });
      // An aggregate that takes booleans only: without it a number would pass for a predicate.
      if (measure.metric === 'rows-where') columns.push(`bool_or(${flag}) as b${index}`);
    } else shared(scanPart(measure, dialect, context));
  }
  return {
    sql: `select ${columns.join(',\n  ')}\nfrom ${flagged(dataset, flags, dialect)}`,
    sampleSql: (row) => {
      const failed = samples.filter((of) => (numeric(row[of.failed]) ?? 0) > 0);
      // Spark has no aggregate that keeps a few rows of many; its samples come with its engine.
      return failed.length === 0 || dialect.name === 'spark' ? undefined : sampleStatement(dataset, failed, scope);
    },
    read: (row) => readers.map((read, index) => ({ ...read(row), sample: (row[`s${index}`] ?? []) as readonly SampleRow[] })),
  };
}

/** What a sample of one metric takes: `failed` is the column of the scan's row that counts the failing rows. */
interface Sample {
  readonly name: string;
  readonly fails: string;
  readonly flag: string;
  readonly shown: readonly string[];
  readonly failed: string;
}

function sampleStatement(dataset: string, samples: readonly Sample[], { spec, salt, dialect }: ScanScope): string {
  const columns = samples.map(({ name, flag, shown }) => `${sampled(flag, shown, spec, salt)} as ${name}`);
  const flags = samples.map(({ fails, flag }) => `${fails} as ${flag}`);
  return `select ${columns.join(',\n  ')}\nfrom ${flagged(dataset, flags, dialect)}\nwhere ${samples.map(({ flag }) => flag).join(' or ')}`;
}

function flagged(dataset: string, flags: readonly string[], dialect: Dialect): string {
  const source = dialect.quote(dataset);
  return flags.length === 0 ? source : `(select ${source}.*,\n  ${flags.join(',\n  ')}\nfrom ${source})`;
}

function isCounted(measure: ScannedMetric['measure']): measure is CountedMetric {
  return ['rows', 'null-count', 'rows-where', 'missing-references'].includes(measure.metric);
}

function countedReading(row: Readonly<Record<string, unknown>>, index: number): Reading {
  const value = numeric(row[`v${index}`]);
  const rows = numeric(row['rows']);
  if (value === undefined || rows === undefined || !Number.isFinite(value) || !Number.isFinite(rows)) return { value: undefined, rows: 0 };
  return { value, rows };
}

/** True of the rows a metric counts; NULL counts as not true. */
export function countedCondition(dataset: string, measure: Exclude<CountedMetric, { metric: 'rows' }>, dialect: Dialect): string {
  const own = (column: string): string => `${dialect.quote(dataset)}.${dialect.quote(column)}`;
  switch (measure.metric) {
    case 'null-count':
      return `(${own(measure.column)} is null)`;
    case 'rows-where':
      // The line ends before the parenthesis closes: the predicate may end in a comment.
      return `(${measure.predicate}\n)`;
    case 'missing-references': {
      const { dataset: names, column } = measure.in;
      const referenced = dialect.quote('referenced');
      const found = `select 1 from ${dialect.quote(names)} as ${referenced} where ${referenced}.${dialect.quote(column)} = ${own(measure.column)}`;
      return `(${own(measure.column)} is not null and not exists (${found}))`;
    }
  }
}
