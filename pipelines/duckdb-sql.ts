import { quoteName, quoteText } from './quote-sql';
import type { ColumnType, DatasetSpec } from './types';

/** A column of a dataset or a manifest, in order. */
export interface Column {
  readonly name: string;
  readonly type: ColumnType;
}

export const DUCKDB_TYPES = {
  text: 'VARCHAR',
  bigint: 'BIGINT',
  integer: 'INTEGER',
  double: 'DOUBLE',
  boolean: 'BOOLEAN',
  timestamp: 'TIMESTAMP',
  date: 'DATE',
} as const satisfies Record<ColumnType, string>;

export function columnsOf(spec: Pick<DatasetSpec, 'columns'>): Column[] {
  return Object.entries(spec.columns).map(([name, type]) => ({ name, type }));
}

/** A query over Parquet files with exactly these columns and types; no files give no rows. `where` is a SQL condition. */
export function versionSelect(columns: readonly Column[], files: readonly string[], where?: string): string {
  if (files.length === 0)
    return `select ${columns.map(({ name, type }) => `null::${DUCKDB_TYPES[type]} as ${quoteName(name)}`).join(', ')} where false`;
  const selected = columns.map(({ name, type }) => `${quoteName(name)}::${DUCKDB_TYPES[type]} as ${quoteName(name)}`).join(', ');
  return `select ${selected} from read_parquet([${files.map(quoteText).join(', ')}])${where === undefined ? '' : ` where ${where}`}`;
}
