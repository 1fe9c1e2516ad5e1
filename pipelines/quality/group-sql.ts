/** Statements of metrics over groups of equal values: one for all metrics of the same columns, rows and weights. */
import type { ColumnType } from '../types';
import type { Dialect } from './dialect';
import type { GroupMetric } from './metrics';
import { literal } from './row-conditions';
import { ABSENT_GROUP } from './state-values';

/** The most values a statement tells one by one, and a state keeps. */
export const TOLD_VALUES = 1000;

/** What a grouping is over; metrics with an equal one share its statement. */
export interface Grouping {
  readonly columns: readonly string[];
  readonly where?: string;
  /** Sum of this column is the weight of a group, instead of its rows. */
  readonly sumOf?: string;
}

/** All columns of the dataset where a metric names none. */
export function groupingOf(measure: GroupMetric, allColumns: readonly string[]): Grouping {
  const named = 'columns' in measure ? measure.columns : [measure.column];
  const columns = named.length === 0 ? allColumns : named;
  return {
    columns,
    ...(measure.where === undefined ? {} : { where: measure.where }),
    ...(measure.metric === 'histogram' && measure.sumOf !== undefined ? { sumOf: measure.sumOf } : {}),
  };
}

/** The relation of a metric's rows: a name, or a subquery. */
export function narrowedSource(view: string, where: string | undefined, dialect: Dialect): string {
  // The name again as an alias: without one Spark reads `where (flag)` as an alias with a list of columns.
  const source = dialect.quote(view);
  return where === undefined ? source : `(select * from ${source} as ${source} where (${where}\n))`;
}

/**
 * One row: groups and rows, those with all columns NULL apart, and the largest groups one by one. `own` are further aggregates over
 * `n` (weight) and `k1`, `k2` … (columns).
 */
export function groupSql(
  view: string,
  { columns, where, sumOf }: Grouping,
  types: Readonly<Record<string, ColumnType>>,
  own: readonly string[],
  dialect: Dialect,
): string {
  const keys = columns.map((column, i) => `${dialect.quote(column)} as k${i + 1}`);
  const names = columns.map((_, i) => `k${i + 1}`);
  const absent = `(${names.map((name) => `${name} is null`).join(' and ')})`;
  const incomplete = `(${names.map((name) => `${name} is null`).join(' or ')})`;
  const texts = names.map((name, i) => `coalesce(${dialect.varchar(name, types[columns[i] ?? ''])}, ${dialect.text(ABSENT_GROUP)})`);
  const label = texts.length === 1 ? texts[0] : `concat_ws(${dialect.text('\u001f')}, ${texts.join(', ')})`;
  // Weights may be fractions; rows are counted beside them.
  const weight = sumOf === undefined ? 'count(*)' : dialect.sum('w');
  const counted = sumOf === undefined ? '' : ', count(*) as c';
  const grouped = `select ${names.join(', ')}, ${weight} as n${counted}
from (select ${[...keys, ...(sumOf === undefined ? [] : [`${dialect.quote(sumOf)} as w`])].join(', ')} from ${narrowedSource(view, where, dialect)} as narrowed) as keyed group by ${names.join(', ')}`;
  const kept = `filter (where not ${absent})`;
  return `with grouped as (${grouped}),
told as (select ${label} as v, n from grouped order by n desc, v limit ${TOLD_VALUES})
select coalesce(sum(${sumOf === undefined ? 'n' : 'c'}), 0) as g_rows,
  coalesce(sum(n), 0) as g_weight,
  count(*) as g_all,
  count(*) ${kept} as g_groups,
  coalesce(sum(n) ${kept}, 0) as g_counted,
  count(*) filter (where n = 1 and not ${absent}) as g_single,
  coalesce(sum(n - 1), 0) as g_repeats,
  coalesce(sum(n) filter (where n > 1), 0) as g_in_repeats,
  coalesce(sum(case when ${incomplete} then n else n - 1 end), 0) as g_key_faults,
  coalesce(sum(case when n > 0 then n * ln(n) end) ${kept}, 0) as g_weighted,
  ${[`(select ${dialect.list({ v: 'v', n: 'n' }, [{ member: 'n', descending: true }, { member: 'v' }])} from told) as g_top`, ...own].join(',\n  ')}
from grouped`;
}

/** What a metric asks of the groups beside what all ask. */
export function ownAggregates(measure: GroupMetric, dialect: Dialect): string[] {
  switch (measure.metric) {
    case 'distinct-values': {
      const named = measure.values.map((value) => literal(value, dialect)).join(', ');
      const within = named === '' ? 'false' : `k1 in (${named})`;
      return [`count(*) filter (where k1 is not null and ${within})`, `count(*) filter (where k1 is not null and not (${within}))`];
    }
    case 'distribution-distance': {
      if (!('values' in measure.expected)) return [];
      const named = measure.expected.values.map((value) => literal(value, dialect));
      const other = `filter (where k1 is not null${named.length === 0 ? '' : ` and k1 not in (${named.join(', ')})`})`;
      const sums = ['count(*)', 'sum(n)', 'sum(n * ln(n))', 'sum(n * 1e0 * n)'].map((sum) => `coalesce(${sum} ${other}, 0)`);
      return [...sums, ...named.map((value) => `coalesce(sum(n) filter (where k1 = ${value}), 0)`)];
    }
    default:
      return [];
  }
}

/** Information two columns share, in nats: rows with one of them NULL count in the total only, as in deequ. */
export function mutualInformationSql(
  view: string,
  columns: readonly [string, string],
  where: string | undefined,
  dialect: Dialect,
): string {
  const [x, y] = columns.map((column) => dialect.quote(column));
  const pairs = `select ${x} as x, ${y} as y, count(*) as n from ${narrowedSource(view, where, dialect)} as narrowed
where ${x} is not null or ${y} is not null group by ${x}, ${y}`;
  const margins = `select x, y, n, sum(n) over (partition by x) as nx, sum(n) over (partition by y) as ny, sum(n) over () as total from (${pairs}) as pairs`;
  const term = '(n * 1e0 / total) * ln((n * 1e0 * total) / (nx * 1e0 * ny))';
  return `select coalesce(max(total), 0) as m_rows, sum(${term}) filter (where x is not null and y is not null) as m_value from (${margins}) as margins`;
}
