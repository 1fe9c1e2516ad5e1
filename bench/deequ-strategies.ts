/**
 * deequ's strategies for a metric's history, from their published definitions, to set beside ours. Each answers the indexes it calls
 * anomalous within a search interval.
 */
import { AlmanacError } from '../pipelines/failures';
import type { SearchInterval } from '../pipelines/quality/change';

type Params = Readonly<Record<string, number | null | boolean>>;

const EVERYTHING: SearchInterval = [0, null];

function factors(params: Params): { readonly lower: number; readonly upper: number } {
  const factor = (name: string): number => {
    const value = params[name];
    return typeof value === 'number' ? value : value === null ? Infinity : 3;
  };
  const [lower, upper] = [factor('lowerDeviationFactor'), factor('upperDeviationFactor')];
  if (lower === Infinity && upper === Infinity) throw refused('one factor is needed');
  if (lower < 0 || upper < 0) throw refused('factors cannot be smaller than zero');
  return { lower, upper };
}

/** Mean and deviation of all values so far, the tested one among them; values called anomalous are left out from then on. */
export function onlineNormal(series: readonly number[], params: Params, [from, to]: SearchInterval = EVERYTHING): number[] {
  const { lower, upper } = factors(params);
  const ignored = typeof params['ignoreStartPercentage'] === 'number' ? params['ignoreStartPercentage'] : 0.1;
  if (ignored < 0 || ignored > 1) throw refused('a share lies between 0 and 1');
  checkInterval([from, to]);
  const skip = series.length * ignored;
  let [mean, sum] = [0, 0];
  return series.flatMap((value, i) => {
    const nextMean = i === 0 ? value : mean + (value - mean) / (i + 1);
    const nextSum = sum + (value - mean) * (value - nextMean);
    const deviation = Math.sqrt(nextSum / (i + 1));
    const inside = value <= nextMean + bounded(upper, deviation) && value >= nextMean - bounded(lower, deviation);
    const anomalous = i >= skip && i >= from && i < (to ?? Infinity) && !inside;
    if (!anomalous || params['ignoreAnomalies'] === false) [mean, sum] = [nextMean, nextSum];
    return anomalous ? [i] : [];
  });
}

/** Mean and deviation of the values outside of the search interval, or of all. */
export function batchNormal(series: readonly number[], params: Params, [from, to]: SearchInterval = EVERYTHING): number[] {
  const { lower, upper } = factors(params);
  checkInterval([from, to]);
  if (series.length === 0) throw refused('the series is empty');
  const end = Math.min(to ?? series.length, series.length);
  const base = params['includeInterval'] === true ? series : series.filter((_, i) => i < from || i >= end);
  if (base.length === 0) throw refused('no values are left to learn from');
  const mean = average(base);
  const deviation = Math.sqrt(base.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (base.length - 1));
  return indexes(series, [from, end]).filter((i) => {
    const value = series[i] ?? Number.NaN;
    return value > mean + bounded(upper, deviation) || value < mean - bounded(lower, deviation);
  });
}

/** Additive level, trend and season fitted to what comes before the interval; off by 1.96 deviations of the residuals' sizes is anomalous. */
export function holtWinters(series: readonly number[], period: number, [from, to]: SearchInterval = EVERYTHING): number[] {
  if (series.length === 0) throw refused('the series is empty');
  if (from < 0 || (to ?? 1) < 0) throw refused('the search interval needs to be positive');
  checkInterval([from, to]);
  const training = series.slice(0, from);
  const end = Math.min(to ?? series.length, series.length);
  if (training.length < 2 * period) throw refused('two full cycles of data are needed');
  const cost = (weights: Weights): number =>
    model(training, period, 0, weights).residuals.reduce((sum, residual) => sum + residual ** 2, 0);
  const { residuals, forecasts } = model(training, period, end - from, descend(cost, [0.3, 0.1, 0.1]));
  const limit = BAND * spreadOfSizes(residuals);
  return indexes(series, [from, end]).filter((i) => Math.abs((series[i] ?? 0) - (forecasts[i - from] ?? 0)) > limit);
}

/**
 * How far each value is from what {@link holtWinters} expects one step ahead, in the unit of its band, with weights fitted to the first
 * values only: a day by day use of it that does not fit anew each time. NaN for the first values.
 */
export function holtWintersScores(series: readonly number[], period: number, training: number): number[] {
  const first = series.slice(0, training);
  const cost = (weights: Weights): number => model(first, period, 0, weights).residuals.reduce((sum, residual) => sum + residual ** 2, 0);
  const { residuals } = model(series, period, 0, descend(cost, [0.3, 0.1, 0.1]));
  const spread = spreadOfSizes(residuals.slice(period, training));
  return residuals.map((residual, i) => (i < period ? Number.NaN : Math.abs(residual) / spread));
}

/** Deviations of the residuals' sizes that are normal. */
export const BAND = 1.96;

function spreadOfSizes(residuals: readonly number[]): number {
  const sizes = residuals.map(Math.abs);
  const mean = average(sizes);
  return Math.sqrt(sizes.reduce((sum, size) => sum + (size - mean) ** 2, 0) / (sizes.length - 1));
}

type Weights = readonly [number, number, number];

function model(
  series: readonly number[],
  period: number,
  ahead: number,
  [alpha, beta, gamma]: Weights,
): { residuals: number[]; forecasts: number[] } {
  const first = average(series.slice(0, period));
  let level = first;
  let trend = (average(series.slice(period, 2 * period)) - first) / period;
  const season = series.slice(0, period).map((value) => value - first);
  const residuals: number[] = [];
  const forecasts: number[] = [];
  for (let i = 0; i < series.length + ahead; i++) {
    const seasonal = season[i] ?? 0;
    const predicted = level + trend + seasonal;
    if (i >= series.length) forecasts.push(predicted);
    else residuals.push((series[i] ?? 0) - predicted);
    const value = series[i] ?? predicted;
    const next = alpha * (value - seasonal) + (1 - alpha) * (level + trend);
    season.push(gamma * (value - level - trend) + (1 - gamma) * seasonal);
    trend = beta * (next - level) + (1 - beta) * trend;
    level = next;
  }
  return { residuals, forecasts };
}

const SMALLEST_STEP = 1e-6;

/** A pattern search within the unit cube: downhill from a start, with steps that halve. */
function descend(cost: (weights: Weights) => number, start: Weights): Weights {
  let best = start;
  let least = cost(best);
  for (let step = 0.1; step > SMALLEST_STEP;) {
    let moved = false;
    for (const axis of [0, 1, 2] as const) {
      for (const sign of [1, -1]) {
        const next: [number, number, number] = [...best];
        next[axis] = Math.min(1, Math.max(0, best[axis] + sign * step));
        const found = cost(next);
        if (found < least) [best, least, moved] = [next, found, true];
      }
    }
    if (!moved) step /= 2;
  }
  return best;
}

/** Written so that no factor at all bounds nothing, whatever the deviation. */
function bounded(factor: number, deviation: number): number {
  return factor === Infinity ? Infinity : factor * deviation;
}

function indexes(series: readonly number[], [from, to]: readonly [number, number]): number[] {
  return series.map((_, i) => i).filter((i) => i >= from && i < to);
}

function average(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function checkInterval([from, to]: SearchInterval): void {
  if (to !== null && from >= to) throw refused('the start must lie before the end');
}

function refused(message: string): AlmanacError {
  return new AlmanacError('check.invalid', `The strategy cannot be run: ${message}.`, { next: 'Correct its parameters.' });
}
