/** Counts of a column's values between edges: given ones, or as many of equal width as asked between the least and the greatest value. */
import type { ColumnType } from '../types';
import type { Dialect } from './dialect';
import { narrowedSource } from './group-sql';
import type { GroupMetric, SketchMetric } from './metrics';
import { compareWithBins, finiteBins, type FiniteBins } from './partition';
import { count, NO_VALUES, numeric, type Reading } from './reading';
import { number } from './row-conditions';

type BinnedMetric = Extract<SketchMetric, { metric: 'histogram-binned' }>;
type DistanceMetric = Extract<GroupMetric, { metric: 'distribution-distance' }>;

interface Binned {
  readonly sql: string;
  read(row: Readonly<Record<string, unknown>>): Reading;
}

const DEFAULT_BINS = 10;
const MOST_BINS = 1000;

/** A histogram of bins that hold their lower edge, the last one its upper edge too. NaN lies above every edge. */
export function binnedHistogram(view: string, measure: BinnedMetric, type: ColumnType | undefined, dialect: Dialect): Binned {
  const bins = measure.edges === undefined ? (measure.bins ?? DEFAULT_BINS) : measure.edges.length - 1;
  const given = measure.edges;
  const edge = (i: number): string =>
    given === undefined ? `(lo + (hi - lo) * ${i} / ${number(bins)}.0)` : number(given[i] ?? Number.NaN);
  const usable = Number.isInteger(bins) && bins >= 1 && bins <= MOST_BINS;
  return {
    sql: countsSql(
      view,
      measure,
      measure.sumOf,
      usable ? bins : 1,
      (i) => (given === undefined && i === bins ? 'hi' : edge(i)),
      false,
      type,
      dialect,
    ),
    read: (row) => {
      const rows = count(row['b_rows']);
      if (!usable) return { value: undefined, rows, reason: `a histogram has 1 to ${MOST_BINS} bins` };
      const low = numeric(row['b_lo']);
      const high = numeric(row['b_hi']);
      if (low === undefined || high === undefined) return { value: undefined, rows, reason: NO_VALUES };
      if (given === undefined && !(Number.isFinite(low) && Number.isFinite(high)))
        return { value: undefined, rows, reason: 'the column holds NaN or an infinity: give `edges`' };
      const edges = given ?? Array.from({ length: bins + 1 }, (_, i) => (i === bins ? high : low + ((high - low) * i) / bins));
      const counts = countsOf(row, bins);
      const [below, above] = [count(row['b_below']), count(row['b_above'])];
      const reading = { value: bins, rows, detail: { kind: 'bins', edges, counts, below, above, nulls: count(row['b_nulls']) } } as const;
      if (given === undefined) return reading;
      // Given edges are the same in every window, so that their counts add up.
      const all = { below, above, ...Object.fromEntries(counts.map((n, i) => [String(i), n])) };
      return { ...reading, state: { kind: 'frequencies', rows, counts: all } };
    },
  };
}

/** Counts of the bins of a partition, and how far they are from its weights. */
export function binnedDistance(view: string, measure: DistanceMetric, type: ColumnType | undefined, dialect: Dialect): Binned {
  const bins = finiteBins(measure);
  if (typeof bins === 'string') return { sql: `select 0 as b_rows`, read: () => ({ value: undefined, rows: 0, reason: bins }) };
  return {
    sql: countsSql(
      view,
      measure,
      undefined,
      bins.weights.length,
      (i) => number(bins.edges[i] ?? Number.NaN),
      bins.openAbove,
      type,
      dialect,
    ),
    read: (row) => ({ rows: count(row['b_rows']), ...distanceOf(measure, bins, row) }),
  };
}

function distanceOf(measure: DistanceMetric, bins: FiniteBins, row: Readonly<Record<string, unknown>>): Omit<Reading, 'rows'> {
  return compareWithBins(measure.method, bins, countsOf(row, bins.weights.length), count(row['b_below']), count(row['b_above']));
}

function countsOf(row: Readonly<Record<string, unknown>>, bins: number): number[] {
  return Array.from({ length: bins }, (_, i) => count(row[`b${i}`]));
}

function countsSql(
  view: string,
  { column, where }: { readonly column: string; readonly where?: string },
  sumOf: string | undefined,
  bins: number,
  edge: (i: number) => string,
  openAbove: boolean,
  type: ColumnType | undefined,
  dialect: Dialect,
): string {
  const weight = (condition: string): string =>
    sumOf === undefined ? `count(*) filter (where ${condition})` : `coalesce(${dialect.sum('w')} filter (where ${condition}), 0)`;
  const inside = (i: number): string => `x >= ${edge(i)} and x ${i === bins - 1 && !openAbove ? '<=' : '<'} ${edge(i + 1)}`;
  const counts = Array.from({ length: bins }, (_, i) => `${weight(inside(i))} as b${i}`);
  const value = dialect.double(`(${dialect.number(dialect.quote(column), type)})`);
  const valued = `select ${value} as x${sumOf === undefined ? '' : `, ${dialect.quote(sumOf)} as w`} from ${narrowedSource(view, where, dialect)} as narrowed`;
  return `with valued as (${valued}), extent as (select min(x) as lo, max(x) as hi from valued)
select count(*) as b_rows, count(*) - count(x) as b_nulls, max(lo) as b_lo, max(hi) as b_hi,
  ${[`${weight(`x < ${edge(0)}`)} as b_below`, `${weight(`x ${openAbove ? '>=' : '>'} ${edge(bins)}`)} as b_above`, ...counts].join(',\n  ')}
from valued cross join extent`;
}
