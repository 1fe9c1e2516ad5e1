/**
 * SQL of live tables, as text. A live table is a list-partitioned parent in `almanac_live` whose partitions are
 * publications, and a view over the one the pipeline's pointer names. Both sides of the load compute the same checksum.
 */
import { versionSelect, type Column } from './duckdb-sql';
import { AlmanacError } from './failures';
import { quoteName, quoteText } from './quote-sql';
import type { ColumnType, DatasetSpec, PublishSpec } from './types';

export const LIVE_SCHEMA = 'almanac_live';
/** The partition column; long, so that no dataset wants the name. */
export const PUBLICATION_COLUMN = 'almanac_publication';

/** Postgres cuts longer names silently. */
const MAX_NAME_BYTES = 63;
/** Leaves room for `_p` and the digits of any publication id in a partition's name. */
const MAX_TABLE_BYTES = MAX_NAME_BYTES - 2 - 19;
/** Every Postgres table has these; no column may be called so. */
const SYSTEM_COLUMNS = new Set(['tableoid', 'xmin', 'cmin', 'xmax', 'cmax', 'ctid', PUBLICATION_COLUMN]);

/** One table of a publication, resolved against its dataset. */
export interface LiveTable {
  readonly name: string;
  readonly from: string;
  readonly columns: readonly Column[];
  readonly key: readonly string[];
  readonly indexes: readonly (readonly string[])[];
}

export const POSTGRES_TYPES = {
  text: 'text',
  bigint: 'bigint',
  integer: 'integer',
  double: 'double precision',
  boolean: 'boolean',
  timestamp: 'timestamp with time zone',
  date: 'date',
} as const satisfies Record<ColumnType, string>;

/** The tables of a publish stage with columns and keys; throws `pipeline.invalid` for names Postgres would refuse or cut. */
export function liveTables(pipeline: string, spec: PublishSpec, datasets: Readonly<Record<string, DatasetSpec>>): LiveTable[] {
  return Object.entries(spec.tables).map(([name, table]) => {
    const place = `live table ${name} of ${pipeline}`;
    const dataset = datasets[table.from];
    if (dataset === undefined)
      throw invalid(`${place} is published from ${table.from}, which is not a dataset`, 'name a dataset of the pipeline in `from`');
    if (byteLength(name) > MAX_TABLE_BYTES || name === '')
      throw invalid(`${place}: its name is not 1 to ${MAX_TABLE_BYTES} bytes long`, 'shorten the name');
    const columns = Object.entries(dataset.columns).map(([column, type]) => ({ name: column, type }));
    for (const { name: column } of columns) {
      if (SYSTEM_COLUMNS.has(column))
        throw invalid(`${place}: Postgres reserves the column name ${column}`, `rename the column in dataset ${table.from}`);
      if (byteLength(column) > MAX_NAME_BYTES)
        throw invalid(`${place}: column ${column} is longer than ${MAX_NAME_BYTES} bytes`, `rename the column in dataset ${table.from}`);
    }
    if (table.key.length === 0) throw invalid(`${place} has no key`, 'declare the columns that identify a row in `key`');
    for (const column of [...table.key, ...(table.indexes ?? []).flat()]) {
      if (!(column in dataset.columns))
        throw invalid(`${place}: dataset ${table.from} has no column ${column}`, `use one of ${Object.keys(dataset.columns).join(', ')}`);
    }
    return { name, from: table.from, columns, key: table.key, indexes: table.indexes ?? [] };
  });
}

function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}

function invalid(message: string, next: string): AlmanacError {
  return new AlmanacError('pipeline.invalid', message, { next: `${next}, then almanac validate` });
}

export function partitionName(table: string, publication: number): string {
  return `${table}_p${publication}`;
}

/** Table and publication of a partition's name; undefined for anything else. */
export function parsePartitionName(name: string): { readonly table: string; readonly publication: number } | undefined {
  const match = /^(.+)_p([1-9]\d{0,15})$/su.exec(name);
  return match?.[1] === undefined ? undefined : { table: match[1], publication: Number(match[2]) };
}

export function parentOf(table: string): string {
  return `${LIVE_SCHEMA}.${quoteName(table)}`;
}

export function partitionOf(table: string, publication: number): string {
  return `${LIVE_SCHEMA}.${quoteName(partitionName(table, publication))}`;
}

function definition({ name, type }: Column): string {
  return `${quoteName(name)} ${POSTGRES_TYPES[type]}`;
}

export function createParentSql(table: LiveTable): string {
  const columns = [`${PUBLICATION_COLUMN} bigint not null`, ...table.columns.map(definition)];
  return `create table ${parentOf(table.name)} (${columns.join(', ')}) partition by list (${PUBLICATION_COLUMN})`;
}

export function addColumnsSql(table: string, added: readonly Column[]): string {
  return `alter table ${parentOf(table)} ${added.map((column) => `add column ${definition(column)}`).join(', ')}`;
}

/** What stands between the columns a live table has and those declared: nothing, columns to append, or a change readers would feel. */
export type ColumnChange =
  | { readonly change: 'none' }
  | { readonly change: 'append'; readonly added: readonly Column[] }
  | { readonly change: 'breaking'; readonly what: string };

/** `present` has Postgres type names. */
export function columnChange(
  present: readonly { readonly name: string; readonly type: string }[],
  declared: readonly Column[],
): ColumnChange {
  for (const [i, { name, type }] of present.entries()) {
    const wanted = declared[i];
    if (wanted === undefined || !declared.some((column) => column.name === name))
      return { change: 'breaking', what: `column ${name} was removed` };
    if (wanted.name !== name) return { change: 'breaking', what: `column ${wanted.name} stands where ${name} stood` };
    if (POSTGRES_TYPES[wanted.type] !== type)
      return { change: 'breaking', what: `column ${name} was ${type} and became ${POSTGRES_TYPES[wanted.type]}` };
  }
  const added = declared.slice(present.length);
  return added.length === 0 ? { change: 'none' } : { change: 'append', added };
}

/** The CHECK spares the scan at the attach; the default fills the partition column while loading. */
export function createPartitionSql(table: LiveTable, publication: number): string {
  const columns = [
    `${PUBLICATION_COLUMN} bigint not null default ${publication} check (${PUBLICATION_COLUMN} = ${publication})`,
    ...table.columns.map(definition),
  ];
  return `create table ${partitionOf(table.name, publication)} (${columns.join(', ')})`;
}

/** Reads what {@link exportSql} wrote. FREEZE: the table is new in this transaction, so its rows need no later rewrite. */
export function copySql(table: LiveTable, publication: number): string {
  return `copy ${partitionOf(table.name, publication)} (${names(table.columns)}) from stdin with (format csv, null '', freeze)`;
}

export function keySql(table: LiveTable, publication: number): string {
  return `alter table ${partitionOf(table.name, publication)} add primary key (${[PUBLICATION_COLUMN, ...table.key.map(quoteName)].join(', ')})`;
}

export function indexSql(table: LiveTable, publication: number): string[] {
  return table.indexes.map((columns) => `create index on ${partitionOf(table.name, publication)} (${columns.map(quoteName).join(', ')})`);
}

export function attachSql(table: string, publication: number): string {
  return `alter table ${parentOf(table)} attach partition ${partitionOf(table, publication)} for values in (${publication})`;
}

export function detachSql(table: string, publication: number, how: 'concurrently' | 'finalize'): string {
  return `alter table ${parentOf(table)} detach partition ${partitionOf(table, publication)} ${how}`;
}

/** Columns by name and a scalar subquery on the pointer: one row read, one partition scanned, one snapshot for all tables. */
export function viewSql(schema: string, table: LiveTable, pipeline: string, replace: boolean): string {
  return (
    `create ${replace ? 'or replace ' : ''}view ${quoteName(schema)}.${quoteName(table.name)} as select ${names(table.columns)} from ${parentOf(table.name)} ` +
    `where ${PUBLICATION_COLUMN} = (select live.publication from almanac.live where live.pipeline = ${quoteText(pipeline)})`
  );
}

function names(columns: readonly Column[]): string {
  return columns.map(({ name }) => quoteName(name)).join(', ');
}

/**
 * DuckDB writes the file COPY reads: text always quoted, so that an empty text is not a NULL and `\.` is no end mark;
 * doubles in their shortest exact form; key order, so that neighbours share pages.
 */
export function exportSql(table: LiveTable, files: readonly string[], target: string): string {
  const values = table.columns.map(({ name, type }) => {
    const column = quoteName(name);
    // DuckDB writes `(BC)`, Postgres reads `BC`.
    return type === 'date' || type === 'timestamp' ? `replace(${column}::VARCHAR, '(BC)', 'BC') as ${column}` : column;
  });
  const quoted = table.columns.filter(({ type }) => type === 'text');
  const force = quoted.length === 0 ? '' : `, force_quote (${names(quoted)})`;
  const rows = `select ${values.join(', ')} from (${versionSelect(table.columns, files)}) as v order by ${table.key.map((column) => `v.${quoteName(column)}`).join(', ')}`;
  return `copy (${rows}) to ${quoteText(target)} (format csv, header false, delimiter ',', quote '"', escape '"', nullstr ''${force})`;
}

/** A value as text, the same in both databases and different for different values; NULL is `N`. */
const CANONICAL: Readonly<Record<'duckdb' | 'postgres', Readonly<Record<ColumnType, (column: string) => string>>>> = {
  duckdb: {
    text: (c) => `strlen(${c})::VARCHAR || ':' || ${c}`,
    bigint: (c) => `${c}::VARCHAR`,
    integer: (c) => `${c}::VARCHAR`,
    double: (c) => `case when isnan(${c}) then 'nan' else ${c}::BIT::VARCHAR end`,
    boolean: (c) => `${c}::VARCHAR`,
    timestamp: (c) => `case when isfinite(${c}) then epoch_us(${c})::VARCHAR else ${c}::VARCHAR end`,
    date: (c) => `case when isfinite(${c}) then date_diff('day', DATE '1970-01-01', ${c})::VARCHAR else ${c}::VARCHAR end`,
  },
  postgres: {
    text: (c) => `octet_length(${c})::text || ':' || ${c}`,
    bigint: (c) => `${c}::text`,
    integer: (c) => `${c}::text`,
    double: (c) => `case when ${c} = 'nan' then 'nan' else ('x' || encode(float8send(${c}), 'hex'))::bit(64)::text end`,
    boolean: (c) => `${c}::text`,
    timestamp: (c) => `case when isfinite(${c}) then (extract(epoch from ${c}) * 1000000)::bigint::text else ${c}::text end`,
    date: (c) => `case when isfinite(${c}) then (${c} - date '1970-01-01')::text else ${c}::text end`,
  },
};

/** The first 60 bits of a row's md5 as an integer. */
const ROW_HASH: Readonly<Record<'duckdb' | 'postgres', (text: string) => string>> = {
  duckdb: (text) => `('0x' || substr(md5(${text}), 1, 15))::BIGINT`,
  postgres: (text) => `('x' || substr(md5(${text}), 1, 15))::bit(60)::bigint`,
};

/**
 * Rows and checksum of a relation, both as text: the sum over all rows of a hash of the whole row. Order does not
 * matter, repetition does; two unequal tables of equal count agree once in 2^60.
 */
export function checksumSql(dialect: 'duckdb' | 'postgres', columns: readonly Column[], relation: string): string {
  const row = columns.map(({ name, type }) => `coalesce(${CANONICAL[dialect][type](quoteName(name))}, 'N')`).join(` || ',' || `);
  const text = dialect === 'duckdb' ? 'VARCHAR' : 'text';
  return `select count(*)::${text} as "rows", coalesce(sum(${ROW_HASH[dialect](row)}), 0)::${text} as checksum from ${relation}`;
}
