/**
 * The SQL that splits a version into the rows that go on and those that checks put aside, each with every check it fails. A row is
 * known by its file and its position there, so nothing has to be unique, and no row is read into this process.
 */
import { DUCKDB_TYPES, versionSelect, type Column } from '../duckdb-sql';
import { quoteName, quoteText } from '../quote-sql';
import { countedCondition } from '../scan-sql';
import type { PutAsideCheck } from '../types';
import { DUCKDB } from './dialect';
import { isRowMetric } from './metrics';
import { rowCondition } from './row-conditions';

/** The table of the rows that are put aside. */
const ASIDE = 'almanac.aside';
/** Not the names of columns: those have no spaces. */
const FILE = quoteName('almanac file');
const POSITION = quoteName('almanac position');
const FAILING = quoteName('almanac failing');
/** Characters of a row's text that are shown; `row` has all of it. */
const RAW_LENGTH = 4096;

/** What of a version is split. `files`: paths the engine can open, with what the store calls them. */
export interface SplitVersion {
  readonly dataset: string;
  readonly columns: readonly Column[];
  readonly files: readonly { readonly readable: string; readonly path: string }[];
}

/** True of the rows that a check puts aside, never NULL. */
function failingCondition({ dataset, measure }: PutAsideCheck, doubles: ReadonlySet<string>): string {
  if (isRowMetric(measure)) return rowCondition(measure, DUCKDB, doubles).fails;
  return `coalesce(${countedCondition(dataset, measure, DUCKDB)}, false)`;
}

/**
 * Fills the table `almanac.aside` with the rows that fail a check. Views named as the datasets stand for other datasets; the one of the
 * version itself is made anew, with where each row lies.
 */
export function putAsideStatements({ dataset, columns, files }: SplitVersion, checks: readonly PutAsideCheck[]): string[] {
  const typed = columns.map(({ name, type }) => `${quoteName(name)}::${DUCKDB_TYPES[type]} as ${quoteName(name)}`).join(', ');
  const doubles = new Set(columns.flatMap(({ name, type }) => (type === 'double' ? [name] : [])));
  const failing = checks.map((check) => `case when ${failingCondition(check, doubles)} then ${quoteText(check.id)} end`);
  const source = quoteName(dataset);
  const shown = columns.map(({ name }) => `${quoteText(name)}: cast(${quoteName(name)} as varchar)`).join(', ');
  return [
    'create schema if not exists almanac',
    files.length === 0
      ? `create or replace temp view ${source} as select *, null::varchar as ${FILE}, null::bigint as ${POSITION} from (${versionSelect(columns, [])})`
      : `create or replace temp view ${source} as select ${typed}, filename as ${FILE}, file_row_number as ${POSITION}
from read_parquet(${list(files.map(({ readable }) => readable))}, filename = true, file_row_number = true)`,
    `create or replace table ${ASIDE} as
select ${FILE} as file, ${POSITION} as position, ${FAILING} as checks, cast(to_json({${shown}}) as varchar) as "row"
from (select ${source}.*, list_filter([${failing.join(',\n  ')}], lambda id: id is not null) as ${FAILING} from ${source})
where len(${FAILING}) > 0`,
  ];
}

/** How many rows are put aside, `rows`, and how many of them fail each check, `c<i>`. */
export function countAsideQuery(checks: readonly PutAsideCheck[]): string {
  const each = checks.map(({ id }, index) => `, count(*) filter (where list_contains(checks, ${quoteText(id)})) as c${index}`);
  return `select count(*) as "rows"${each.join('')} from ${ASIDE}`;
}

/** The rows of one file that go on. */
export function goingOnSelect(columns: readonly Column[], file: string): string {
  const typed = columns.map(({ name, type }) => `kept.${quoteName(name)}::${DUCKDB_TYPES[type]} as ${quoteName(name)}`).join(', ');
  return `select ${typed} from read_parquet([${quoteText(file)}], file_row_number = true) kept
anti join (select position from ${ASIDE} where file = ${quoteText(file)}) gone on gone.position = kept.file_row_number`;
}

/**
 * The quarantine of the version that goes on: the rows that checks put aside, with the reason `check` and why of each check they fail, and
 * what an ingest had put aside before. `line` counts the rows of a data file from 1.
 */
export function quarantinedSelect(
  { files }: Pick<SplitVersion, 'files'>,
  checks: readonly Pick<PutAsideCheck, 'id' | 'why'>[],
  before: readonly string[],
): string {
  const reasons = checks.map(({ id, why }) => `when ${quoteText(id)} then ${quoteText(`${id}: ${why}`)}`).join(' ');
  const names = files.map(({ readable, path }) => `when file = ${quoteText(readable)} then ${quoteText(path)}`).join(' ');
  const own = `select 'check' as reason, cast(null as varchar) as column_name,
  array_to_string(list_transform(checks, lambda id: case id ${reasons} end), ' ') as detail, case ${names || 'when true then file'} end as file, position + 1 as line,
  left("row", ${RAW_LENGTH}) as raw, cast(null as timestamp) as event_time, "row", checks
from ${ASIDE}`;
  const earlier = before.length === 0 ? '' : ` union all by name from read_parquet(${list(before)})`;
  return `from (${own})${earlier} order by file, line`;
}

function list(files: readonly string[]): string {
  return `[${files.map(quoteText).join(', ')}]`;
}
