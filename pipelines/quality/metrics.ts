/**
 * What a check can measure, in deequ's vocabulary. Declarations are plain data; the SQL of each is made by the files beside
 * this one, per dialect. `where` narrows a metric to the rows for which a predicate is true.
 */

interface Narrowed {
  /** Rows the metric is about; all of them when absent. */
  readonly where?: string;
  /** The metric of the last so many windows together, this one included, from the states they left. */
  readonly over?: number;
}

interface OfColumn extends Narrowed {
  readonly column: string;
}

/** A row with all of these NULL is in no group, as in deequ. */
interface OfGroups extends Narrowed {
  readonly columns: readonly string[];
}

/** How a row without a value counts: as right, as wrong, or not at all. */
export type NullRows = 'pass' | 'fail' | 'ignore';

/** Bounds of values: `min` and `max` belong to the range, `above` and `below` do not. Dates and timestamps are ISO texts. */
export interface ValueRange {
  readonly min?: number | string;
  readonly max?: number | string;
  readonly above?: number | string;
  readonly below?: number | string;
}

export type Scalar = string | number | boolean;

/** Texts that have a name because everybody spells them differently. */
export type NamedPattern = 'email' | 'url' | 'credit-card' | 'us-social-security-number';

export type DataTypeName = 'boolean' | 'integral' | 'fractional' | 'numeric' | 'text' | 'unknown';

/** A distribution by value, or by bins that hold their lower edge, the last one its upper edge too. Weights are shares. */
export type Partition =
  | { readonly values: readonly Scalar[]; readonly weights: readonly number[] }
  | {
      /** Edges, ascending; null for an outer one leaves its side open. */
      readonly bins: readonly (number | null)[];
      readonly weights: readonly number[];
      /** Shares below the first and above the last edge. */
      readonly tailWeights?: readonly [number, number];
    };

/** Metrics that are the share of rows of which something is true; their rows can be sampled and quarantined. */
export type RowMetric =
  | (OfColumn & { readonly metric: 'completeness' })
  | (Narrowed & { readonly metric: 'columns-completeness'; readonly columns: readonly string[]; readonly mode: 'all' | 'any' })
  | (Narrowed & { readonly metric: 'compliance'; readonly predicate: string; readonly nulls?: NullRows })
  | (OfColumn & {
      readonly metric: 'pattern-match';
      /** Regular expressions of RE2, each found anywhere in the text. */
      readonly patterns: readonly string[] | NamedPattern;
      readonly match?: 'any' | 'all';
      /** `like`: the patterns are those of SQL's LIKE. */
      readonly syntax?: 'regex' | 'like';
      readonly not?: boolean;
      readonly nulls?: NullRows;
    })
  | (OfColumn & { readonly metric: 'contained-in'; readonly values: readonly Scalar[]; readonly not?: boolean; readonly nulls?: NullRows })
  | (OfColumn & ValueRange & { readonly metric: 'within'; readonly nulls?: NullRows })
  | (OfColumn & { readonly metric: 'length-within'; readonly min?: number; readonly max?: number; readonly nulls?: NullRows })
  | (Narrowed & {
      readonly metric: 'contained-in-tuples';
      readonly columns: readonly string[];
      readonly tuples: readonly (readonly (Scalar | null)[])[];
      readonly nulls?: NullRows | 'ignore-if-all';
    })
  | (OfColumn & { readonly metric: 'increasing' | 'decreasing'; readonly strictly?: boolean; readonly orderBy: readonly string[] })
  | (OfColumn & { readonly metric: 'z-score-within'; readonly limit: number; readonly doubleSided?: boolean })
  | (OfColumn & {
      readonly metric: 'parseable';
      readonly as: 'integer' | 'double' | 'date' | 'timestamp' | 'json';
      /** How a date or a time is written, in the words of strftime: `%d/%m/%Y`. Default: as ISO writes them. */
      readonly format?: string;
      readonly nulls?: NullRows;
    })
  /** Two NULLs are equal; a row that has nothing else does not count. */
  | (OfGroups & { readonly metric: 'distinct-within-row' });

/** Metrics answered by aggregates over all rows, so that one scan serves any number of them. */
export type ScanMetric =
  | (Narrowed & { readonly metric: 'size' })
  | (OfColumn & {
      readonly metric:
        | 'minimum'
        | 'maximum'
        | 'range'
        | 'mean'
        | 'sum'
        | 'variance'
        | 'standard-deviation'
        | 'sample-standard-deviation'
        | 'skewness'
        | 'kurtosis'
        | 'zeros-count'
        | 'median'
        | 'interquartile-range';
    })
  | (OfColumn & { readonly metric: 'exact-quantile'; readonly quantile: number })
  | (OfColumn & {
      readonly metric: 'min-length' | 'max-length';
      /** `ignore` (default) leaves rows without a value out, `empty` counts them as length 0, `fail` has them break any band. */
      readonly nulls?: 'ignore' | 'empty' | 'fail';
    })
  | (OfColumn & { readonly metric: 'data-type'; readonly type?: DataTypeName })
  | (Narrowed & { readonly metric: 'ratio-of-sums'; readonly numerator: string; readonly denominator: string })
  | (Narrowed & { readonly metric: 'correlation'; readonly columns: readonly [string, string] })
  | (OfColumn & { readonly metric: 'freshness' });

/** Metrics over groups of equal values: those of the same columns and `where` share one statement. */
export type GroupMetric =
  | (OfGroups & {
      readonly metric:
        'uniqueness' | 'distinctness' | 'unique-value-ratio' | 'count-distinct' | 'primary-key' | 'duplicate-row-count' | 'entropy';
    })
  | (Narrowed & { readonly metric: 'mutual-information'; readonly columns: readonly [string, string] })
  | (OfColumn & {
      readonly metric: 'histogram';
      /** The most frequent values told one by one, at most 1000, which is the default. */
      readonly maxDetailBins?: number;
      /** Sum of this column instead of a count of rows. */
      readonly sumOf?: string;
    })
  | (OfColumn & {
      readonly metric: 'distinct-values';
      readonly values: readonly Scalar[];
      readonly relation: 'contains' | 'within' | 'equals';
    })
  /** 1 where the most common value is among these, else 0. `ties`: one of several that are as common will do; else there is one only. */
  | (OfColumn & { readonly metric: 'most-common'; readonly values: readonly Scalar[]; readonly ties?: boolean })
  | (OfColumn & {
      readonly metric: 'distribution-distance';
      readonly expected: Partition;
      readonly method: DistanceMethod;
      /** Share given to values the partition does not name. */
      readonly tailWeightHoldout?: number;
      /** Share given to bins of weight 0. */
      readonly internalWeightHoldout?: number;
    })
  | (Narrowed & {
      readonly metric: 'sample-ratio-mismatch';
      /** The arm each unit is in. */
      readonly column: string;
      /** Share of each arm as designed. */
      readonly expected: Readonly<Record<string, number>>;
    });

/** `kl` divergence and `chi-square` p-value as Great Expectations has them; `l-infinity`, `psi` and `js` compare shares. */
export type DistanceMethod = 'kl' | 'chi-square' | 'l-infinity' | 'psi' | 'js';

/** Metrics of sketches: one statement each, whose states of several windows merge. */
export type SketchMetric =
  | (OfColumn & { readonly metric: 'approx-count-distinct' })
  | (OfColumn & {
      readonly metric: 'approx-quantile';
      readonly quantile: number;
      /** How far it may be off, as a share of the value, from 0.001 (which less is taken for) to 1. Default 0.01. */
      readonly relativeError?: number;
    })
  | (OfColumn & {
      readonly metric: 'histogram-binned';
      readonly bins?: number;
      readonly edges?: readonly number[];
      /** Sum of this column instead of a count of rows. */
      readonly sumOf?: string;
    });

/** Metrics with a statement of their own. `dataset`: another one of the suite's. */
export type TableMetric<D extends string = string> =
  | { readonly metric: 'column-count' }
  | {
      readonly metric: 'schema-match';
      /** Type by name, or the types that will do; '' for any. */
      readonly columns: Readonly<Record<string, string | readonly string[]>>;
      /** `superset`: more columns are allowed; `ordered`: in this order too. Default `exact`. */
      readonly mode?: 'exact' | 'superset' | 'ordered';
      /** Where some of them stand, counted from 0. */
      readonly at?: Readonly<Record<string, number>>;
    }
  /** One SELECT that returns one number, over views named as the datasets. */
  | { readonly metric: 'custom-sql'; readonly sql: string; readonly datasets?: readonly D[] }
  /** How many rows a SELECT returns. */
  | { readonly metric: 'unexpected-rows'; readonly sql: string; readonly datasets?: readonly D[] }
  | (Narrowed & {
      readonly metric: 'referential-integrity';
      readonly columns: readonly string[];
      readonly in: { readonly dataset: D; readonly columns: readonly string[] };
    })
  | (Narrowed & { readonly metric: 'row-count-match'; readonly dataset: D })
  /**
   * The share of rows that both datasets have, as often as both have them, of the rows of the larger one: of all columns both have, or of
   * `key` and `compare`.
   */
  | { readonly metric: 'data-set-match'; readonly dataset: D; readonly key?: readonly string[]; readonly compare?: readonly string[] }
  /**
   * How far the state is from what it was plus what came: 0 when rows(new) = rows(previous) + rows(added) − rows(removed),
   * or the same of the sums of a column.
   */
  | { readonly metric: 'conservation'; readonly previous: D; readonly added: D; readonly removed?: D; readonly sumOf?: string };

export type QualityMetric<D extends string = string> = RowMetric | ScanMetric | GroupMetric | SketchMetric | TableMetric<D>;

const ROW = new Set<string>([
  'completeness',
  'columns-completeness',
  'compliance',
  'pattern-match',
  'contained-in',
  'within',
  'length-within',
  'contained-in-tuples',
  'increasing',
  'decreasing',
  'z-score-within',
  'parseable',
  'distinct-within-row',
] satisfies RowMetric['metric'][]);
const GROUP = new Set<string>([
  'uniqueness',
  'distinctness',
  'unique-value-ratio',
  'count-distinct',
  'primary-key',
  'duplicate-row-count',
  'entropy',
  'mutual-information',
  'histogram',
  'distinct-values',
  'most-common',
  'distribution-distance',
  'sample-ratio-mismatch',
] satisfies GroupMetric['metric'][]);
const SKETCH = new Set<string>(['approx-count-distinct', 'approx-quantile', 'histogram-binned'] satisfies SketchMetric['metric'][]);
const TABLE = new Set<string>([
  'column-count',
  'schema-match',
  'custom-sql',
  'unexpected-rows',
  'referential-integrity',
  'row-count-match',
  'data-set-match',
  'conservation',
] satisfies TableMetric['metric'][]);

interface Kinded {
  readonly metric: string;
}

export function isRowMetric<M extends Kinded>(measure: M): measure is Extract<M, RowMetric> {
  return ROW.has(measure.metric);
}

export function isGroupMetric<M extends Kinded>(measure: M): measure is Extract<M, GroupMetric> {
  return GROUP.has(measure.metric);
}

export function isSketchMetric<M extends Kinded>(measure: M): measure is Extract<M, SketchMetric> {
  return SKETCH.has(measure.metric);
}

export function isTableMetric<M extends Kinded>(measure: M): measure is Extract<M, TableMetric> {
  return TABLE.has(measure.metric);
}

/** Whether a metric is of this vocabulary, and not of the few that came before it. */
export function isQualityMetric<M extends Kinded>(measure: M): measure is Extract<M, QualityMetric> {
  return !BEFORE.has(measure.metric);
}

const BEFORE = new Set(['rows', 'null-count', 'duplicate-keys', 'rows-where', 'missing-references', 'quarantine-ratio']);
