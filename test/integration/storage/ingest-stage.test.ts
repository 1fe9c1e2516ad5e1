import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { IngestBench } from '../../support/ingest';
import { zstd } from '../../support/zstd';

let bench: IngestBench;
beforeAll(() => {
  bench = new IngestBench();
});
afterEach(() => bench.clear());
afterAll(() => bench.close());

const CSV = 'user_id,segment_id,ts\nu1,1,2026-03-10T00:00:00\n"u,2",2,2026-03-10T23:59:59.999999Z\n';
const JSON_LINES =
  '{"user_id":"u1","segment_id":1,"ts":"2026-03-10T00:00:00"}\n{"ts":"2026-03-10T23:59:59.999999Z","segment_id":2,"user_id":"u,2"}\n';
const ROWS = [
  { user_id: 'u,2', segment_id: '2', ts: '2026-03-10T23:59:59.999999Z' },
  { user_id: 'u1', segment_id: '1', ts: '2026-03-10T00:00:00.000Z' },
];

describe('formats', () => {
  const compressions = {
    '': (body: string) => Buffer.from(body),
    '.gz': (body: string) => gzipSync(body),
    '.zst': zstd,
  };
  for (const [ending, body] of [
    ['.csv', CSV],
    ['.json', JSON_LINES],
    ['.jsonl', JSON_LINES],
    ['.ndjson', JSON_LINES],
  ] as const) {
    for (const [suffix, compress] of Object.entries(compressions)) {
      test(`reads ${ending}${suffix}`, async () => {
        bench.land(`part${ending}${suffix}`, await compress(body));
        const { accepted, output } = await bench.ingest();
        expect(accepted).toEqual(ROWS);
        expect(output).toMatchObject({ rowsIn: 2, rowsOut: 2, quarantined: {} });
      });
    }
  }

  test.each(['uncompressed', 'snappy', 'gzip', 'zstd'])('reads Parquet with %s inside', async (codec) => {
    const file = bench.land('part.parquet', '');
    await bench.exec(
      `copy (select * from (values ('u1', 1, timestamp '2026-03-10 00:00:00'), ('u,2', 2, timestamp '2026-03-10 23:59:59.999999')) t(user_id, segment_id, ts)) to '${file}' (format parquet, compression ${codec})`,
    );
    const { accepted, output } = await bench.ingest();
    expect(accepted).toEqual(ROWS);
    expect(output).toMatchObject({ rowsIn: 2, rowsOut: 2 });
  });

  test('the same rows give the same digest, whatever the format, order and number of files', async () => {
    const digests: string[] = [];
    for (const files of [
      { 'a.csv': CSV },
      { 'a.json': JSON_LINES },
      {
        'a.csv': 'ts,extra,user_id,segment_id\n1773187199.999999,x,"u,2",2.0\n',
        'b.csv.gz': gzipSync('user_id,segment_id,ts\nu1,1,2026-03-10 01:00+01\n'),
      },
    ]) {
      bench.clear();
      for (const [name, body] of Object.entries(files)) bench.land(name, body);
      digests.push((await bench.ingest()).manifest.digest);
    }
    expect(new Set(digests).size).toBe(1);
  });

  test('ignores names that begin with _ or . and reads names that look like patterns', async () => {
    bench.land('_SUCCESS', '');
    bench.land('.part.csv.tmp', 'junk');
    bench.land('_temporary/0/part.csv', 'junk');
    bench.land('a[1]*?.csv', CSV);
    const { manifest } = await bench.ingest();
    expect(manifest.provenance.landing?.map(({ path }) => path)).toEqual(['landing/events/dt=2026-03-10/a[1]*?.csv']);
    expect(manifest.rows).toBe(2);
  });

  test('reads Windows line ends, a byte order mark, blank lines, quotes and values that span lines', async () => {
    bench.land(
      'a.csv',
      '\uFEFFuser_id,segment_id,ts\r\n"say ""hi""",1,2026-03-10\r\n\r\n"two\r\nlines",2,2026-03-10\r\nbad,x,2026-03-10\r\n',
    );
    const { accepted, quarantined, output } = await bench.ingest();
    expect(accepted.map((row) => row['user_id'])).toEqual(['say "hi"', 'two\nlines']);
    expect(quarantined).toMatchObject([{ line: '6', column_name: 'segment_id', raw: 'bad,x,2026-03-10' }]);
    expect(output.rowsIn).toBe(3);
  });

  test('a line that is no text keeps its number where every other even line happens to be blank', async () => {
    const row = 'u,1,2026-03-10\n';
    bench.land(
      'a.csv',
      Buffer.concat([Buffer.from('user_id,segment_id,ts\n'), Buffer.from([0x61, 0xff, 0x0a]), Buffer.from(`${row}\n${row}`)]),
    );
    const { accepted, quarantined } = await bench.ingest();
    expect(accepted).toHaveLength(2);
    expect(quarantined).toMatchObject([{ line: '2', reason: 'malformed' }]);
  });

  test('an extra column is ignored and logged', async () => {
    bench.land('a.csv', 'user_id,segment_id,ts,colour\nu1,1,2026-03-10,red\n');
    const { accepted, log } = await bench.ingest();
    expect(accepted).toHaveLength(1);
    expect(log.join()).toContain('colour');
  });
});

describe('values', () => {
  test.each([
    ['2026-03-10', '2026-03-10T00:00:00.000Z'],
    ['2026-03-10 07:08', '2026-03-10T07:08:00.000Z'],
    ['2026-03-10T07:08:09', '2026-03-10T07:08:09.000Z'],
    ['2026-03-10T07:08:09.123456789Z', '2026-03-10T07:08:09.123456Z'],
    ['2026-03-10T07:08:09+02:00', '2026-03-10T05:08:09.000Z'],
    ['2026-03-10T07:08:09.5-0530', '2026-03-10T12:38:09.500Z'],
    ['2026-03-10 07:08:09 +05', '2026-03-10T02:08:09.000Z'],
    ['2026-03-11T01:00:00+02:00', '2026-03-10T23:00:00.000Z'],
    ['1773101289', '2026-03-10T00:08:09.000Z'],
    ['1773101289.25', '2026-03-10T00:08:09.250Z'],
    ['1773101289.0000014', '2026-03-10T00:08:09.000001Z'],
    ['1.7731e9', '2026-03-09T23:46:40.000Z'],
  ])('the instant %s is %s', async (text, expected) => {
    bench.land('a.csv', `user_id,segment_id,ts\nu,1,${text}\n`);
    bench.land('b.json', `{"user_id":"u","segment_id":1,"ts":${Number.isFinite(Number(text)) ? text : JSON.stringify(text)}}\n`);
    const { accepted, quarantined } = await bench.ingest({ spec: { landing: 'events' } });
    expect(quarantined).toEqual([]);
    expect(accepted.map((row) => row['ts'])).toEqual([expected, expected]);
  });

  test.each([
    'yesterday',
    '2026-02-30',
    '2026-03-10T25:00:00',
    '2026-03-10T10:00:00+25:00',
    '1773101289000',
    '1e300',
    '-',
    '10/03/2026',
    '2026-03-10T',
    'infinity',
    '2026-03-10T10:00:00 Europe/Paris',
  ])('%s is no instant', async (text) => {
    bench.land('a.csv', `user_id,segment_id,ts\nu,1,${text}\n`);
    const { quarantined, output } = await bench.ingest();
    expect(quarantined).toMatchObject([
      {
        reason: 'malformed',
        column_name: 'ts',
        detail: 'is not a timestamp',
        file: 'landing/events/dt=2026-03-10/a.csv',
        line: '2',
        raw: `u,1,${text}`,
      },
    ]);
    expect(output).toMatchObject({ rowsIn: 1, rowsOut: 0, quarantined: { malformed: 1 } });
  });

  const columns = { i: 'integer', l: 'bigint', d: 'double', b: 'boolean', day: 'date', t: 'text' } as const;
  test('every type has its values', async () => {
    bench.land(
      'a.csv',
      'i,l,d,b,day,t\n-2147483648,9223372036854775807,-1.5e-3,true,2026-03-10, spaced \n +7, 12.000 ,.5,0,2024-02-29,007\n',
    );
    const { accepted } = await bench.ingest({ dataset: { columns }, spec: { landing: 'events' } });
    expect(accepted).toEqual([
      { i: -2147483648, l: '9223372036854775807', d: -0.0015, b: true, day: '2026-03-10', t: ' spaced ' },
      { i: 7, l: '12', d: 0.5, b: false, day: '2024-02-29', t: '007' },
    ]);
  });

  test.each([
    ['i', '2147483648'],
    ['i', '1.5'],
    ['l', '9223372036854775808'],
    ['l', '0x10'],
    ['l', '1_000'],
    ['l', '1e3'],
    ['d', 'nan'],
    ['d', '1e999'],
    ['d', '1,5'],
    ['b', 'yes'],
    ['day', '2023-02-29'],
    ['day', '2026-03-10T00:00'],
  ])('the column %s refuses %s', async (column, text) => {
    const good: Record<string, string> = { i: '1', l: '1', d: '1', b: 'true', day: '2026-03-10', t: 'x' };
    const names = Object.keys(columns);
    bench.land('a.json', `${JSON.stringify({ ...good, [column]: text })}\n`);
    const { quarantined } = await bench.ingest({ dataset: { columns }, spec: { landing: 'events' } });
    expect(names).toContain(column);
    expect(quarantined).toMatchObject([{ reason: 'malformed', column_name: column, line: '1' }]);
  });

  test('empty values are malformed unless the column is optional', async () => {
    bench.land('a.csv', 'user_id,segment_id,ts\n,1,2026-03-10\nu,"",2026-03-10\nu,3,\n');
    const dataset = { columns: { user_id: 'text', segment_id: 'bigint', ts: 'timestamp' }, optional: ['segment_id'] } as const;
    const { accepted, quarantined } = await bench.ingest({ dataset });
    expect(accepted).toEqual([{ user_id: 'u', segment_id: null, ts: '2026-03-10T00:00:00.000Z' }]);
    expect(quarantined.map((row) => [row['column_name'], row['detail'], row['line']])).toEqual([
      ['user_id', 'is empty', '2'],
      ['ts', 'is empty', '4'],
    ]);
  });
});

describe('rows that cannot be read', () => {
  test('NUL in text, bytes that are no UTF-8, too few and too many fields are put aside, and their neighbours stay', async () => {
    const body = Buffer.concat([
      Buffer.from('user_id,segment_id,ts\nfirst,1,2026-03-10\n'),
      Buffer.from('n\0l,2,2026-03-10\n'),
      Buffer.from([0xff, 0xfe, 0x2c]),
      Buffer.from('3,2026-03-10\nu,4\nu,5,2026-03-10,more\nstray " quote,6,2026-03-10\n"open,7,2026-03-10\nlast,8,2026-03-10'),
    ]);
    bench.land('a.csv', body);
    const { accepted, quarantined, output } = await bench.ingest();
    expect(accepted.map((row) => row['user_id'])).toEqual(['first', 'last']);
    expect(quarantined.map((row) => [row['line'], row['column_name'], row['detail']])).toEqual([
      ['3', 'user_id', 'holds NUL'],
      ['4', null, 'not UTF-8'],
      ['5', null, 'not one record of the header’s fields'],
      ['6', null, 'not one record of the header’s fields'],
      ['7', null, 'not one record of the header’s fields'],
      ['8', null, 'not one record of the header’s fields'],
    ]);
    expect(output).toMatchObject({ rowsIn: 8, rowsOut: 2, quarantined: { malformed: 6 } });
  });

  test('JSON lines that are no objects, lack a value or hold one of the wrong kind are put aside', async () => {
    bench.land(
      'a.json',
      [
        '{"user_id":"ok","segment_id":1,"ts":1773101289}',
        '{"user_id":"cut"',
        '[1]',
        '"text"',
        '',
        '{"user_id":{"a":1},"segment_id":1,"ts":1773101289}',
        '{"user_id":"u","segment_id":true,"ts":1773101289}',
        '{"user_id":"a\\u0000b","segment_id":1,"ts":1773101289}',
        '{"segment_id":1,"ts":1773101289}',
        '{"user_id":"u","segment_id":null,"ts":1773101289}',
      ].join('\n'),
    );
    const { accepted, quarantined } = await bench.ingest();
    expect(accepted.map((row) => row['user_id'])).toEqual(['ok']);
    expect(quarantined.map((row) => [row['line'], row['column_name'], row['detail']])).toEqual([
      ['2', null, 'not a JSON object'],
      ['3', null, 'not a JSON object'],
      ['4', null, 'not a JSON object'],
      ['6', 'user_id', 'is not a text'],
      ['7', 'segment_id', 'is not a bigint'],
      ['8', 'user_id', 'holds NUL'],
      ['9', 'user_id', 'is empty'],
      ['10', 'segment_id', 'is empty'],
    ]);
  });

  test('rows outside their folder’s day are early or late, and keep their values for a replay', async () => {
    bench.land(
      'a.csv',
      'user_id,segment_id,ts\nbefore,1,2026-03-09T23:59:59.999999\nfirst,2,2026-03-10T00:00:00\nlast,3,2026-03-10T23:59:59.999999\nafter,4,2026-03-11T00:00:00\n',
    );
    const { accepted, quarantined, output } = await bench.ingest();
    expect(accepted.map((row) => row['user_id'])).toEqual(['first', 'last']);
    expect(quarantined).toMatchObject([
      { reason: 'late', line: '2', event_time: '2026-03-09T23:59:59.999999Z', column_name: null },
      { reason: 'early', line: '5', event_time: '2026-03-11T00:00:00.000Z', column_name: null },
    ]);
    expect(JSON.parse(String(quarantined[1]?.['row']))).toEqual({ user_id: 'after', segment_id: 4, ts: '2026-03-11 00:00:00' });
    expect(output.quarantined).toEqual({ early: 1, late: 1 });
  });

  test('a local day has its own bounds', async () => {
    bench.land(
      'a.csv',
      'user_id,segment_id,ts\nlate,1,2026-03-08T04:59:59Z\nin,2,2026-03-08T05:00:00Z\nin,3,2026-03-09T03:59:59Z\nearly,4,2026-03-09T04:00:00Z\n',
      '2026-03-08',
    );
    const { accepted, quarantined } = await bench.ingest({ window: '2026-03-08', timezone: 'America/New_York' });
    expect(accepted.map((row) => row['segment_id'])).toEqual(['2', '3']);
    expect(quarantined.map((row) => row['reason'])).toEqual(['late', 'early']);
  });
});

describe('windows', () => {
  test('a file with nothing but its header is an idle day', async () => {
    bench.land('a.csv', 'user_id,segment_id,ts\n');
    const { manifest, output } = await bench.ingest();
    expect(output).toMatchObject({ rowsIn: 0, rowsOut: 0, quarantined: {} });
    expect(manifest.files).toEqual([]);
  });

  test('a bootstrap reads all days up to its own, each row judged against the day of its folder', async () => {
    for (const day of ['2026-03-08', '2026-03-10', '2026-03-11'])
      bench.land('a.csv', `user_id,segment_id,ts\n${day},1,${day}T12:00\nother,1,2026-03-09T12:00\n`, day);
    const { accepted, quarantined, manifest } = await bench.ingest({ bootstrap: true });
    expect(accepted.map((row) => row['user_id'])).toEqual(['2026-03-08', '2026-03-10']);
    expect(quarantined.map((row) => row['reason'])).toEqual(['early', 'late']);
    expect(manifest.provenance.bootstrap).toBe(true);
  });

  test('bucketed rows lie in the file of their bucket, one file each', async () => {
    const users = Array.from({ length: 400 }, (_, n) => `user-${n}`);
    bench.land('a.csv', `user_id,segment_id,ts\n${users.map((user) => `${user},1,2026-03-10\n`).join('')}`);
    const { manifest } = await bench.ingest({
      dataset: { columns: { user_id: 'text', segment_id: 'bigint', ts: 'timestamp' }, buckets: { by: 'user_id', count: 256 } },
    });
    const buckets = manifest.files.map(({ bucket }) => bucket);
    expect(new Set(buckets).size).toBe(buckets.length);
    expect(buckets.length).toBeGreaterThan(150);
    for (const { path, bucket, rows } of manifest.files.slice(0, 20)) {
      const found = await bench.query<{ user_id: string }>(
        `select user_id from read_parquet('${bench.store.place(path)}', hive_partitioning = false)`,
      );
      expect(found).toHaveLength(rows);
      const { createHash } = await import('node:crypto');
      for (const { user_id } of found) expect(createHash('md5').update(user_id).digest()[0]).toBe(bucket);
    }
  });

  test('the manifest tells files by content, and a second try adopts what the first wrote', async () => {
    const file = bench.land('a.csv', CSV);
    const first = await bench.ingest();
    const second = await bench.ingest();
    expect(second.output).toMatchObject({ adopted: true, versions: first.output.versions, rowsIn: 2 });
    expect(first.output.adopted).toBeUndefined();
    const { createHash } = await import('node:crypto');
    const sha256 = createHash('sha256').update(readFileSync(file)).digest('hex');
    expect(first.manifest.provenance.landing).toEqual([{ path: 'landing/events/dt=2026-03-10/a.csv', bytes: CSV.length, sha256 }]);
    bench.land('a.csv', `${CSV}u3,3,2026-03-10\n`);
    const third = await bench.ingest();
    expect(third.output.adopted).toBeUndefined();
    expect(third.manifest.rows).toBe(3);
    expect((await bench.ingest({ generation: 2 })).output.adopted).toBeUndefined();
    expect((await bench.store.list('scratch')).map(({ path }) => path)).toEqual([]);
  });

  test('killed between any two steps, the next try ends with the same version, and litter is all that remains', async () => {
    bench.land('a.csv', CSV);
    const undisturbed = await bench.ingest({ generation: 7 });
    for (let step = 0; ; step++) {
      let left = step;
      const point = (): Promise<void> => (left-- === 0 ? Promise.reject(new Error('killed')) : Promise.resolve());
      const killed = await bench.ingest({ generation: step + 10, point }).then(
        () => false,
        () => true,
      );
      const { manifest } = await bench.ingest({ generation: step + 10 });
      expect(manifest).toMatchObject({ digest: undisturbed.manifest.digest, rows: 2, rowsIn: 2 });
      if (!killed) break;
      expect(step).toBeLessThan(10);
    }
  });
});
