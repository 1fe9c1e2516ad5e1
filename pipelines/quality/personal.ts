/** What must not be told of columns that hold personal data: elements of the column, distributions by value, means of a few rows. Pure. */
import { metricText } from '../metric-text';
import { isRowMetric } from './metrics';
import type { Measurement } from '../suite-sql';
import type { CheckDeclaration, Metric } from '../types';
import type { Verdict } from '../verdict';

/** The value of these is one of the column's, or as good as one. */
const ELEMENTS = new Set<string>(['minimum', 'maximum', 'median', 'exact-quantile', 'approx-quantile', 'freshness']);
/** These tell the value where it is of one row, and nearly so where it is of a few. */
const SUMS = new Set<string>(['mean', 'sum', 'ratio-of-sums', 'correlation']);
const FEW_ROWS = 10;

/** States that are counts only, whatever the column holds. */
const COUNTED = new Set<string>(['count', 'hll']);
const SUMMED = new Set<string>(['moments', 'pair']);

/** The personal columns whose values a metric is made of. */
function personalColumns(measure: Metric, personal: readonly string[]): string[] {
  const of = measure as { readonly [name: string]: unknown };
  const columns = [of['column'], of['sumOf'], of['numerator'], of['denominator'], of['columns']].flat();
  return personal.filter((column) => columns.includes(column));
}

/** Whether the value of a metric is never told, nor kept: then there is no history of it either. */
export function tellsElement(measure: Metric, personal: readonly string[]): boolean {
  return ELEMENTS.has(measure.metric) && personalColumns(measure, personal).length > 0;
}

/** Metrics whose states count or sum; those of others hold values. */
const MERGED_BY_COUNTS = new Set<string>([
  ...['size', 'zeros-count', 'approx-count-distinct', 'mean', 'sum', 'variance', 'standard-deviation', 'sample-standard-deviation'],
  ...['skewness', 'kurtosis', 'correlation'],
]);

/** Whether windows keep what a metric of several of them is merged from: of personal columns only what counts and sums. */
export function keepsStates(measure: Metric, personal: readonly string[]): boolean {
  return isRowMetric(measure) || MERGED_BY_COUNTS.has(measure.metric) || personalColumns(measure, personal).length === 0;
}

/** Whether this value must not be told. */
export function tellsPerson(measure: Metric, { rows, state }: Measurement, personal: readonly string[]): boolean {
  if (personalColumns(measure, personal).length === 0) return false;
  const n = state?.kind === 'moments' || state?.kind === 'pair' ? state.n : rows;
  return ELEMENTS.has(measure.metric) || (SUMS.has(measure.metric) && n < FEW_ROWS);
}

/** The measurement without what tells values of personal columns by themselves. */
export function withoutValues(measure: Metric, measured: Measurement, personal: readonly string[]): Measurement {
  if (personalColumns(measure, personal).length === 0) return measured;
  const { state, detail: _, ...rest } = measured;
  const kept = state !== undefined && (COUNTED.has(state.kind) || (SUMMED.has(state.kind) && !tellsPerson(measure, measured, personal)));
  return kept ? { ...rest, state } : rest;
}

/** The verdict without the number it rests on. What was declared stays, what was seen goes. */
export function withheld(check: CheckDeclaration, verdict: Verdict, personal: readonly string[]): Verdict {
  const { status, low, high, method } = verdict;
  const said = {
    PASS: 'is as it should be',
    NO_HISTORY: 'has no history',
    WARN: 'is not as expected',
    FAIL: 'is not allowed',
    ERROR: 'could not be measured',
  }[status];
  const why = status === 'WARN' || status === 'FAIL' ? ` ${check.why}` : '';
  const columns = personalColumns(check.measure, personal).join(', ');
  const message = `${check.id}: ${metricText(check.measure)} of ${check.dataset} ${said}; ${columns} is personal, so the value is not told.${why}`;
  const declared = method === 'band' ? { low, high } : { low: null, high: null };
  return { ...verdict, ...declared, observed: null, score: null, message };
}
