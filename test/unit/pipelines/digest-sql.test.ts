import fc from 'fast-check';
import { combineDigests, digestSql, type DigestPart } from '../../../pipelines/digest-sql';
import type { Column } from '../../../pipelines/duckdb-sql';
import { testDuckDb, type TestDuckDb } from '../../support/duckdb';

const COLUMNS: Column[] = [
  { name: 'id', type: 'bigint' },
  { name: 'name', type: 'text' },
  { name: 'at', type: 'timestamp' },
  { name: 'day', type: 'date' },
  { name: 'share', type: 'double' },
  { name: 'ok', type: 'boolean' },
];

let duckdb: TestDuckDb;
beforeAll(async () => {
  duckdb = await testDuckDb();
});
afterAll(() => duckdb[Symbol.dispose]());

async function part(from: string, columns: readonly Column[] = COLUMNS): Promise<DigestPart> {
  const [row] = (await duckdb.rows(digestSql(from, columns))) as unknown as [DigestPart];
  return row;
}

async function digest(from: string, columns: readonly Column[] = COLUMNS): Promise<string> {
  return combineDigests(columns, [await part(from, columns)]);
}

/** A from expression of one bigint, one text row per entry. */
function pairs(rows: readonly (readonly [bigint | null, string | null])[]): string {
  const literal = (text: string | null): string => (text === null ? 'null' : `'${text.replaceAll("'", "''")}'`);
  const values = rows.map(([id, name]) => `(${id === null ? 'null' : `'${id}'`}::BIGINT, ${literal(name)}::VARCHAR)`);
  return rows.length === 0
    ? '(select null::BIGINT as id, null::VARCHAR as name where false)'
    : `(values ${values.join(', ')}) as t(id, name)`;
}
const PAIR: Column[] = COLUMNS.slice(0, 2);

/** One row of doubles. */
const doubles = (...values: string[]): string => `(select unnest([${values.join(', ')}]::DOUBLE[]) as x)`;
const DOUBLE: Column[] = [{ name: 'x', type: 'double' }];

test('known rows have known digests: another hash() must become another algorithm', async () => {
  const rows = `(values
    (1::BIGINT, 'a'::VARCHAR, timestamp '2026-11-20 01:02:03.000004', date '2026-11-20', 0.1::DOUBLE, true),
    ('-9223372036854775808'::BIGINT, 'Zürich 🎈', timestamp '1969-12-31 23:59:59.999999', date '0044-03-15', 1e300, false),
    (null, null, null, null, null, null)) as t(id, name, "at", day, share, ok)`;
  expect(await digest(rows)).toBe('duckdb1-3-55160b52c907d1272ace11ba6dd34d960000000000000000a8da50c1e8358fcb');
  expect(await digest(pairs([]), PAIR)).toBe('duckdb1-0-c8acf448f2e59deaaf8f8e359f3033cf00000000000000000000000000000000');
});

test('buckets add up to the whole, in any order, for any rows', async () => {
  const row = fc.tuple(
    fc.option(fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n })),
    fc.option(fc.string({ unit: 'grapheme' }).map((s) => s.replaceAll('\0', ''))),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(row, fc.integer({ min: 0, max: 3 })), { maxLength: 30 }), async (placed) => {
      const rows = placed.map(([one]) => one);
      const buckets = [3, 1, 0, 2].map((bucket) =>
        placed
          .filter(([, at]) => at === bucket)
          .map(([one]) => one)
          .reverse(),
      );
      const parts = await Promise.all(buckets.map((bucket) => part(pairs(bucket), PAIR)));
      expect(combineDigests(PAIR, parts)).toBe(await digest(pairs(rows), PAIR));
    }),
    { numRuns: 60 },
  );
});

test('different multisets have different digests', async () => {
  const small = fc.tuple(fc.constantFrom(null, 0n, 1n, 2n), fc.constantFrom(null, '', 'a', 'b'));
  const sorted = (rows: readonly (readonly [bigint | null, string | null])[]): string[] =>
    rows.map(([id, name]) => `${id}|${name === null ? 'N' : `'${name}`}`).sort();
  await fc.assert(
    fc.asyncProperty(fc.array(small, { maxLength: 6 }), fc.array(small, { maxLength: 6 }), async (a, b) => {
      const same = JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
      expect((await digest(pairs(a), PAIR)) === (await digest(pairs(b), PAIR))).toBe(same);
    }),
    { numRuns: 200 },
  );
});

test.each([
  ['-0 and 0', ['-0.0'], ['0.0'], true],
  ['two NaNs', ["'nan'"], ["-('nan'::DOUBLE)"], true],
  ['NULL and NaN', ['null'], ["'nan'"], false],
  ['infinities of either sign', ["'inf'"], ["'-inf'"], false],
  ['the 13th significant digit', ['0.1234567890121'], ['0.1234567890122'], true],
  ['the 12th significant digit', ['0.123456789011'], ['0.123456789012'], false],
  ['sums in another order', ['0.1 + 0.2 + 0.3'], ['0.3 + 0.2 + 0.1'], true],
  ['1e-300 and 0', ['1e-300'], ['0'], false],
])('doubles: %s', async (_, a, b, same) => {
  expect((await digest(doubles(...a), DOUBLE)) === (await digest(doubles(...b), DOUBLE))).toBe(same);
});

test('infinite instants and days are not NULL, and integers do not depend on their width', async () => {
  const at: Column[] = [{ name: 'at', type: 'timestamp' }];
  expect(await digest("(select timestamp 'infinity' as at)", at)).not.toBe(await digest('(select null::TIMESTAMP as at)', at));
  const day: Column[] = [{ name: 'day', type: 'date' }];
  expect(await digest("(select date 'infinity' as day)", day)).not.toBe(await digest('(select null::DATE as day)', day));
  const id: Column[] = [{ name: 'id', type: 'bigint' }];
  expect(await digest('(select 7::INTEGER as id)', id)).toBe(await digest('(select 7::BIGINT as id)', id));
});

test('names, types and order of the columns are part of it, with and without rows', async () => {
  const one = '(select 1::BIGINT as id, 2::BIGINT as other)';
  const id: Column = { name: 'id', type: 'bigint' };
  const other: Column = { name: 'other', type: 'bigint' };
  const digests = [
    await digest(one, [id, other]),
    await digest(one, [other, id]),
    await digest('(select 1::INTEGER as id, 2::BIGINT as other)', [{ name: 'id', type: 'integer' }, other]),
    combineDigests([id, other], []),
    combineDigests([id], []),
    combineDigests([{ name: 'id', type: 'integer' }], []),
  ];
  expect(new Set(digests).size).toBe(digests.length);
});

test('values swapped between rows do not cancel out', async () => {
  const columns: Column[] = [
    { name: 'a', type: 'bigint' },
    { name: 'b', type: 'bigint' },
  ];
  const seen = new Set<string>();
  for (let b = 0; b < 50; b++) {
    seen.add(await digest(`(values (1, ${b}), (2, ${99 - b})) as t(a, b)`, columns));
    seen.add(await digest(`(values (2, ${b}), (1, ${99 - b})) as t(a, b)`, columns));
  }
  expect(seen.size).toBe(100);
});
