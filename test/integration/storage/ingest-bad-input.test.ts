import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createWriteStream, rmSync, symlinkSync, truncateSync, utimesSync, statSync } from 'node:fs';
import { once } from 'node:events';
import { gzipSync } from 'node:zlib';
import { EVENTS, IngestBench, LIMITS } from '../../support/ingest';
import { storedZstd, zstd } from '../../support/zstd';
import type { DatasetSpec } from '../../../pipelines/types';

let bench: IngestBench;
beforeAll(() => {
  bench = new IngestBench();
});
afterEach(() => bench.clear());
afterAll(() => bench.close());

const FOLDER = 'landing/events/dt=2026-03-10';
const ROWS = `user_id,segment_id,ts\n${Array.from({ length: 20_000 }, (_, n) => `user-${n},${n},2026-03-10\n`).join('')}`;

describe('missing input', () => {
  test('a missing folder names itself and the command that goes on', async () => {
    const failure = await bench.failure();
    expect(failure).toMatchObject({ code: 'landing.missing', class: 'data', details: { folder: `${FOLDER}/` } });
    expect(failure.message).toContain(FOLDER);
    expect(failure.next).toContain(bench.file(FOLDER));
    expect(failure.next).toContain('almanac retry test/2026-03-10 --stage events');
  });

  test('a folder with bookkeeping only is missing its data', async () => {
    bench.land('_SUCCESS', '');
    expect(await bench.failure()).toMatchObject({ code: 'landing.missing' });
  });

  test('a bootstrap misses its own day too', async () => {
    bench.land('a.csv', ROWS, '2026-03-09');
    expect(await bench.failure({ bootstrap: true })).toMatchObject({ code: 'landing.missing' });
  });

  test.each([
    [{ marker: '_SUCCESS' }, /marker _SUCCESS/],
    [{ files: 2 }, /holds 1 of the 2 files/],
    [{ quietMinutes: 10 }, /less than 10 minutes ago/],
  ])('a window that is not ready as %j waits', async (ready, message) => {
    const file = bench.land('a.csv', ROWS);
    const spec = { landing: 'events', ready };
    const now = statSync(file).mtime;
    const failure = await bench.failure({ spec, now });
    expect(failure).toMatchObject({ code: 'landing.missing' });
    expect(failure.message).toMatch(message);
    bench.land('b.csv', ROWS);
    bench.land('_SUCCESS', '');
    for (const name of ['a.csv', 'b.csv']) utimesSync(bench.file(`${FOLDER}/${name}`), now, new Date(now.getTime() - 600_000));
    const { output } = await bench.ingest({ spec, now });
    expect(output.rowsIn).toBe(40_000);
  });

  test('a missing reference names its place', async () => {
    const failure = await bench.failure({ spec: { reference: 'segments.csv' } });
    expect(failure).toMatchObject({ code: 'reference.missing', class: 'data' });
    expect(failure.next).toContain(bench.file('reference/segments.csv'));
  });
});

describe('files that cannot be read', () => {
  let compressed: Buffer;
  beforeAll(async () => {
    compressed = await zstd(ROWS);
  });
  const cut = (body: Buffer, bytes: number): Buffer => body.subarray(0, body.length - bytes);
  const flipped = (body: Buffer): Buffer => {
    const changed = Buffer.from(body);
    const middle = changed.length >> 1;
    changed[middle] = (changed[middle] ?? 0) ^ 0xff;
    return changed;
  };
  test.each<[string, string, () => Buffer]>([
    ['gzip cut in half', 'a.csv.gz', () => cut(gzipSync(ROWS), gzipSync(ROWS).length >> 1)],
    ['gzip without its last bytes', 'a.csv.gz', () => cut(gzipSync(ROWS), 3)],
    ['gzip with a wrong byte', 'a.csv.gz', () => flipped(gzipSync(ROWS))],
    ['gzip of no bytes', 'a.json.gz', () => Buffer.alloc(0)],
    ['zstd cut in half', 'a.csv.zst', () => cut(compressed, compressed.length >> 1)],
    ['zstd without its last bytes', 'a.csv.zst', () => cut(compressed, 3)],
    ['zstd without its checksum', 'a.csv.zst', () => storedZstd(Buffer.from(ROWS), { checksum: Buffer.alloc(2) })],
    [
      'zstd with wrong bytes',
      'a.csv.zst',
      () => Buffer.from(compressed).fill(0xff, compressed.length >> 1, (compressed.length >> 1) + 1000),
    ],
    ['zstd followed by junk', 'a.csv.zst', () => Buffer.concat([compressed, Buffer.from('junk')])],
    ['junk for CSV', 'a.csv', () => randomBytes(50_000)],
    ['junk for CSV in gzip', 'a.csv.gz', () => gzipSync(randomBytes(50_000))],
    ['junk for gzip', 'a.csv.gz', () => randomBytes(50_000)],
    ['junk for zstd', 'a.csv.zst', () => randomBytes(50_000)],
    ['junk for JSON lines', 'a.json', () => randomBytes(50_000)],
    ['junk for Parquet', 'a.parquet', () => randomBytes(50_000)],
    ['nothing for Parquet', 'a.parquet', () => Buffer.alloc(0)],
    ['nothing where a header must be', 'a.csv', () => Buffer.alloc(0)],
    ['gzip of nothing where a header must be', 'a.csv.gz', () => gzipSync('')],
    ['blank lines where a header must be', 'a.csv', () => Buffer.from('\n\n')],
    ['UTF-16', 'a.csv', () => Buffer.from(`\uFEFF${ROWS}`, 'utf16le')],
    ['a JSON array', 'a.json', () => Buffer.from('[\n{"user_id":"u","segment_id":1,"ts":1}\n]\n')],
    ['an unknown ending', 'a.xlsx', () => Buffer.from(ROWS)],
    ['Parquet in gzip', 'a.parquet.gz', () => gzipSync(ROWS)],
  ])('%s is refused by name, and nothing is written', async (_what, name, body) => {
    bench.land('0.csv', ROWS);
    bench.land(name, body());
    const failure = await bench.failure();
    expect(failure).toMatchObject({ code: 'landing.unreadable', class: 'data', details: { file: `${FOLDER}/${name}` } });
    expect(failure.message).toContain(`${FOLDER}/${name}`);
    expect(failure.message).not.toContain('\n');
    expect(failure.next).toContain('almanac retry test/2026-03-10 --stage events');
    expect(await bench.store.list('datasets')).toEqual([]);
  });

  test('a lone file of no bytes is a failed upload, not an idle day, and says so', async () => {
    bench.land('a.csv', '');
    const failure = await bench.failure();
    expect(failure).toMatchObject({
      code: 'landing.unreadable',
      message: expect.stringContaining('has no header; an upload that failed?'),
    });
    bench.clear();
    bench.land('a.json', '');
    expect((await bench.ingest()).output.rowsIn).toBe(0);
  });

  test('a Parquet file cut anywhere is refused', async () => {
    const file = bench.land('a.parquet', '');
    await bench.exec(
      `copy (select 'u' || range as user_id, range as segment_id, timestamp '2026-03-10' as ts from range(20000)) to '${file}' (format parquet)`,
    );
    truncateSync(file, statSync(file).size - 10);
    expect(await bench.failure()).toMatchObject({ code: 'landing.unreadable', details: { file: `${FOLDER}/a.parquet` } });
  });

  test('a file that may not be read is told so', async () => {
    bench.land('a.csv', ROWS);
    const denied = Object.assign(new Error('EACCES: permission denied'), { code: 'EACCES' });
    const failure = await bench.failure({ store: { ...bench.store, read: () => Promise.reject(denied) } });
    expect(failure).toMatchObject({ code: 'landing.unreadable', details: { file: `${FOLDER}/a.csv` } });
  });

  test('a cancel while a file is fetched stops it with the reason of the cancel', async () => {
    bench.land('a.csv', 'x');
    const controller = new AbortController();
    const reason = new Error('cancelled by an operator');
    const store = {
      ...bench.store,
      read: (_path: string, signal?: AbortSignal) =>
        new Promise<never>((_, reject) => {
          signal?.addEventListener('abort', () => reject(reason), { once: true });
          controller.abort(reason);
        }),
    };
    await expect(bench.ingest({ store, signal: controller.signal })).rejects.toBe(reason);
  });

  test('a cancel while a big file is hashed stops it with the reason of the cancel', async () => {
    truncateSync(bench.land('a.csv', ''), 20e9);
    const controller = new AbortController();
    const reason = new Error('cancelled by an operator');
    const store = {
      ...bench.store,
      read: async (path: string) => {
        const stream = await bench.store.read(path);
        stream.once('readable', () => controller.abort(reason));
        return stream;
      },
    };
    await expect(bench.ingest({ store, signal: controller.signal })).rejects.toBe(reason);
  });

  test('a link out of the data root is refused', async () => {
    bench.land('a.csv', ROWS);
    symlinkSync('/etc/hostname', bench.file(`${FOLDER}/b.csv`));
    expect(await bench.failure()).toMatchObject({ code: 'store.path' });
  });

  const IRREGULAR: readonly [string, (file: string) => void][] = [
    ['a link to nothing', (file) => symlinkSync(`${file}.not-there`, file)],
    ['a link to itself', (file) => symlinkSync(file, file)],
    ['a pipe', (file) => void execFileSync('mkfifo', [file])],
  ];
  test.each(IRREGULAR)('%s beside a good file is refused by name, not left out', async (_what, make) => {
    bench.land('a.csv', ROWS);
    make(bench.file(`${FOLDER}/b.csv`));
    expect(await bench.failure()).toMatchObject({ code: 'landing.unreadable', details: { file: `${FOLDER}/b.csv` } });
    expect(await bench.failure({ bootstrap: true })).toMatchObject({ code: 'landing.unreadable', details: { file: `${FOLDER}/b.csv` } });
  });

  test.each(IRREGULAR)('%s alone is refused too; one with a hidden name is nobody’s data', async (_what, make) => {
    bench.land('_SUCCESS', '');
    make(bench.file(`${FOLDER}/.b.csv`));
    expect(await bench.failure()).toMatchObject({ code: 'landing.missing' });
    make(bench.file(`${FOLDER}/b.csv`));
    expect(await bench.failure()).toMatchObject({ code: 'landing.unreadable' });
  });

  test('a bootstrap refuses a day whose folder is a link to nothing', async () => {
    bench.land('a.csv', ROWS);
    symlinkSync('/not/there', bench.file('landing/events/dt=2026-03-09'));
    expect(await bench.failure({ bootstrap: true })).toMatchObject({
      code: 'landing.unreadable',
      details: { file: 'landing/events/dt=2026-03-09' },
    });
  });

  test('a reference that is a link to nothing is told so', async () => {
    bench.put('reference/other.csv', 'a\n');
    symlinkSync('/not/there', bench.file('reference/segments.csv'));
    expect(await bench.failure({ spec: { reference: 'segments.csv' } })).toMatchObject({ code: 'landing.unreadable' });
  });

  test('a file that changes while it is read is read again, not half', async () => {
    const file = bench.land('a.csv', ROWS);
    const failure = await bench.failure({
      point: (name) => {
        if (name === 'ingest.listed') utimesSync(file, new Date(), new Date(0));
        return Promise.resolve();
      },
    });
    expect(failure).toMatchObject({ code: 'landing.changed', class: 'platform' });
    expect((await bench.ingest()).output.rowsIn).toBe(20_000);
  });
});

describe('columns', () => {
  test.each([
    ['a.csv', 'user_id,segment,ts\nu,1,2026-03-10\n'],
    ['a.csv', 'user_id;segment_id;ts\nu;1;2026-03-10\n'],
    ['a.csv', 'u,1,2026-03-10\nu,2,2026-03-10\n'],
    ['a.json', '{"user_id":"u","segment":1,"ts":1}\n{"user_id":"u","ts":1}\n'],
  ])('%s without a declared column is refused: %j', async (name, body) => {
    bench.land('0.csv', ROWS);
    bench.land(name, body);
    const failure = await bench.failure();
    expect(failure).toMatchObject({ code: 'landing.columns', class: 'data', details: { file: `${FOLDER}/${name}` } });
    expect(failure.message).toContain('segment_id');
    expect(failure.message).toContain(`${FOLDER}/${name}`);
  });

  test('Parquet without a declared column, or with a nested one, is refused', async () => {
    const file = bench.land('a.parquet', '');
    await bench.exec(`copy (select 'u' as user_id, 1 as segment, timestamp '2026-03-10' as ts) to '${file}' (format parquet)`);
    expect((await bench.failure()).message).toMatch(/no column segment_id; it has user_id, segment, ts/);
    await bench.exec(`copy (select {'a': 'u'} as user_id, 1 as segment_id, timestamp '2026-03-10' as ts) to '${file}' (format parquet)`);
    expect(await bench.failure()).toMatchObject({ code: 'landing.columns' });
  });

  test('a column twice is refused, a wrong type is quarantined row by row', async () => {
    bench.land('a.csv', 'user_id,segment_id,ts,ts\nu,1,2026-03-10,2026-03-10\n');
    expect((await bench.failure()).message).toContain('ts more than once');
    bench.clear();
    const file = bench.land('a.parquet', '');
    await bench.exec(`copy (select 'u' as user_id, 'x' || range as segment_id, true as ts from range(3)) to '${file}' (format parquet)`);
    const { quarantined } = await bench.ingest();
    expect(quarantined.map((row) => [row['line'], row['column_name']])).toEqual([
      ['1', 'segment_id'],
      ['2', 'segment_id'],
      ['3', 'segment_id'],
    ]);
  });
});

test('of thousands of columns a message names the first ones', async () => {
  const header = Array.from({ length: 6000 }, (_, n) => `column_${n}`).join(',');
  bench.land('a.csv', `${header}\n`);
  const failure = await bench.failure();
  expect(failure).toMatchObject({ code: 'landing.columns', details: { columns: 6000 } });
  expect(failure.message).toContain('it has column_0, column_1, ');
  expect(failure.message).toContain('column_19 and 5980 more');
  expect(failure.message.length).toBeLessThan(1000);
  expect(failure.details['found']).toHaveLength(100);
});

describe('references', () => {
  const dataset: DatasetSpec = { columns: { segment_id: 'bigint', segment_name: 'text' }, key: ['segment_id'] };
  const spec = { reference: 'segments.csv' };

  test('are read by content: the same content has the same digest in another window', async () => {
    bench.put('reference/segments.csv', 'segment_id,segment_name\n1,one\n2,two\n');
    const first = await bench.ingest({ dataset, spec });
    const second = await bench.ingest({ dataset, spec, window: '2026-03-11' });
    expect(second.output.adopted).toBeUndefined();
    expect(second.manifest).toMatchObject({ digest: first.manifest.digest, window: '2026-03-11', minKey: ['1'], maxKey: ['2'] });
  });

  test('with one id twice are refused, naming the ids', async () => {
    bench.put('reference/segments.csv', 'segment_id,segment_name\n1,one\n2,two\n 2,other\n3,three\n3,three\n');
    const failure = await bench.failure({ dataset, spec });
    expect(failure).toMatchObject({
      code: 'reference.duplicate',
      class: 'data',
      details: { ids: ['2', '3'], file: 'reference/segments.csv' },
    });
    expect(failure.message).toContain('segment_id 2, 3');
    expect(await bench.store.list('datasets')).toEqual([]);
  });
});

describe('lines of 100 MB', () => {
  const LENGTH = 100_000_000;

  async function landLong(name: string, before: string, after: string): Promise<void> {
    const out = createWriteStream(bench.land(name, ''));
    const chunk = Buffer.alloc(1_000_000, 'x');
    out.write(before);
    for (let written = 0; written < LENGTH; written += chunk.length) if (!out.write(chunk)) await once(out, 'drain');
    out.end(after);
    await once(out, 'close');
  }

  test.each([
    ['a.csv', 'user_id,segment_id,ts\nfirst,1,2026-03-10\n', '\nlast,2,2026-03-10\n'],
    ['a.csv', 'user_id,segment_id,ts\nfirst,1,2026-03-10\n"', '",1,2026-03-10\nlast,2,2026-03-10\n'],
    [
      'a.json',
      '{"user_id":"first","segment_id":1,"ts":1773101289}\n{"user_id":"',
      '"}\n{"user_id":"last","segment_id":1,"ts":1773101289}\n',
    ],
  ])('are put aside in bounded memory: %s', async (name, before, after) => {
    await landLong(name, before, after);
    const { accepted, quarantined, output } = await bench.ingest();
    expect(accepted.map((row) => row['user_id'])).toEqual(['first', 'last']);
    expect(quarantined).toMatchObject([{ reason: 'malformed', detail: 'longer than 1 MiB', file: `${FOLDER}/${name}` }]);
    expect(String(quarantined[0]?.['raw']).length).toBeLessThanOrEqual(4096);
    expect(output.rowsIn).toBe(3);
    expect(output.peakMemoryBytes).toBeLessThan(LIMITS.memoryBytes);
    rmSync(bench.file(`${FOLDER}/${name}`));
  });

  test.each([['\nfirst,1,2026-03-10\n'], ['']])('in a header are refused, followed by %j', async (after) => {
    await landLong('a.csv', '', after);
    const failure = await bench.failure({ dataset: EVENTS });
    expect(failure).toMatchObject({ code: 'landing.unreadable', message: expect.stringContaining('at most 1 MiB') });
  });
});
