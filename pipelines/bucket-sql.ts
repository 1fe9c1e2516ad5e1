import { quoteName } from './quote-sql';

/**
 * The bucket of a row: the first byte of the md5 of its text, modulo the number of buckets. Chosen because every engine
 * can compute it; at most 256 buckets. NULL and the empty text share a bucket. The result is an INTEGER from 0.
 */
export function bucketExpression(column: string, count: number): string {
  if (!Number.isInteger(count) || count < 1 || count > 256) throw new RangeError(`${count} buckets: expected 1 to 256`);
  return `(cast(concat('0x', substr(md5(coalesce(cast(${quoteName(column)} as varchar), '')), 1, 2)) as integer) % ${count})`;
}
