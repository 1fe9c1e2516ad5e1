/** Metrics as aggregates of a scan that they share: each brings its own, and reads their values back. */
import type { ColumnType } from '../types';
import { NUMBERS, type Dialect } from './dialect';
import type { DataTypeName, RowMetric, ScanMetric } from './metrics';
import { count, NO_VALUES, numeric, type FrequencyDetail, type Reading, type ScanPart } from './reading';
import { valueOf } from './state-values';
import type { MetricState, MomentState } from './states';

/** What a scan is told beside its declarations. */
export interface ScanContext {
  /** The run's logical time: the end of its window, ISO. */
  readonly reference?: string;
  /** Columns whose types are known; those known to hold numbers need no proof of it. */
  readonly types?: Readonly<Record<string, ColumnType>>;
}

/** `fails` and `counts` are columns of the scanned relation, TRUE of such rows. */
export function rowPart(measure: RowMetric, fails: string, counts: string): ScanPart {
  return {
    aggregates: [`count(*) filter (where ${counts})`, `count(*) filter (where ${fails})`],
    read: ([counted, failing]) => {
      const rows = count(counted);
      const state: MetricState = { kind: 'count', holds: rows - count(failing), rows };
      return { value: valueOf(measure, state), rows, state };
    },
  };
}

export function scanPart(measure: ScanMetric, dialect: Dialect, { reference, types = {} }: ScanContext): ScanPart {
  const filter = measure.where === undefined ? '' : ` filter (where (${measure.where}\n))`;
  const rows = `count(*)${filter}`;
  const column = 'column' in measure ? dialect.quote(measure.column) : '';
  const numberOf = (name: string): string => {
    const type = types[name];
    return type !== undefined && NUMBERS.has(type) ? dialect.quote(name) : dialect.number(dialect.quote(name), type);
  };
  const value = 'column' in measure ? numberOf(measure.column) : '';
  const narrowed = (of: string): string => (measure.where === undefined ? of : `case when (${measure.where}\n) then ${of} end`);
  switch (measure.metric) {
    case 'size':
      return part([rows], (n) => stateful(measure, { kind: 'count', holds: n, rows: n }, n));
    case 'zeros-count':
      return {
        aggregates: [rows, `count(*) filter (where ${narrowed(value)} = 0)`],
        read: ([n, zeros]) => stateful(measure, { kind: 'count', holds: count(zeros), rows: count(n) }, count(n)),
      };
    case 'minimum':
    case 'maximum':
    case 'range':
      return extremes(measure, rows, dialect.double(`min(${value})${filter}`), dialect.double(`max(${value})${filter}`));
    case 'min-length':
    case 'max-length': {
      const length = lengthSql(measure, column, dialect);
      return extremes(measure, rows, `min(${length})${filter}`, `max(${length})${filter}`);
    }
    case 'mean':
    case 'sum':
    case 'variance':
    case 'standard-deviation':
    case 'sample-standard-deviation':
    case 'skewness':
    case 'kurtosis':
      return moments(measure, rows, dialect, narrowed(value));
    case 'median':
      return quantile(rows, [dialect.quantile(column, 0.5, filter)]);
    case 'exact-quantile':
      if (!(measure.quantile >= 0 && measure.quantile <= 1)) return refused(`a quantile lies between 0 and 1, not at ${measure.quantile}`);
      return quantile(rows, [dialect.quantile(column, measure.quantile, filter)]);
    case 'interquartile-range':
      return quantile(rows, [dialect.quantile(column, 0.75, filter), dialect.quantile(column, 0.25, filter)]);
    case 'data-type':
      return dataType(measure.type, rows, narrowed(dialect.varchar(column, types[measure.column])), filter, dialect);
    case 'ratio-of-sums':
      return {
        aggregates: [
          rows,
          dialect.double(`${dialect.sum(numberOf(measure.numerator))}${filter}`),
          dialect.double(`${dialect.sum(numberOf(measure.denominator))}${filter}`),
        ],
        read: ([n, numerator, denominator]) => {
          const over = numeric(numerator);
          const under = numeric(denominator);
          if (over === undefined || under === undefined) return { value: undefined, rows: count(n), reason: NO_VALUES };
          return stateful(measure, { kind: 'sums', numerator: over, denominator: under }, count(n));
        },
      };
    case 'correlation':
      return correlation(measure, rows, dialect, (name) => narrowed(numberOf(name)));
    case 'freshness':
      if (reference === undefined) return refused('the run has no logical time to measure freshness against');
      return {
        aggregates: [rows, dialect.epoch(`max(${column})${filter}`)],
        read: ([n, newest]) => {
          const at = numeric(newest);
          return at === undefined
            ? { value: undefined, rows: count(n), reason: NO_VALUES }
            : { value: Date.parse(reference) / 1000 - at, rows: count(n) };
        },
      };
  }
}

/** Length of a text; for `fail`, rows without one have the length that no band holds. */
export function lengthSql(
  { metric, nulls }: { readonly metric: 'min-length' | 'max-length'; readonly nulls?: 'ignore' | 'empty' | 'fail' },
  column: string,
  dialect: Dialect,
): string {
  if (nulls === 'empty') return `length(coalesce(${column}, ''))`;
  if (nulls !== 'fail') return `length(${column})`;
  const worst = dialect.double(`'${metric === 'min-length' ? '-' : ''}${Number.MAX_VALUE}'`);
  return `coalesce(${dialect.double(`length(${column})`)}, ${worst})`;
}

function part(aggregates: readonly string[], read: (first: number) => Reading): ScanPart {
  return { aggregates, read: ([first]) => read(count(first)) };
}

/** A part that asks nothing of the engine and cannot be measured. */
function refused(reason: string): ScanPart {
  return { aggregates: [], read: () => ({ value: undefined, rows: 0, reason }) };
}

function stateful(measure: ScanMetric, state: MetricState, rows: number): Reading {
  const value = valueOf(measure, state);
  return { value, rows, state, ...(value === undefined ? { reason: NO_VALUES } : {}) };
}

function extremes(measure: ScanMetric, rows: string, min: string, max: string): ScanPart {
  return {
    aggregates: [rows, min, max],
    read: ([n, least, most]) => {
      const low = numeric(least);
      const high = numeric(most);
      if (low === undefined || high === undefined) return { value: undefined, rows: count(n), reason: NO_VALUES };
      return stateful(measure, { kind: 'extremes', min: low, max: high }, count(n));
    },
  };
}

function quantile(rows: string, quantiles: readonly string[]): ScanPart {
  return {
    aggregates: [rows, ...quantiles],
    read: ([n, upper, lower]) => {
      const high = numeric(upper);
      if (high === undefined) return { value: undefined, rows: count(n), reason: NO_VALUES };
      return { value: quantiles.length === 1 ? high : high - count(lower), rows: count(n) };
    },
  };
}

function moments(measure: ScanMetric, rows: string, dialect: Dialect, value: string): ScanPart {
  const power =
    measure.metric === 'mean' || measure.metric === 'sum' ? 1 : measure.metric === 'skewness' ? 3 : measure.metric === 'kurtosis' ? 4 : 2;
  const aggregates = [rows, `count(${value})`, dialect.double(dialect.sum(value))];
  if (power >= 2) aggregates.push(`var_pop(${value})`);
  if (power >= 3) aggregates.push(dialect.skewness(value));
  if (power >= 4) aggregates.push(dialect.kurtosis(value));
  return {
    aggregates,
    read: ([all, counted, sum, variance, skewness, kurtosis]) => {
      const n = count(counted);
      if (n === 0) return { value: undefined, rows: count(all), reason: NO_VALUES };
      const m2 = count(variance) * n;
      const state: MomentState = {
        kind: 'moments',
        n,
        sum: numeric(sum) ?? Number.NaN,
        mean: (numeric(sum) ?? Number.NaN) / n,
        ...(power >= 2 ? { m2 } : {}),
        ...(power >= 3 ? { m3: (count(skewness) * m2 ** 1.5) / Math.sqrt(n) } : {}),
        ...(power >= 4 ? { m4: ((count(kurtosis) + 3) * m2 ** 2) / n } : {}),
      };
      return stateful(measure, state, count(all));
    },
  };
}

function correlation(
  measure: Extract<ScanMetric, { metric: 'correlation' }>,
  rows: string,
  dialect: Dialect,
  numbers: (column: string) => string,
): ScanPart {
  const [x, y] = measure.columns.map((column) => dialect.double(numbers(column)));
  const pair = `(${y}, ${x})`;
  const names = ['regr_count', 'regr_avgx', 'regr_avgy', 'regr_sxx', 'regr_syy', 'covar_pop'];
  return {
    aggregates: [rows, ...names.map((name) => `${name}${pair}`)],
    read: ([all, counted, meanX, meanY, xx, yy, covariance]) => {
      const n = count(counted);
      if (n === 0) return { value: undefined, rows: count(all), reason: NO_VALUES };
      const sums = { meanX: count(meanX), meanY: count(meanY), xx: count(xx), yy: count(yy), xy: count(covariance) * n };
      return stateful(measure, { kind: 'pair', n, ...sums }, count(all));
    },
  };
}

/** Numbers and truth values as deequ's type inference reads text. */
const INTEGRAL = String.raw`^[-+]? ?[0-9]+$`;
const FRACTIONAL = String.raw`^[-+]? ?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(\.[0-9]+)?[eE][-+]?[0-9]+)$`;
const BOOLEAN = '^(true|false)$';

function dataType(type: DataTypeName | undefined, rows: string, text: string, filter: string, dialect: Dialect): ScanPart {
  const matching = (pattern: string): string => `count(*) filter (where ${dialect.matches(text, pattern)})`;
  return {
    aggregates: [rows, `count(${text})`, matching(FRACTIONAL), matching(INTEGRAL), matching(BOOLEAN)],
    read: ([all, known, fractional, integral, boolean]) => {
      const total = count(all);
      const counts = {
        Unknown: total - count(known),
        Fractional: count(fractional),
        Integral: count(integral),
        Boolean: count(boolean),
        String: count(known) - count(fractional) - count(integral) - count(boolean),
      };
      const values = Object.entries(counts).map(([value, n]) => ({ value, count: n, ratio: total === 0 ? 0 : n / total }));
      const detail: FrequencyDetail = { kind: 'frequencies', bins: values.filter(({ count: n }) => n > 0).length, values, tailCount: 0 };
      return { value: typeShare(type, counts, total), rows: total, detail, state: { kind: 'frequencies', counts, rows: total } };
    },
  };
}

/** Of rows that have a value; `unknown` is the share of rows without one. Without a type: how many types there are. */
function typeShare(type: DataTypeName | undefined, counts: Readonly<Record<string, number>>, rows: number): number {
  const of = (name: string): number => counts[name] ?? 0;
  const known = rows - of('Unknown');
  switch (type) {
    case undefined:
      return Object.values(counts).filter((n) => n > 0).length;
    case 'unknown':
      return rows === 0 ? 0 : of('Unknown') / rows;
    case 'numeric':
      return known === 0 ? 0 : (of('Fractional') + of('Integral')) / known;
    default: {
      const name = { boolean: 'Boolean', integral: 'Integral', fractional: 'Fractional', text: 'String' }[type];
      return known === 0 ? 0 : of(name) / known;
    }
  }
}
