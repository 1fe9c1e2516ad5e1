/**
 * Quantiles from logarithmic bins: a value's bin is the power of a base it lies under, so a bin is never wider than one percent
 * (or what was declared) of what is in it, whatever the data. Bins of several windows add up exactly. Values that are few are told as they are.
 */
import type { ColumnType } from '../types';
import type { Dialect } from './dialect';
import type { QuantileState } from './states';

/** How wide a bin is, as a share of its values. */
export const DEFAULT_ERROR = 0.01;
/** Narrower bins would be as many as the values. */
const LEAST_ERROR = 0.001;
/** Values nearer to zero than this share the bin of zero. */
const SMALLEST = 1e-12;
/** One row, column `bins`: index, count, smallest and largest value. */
export function quantileSql(source: string, column: string, relativeError: number, type: ColumnType | undefined, dialect: Dialect): string {
  const step = Math.log(1 + Math.max(relativeError, LEAST_ERROR));
  // Indexes of positive values lie above 0, those of negative ones below.
  const offset = Math.ceil(-Math.log(SMALLEST) / step) + 1;
  const value = dialect.double(`(${dialect.number(dialect.quote(column), type)})`);
  const size = `(ceil(ln(abs(x)) / ${step}) + ${offset})`;
  const index = `case when abs(x) < ${SMALLEST} then 0 when x > 0 then ${size} else -${size} end`;
  const binned = `select ${index} as i, count(*) as n, min(x) as lo, max(x) as hi
from (select ${value} as x from ${source} as narrowed where ${dialect.quote(column)} is not null) as valued group by ${index}`;
  return `select ${dialect.list({ i: dialect.double('i'), n: 'n', lo: 'lo', hi: 'hi' }, [{ member: 'i' }])} as bins from (${binned}) as binned`;
}

/** The smallest value that at least this share of all does not exceed: an element of the data wherever its bin tells it. */
export function quantileOf(bins: QuantileState['bins'], quantile: number): number | undefined {
  const total = bins.reduce((sum, [, count]) => sum + count, 0);
  const rank = Math.max(1, Math.ceil(quantile * total));
  let before = 0;
  for (const [, count, min, max] of bins) {
    if (before + count >= rank) {
      if (count === 1 || min === max) return min;
      return min + ((max - min) * (rank - before - 1)) / (count - 1);
    }
    before += count;
  }
  return undefined;
}

/** How many values do not exceed `value`, estimated within its bin. */
export function rankOf(bins: QuantileState['bins'], value: number): number {
  let rank = 0;
  for (const [, count, min, max] of bins) {
    if (max <= value) rank += count;
    else if (min <= value) rank += max === min ? count : 1 + Math.floor(((count - 1) * (value - min)) / (max - min));
  }
  return rank;
}
