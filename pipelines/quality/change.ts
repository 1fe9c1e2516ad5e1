/** Rules for a series of values: a range, and bounds on how fast it changes. Indexes are those of the series. */
import { AlmanacError } from '../failures';

/** Positions that are judged: from the first to before the second; null is the end. */
export type SearchInterval = readonly [number, number | null];

export interface ChangeBounds {
  /** The least change, or ratio, that is normal. */
  readonly min?: number;
  readonly max?: number;
  /** How many times the change is taken of the change; for ratios, how far back the other value lies. Default 1. */
  readonly order?: number;
}

/** Indexes of values outside of a range. Throws `check.invalid` for a range that holds nothing. */
export function outsideRange(
  series: readonly number[],
  { min = -Infinity, max = Infinity }: ChangeBounds,
  interval?: SearchInterval,
): number[] {
  if (min > max) throw invalid(`the range from ${min} to ${max} holds nothing`);
  return judged(series, interval).filter((i) => !((series[i] ?? Number.NaN) >= min && (series[i] ?? Number.NaN) <= max));
}

/** Differences of values that follow each other, `order` times over: the first is of the value at index `order`. */
export function differences(series: readonly number[], order: number): number[] {
  let result = [...series];
  for (let i = 0; i < order; i++) result = result.slice(1).map((value, j) => value - (result[j] ?? Number.NaN));
  return result;
}

/** Ratios of each value to the one `order` before it. From 0 it is infinite, and 1 where it stays 0. */
export function ratios(series: readonly number[], order: number): number[] {
  return series.slice(order).map((value, i) => {
    const before = series[i] ?? Number.NaN;
    return before === 0 && value === 0 ? 1 : value / before;
  });
}

/** Indexes of values that differ by too much from those before. Throws `check.invalid` for bounds that bound nothing. */
export function absoluteChanges(series: readonly number[], bounds: ChangeBounds, interval?: SearchInterval): number[] {
  return changes(series, bounds, interval, differences);
}

/** Indexes of values whose ratio to those before is outside of the bounds. Throws `check.invalid` as above. */
export function relativeChanges(series: readonly number[], bounds: ChangeBounds, interval?: SearchInterval): number[] {
  return changes(series, bounds, interval, ratios);
}

function changes(
  series: readonly number[],
  { min, max, order = 1 }: ChangeBounds,
  interval: SearchInterval | undefined,
  derive: (series: readonly number[], order: number) => number[],
): number[] {
  if (min === undefined && max === undefined) throw invalid('a change needs a bound, `min` or `max`');
  if (min !== undefined && max !== undefined && min > max) throw invalid(`the range from ${min} to ${max} holds nothing`);
  if (!Number.isInteger(order) || order < 1) throw invalid(`the order of a change is a whole number from 1 on, not ${order}`);
  const derived = derive(series, order);
  const within = (value: number): boolean => value >= (min ?? -Infinity) && value <= (max ?? Infinity);
  return judged(series, interval).filter((i) => i >= order && !within(derived[i - order] ?? Number.NaN));
}

function judged(series: readonly number[], [from, to]: SearchInterval = [0, null]): number[] {
  if (to !== null && from >= to) throw invalid(`an interval ends after it starts, not from ${from} to ${to}`);
  return series.map((_, i) => i).filter((i) => i >= from && (to === null || i < to));
}

function invalid(message: string): AlmanacError {
  return new AlmanacError('check.invalid', `The rule cannot be judged: ${message}.`, { next: 'Correct the bounds of the check.' });
}
