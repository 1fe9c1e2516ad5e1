import { type Column } from './duckdb-sql';
import { quoteName, quoteText } from './quote-sql';
import type { ColumnType } from './types';

/**
 * The identity of a version's rows, whatever their order and files. Each row is hashed twice over its canonical values,
 * differently, and mixed once more, so that swapping values between rows cannot cancel out; the hashes are summed.
 * Sums of buckets add up to the sum of the version. `hash` is DuckDB's own: 20 times cheaper than md5, and pinned by a
 * test, because another DuckDB may hash otherwise; the algorithm's name is part of the digest for that day.
 */
const DIGEST_ALGORITHM = 'duckdb1';

/** What the query of {@link digestSql} returns for one table or bucket; integers as text. */
export interface DigestPart {
  readonly rows: string;
  readonly first: string;
  readonly second: string;
}

const MODULUS = 1n << 128n;
const HEX_DIGITS = 32;
const SECOND_SALT = 'almanac';

/** Doubles agree to 12 significant digits; -0 is 0 and every NaN the same. */
const CANONICAL: Record<ColumnType, (column: string) => string> = {
  text: (c) => c,
  // hash() sees integers, days and microseconds by their number, whatever the width of the type.
  bigint: (c) => c,
  integer: (c) => c,
  boolean: (c) => c,
  timestamp: (c) => c,
  date: (c) => c,
  double: (c) => `case when isnan(${c}) then 'nan' else format('{:.11e}', ${c} + 0.0::DOUBLE) end`,
};

/** The aggregates of {@link DigestPart}, for a select list over the rows. */
export function digestColumns(columns: readonly Column[]): string[] {
  const values = columns.map(({ name, type }) => CANONICAL[type](quoteName(name)));
  return [
    'count(*) as "rows"',
    `coalesce(sum(hash(hash(${values.join(', ')}))), 0::HUGEINT) as "first"`,
    `coalesce(sum(hash(hash(${[quoteText(SECOND_SALT), ...values].reverse().join(', ')}))), 0::HUGEINT) as "second"`,
  ];
}

/** A query over `table` (an expression for a from clause) that returns one {@link DigestPart}. */
export function digestSql(table: string, columns: readonly Column[]): string {
  return `select ${digestColumns(columns).join(', ')} from ${table}`;
}

/** The digest of all parts together; names, types and order of the columns are part of it. No parts: no rows. */
export function combineDigests(columns: readonly Column[], parts: readonly DigestPart[]): string {
  const total = (of: (part: DigestPart) => string): bigint => parts.reduce((sum, part) => sum + BigInt(of(part)), 0n);
  const schema = textHash(columns.map(({ name, type }) => `${quoteName(name)} ${type}`).join(', '));
  const hex = (value: bigint): string => (value % MODULUS).toString(16).padStart(HEX_DIGITS, '0');
  return `${DIGEST_ALGORITHM}-${total((part) => part.rows)}-${hex(total((part) => part.first) + schema)}${hex(total((part) => part.second))}`;
}

/** FNV-1a of 128 bits over UTF-16 code units: this module may import nothing, and a schema is no adversary. */
function textHash(text: string): bigint {
  const prime = (1n << 88n) + 0x13bn;
  let hash = 0x6c62272e07bb014262b821756295c58dn;
  for (let i = 0; i < text.length; i++) hash = ((hash ^ BigInt(text.charCodeAt(i))) * prime) % MODULUS;
  return hash;
}
