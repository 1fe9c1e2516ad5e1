import { DUCKDB_TYPES, type Column } from './duckdb-sql';
import { quoteName, quoteText } from './quote-sql';
import type { ColumnType } from './types';

/** DuckDB types that become a column's type without losing anything but width, which DuckDB checks row by row. */
const ACCEPTED: Readonly<Record<ColumnType, RegExp>> = {
  text: /^(VARCHAR|ENUM\b.*)$/,
  bigint: /^U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)$/,
  integer: /^U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)$/,
  double: /^(FLOAT|DOUBLE|DECIMAL\b.*|U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT))$/,
  boolean: /^BOOLEAN$/,
  timestamp: /^(TIMESTAMP(_S|_MS|_NS)?|TIMESTAMP WITH TIME ZONE|DATE)$/,
  date: /^DATE$/,
};
/** What `null` without a cast is described as. */
const UNTYPED = '"NULL"';

export interface DescribedColumn {
  readonly column_name: string;
  readonly column_type: string;
}

/** A select of a text, and how many of its lines come before the text's first. */
export interface WrappedText {
  readonly sql: string;
  readonly linesBefore: number;
}

/** The columns a text returns; rows of {@link DescribedColumn}. Also the cheap way to learn that it does not parse or bind. */
export function describeText(text: string): WrappedText {
  return { sql: `describe select * from (\n${bare(text)}\n) as result`, linesBefore: 1 };
}

/** A text's rows with exactly the declared columns and types. */
export function selectText(text: string, columns: readonly Column[], before = ''): WrappedText {
  const casts = columns.map(({ name, type }) => `cast(${quoteName(name)} as ${DUCKDB_TYPES[type]}) as ${quoteName(name)}`);
  return { sql: `${before}select ${casts.join(', ')} from (\n${bare(text)}\n) as result`, linesBefore: 1 };
}

/**
 * The first way in which a text's columns are not the declared ones, as a sentence about `textName`; undefined when they are. `accepted`: the
 * types of the engine that become a column's type.
 */
export function schemaFault(
  textName: string,
  dataset: string,
  declared: readonly Column[],
  returned: readonly DescribedColumn[],
  accepted = ACCEPTED,
): string | undefined {
  const names = returned.map((column) => column.column_name);
  const repeated = names.find((name, index) => names.indexOf(name) !== index);
  if (repeated !== undefined) return `${textName} returns the column "${repeated}" twice.`;
  const missing = declared.find(({ name }) => !names.includes(name));
  if (missing) return `${textName} returns no column "${missing.name}", which ${dataset} declares (${missing.type}).`;
  const extra = names.find((name) => !declared.some((column) => column.name === name));
  if (extra !== undefined) return `${textName} returns the column "${extra}", which ${dataset} does not declare.`;
  const moved = declared.findIndex(({ name }, index) => names[index] !== name);
  if (moved >= 0)
    return `${textName} returns "${names[moved]}" as column ${moved + 1}, where ${dataset} declares "${declared[moved]?.name}".`;
  const types = new Map(returned.map((column) => [column.column_name, column.column_type]));
  const wrong = declared.find(({ name, type }) => types.get(name) !== UNTYPED && !accepted[type].test(types.get(name) ?? ''));
  return wrong && `${textName} returns "${wrong.name}" as ${types.get(wrong.name)}, which is no ${wrong.type}, as ${dataset} declares it.`;
}

/** Writes a select to one Parquet file: row groups small enough to be read by several threads, compression by the measurements of bench:udb. */
export function copyToParquet(select: string, file: string): string {
  return `copy (${select}) to ${quoteText(file)} (format parquet, compression zstd, compression_level 1, row_group_size 61440)`;
}

/** Authors end a text with a semicolon or not. */
export function bare(text: string): string {
  return text.replace(/[;\s]+$/, '');
}
