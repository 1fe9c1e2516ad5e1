import { AlmanacError } from '../../pipelines/failures';
import * as sql from '../../pipelines/ingest-sql';
import type { CsvGroup, CsvQuotes, IngestFile, IngestShape } from '../../pipelines/ingest-sql';
import { csvHeader } from '../../pipelines/landing-format';
import type { StageContext } from '../stage';
import type { EngineSession } from './engine';
import { retryCommand, unreadable, type SeenFile } from './landing';

/** Bytes of files, as they lie, whose lines are held at a time; lines beyond the memory limit spill. */
const BATCH_BYTES = 32 * 2 ** 20;
const BATCH_FILES = 200;
/** Columns a message names, and characters of each. */
const SHOWN_COLUMNS = 20;
const SHOWN_LENGTH = 60;
/** Columns the details of a failure list. */
const FOUND_COLUMNS = 100;

type ReadFile = IngestFile & SeenFile;
type ParseContext = Pick<StageContext, 'store' | 'clock' | 'run' | 'plan' | 'stage' | 'window' | 'bootstrap' | 'signal' | 'log'>;

/**
 * Fills the session's `staged` table with every row of the files, judged; returns how many rows there are, counted
 * before they were typed. Throws `landing.unreadable` and `landing.columns`.
 */
export async function parseFiles(
  context: ParseContext,
  session: EngineSession,
  shape: IngestShape,
  files: readonly ReadFile[],
): Promise<number> {
  for (const statement of sql.prepareStatements(shape, files)) await session.exec(statement);
  let rows = 0;
  for (const batch of batches(files)) {
    context.signal.throwIfAborted();
    rows += await readBatch(context, session, shape, batch);
  }
  return rows;
}

async function readBatch(context: ParseContext, session: EngineSession, shape: IngestShape, batch: readonly ReadFile[]): Promise<number> {
  const [first] = batch;
  if (!first) return 0;
  if (first.format.kind === 'parquet') return readParquet(context, session, shape, first);
  await readLines(context, session, batch);
  for (const statement of sql.numberLinesStatements()) await session.exec(statement);
  const rows =
    first.format.kind === 'csv' ? await stageCsv(context, session, shape, batch) : await stageJson(context, session, shape, batch);
  await session.exec(sql.stageRejectsStatement());
  return rows + (await count(session, sql.countRejectsQuery()));
}

/** Of a batch that fails, DuckDB does not always say which file it was, so each is then tried on its own. */
async function readLines(context: ParseContext, session: EngineSession, batch: readonly ReadFile[]): Promise<void> {
  try {
    for (const statement of sql.readLinesStatements(batch)) await session.exec(statement);
  } catch (error) {
    if (!isStatementError(error)) throw error;
    const [only, ...others] = batch;
    if (only && others.length === 0) throw unreadable(context, only.path, reasonOf(error), error);
    for (const file of batch) await readLines(context, session, [file]);
    throw error;
  }
}

async function stageCsv(context: ParseContext, session: EngineSession, shape: IngestShape, batch: readonly ReadFile[]): Promise<number> {
  const [quotes = { quoted: false, spanning: false }] = await session.rows<CsvQuotes & Record<string, unknown>>(sql.quotesQuery());
  const groups =
    context.stage.spec.kind === 'ingest' && context.stage.spec.header === false
      ? [headless(shape, batch)]
      : await groupsByHeader(context, session, shape, batch);
  let rows = 0;
  for (const group of groups) {
    for (const statement of sql.stageCsvStatements(shape, group, quotes)) await session.exec(statement);
    rows += await count(session, sql.countRecordsQuery(quotes.quoted ? { quoted: group } : { unquoted: group }));
  }
  return rows;
}

/** Files whose first line is a record already. */
function headless({ columns }: IngestShape, batch: readonly ReadFile[]): CsvGroup {
  return {
    fields: columns.length,
    positions: columns.map((_, index) => index),
    headerLine: Object.fromEntries(batch.map(({ id }) => [id, 0])),
  };
}

async function groupsByHeader(
  context: ParseContext,
  session: EngineSession,
  shape: IngestShape,
  batch: readonly ReadFile[],
): Promise<CsvGroup[]> {
  const found = await session.rows<{
    file: number;
    header: string | null;
    line: number | null;
    tooLong: boolean | null;
    rejected: number | null;
  }>(sql.headersQuery(), batch.length);
  const groups = new Map<string, Omit<CsvGroup, 'headerLine'> & { readonly headerLine: Record<number, number> }>();
  for (const { file: id, header, line, tooLong, rejected } of found) {
    const file = batch.find((one) => one.id === id);
    if (!file) throw new Error(`rows of file ${id}, which is not in the batch`);
    if (header === null || line === null || tooLong || (rejected !== null && rejected < line))
      throw unreadable(context, file.path, 'its first line is not UTF-8 text of at most 1 MiB');
    if (header.includes('\0')) throw unreadable(context, file.path, 'its first line holds NUL, so it is no text file');
    const group = groups.get(header);
    if (group) group.headerLine[id] = line;
    else groups.set(header, { ...csvColumns(context, shape, file, header), headerLine: { [id]: line } });
  }
  const blank = batch.find(({ id }) => found.every(({ file }) => file !== id));
  if (blank) throw unreadable(context, blank.path, 'it has no header; an upload that failed?');
  return [...groups.values()];
}

function csvColumns(context: ParseContext, shape: IngestShape, file: ReadFile, header: string): Pick<CsvGroup, 'fields' | 'positions'> {
  const names = csvHeader(header);
  if (!names) throw columnsError(context, file, 'the quotes of its header do not match', []);
  compareColumns(context, shape, file, names);
  return { fields: names.length, positions: shape.columns.map(({ source }) => names.indexOf(source)) };
}

async function stageJson(context: ParseContext, session: EngineSession, shape: IngestShape, batch: readonly ReadFile[]): Promise<number> {
  const ids = batch.map(({ id }) => id);
  const heads = await session.rows<{ file: number; header: string | null }>(sql.headersQuery(), batch.length);
  for (const { file: id, header } of heads) {
    const file = batch.find((one) => one.id === id);
    if (file && header !== null && /^\s*\[\s*(\{|$)/.test(header))
      throw unreadable(context, file.path, 'it holds one JSON array; what is wanted is JSON lines, one object a line');
  }
  for (const statement of sql.stageJsonStatements(shape, ids)) await session.exec(statement);
  const rows = await count(session, sql.countRecordsQuery('json'));
  const held = await session.rows<Record<string, unknown>>(sql.jsonFilesQuery(shape, ids), batch.length);
  for (const row of held) {
    const file = batch.find(({ id }) => id === row['file']);
    if (!file) continue;
    const objects = Number(row['objects']);
    if (objects === 0 && row['junk'] === true) throw unreadable(context, file.path, 'it holds no JSON object, and bytes that are no text');
    const keys = typeof row['found'] === 'string' ? (JSON.parse(row['found']) as string[]) : [];
    const present = shape.columns.filter((_, index) => row[`p${index}`] === true).map(({ source }) => source);
    if (objects > 0)
      compareColumns(context, shape, file, [
        ...new Set([...present, ...keys.filter((key) => shape.columns.every(({ name }) => name !== key))]),
      ]);
  }
  return rows;
}

async function readParquet(context: ParseContext, session: EngineSession, shape: IngestShape, file: ReadFile): Promise<number> {
  try {
    if (file.replay === true) {
      for (const statement of sql.stageReplayStatements(shape, file)) await session.exec(statement);
      return await count(session, sql.countParquetQuery(file));
    }
    const columns = await session.rows<{ name: string; type: string }>(sql.describeParquetQuery(file));
    compareColumns(
      context,
      shape,
      file,
      columns.map(({ name }) => name),
    );
    for (const { name, type } of columns) {
      const nested = /^(STRUCT|MAP|UNION)|\[\d*\]$/.test(type);
      if (nested && shape.columns.some(({ source }) => source === name))
        throw columnsError(context, file, `its column ${name} is a ${type}, not a single value`, []);
    }
    for (const statement of sql.stageParquetStatements(shape, file)) await session.exec(statement);
    return await count(session, sql.countParquetQuery(file));
  } catch (error) {
    if (!isStatementError(error)) throw error;
    throw unreadable(context, file.path, reasonOf(error), error);
  }
}

/** Throws `landing.columns` for declared columns that are not there, or there twice; logs those nobody asked for. */
function compareColumns(context: ParseContext, shape: IngestShape, file: ReadFile, found: readonly string[]): void {
  const declared = shape.columns.map(({ source }) => source);
  const missing = declared.filter((name) => !found.includes(name));
  if (missing.length > 0)
    throw columnsError(context, file, `it has no column ${listed(missing)}; it has ${listed(found) || 'none'}`, missing, found);
  const twice = declared.filter((name) => found.indexOf(name) !== found.lastIndexOf(name));
  if (twice.length > 0) throw columnsError(context, file, `it has the column ${listed(twice)} more than once`, [], found);
  const extra = found.filter((name) => !declared.includes(name));
  if (extra.length > 0) context.log(`${file.path}: ignored the columns ${listed(extra)}, which ${context.stage.id} does not declare`);
}

function columnsError(
  context: ParseContext,
  file: ReadFile,
  why: string,
  missing: readonly string[],
  found: readonly string[] = [],
): AlmanacError {
  return new AlmanacError('landing.columns', `The file ${file.path} does not fit stage ${context.stage.id}: ${why}.`, {
    next: `Correct the columns of ${context.store.place(file.path)}, or those the dataset declares; then: ${retryCommand(context)}`,
    details: { file: file.path, stage: context.stage.id, missing, found: found.slice(0, FOUND_COLUMNS), columns: found.length },
  });
}

/** Names for a sentence: a file of the wrong kind may have thousands. */
function listed(names: readonly string[]): string {
  const shown = names.slice(0, SHOWN_COLUMNS).map((name) => (name.length > SHOWN_LENGTH ? `${name.slice(0, SHOWN_LENGTH)}…` : name));
  return `${shown.join(', ')}${names.length > SHOWN_COLUMNS ? ` and ${names.length - SHOWN_COLUMNS} more` : ''}`;
}

/** Files that are read together: of one kind, Parquet files one by one. */
function batches(files: readonly ReadFile[]): ReadFile[][] {
  const made: ReadFile[][] = [];
  for (const kind of ['csv', 'json', 'parquet'] as const) {
    let bytes = Infinity;
    for (const file of files.filter(({ format }) => format.kind === kind)) {
      const current = made.at(-1);
      if (!current || kind === 'parquet' || bytes + file.bytes > BATCH_BYTES || current.length >= BATCH_FILES) {
        made.push([file]);
        bytes = file.bytes;
      } else {
        current.push(file);
        bytes += file.bytes;
      }
    }
  }
  return made;
}

async function count(session: EngineSession, query: string): Promise<number> {
  const [row] = await session.rows<{ rows: string }>(query);
  return Number(row?.rows);
}

function isStatementError(error: unknown): error is AlmanacError {
  return error instanceof AlmanacError && error.code === 'engine.sql';
}

function reasonOf(error: AlmanacError): string {
  return (error.message.split('\n', 1)[0] ?? '').replace(/\.$/, '');
}
