/**
 * The SQL that turns landing files into accepted and quarantined rows in one DuckDB session: files become numbered lines
 * (`raw`, `line`) or Parquet rows, these become texts by column, texts become typed values with a verdict (`staged`).
 * Lines are read whole and split here, so that every line is counted, has its number, and no bad one takes its neighbours along.
 * Quarantine reasons: `malformed` cannot be read; `late` belongs to a day before its folder's, so it arrived after its day;
 * `early` belongs to a day after it (its instant is at or after the end of the folder's day).
 */
import { parseExpression } from './column-sql';
import { DUCKDB_TYPES, type Column } from './duckdb-sql';
import { quoteName, quoteText } from './quote-sql';

/** Longer lines are quarantined unread, so no line decides how much memory an ingest takes. */
const MAX_LINE_BYTES = 2 ** 20;
/** DuckDB's read buffer; of a longer line only this much is ever held. */
const BUFFER_BYTES = 4 * MAX_LINE_BYTES;
/** Characters of a quarantined row's text that are kept. */
const RAW_LENGTH = 4096;
/** Stands for a delimiter no line holds; a line that does hold it is refused by DuckDB as one with too many columns. */
const NO_DELIMITER = '\x01\x02\x03\x04';

export interface IngestColumn extends Column {
  /** Rows where it is empty are malformed. */
  readonly required: boolean;
  /** What the files call it. */
  readonly source: string;
}

export interface IngestShape {
  readonly columns: readonly IngestColumn[];
  /** Column that must lie in the day of the row's file. */
  readonly eventTime?: string;
  /** Further column: the date of the row's folder. */
  readonly folderDate?: string;
}

/** A file to read. `start` and `end` bound the day of its folder; references have none. */
export interface IngestFile {
  readonly id: number;
  /** Where DuckDB reads it. */
  readonly readable: string;
  /** Its path in the store, for people. */
  readonly path: string;
  readonly start?: string;
  readonly end?: string;
  /** The date of its folder. */
  readonly day?: string;
}

/** Texts of one row before typing: `whole` tells whether the row had the right shape, `c0`, `c1`… are texts by column. */
const FAULTS_BEFORE_COLUMNS = ['longer than 1 MiB', 'not UTF-8', 'not one record of the header’s fields', 'not a JSON object'] as const;
type RowFault = (typeof FAULTS_BEFORE_COLUMNS)[number];

const rowFault = (fault: RowFault): number => FAULTS_BEFORE_COLUMNS.indexOf(fault) + 1;

interface Fault {
  readonly column?: string;
  readonly detail: string;
}

/** What the numbers in `staged.fault` mean, from 1. */
function faults(shape: IngestShape): Fault[] {
  return [
    ...FAULTS_BEFORE_COLUMNS.map((detail) => ({ detail })),
    ...shape.columns.flatMap(({ name, type }) => [
      { column: name, detail: 'holds NUL' },
      { column: name, detail: 'is empty' },
      { column: name, detail: `is not a ${type}` },
    ]),
  ];
}

/** Once a session, before anything else. */
export function prepareStatements(shape: IngestShape, files: readonly IngestFile[]): string[] {
  const rows = files.map(
    ({ id, readable, path, start, end, day }) =>
      `(${id}, ${quoteText(readable)}, ${quoteText(path)}, ${instant(start)}, ${instant(end)}, ${day === undefined ? 'null' : `date ${quoteText(day)}`})`,
  );
  const typed = shape.columns.map(({ type }, index) => `t${index} ${DUCKDB_TYPES[type]}`);
  return [
    // Line numbers are positions, so order must survive.
    'set preserve_insertion_order = true',
    'create temp table file (id integer, readable varchar, path varchar, day_start timestamp, day_end timestamp, day date)',
    ...(rows.length > 0 ? [`insert into file values ${rows.join(', ')}`] : []),
    `create temp table staged (${typed.join(', ')}, reason varchar, fault smallint, file integer, line bigint, raw varchar)`,
  ];
}

/** Reads text files into `raw`; what DuckDB refuses (not UTF-8, too long) goes to its table of rejects. */
export function readLinesStatements(files: readonly IngestFile[]): string[] {
  return [
    'drop table if exists reject_errors',
    'drop table if exists reject_scans',
    `create or replace temp table raw as
select row_number() over () as n, file as readable, line
from read_csv([${files.map((file) => quoteText(literalPath(file.readable))).join(', ')}], columns = {'line': 'varchar'}, auto_detect = false, header = false,
  delim = '${NO_DELIMITER}', quote = '', escape = '', new_line = '\\n', strict_mode = false, parallel = false, filename = 'file',
  max_line_size = ${MAX_LINE_BYTES}, buffer_size = ${BUFFER_BYTES}, store_rejects = true)`,
  ];
}

/**
 * Numbers the lines of `raw` into `line (file, line, body)`, bodies without their line ends, and DuckDB's rejects into
 * `rejected (file, line, fault, raw)`. DuckDB numbers what is left after its rejects, and takes CR LF as two line ends.
 */
export function numberLinesStatements(): string[] {
  return [
    `create or replace temp table reject as
select file.id as file, e.line as position, row_number() over (partition by file.id order by e.line) as nth,
  case when e.kind = 'LINE SIZE OVER MAXIMUM' then ${rowFault('longer than 1 MiB')} when e.kind = 'INVALID ENCODING' then ${rowFault('not UTF-8')} else ${rowFault('not one record of the header’s fields')} end as fault, e.raw
from (select scan_id, file_id, line, min(cast(error_type as varchar)) as kind, left(min(csv_line), ${RAW_LENGTH}) as raw from reject_errors group by all) e
join reject_scans s using (scan_id, file_id) join file on file.readable = s.file_path`,
    `create or replace temp table numbered as
with per_file as (select readable, min(n) as first from raw group by readable),
kept as (select file.id as file, raw.n - per_file.first + 1 as nth, raw.line from raw join per_file using (readable) join file using (readable)),
-- The i-th reject at position p has p - i kept lines before it.
shift as (select file, position - nth as after, max(nth) as by from reject group by all)
select kept.file, kept.nth + coalesce(shift.by, 0) as position, kept.line as body
from kept asof left join shift on kept.file = shift.file and kept.nth > shift.after`,
    // What a CR LF ends is empty and no reject, so neither a text nor a reject stands on a line of even number.
    `create or replace temp table line_end as
select file, bool_and(body is null) filter (where position % 2 = 0) and count(*) > 1
  and not exists (from reject where reject.file = numbered.file and reject.position % 2 = 0) as crlf
from numbered group by file`,
    `create or replace temp table line as
select numbered.file, case when crlf then (position + 1) // 2 else position end as line, coalesce(body, '') as body
from numbered join line_end using (file) where not (crlf and position % 2 = 0)`,
    `create or replace temp table rejected as
select reject.file, case when coalesce(crlf, false) then (position + 1) // 2 else position end as line, fault, raw
from reject left join line_end using (file)`,
    'drop table raw',
    'drop table numbered',
  ];
}

/** First line that is not blank by file, beside the first line DuckDB refused: the header of a CSV file. */
export function headersQuery(): string {
  return `select file.id as file, (h.first).body as header, cast((h.first).line as integer) as line, (h.first).bytes > ${MAX_LINE_BYTES} as "tooLong",
  cast(r.line as integer) as rejected
from file left join (select file, min({'line': line, 'body': left(body, ${MAX_LINE_BYTES}), 'bytes': strlen(body)}) as first from line where body <> '' group by file) h on h.file = file.id
left join (select file, min(line) as line from rejected group by file) r on r.file = file.id
where h.file is not null or r.file is not null`;
}

/** `quoted`: some CSV record may hold a delimiter. `spanning`: one may span lines, since a line has an odd number of quotes. */
export function quotesQuery(): string {
  return `select coalesce(bool_or(contains(body, '"')), false) as quoted,
  coalesce(bool_or((strlen(body) - strlen(replace(body, '"', ''))) % 2 = 1), false) as spanning from line`;
}

export interface CsvQuotes {
  readonly quoted: boolean;
  readonly spanning: boolean;
}

/** CSV files that share a header. `positions` are of the shape's columns in it, from 0. */
export interface CsvGroup {
  readonly fields: number;
  readonly positions: readonly number[];
  /** File → the line its header is on. */
  readonly headerLine: Readonly<Record<number, number>>;
}

/**
 * Splits the lines of a group of CSV files. With quotes, lines are joined into records by counting them; where the result is
 * no record (a stray quote), each line stands for itself, so a quote spoils its own line and not the rest of the file.
 */
export function stageCsvStatements(shape: IngestShape, group: CsvGroup, { quoted, spanning }: CsvQuotes): string[] {
  const body = `select line.file, line.line, line.body from line join ${headerLines(group)} on line.file = header.file and line.line > header.line`;
  const tooLong = `strlen(body) > ${MAX_LINE_BYTES}`;
  const texts = shape.columns.map((_, index) => `fields[${(group.positions[index] ?? 0) + 1}] as c${index}`).join(', ');
  const verdict = `case when ${tooLong} then ${rowFault('longer than 1 MiB')} when fields is null or len(fields) <> ${group.fields} then ${rowFault('not one record of the header’s fields')} end as row_fault`;
  if (!quoted) {
    return [
      stage(
        shape,
        `select file, line, body as raw, ${verdict}, ${texts} from (select *, case when not ${tooLong} then string_split(body, ',') end as fields from (${body}) where body <> '')`,
      ),
    ];
  }
  const field = '(?:[^",]*|"(?:[^"]|"")*")';
  const isRecord = `regexp_full_match(body, '(?s)${field}(?:,${field})*')`;
  // Most quotes stand around a field and hide nothing: then they are taken away, which costs a tenth.
  const plainField = '(?:[^",]*|"[^",]*")';
  const isPlain = `regexp_full_match(body, '(?s)${plainField}(?:,${plainField})*')`;
  const split = `case when not ${tooLong} and ${isPlain} then string_split(replace(body, '"', ''), ',') when not ${tooLong} and ${isRecord} then list_transform(regexp_extract_all(concat(',', body), '(?s),("(?:[^"]|"")*"|[^",]*)', 1), lambda f: case when starts_with(f, '"') then replace(substr(f, 2, length(f) - 2), '""', '"') else f end) end as fields`;
  const staged = stage(shape, `select file, line, body as raw, ${verdict}, ${texts} from record`);
  if (!spanning)
    return [`create or replace temp table record as select file, line, body, ${split} from (${body}) where body <> ''`, staged];
  return [
    `create or replace temp table counted as
select file, line, body, sum(strlen(body) - strlen(replace(body, '"', ''))) over (partition by file order by line) as quotes,
  strlen(body) - strlen(replace(body, '"', '')) as own from (${body})`,
    // A record begins where the quotes before it are even; its number is that of the records begun so far.
    `create or replace temp table grouped as
select file, line, body, own, sum(case when (quotes - own) % 2 = 0 then 1 else 0 end) over (partition by file order by line) as record from counted`,
    `create or replace temp table joined as
select file, min(line) as line, string_agg(body, chr(10) order by line) as body, record
from grouped semi join (select file, record from grouped group by file, record having count(*) > 1 and sum(strlen(body) + 1) <= ${MAX_LINE_BYTES}) using (file, record)
group by file, record`,
    `create or replace temp table record as
with spanning as (select *, ${split} from joined),
whole as (select * from spanning where len(fields) = ${group.fields})
select file, line, body, fields from whole
union all
select file, line, body, ${split} from grouped anti join whole using (file, record) where body <> ''`,
    staged,
    'drop table counted',
    'drop table grouped',
    'drop table joined',
  ];
}

/** JSON lines of some files. Text columns take scalars only; keys may come in any order. */
export function stageJsonStatements(shape: IngestShape, files: readonly number[]): string[] {
  const pointers = `[${shape.columns.map(({ source }) => quoteText(jsonPointer(source))).join(', ')}]`;
  const texts = shape.columns.map(
    (_, index) => `case when kinds[${index + 1}] not in ('OBJECT', 'ARRAY') then texts[${index + 1}] end as c${index}`,
  );
  const nested = shape.columns.map(({ type }, index) => (type === 'text' ? `kinds[${index + 1}] in ('OBJECT', 'ARRAY')` : 'false'));
  return [
    `create or replace temp table record as
select file, line, body, case when valid then json_extract_string(body, ${pointers}) end as texts, case when valid then json_type(body, ${pointers}) end as kinds, valid
from (select *, strlen(body) <= ${MAX_LINE_BYTES} and json_valid(body) and case when json_valid(body) then json_type(body) = 'OBJECT' end as valid
  from line where file in (${files.join(', ')}) and trim(body) <> '')`,
    stage(
      shape,
      `select file, line, body as raw, case when strlen(body) > ${MAX_LINE_BYTES} then ${rowFault('longer than 1 MiB')} when not coalesce(valid, false) then ${rowFault('not a JSON object')} end as row_fault, ${texts.join(', ')}, ${nested.map((sql, index) => `${sql} as x${index}`).join(', ')} from record`,
      true,
    ),
  ];
}

/** What the JSON files of a batch hold, to refuse those without a declared column and those that are no text; run after {@link stageJsonStatements}. */
export function jsonFilesQuery(shape: IngestShape, files: readonly number[]): string {
  const present = shape.columns.map((_, index) => `coalesce(bool_or(kinds[${index + 1}] is not null), false) as p${index}`);
  return `select file.id as file, coalesce(r.objects, 0) as objects, coalesce(r.junk, false) or exists (from rejected where rejected.file = file.id and fault = ${rowFault('not UTF-8')}) as junk,
  r.* exclude (file, objects, junk)
from file left join (select file, count(*) filter (where valid) as objects, bool_or(contains(body, chr(0))) as junk, ${present.join(', ')},
  to_json(json_keys(any_value(body) filter (where valid))) as found from record group by file) r on r.file = file.id
where file.id in (${files.join(', ')})`;
}

/** One Parquet file; its columns become texts first, so all formats are judged by the same rules. */
export function stageParquetStatements(shape: IngestShape, file: IngestFile): string[] {
  const texts = shape.columns.map(({ source }, index) => `cast(${quoteName(source)} as varchar) as c${index}`);
  const raw = `to_json({${shape.columns.map(({ source }) => `${quoteText(source)}: cast(${quoteName(source)} as varchar)`).join(', ')}})`;
  const source = `select ${file.id} as file, file_row_number + 1 as line, ${raw} as raw, cast(null as integer) as row_fault, ${texts.join(', ')} from read_parquet(${quoteText(literalPath(file.readable))}, file_row_number = true, binary_as_string = true, hive_partitioning = false)`;
  return [stage(shape, source)];
}

/** Rows that came back out of quarantine, each the JSON of a row as {@link quarantineQuery} wrote it: typed again by the same rules. */
export function stageReplayStatements(shape: IngestShape, file: IngestFile): string[] {
  const texts = shape.columns.map(({ name }, index) => `json_extract_string("row", ${quoteText(jsonPointer(name))}) as c${index}`);
  const source = `select ${file.id} as file, file_row_number + 1 as line, "row" as raw, cast(null as integer) as row_fault, ${texts.join(', ')} from read_parquet(${quoteText(literalPath(file.readable))}, file_row_number = true)`;
  return [stage(shape, source)];
}

/** The columns of a Parquet file, to compare with the declared ones. */
export function describeParquetQuery(file: IngestFile): string {
  return `select column_name as name, column_type as type from (describe select * from read_parquet(${quoteText(literalPath(file.readable))}, binary_as_string = true, hive_partitioning = false))`;
}

/** Rows a Parquet file says it has. */
export function countParquetQuery(file: IngestFile): string {
  return `select num_rows as rows from parquet_file_metadata(${quoteText(literalPath(file.readable))})`;
}

/** DuckDB's rejects of the batch as quarantined rows; a header among them was looked at before. */
export function stageRejectsStatement(): string {
  return `insert into staged by name select 'malformed' as reason, fault, file, line, raw from rejected`;
}

/** Rows DuckDB's reader refused in the batch. */
export function countRejectsQuery(): string {
  return 'select count(*) as rows from rejected';
}

/** Rows of the CSV group just staged or of the batch's JSON files, counted before they are typed: `staged` must hold as many. */
export function countRecordsQuery(from: { readonly quoted: CsvGroup } | { readonly unquoted: CsvGroup } | 'json'): string {
  if (from === 'json' || 'quoted' in from) return 'select count(*) as rows from record';
  return `select count(*) as rows from line join ${headerLines(from.unquoted)} on line.file = header.file and line.line > header.line where body <> ''`;
}

function headerLines(group: CsvGroup): string {
  return `(values ${Object.entries(group.headerLine)
    .map(([file, line]) => `(${file}, ${line})`)
    .join(', ')}) as header (file, line)`;
}

/** Types the texts of `source` and inserts them with their verdict. `nested` says that `x0`… tell values of a wrong kind. */
function stage(shape: IngestShape, source: string, nested = false): string {
  const numbers = faults(shape);
  const first = FAULTS_BEFORE_COLUMNS.length;
  const typed = shape.columns.map(({ type }, index) => `${parseExpression(type, `nullif(c${index}, '')`)} as t${index}`);
  const checks = shape.columns.flatMap(({ type, required }, index) => {
    const number = first + index * 3 + 1;
    const wrong = type === 'text' ? (nested ? `x${index}` : undefined) : `coalesce(c${index}, '') <> '' and t${index} is null`;
    return [
      `when contains(c${index}, chr(0)) then ${number}`,
      ...(wrong === undefined ? [] : [`when ${wrong} then ${number + 2}`]),
      ...(required ? [`when coalesce(c${index}, '') = '' then ${number + 1}`] : []),
    ];
  });
  if (numbers.length > 32_767) throw new RangeError(`${shape.columns.length} columns are too many`);
  const event = shape.columns.findIndex(({ name }) => name === shape.eventTime);
  const day = event < 0 ? '' : ` when t${event} < day_start then 'late' when t${event} >= day_end then 'early'`;
  const values = shape.columns.map((_, index) => `t${index}`).join(', ');
  return `insert into staged by name
with source as (${source}),
typed as (select *, ${typed.join(', ')} from source),
checked as (select *, case when row_fault is not null then row_fault ${checks.join(' ')} end as fault from typed),
judged as (select checked.*, case when fault is not null then 'malformed'${day} end as reason from checked join file on file.id = checked.file)
select ${values}, reason, fault, file, line, case when reason is not null then left(cast(raw as varchar), ${RAW_LENGTH}) end as raw from judged`;
}

/** The accepted rows under their declared names. */
export function acceptedView(shape: IngestShape): string {
  const values = namedValues(shape);
  if (shape.folderDate === undefined) return `create temp view accepted as select ${values} from staged where reason is null`;
  return `create temp view accepted as select ${values}, file.day as ${quoteName(shape.folderDate)} from staged join file on file.id = staged.file where reason is null`;
}

/**
 * The quarantined rows: reason, the column at fault and what is wrong with it, file, line, text; for `early` and `late`
 * rows also their instant and, as JSON, the typed row, which a replay adds to the window it belongs to.
 */
export function quarantineQuery(shape: IngestShape): string {
  const numbers = faults(shape);
  const pick = (values: readonly string[]) => `[${values.join(', ')}][fault]`;
  const event = shape.columns.findIndex(({ name }) => name === shape.eventTime);
  const values = shape.columns.map(({ name }, index) => `${quoteText(name)}: t${index}`).join(', ');
  return `select reason, ${pick(numbers.map(({ column }) => (column === undefined ? 'null::varchar' : quoteText(column))))} as column_name,
  ${pick(numbers.map(({ detail }) => quoteText(detail)))} as detail, file.path as file, line, raw,
  ${event < 0 ? 'cast(null as timestamp)' : `case when reason <> 'malformed' then t${event} end`} as event_time,
  case when reason <> 'malformed' then cast(to_json({${values}}) as varchar) end as row
from staged join file on file.id = staged.file where reason is not null order by file.path, line`;
}

/** Rows by verdict, `reason` NULL for accepted. */
export function countReasonsQuery(): string {
  return 'select reason, count(*) as rows from staged group by reason order by reason nulls first';
}

/** Values of the key that more than one accepted row has, as JSON texts. */
export function duplicatesQuery(key: readonly string[]): string {
  const columns = key.map(quoteName).join(', ');
  const shown = key.length === 1 ? `cast(${columns} as varchar)` : `cast(to_json(row(${columns})) as varchar)`;
  return `select ${shown} as id, count(*) as times from accepted group by ${columns} having count(*) > 1 order by ${columns}`;
}

function namedValues(shape: IngestShape): string {
  return shape.columns.map(({ name }, index) => `t${index} as ${quoteName(name)}`).join(', ');
}

function jsonPointer(name: string): string {
  return `/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;
}

/** DuckDB takes paths for patterns; a class of one character stands for itself. */
function literalPath(readable: string): string {
  return readable.replace(/[*?[]/g, '[$&]');
}

function instant(iso: string | undefined): string {
  return iso === undefined ? 'null' : `timestamp ${quoteText(iso.replace('T', ' ').replace('Z', ''))}`;
}
