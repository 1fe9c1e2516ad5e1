/**
 * Quantiles from logarithmic bins: a value's bin is the power of a base it lies under, so a bin is never wider than one percent
 * of what is in it, whatever the data. Bins of several windows add up exactly. Values that are few are told as they are.
 */
import type { Dialect } from './dialect';
import type { QuantileState } from './states';

/** Ratio of the edges of a bin; half of one percent to either side of its middle. */
const BASE = 1.01;
/** Values nearer to zero than this share the bin of zero. */
const SMALLEST = 1e-12;
/** Indexes of positive values lie above 0, those of negative ones below. */
const OFFSET = Math.ceil(-Math.log(SMALLEST) / Math.log(BASE)) + 1;

/** One row, column `bins`: index, count, smallest and largest value. */
export function quantileSql(source: string, column: string, dialect: Dialect): string {
  const value = dialect.double(`(${dialect.quote(column)} + 0)`);
  const size = `(ceil(ln(abs(x)) / ${Math.log(BASE)}) + ${OFFSET})`;
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
