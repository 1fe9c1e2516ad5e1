import { digestColumns, type DigestPart } from './digest-sql';
import { type Column } from './duckdb-sql';
import { quoteName } from './quote-sql';

/** Smallest and largest are JSON values as an engine session returns them; null when every value is NULL. */
export interface ColumnProfile {
  readonly nulls: number;
  readonly min: unknown;
  readonly max: unknown;
}

/** What one pass over a version says of it. */
export interface Profile {
  readonly digest: DigestPart;
  readonly rows: number;
  readonly columns: Readonly<Record<string, ColumnProfile>>;
  /** True when no two keys have the same hash, which proves them unique; else {@link duplicateKeysSql} decides. */
  readonly keysUnique: boolean;
  /** Rows for which `misplaced` was true. */
  readonly misplaced: number;
}

export interface ProfileRequest {
  readonly columns: readonly Column[];
  readonly key?: readonly string[];
  /** A condition no row may meet, for instance that it belongs to another bucket. */
  readonly misplaced?: string;
}

/** One scan of `table` (an expression for a from clause) for everything: one row, the profile of a table or bucket. */
export function profileSql(table: string, { columns, key, misplaced }: ProfileRequest): string {
  const each = columns.flatMap(({ name }, index) => {
    const column = quoteName(name);
    return [`count(*) - count(${column}) as nulls_${index}`, `min(${column}) as min_${index}`, `max(${column}) as max_${index}`];
  });
  return `select ${[
    ...digestColumns(columns),
    ...each,
    `${key ? `count(distinct ${keyHash(key)}) = count(*)` : 'true'} as keys_unique`,
    `${misplaced === undefined ? '0' : `count(*) filter (where ${misplaced})`} as misplaced`,
  ].join(', ')} from ${table}`;
}

/** The hash by which keys are told apart. */
export function keyHash(key: readonly string[]): string {
  return `hash(${key.map(quoteName).join(', ')})`;
}

/** Joins the profiles of buckets, rows of {@link profileSql} in the table `parts`, to that of the version; read it with {@link readProfile}. */
export function totalProfileSql(parts: string, columns: readonly Column[]): string {
  const each = columns.map((_, i) => `sum(nulls_${i}) as nulls_${i}, min(min_${i}) as min_${i}, max(max_${i}) as max_${i}`);
  return `select ${[
    'sum("rows") as "rows", sum("first") as "first", sum("second") as "second"',
    ...each,
    'bool_and(keys_unique) as keys_unique, sum(misplaced) as misplaced',
  ].join(', ')} from ${parts}`;
}

export function readProfile(row: Readonly<Record<string, unknown>>, columns: readonly Column[]): Profile {
  return {
    digest: { rows: String(row['rows']), first: String(row['first']), second: String(row['second']) },
    rows: Number(row['rows']),
    columns: Object.fromEntries(
      columns.map(({ name }, i) => [name, { nulls: Number(row[`nulls_${i}`]), min: row[`min_${i}`], max: row[`max_${i}`] }]),
    ),
    keysUnique: row['keys_unique'] === true,
    misplaced: Number(row['misplaced']),
  };
}

/** Counts, exactly, the rows beyond the first of each key, as `duplicates`; NULL is a value like any other. */
export function duplicateKeysSql(table: string, key: readonly string[]): string {
  const columns = key.map(quoteName).join(', ');
  return `select coalesce(sum(copies - 1), 0) as duplicates from (select count(*) as copies from ${table} group by ${columns} having count(*) > 1) as repeated`;
}
