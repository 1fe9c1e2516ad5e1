import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import type { AudienceEvent } from './audience-reference';
import { testDuckDb, type TestDuckDb } from './duckdb';
import { Random } from './random';
import type { LandedDay, LandedSource, RandomLanding } from './random-landing';

type Format = 'csv' | 'csv.gz' | 'csv.zst' | 'jsonl' | 'jsonl.gz' | 'jsonl.zst' | 'parquet';

const FORMATS: readonly Format[] = ['csv', 'csv.gz', 'csv.zst', 'jsonl', 'jsonl.gz', 'jsonl.zst', 'parquet'];
const SOURCES = [
  { source: 'segment-adds', id: 'segment_id', rows: (day: LandedDay) => day.adds },
  { source: 'pixel-fires', id: 'pixel_id', rows: (day: LandedDay) => day.fires },
] as const;

/** A row as a text file holds it. */
interface TextRow {
  readonly user: string;
  readonly id: string;
  readonly ts: string | number;
}

/**
 * Writes random landing data and its references under the root of an object store, as delivery would: each source and day
 * in one or two files of any format that ingest reads, instants written in any of the ways it understands. The same
 * landing gives the same rows in the same files. Idle days get a file without rows.
 */
export async function writeLanding(landing: RandomLanding, root: string): Promise<void> {
  const random = new Random(landing.seed ^ 0x5eed);
  using duckdb = await testDuckDb();
  for (const day of landing.days) {
    for (const { source, id, rows } of SOURCES) {
      const folder = path.join(root, 'landing', source, `dt=${day.date}`);
      mkdirSync(folder, { recursive: true });
      const parts = parted(random, rows(day));
      for (const [n, part] of parts.entries()) await writePart(duckdb, random, path.join(folder, `part-${n}`), id, part);
    }
  }
  writeReferences(landing, root);
}

/** Writes both references, for instance again after they were changed. */
function writeReferences({ segments, pixels }: Pick<RandomLanding, 'segments' | 'pixels'>, root: string): void {
  mkdirSync(path.join(root, 'reference'), { recursive: true });
  const csv = (header: string, names: ReadonlyMap<number, readonly [string, string]>): string =>
    `${[header, ...[...names].map(([id, [name, group]]) => `${id},${quoted(name)},${quoted(group)}`)].join('\n')}\n`;
  writeFileSync(path.join(root, 'reference/segments.csv'), csv('segment_id,segment_name,segment_group', segments));
  writeFileSync(path.join(root, 'reference/pixels.csv'), csv('pixel_id,pixel_name,advertiser', pixels));
}

interface Part {
  readonly events: readonly AudienceEvent[];
  readonly malformed: number;
}

/** Malformed rows stand in a file of their own when the other is Parquet, whose columns are typed. */
function parted(random: Random, { accepted, outside, malformed }: LandedSource): Part[] {
  const events = random.shuffled([...accepted, ...outside]);
  if (events.length < 2 || random.chance(0.6)) return [{ events, malformed }];
  const cut = 1 + random.below(events.length - 1);
  return [
    { events: events.slice(0, cut), malformed: 0 },
    { events: events.slice(cut), malformed },
  ];
}

async function writePart(duckdb: TestDuckDb, random: Random, file: string, id: string, part: Part): Promise<void> {
  const format = random.pick(part.malformed > 0 ? FORMATS.filter((one) => one !== 'parquet') : FORMATS);
  const target = `${file}.${format}`;
  if (format === 'parquet') return writeParquet(duckdb, target, id, part.events);
  const rows = [
    ...part.events.map(({ user, id: value, at }): TextRow => ({
      user,
      id: String(value),
      ts: written(random, at, format.startsWith('jsonl')),
    })),
    ...Array.from({ length: part.malformed }, () => malformedRow(random)),
  ];
  const text = format.startsWith('csv') ? csvText(id, random.shuffled(rows)) : jsonText(id, random.shuffled(rows));
  if (format.endsWith('.gz')) writeFileSync(target, gzipSync(text));
  else if (format.endsWith('.zst')) await writeZstd(duckdb, target, text);
  else writeFileSync(target, text);
}

function csvText(id: string, rows: readonly TextRow[]): string {
  return `user_id,${id},ts\n${rows.map(({ user, id: value, ts }) => `${quoted(user)},${quoted(value)},${ts}\n`).join('')}`;
}

function jsonText(id: string, rows: readonly TextRow[]): string {
  return rows
    .map(
      ({ user, id: value, ts }) =>
        `{"${id}": ${/^\d+$/.test(value) ? value : JSON.stringify(value)}, "user_id": ${JSON.stringify(user)}, "ts": ${JSON.stringify(ts)}}\n`,
    )
    .join('');
}

async function writeParquet(duckdb: TestDuckDb, target: string, id: string, events: readonly AudienceEvent[]): Promise<void> {
  await duckdb.connection.run(`create or replace temp table part (user_id varchar, ${id} bigint, ts timestamp)`);
  const tuples = events.map(({ user, id: value, at }) => `(${literal(user)}, ${value}, make_timestamp(${at}))`);
  if (tuples.length > 0) await duckdb.connection.run(`insert into part values ${tuples.join(', ')}`);
  await duckdb.connection.run(`copy part to ${literal(target)} (format parquet)`);
}

/** Node 20 has no zstd; DuckDB writes the text as one column of unquoted lines. */
async function writeZstd(duckdb: TestDuckDb, target: string, text: string): Promise<void> {
  const lines = text.split('\n').slice(0, -1);
  await duckdb.connection.run('create or replace temp table part (n integer, line varchar)');
  if (lines.length > 0)
    await duckdb.connection.run(`insert into part values ${lines.map((line, n) => `(${n}, ${literal(line)})`).join(', ')}`);
  await duckdb.connection.run(
    `copy (select line from part order by n) to ${literal(target)} (format csv, header false, quote '', escape '', delimiter '\x01', compression zstd)`,
  );
}

/** An instant as exports write it: with and without zone, with T or blank, as epoch seconds. */
function written(random: Random, at: number, json: boolean): string | number {
  const iso = `${new Date(Math.floor(at / 1000)).toISOString().slice(0, -1)}${String(at % 1000).padStart(3, '0')}`;
  const whole = at % 1_000_000 === 0;
  const shifted = new Date(Math.floor(at / 1000) + 5.5 * 3_600_000).toISOString().slice(0, 19);
  return random.pick<string | number>([
    `${iso}Z`,
    iso,
    iso.replace('T', ' '),
    ...(whole ? [`${iso.slice(0, 19)}Z`, `${shifted}+05:30`, json ? at / 1_000_000 : String(at / 1_000_000)] : []),
  ]);
}

function malformedRow(random: Random): TextRow {
  const ts = '2026-02-01T00:00:00Z';
  return random.pick<TextRow>([
    { user: 'u', id: 'twelve', ts },
    { user: 'u', id: '1.5', ts },
    { user: 'u', id: '99999999999999999999', ts },
    { user: 'u', id: '101', ts: 'yesterday' },
    { user: 'u', id: '101', ts: '2026-02-30T00:00:00Z' },
    { user: '', id: '101', ts },
    { user: 'u', id: '', ts },
  ]);
}

function quoted(text: string): string {
  return /[",\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
