/**
 * Checks by the names deequ gives them: each is what a check measures and the band that fails it, to be spread into a declaration beside
 * its id, dataset and reason: `{ id: 'no-holes', dataset: 'report', why: '…', ...isComplete('pixel_id') }`.
 */
import type { Band } from '../types';
import type { DataTypeName, NamedPattern, QualityMetric, Scalar, ValueRange } from './metrics';

export interface Constraint<M extends QualityMetric = QualityMetric> {
  readonly measure: M;
  readonly fail: Band;
}

interface Narrowing {
  readonly where?: string;
}

const ALL: Band = { min: 1 };

function constraint<const M extends QualityMetric>(measure: M, fail: Band, { where }: Narrowing = {}): Constraint<M> {
  return { measure: where === undefined ? measure : { ...measure, where }, fail };
}

export const hasSize = (fail: Band, more?: Narrowing) => constraint({ metric: 'size' }, fail, more);
export const hasColumnCount = (fail: Band) => constraint({ metric: 'column-count' }, fail);

export const isComplete = (column: string, more?: Narrowing) => constraint({ metric: 'completeness', column }, ALL, more);
export const hasCompleteness = (column: string, fail: Band, more?: Narrowing) => constraint({ metric: 'completeness', column }, fail, more);
export const areComplete = (columns: readonly string[], fail: Band = ALL, more?: Narrowing) =>
  constraint({ metric: 'columns-completeness', columns, mode: 'all' }, fail, more);
export const areAnyComplete = (columns: readonly string[], fail: Band = ALL, more?: Narrowing) =>
  constraint({ metric: 'columns-completeness', columns, mode: 'any' }, fail, more);

export const isUnique = (columns: readonly string[], more?: Narrowing) => constraint({ metric: 'uniqueness', columns }, ALL, more);
export const hasUniqueness = (columns: readonly string[], fail: Band, more?: Narrowing) =>
  constraint({ metric: 'uniqueness', columns }, fail, more);
export const hasDistinctness = (columns: readonly string[], fail: Band, more?: Narrowing) =>
  constraint({ metric: 'distinctness', columns }, fail, more);
export const hasUniqueValueRatio = (columns: readonly string[], fail: Band, more?: Narrowing) =>
  constraint({ metric: 'unique-value-ratio', columns }, fail, more);
/** Unique, and no part of it NULL. */
export const isPrimaryKey = (columns: readonly string[], more?: Narrowing) =>
  constraint({ metric: 'primary-key', columns }, { max: 0 }, more);
export const hasDuplicateRowCount = (columns: readonly string[], fail: Band, more?: Narrowing) =>
  constraint({ metric: 'duplicate-row-count', columns }, fail, more);
export const hasNumberOfDistinctValues = (columns: readonly string[], fail: Band, more?: Narrowing) =>
  constraint({ metric: 'count-distinct', columns }, fail, more);
export const hasApproxCountDistinct = (column: string, fail: Band, more?: Narrowing) =>
  constraint({ metric: 'approx-count-distinct', column }, fail, more);

export const satisfies = (predicate: string, fail: Band = ALL, more?: Narrowing) =>
  constraint({ metric: 'compliance', predicate }, fail, more);
export const hasPattern = (column: string, patterns: readonly string[] | NamedPattern, fail: Band = ALL, more?: Narrowing) =>
  constraint({ metric: 'pattern-match', column, patterns }, fail, more);
export const isContainedIn = (column: string, values: readonly Scalar[], fail: Band = ALL, more?: Narrowing) =>
  constraint({ metric: 'contained-in', column, values }, fail, more);
export const isWithin = (column: string, range: ValueRange, fail: Band = ALL, more?: Narrowing) =>
  constraint({ metric: 'within', column, ...range }, fail, more);
/** Rows without a value pass, as in deequ. */
export const isNonNegative = (column: string, fail: Band = ALL, more?: Narrowing) => isWithin(column, { min: 0 }, fail, more);
export const isPositive = (column: string, fail: Band = ALL, more?: Narrowing) => isWithin(column, { above: 0 }, fail, more);
export const hasDataType = (column: string, type: DataTypeName, fail: Band = ALL, more?: Narrowing) =>
  constraint({ metric: 'data-type', column, type }, fail, more);

type ColumnNumber =
  | 'minimum'
  | 'maximum'
  | 'range'
  | 'mean'
  | 'median'
  | 'sum'
  | 'variance'
  | 'standard-deviation'
  | 'skewness'
  | 'kurtosis'
  | 'zeros-count'
  | 'interquartile-range';

/** Any number of one column: `hasNumber('mean', 'price', { min: 1, max: 9 })`. */
export const hasNumber = (metric: ColumnNumber, column: string, fail: Band, more?: Narrowing) => constraint({ metric, column }, fail, more);
export const hasMinLength = (column: string, fail: Band, more?: Narrowing) => constraint({ metric: 'min-length', column }, fail, more);
export const hasMaxLength = (column: string, fail: Band, more?: Narrowing) => constraint({ metric: 'max-length', column }, fail, more);
export const hasApproxQuantile = (column: string, quantile: number, fail: Band, more?: Narrowing) =>
  constraint({ metric: 'approx-quantile', column, quantile }, fail, more);
export const hasExactQuantile = (column: string, quantile: number, fail: Band, more?: Narrowing) =>
  constraint({ metric: 'exact-quantile', column, quantile }, fail, more);
export const hasCorrelation = (columns: readonly [string, string], fail: Band, more?: Narrowing) =>
  constraint({ metric: 'correlation', columns }, fail, more);
export const hasEntropy = (column: string, fail: Band, more?: Narrowing) =>
  constraint({ metric: 'entropy', columns: [column] }, fail, more);
export const hasMutualInformation = (columns: readonly [string, string], fail: Band, more?: Narrowing) =>
  constraint({ metric: 'mutual-information', columns }, fail, more);
