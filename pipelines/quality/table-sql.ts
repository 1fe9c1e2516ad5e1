/** Metrics with a statement of their own: about a table as such, or about two of them. */
import type { Dialect } from './dialect';
import { narrowedSource } from './group-sql';
import type { TableMetric } from './metrics';
import { count, NO_VALUES, numeric, type Reading } from './reading';
import type { ColumnType } from '../types';

export interface TableStatement {
  readonly sql: string;
  read(row: Readonly<Record<string, unknown>>): Reading;
}

/** The names types have in declarations, beside those engines give them. */
const TYPE_NAMES: Readonly<Record<string, string>> = { varchar: 'text', string: 'text', int: 'integer', long: 'bigint' };

/** Of a dataset by column, as declared. */
export type ColumnTypes = Readonly<Record<string, ColumnType>>;

/** `columnsOf`: the columns of a dataset of the suite. */
export function tableStatement(
  view: string,
  measure: TableMetric,
  columnsOf: (dataset: string) => ColumnTypes,
  dialect: Dialect,
): TableStatement {
  const own = dialect.quote(view);
  switch (measure.metric) {
    case 'column-count':
      return plain(`select count(*) as v0, 0 as t_rows from ${dialect.describe(view)} as described`);
    case 'schema-match':
      return {
        sql: `select ${dialect.list({ name: 'name', type: 'type' })} as t_columns from ${dialect.describe(view)} as described`,
        read: (row) => ({ value: schemaFaults(measure, (row['t_columns'] ?? []) as readonly DescribedColumn[]), rows: 0 }),
      };
    case 'custom-sql':
      return plain(`select ${dialect.double(`(${measure.sql}\n)`)} as v0, (select count(*) from ${own}) as t_rows`);
    case 'unexpected-rows':
      return plain(`select count(*) as v0, (select count(*) from ${own}) as t_rows from (${measure.sql}\n) as unexpected`);
    case 'referential-integrity': {
      const pairs = measure.columns.map(
        (column, i) => `referenced.${dialect.quote(measure.in.columns[i] ?? column)} = narrowed.${dialect.quote(column)}`,
      );
      const found = `exists (select 1 from ${dialect.quote(measure.in.dataset)} as referenced where ${pairs.join(' and ')})`;
      return shares(
        `select count(*) as t_rows, count(*) filter (where found) as t_holds from (select ${found} as found from ${narrowedSource(view, measure.where, dialect)} as narrowed) as looked`,
      );
    }
    case 'row-count-match':
      return plain(
        `select case when a.n = b.n then 1e0 else a.n * 1e0 / nullif(b.n, 0) end as v0, a.n as t_rows from (select count(*) as n from ${narrowedSource(view, measure.where, dialect)} as narrowed) as a cross join (select count(*) as n from ${dialect.quote(measure.dataset)}) as b`,
      );
    case 'data-set-match':
      return matchStatement(view, measure, columnsOf, dialect);
    case 'conservation':
      return conservationStatement(own, measure, dialect);
  }
}

function plain(sql: string): TableStatement {
  return {
    sql,
    read: (row) => {
      const value = numeric(row['v0']);
      return { value, rows: count(row['t_rows']), ...(value === undefined ? { reason: NO_VALUES } : {}) };
    },
  };
}

/** A share of rows, whose counts add up over windows. */
function shares(sql: string): TableStatement {
  return {
    sql,
    read: (row) => {
      const rows = count(row['t_rows']);
      const holds = count(row['t_holds']);
      return { value: rows === 0 ? 1 : holds / rows, rows, state: { kind: 'count', holds, rows } };
    },
  };
}

/**
 * Rows as multisets: a row that one side has twice and the other once is matched once. NULL equals NULL. Where deequ's DatasetMatch gives up
 * (other numbers of rows, keys that repeat) this is a share below 1; where it gives a share, it is the same one.
 */
function matchStatement(
  view: string,
  measure: Extract<TableMetric, { metric: 'data-set-match' }>,
  columnsOf: (dataset: string) => ColumnTypes,
  dialect: Dialect,
): TableStatement {
  const columns = comparedColumns(view, measure, columnsOf);
  if (columns.length === 0) {
    const reason = `${view} and ${measure.dataset} have no column of the same name`;
    return { sql: 'select 0 as t_rows', read: () => ({ value: undefined, rows: 0, reason }) };
  }
  const keys = columns.map((_, i) => `k${i + 1}`).join(', ');
  const side = (name: string, mine: number): string =>
    `select ${columns.map((column, i) => `${dialect.quote(column)} as k${i + 1}`).join(', ')}, ${mine} as mine, ${1 - mine} as theirs from ${dialect.quote(name)}`;
  return shares(
    `select coalesce(greatest(sum(mine), sum(theirs)), 0) as t_rows, coalesce(sum(least(mine, theirs)), 0) as t_holds
from (select sum(mine) as mine, sum(theirs) as theirs from (${side(view, 1)} union all ${side(measure.dataset, 0)}) as sides group by ${keys}) as matched`,
  );
}

function comparedColumns(
  view: string,
  { dataset, key = [], compare }: Extract<TableMetric, { metric: 'data-set-match' }>,
  columnsOf: (dataset: string) => ColumnTypes,
): string[] {
  if (compare !== undefined) return [...new Set([...key, ...compare])];
  const theirs = new Set(Object.keys(columnsOf(dataset)));
  return [...new Set([...key, ...Object.keys(columnsOf(view)).filter((column) => theirs.has(column))])];
}

function conservationStatement(own: string, measure: Extract<TableMetric, { metric: 'conservation' }>, dialect: Dialect): TableStatement {
  const amount = (name: string): string => {
    const of = measure.sumOf === undefined ? 'count(*)' : `coalesce(${dialect.sum(dialect.quote(measure.sumOf))}, 0)`;
    return `(select ${of} from ${name})`;
  };
  const removed = measure.removed === undefined ? '' : ` + ${amount(dialect.quote(measure.removed))}`;
  const gap = `${amount(own)} - ${amount(dialect.quote(measure.previous))} - ${amount(dialect.quote(measure.added))}${removed}`;
  return plain(`select ${dialect.double(`abs(${gap})`)} as v0, (select count(*) from ${own}) as t_rows`);
}

interface DescribedColumn {
  readonly name: string;
  readonly type: string;
}

/** Columns that lack, are of another type, stand elsewhere, or are more than declared. */
function schemaFaults(
  { columns, mode = 'exact', at: places = {} }: Extract<TableMetric, { metric: 'schema-match' }>,
  found: readonly DescribedColumn[],
): number {
  const declared = Object.entries(columns);
  const wrong = declared.filter(([name, type], position) => {
    const at = found.findIndex((column) => column.name === name);
    if (at < 0) return true;
    const place = mode === 'ordered' ? position : places[name];
    return (place !== undefined && at !== place) || !fits(type, found[at]?.type ?? '');
  });
  const more = mode === 'superset' ? 0 : found.filter(({ name }) => !Object.hasOwn(columns, name)).length;
  return wrong.length + more;
}

function fits(declared: string | readonly string[], found: string): boolean {
  const types = typeof declared === 'string' ? [declared] : declared;
  return types.some((type) => type === '' || typeName(type) === typeName(found));
}

function typeName(type: string): string {
  const lower = type.toLowerCase();
  return TYPE_NAMES[lower] ?? lower;
}
