/** The value of a metric from a state: of one window, or of many merged. */
import { quantileOf } from './quantile-bins';
import { estimateDistinct } from './hll';
import type { QualityMetric } from './metrics';
import type { FrequencyState, MetricState, MomentState } from './states';

/** Undefined where the state is of another kind, or holds nothing to measure. */
export function valueOf(measure: QualityMetric, state: MetricState): number | undefined {
  switch (state.kind) {
    case 'count':
      if (measure.metric === 'size' || measure.metric === 'zeros-count') return state.holds;
      return state.rows === 0 ? 1 : state.holds / state.rows;
    case 'moments':
      return momentValue(measure, state);
    case 'pair':
      return state.n === 0 ? undefined : state.xy / Math.sqrt(state.xx * state.yy);
    case 'extremes':
      if (measure.metric === 'range') return state.max - state.min;
      return measure.metric === 'maximum' || measure.metric === 'max-length' ? state.max : state.min;
    case 'frequencies':
      return frequencyValue(measure, state);
    case 'hll':
      return estimateDistinct(state.registers);
    case 'quantiles':
      return measure.metric === 'approx-quantile' ? quantileOf(state.bins, measure.quantile) : undefined;
    case 'sums':
      return state.numerator / state.denominator;
  }
}

function momentValue({ metric }: QualityMetric, { n, sum, mean, m2, m3, m4 }: MomentState): number | undefined {
  if (n === 0) return undefined;
  switch (metric) {
    case 'mean':
      return mean;
    case 'sum':
      return sum;
    case 'variance':
      return m2 === undefined ? undefined : m2 / n;
    case 'standard-deviation':
      return m2 === undefined ? undefined : Math.sqrt(m2 / n);
    case 'sample-standard-deviation':
      return m2 === undefined || n < 2 ? undefined : Math.sqrt(m2 / (n - 1));
    case 'skewness':
      if (m2 === undefined || m3 === undefined) return undefined;
      return m2 === 0 ? 0 : (Math.sqrt(n) * m3) / m2 ** 1.5;
    case 'kurtosis':
      if (m2 === undefined || m4 === undefined) return undefined;
      return m2 === 0 ? 0 : (n * m4) / m2 ** 2 - 3;
    default:
      return undefined;
  }
}

/** Keys of more than one column, or NULL, are spelled by {@link ABSENT_GROUP}. */
export const ABSENT_GROUP = '\u001e';

function frequencyValue(measure: QualityMetric, { counts }: FrequencyState): number | undefined {
  const every = Object.entries(counts);
  const grouped = every.filter(
    ([value]) => [...value].some((character) => character !== ABSENT_GROUP && character !== '\u001f') || value === '',
  );
  const rows = total(grouped.map(([, n]) => n));
  const single = grouped.filter(([, n]) => n === 1).length;
  const repeated = every.filter(([, n]) => n > 1).map(([, n]) => n);
  switch (measure.metric) {
    case 'count-distinct':
      return grouped.length;
    case 'histogram':
      return every.length;
    case 'duplicate-row-count':
      return total(repeated);
    default:
  }
  if (rows === 0) return undefined;
  switch (measure.metric) {
    case 'uniqueness':
      return single / rows;
    case 'distinctness':
      return grouped.length / rows;
    case 'unique-value-ratio':
      return single / grouped.length;
    case 'entropy':
      return -total(grouped.map(([, n]) => (n / rows) * Math.log(n / rows))) || 0;
    default:
      return undefined;
  }
}

function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}
