import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { bucketExpression } from '../../../pipelines/bucket-sql';
import * as sql from '../../../pipelines/ingest-sql';
import { csvHeader, isHidden, landingFormat } from '../../../pipelines/landing-format';
import { quoteText } from '../../../pipelines/quote-sql';
import { testDuckDb, type TestDuckDb } from '../../support/duckdb';

let duckdb: TestDuckDb;
beforeAll(async () => {
  duckdb = await testDuckDb();
});
afterAll(() => duckdb[Symbol.dispose]());

test('names of columns and files are data: quotes, slashes and brackets in them change no statement', async () => {
  const nasty = ['a"; drop table staged; --', "it's", 'x/y~z', 'select', 'C0', 't1'];
  const shape = { columns: nasty.map((name) => ({ name, type: 'text' as const, required: true, source: name })) };
  const file = { id: 0, readable: "/no/where/it's [1]*.csv", path: "landing/it's" };
  for (const statement of sql.prepareStatements(shape, [file])) await duckdb.connection.run(statement);
  await duckdb.connection.run('create temp table line as select 0 as file, 2 as line, ?::varchar as body', [
    nasty.map((_, n) => `v${n}`).join(','),
  ]);
  const group = { fields: nasty.length, positions: nasty.map((_, n) => n), headerLine: { 0: 1 } };
  for (const statement of sql.stageCsvStatements(shape, group, { quoted: false, spanning: false })) await duckdb.connection.run(statement);
  await duckdb.connection.run('delete from line');
  await duckdb.connection.run('insert into line values (0, 3, ?)', [
    JSON.stringify(Object.fromEntries(nasty.map((name, n) => [name, `v${n}`]))),
  ]);
  for (const statement of sql.stageJsonStatements(shape, [0])) await duckdb.connection.run(statement);
  await duckdb.connection.run(sql.acceptedView(shape));
  const expected = Object.fromEntries(nasty.map((name, n) => [name, `v${n}`]));
  expect(await duckdb.rows('select * from accepted')).toEqual([expected, expected]);
  expect(await duckdb.rows(sql.quarantineQuery(shape))).toEqual([]);
});

test('a bucket is the first byte of the md5 of the text, modulo their number, as any engine computes it', async () => {
  const values = fc.sample(
    fc.string({ unit: 'grapheme' }).filter((text) => !text.includes('\0')),
    300,
  );
  for (const count of [1, 8, 100, 256]) {
    const rows = await duckdb.rows(
      `select v, ${bucketExpression('v', count)} as bucket from (values ${values.map((text) => `(${quoteText(text)})`).join(', ')}) as t (v)`,
    );
    for (const { v, bucket } of rows) expect(bucket).toBe((createHash('md5').update(String(v)).digest()[0] ?? NaN) % count);
  }
  expect(await duckdb.rows(`select ${bucketExpression('v', 8)} as bucket from (select null as v)`)).toEqual([{ bucket: 0xd4 % 8 }]);
  expect(await duckdb.rows(`select ${bucketExpression('v', 8)} as bucket from (select 42::bigint as v)`)).toEqual([
    { bucket: (createHash('md5').update('42').digest()[0] ?? NaN) % 8 },
  ]);
  for (const count of [0, 257, 1.5]) expect(() => bucketExpression('v', count)).toThrow(RangeError);
});

test.each([
  ['a.csv', 'csv', 'none'],
  ['A.CSV.GZ', 'csv', 'gzip'],
  ['x/y.json', 'json', 'none'],
  ['a.jsonl.zst', 'json', 'zstd'],
  ['a.ndjson.gz', 'json', 'gzip'],
  ['part-0000.snappy.parquet', 'parquet', 'none'],
])('%s is read as %s, %s', (name, kind, compression) => {
  expect(landingFormat(name)).toEqual({ kind, compression });
});

test.each(['a.parquet.gz', 'a.csv.bz2', 'a.tsv', 'csv', 'a.csv.tmp', 'a.json.gz.zst'])('%s is nothing that can be read', (name) => {
  expect(landingFormat(name)).toBeUndefined();
});

test.each([
  ['_SUCCESS', true],
  ['.a.csv', true],
  ['_temporary/0/a.csv', true],
  ['a/.b/c.csv', true],
  ['a_b.csv', false],
  ['a/b.csv', false],
])('%s is hidden: %s', (name, hidden) => {
  expect(isHidden(name)).toBe(hidden);
});

test.each([
  ['a,b,c', ['a', 'b', 'c']],
  ['\uFEFF a , "b,c" ,"say ""hi"""', ['a', 'b,c', 'say "hi"']],
  ['a,,b', ['a', '', 'b']],
  ['a,"b', undefined],
  ['a,b"c', undefined],
])('the header %j has the names %j', (line, names) => {
  expect(csvHeader(line)).toEqual(names);
});
