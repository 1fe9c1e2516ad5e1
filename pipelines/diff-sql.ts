import { versionSelect, type Column } from './duckdb-sql';
import { quoteName } from './quote-sql';

export interface DiffSide {
  readonly columns: readonly Column[];
  readonly files: readonly string[];
}

/** What is with a row or key: only one side has it, or both have the key with other values. */
export type DiffState = 'only-left' | 'only-right' | 'changed';

/**
 * Compares two versions as bags of rows; doubles are equal when 12 significant digits are, as in digests. With a key,
 * rows with the same key on both sides are one change. Leaves a table `diff (state, key…, left, right)`, rows as structs.
 */
export function diffStatements(left: DiffSide, right: DiffSide, key: readonly string[] | undefined): string[] {
  const columns = left.columns;
  const select = (side: DiffSide): string => `select ${columns.map(canonical).join(', ')} from (${versionSelect(columns, side.files)})`;
  const row = (alias: string): string =>
    `struct_pack(${columns.map(({ name }) => `${quoteName(name)} := ${alias}.${quoteName(name)}`).join(', ')})`;
  const statements = [
    `create temp table left_only as (${select(left)}) except all (${select(right)})`,
    `create temp table right_only as (${select(right)}) except all (${select(left)})`,
  ];
  const match =
    key === undefined || key.length === 0
      ? 'false'
      : key.map((name) => `l.${quoteName(name)} is not distinct from r.${quoteName(name)}`).join(' and ');
  return [
    ...statements,
    `create temp table diff as
select case when r.n is null then 'only-left' when l.n is null then 'only-right' else 'changed' end as state,
  case when l.n is not null then ${row('l')} end as "left", case when r.n is not null then ${row('r')} end as "right"
from (select *, 1 as n from left_only) l full join (select *, 1 as n from right_only) r on ${match}`,
  ];
}

/** Rows, or keys, by state. */
export function diffCountsQuery(): string {
  return 'select state, count(*) as rows from diff group by state';
}

/** Some of each state, in the order of their values. */
export function diffSampleQuery(samples: number): string {
  return `select state, "left", "right" from diff qualify row_number() over (partition by state order by coalesce("left", "right"), "right") <= ${samples} order by state, coalesce("left", "right")`;
}

function canonical({ name, type }: Column): string {
  const column = quoteName(name);
  if (type !== 'double') return column;
  return `case when isfinite(${column}) then cast(format('{:.11e}', ${column} + 0.0::double) as double) else ${column} end as ${column}`;
}
