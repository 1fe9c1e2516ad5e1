import fc from 'fast-check';
import { duplicateKeysSql, profileSql, readProfile, totalProfileSql, type Profile } from '../../../pipelines/profile-sql';
import type { Column } from '../../../pipelines/duckdb-sql';
import { testDuckDb, type TestDuckDb } from '../../support/duckdb';

const COLUMNS: Column[] = [
  { name: 'k', type: 'bigint' },
  { name: 'v', type: 'integer' },
];

let duckdb: TestDuckDb;
beforeAll(async () => {
  duckdb = await testDuckDb();
});
afterAll(() => duckdb[Symbol.dispose]());

type Row = readonly [number | null, number | null];

function table(rows: readonly Row[]): string {
  const select =
    rows.length === 0
      ? 'select null::BIGINT, null::INTEGER where false'
      : `values ${rows.map(([k, v]) => `(${k}::BIGINT, ${v}::INTEGER)`).join(', ')}`;
  return `(${select}) as t(k, v)`;
}

async function profile(buckets: readonly (readonly Row[])[], misplaced?: string): Promise<Profile> {
  const request = { columns: COLUMNS, key: ['k'], ...(misplaced !== undefined && { misplaced }) };
  await duckdb.connection.run(
    `create or replace table parts as ${buckets.map((rows) => profileSql(table(rows), request)).join(' union all ')}`,
  );
  const [row] = await duckdb.rows(totalProfileSql('parts', COLUMNS));
  return readProfile(row ?? {}, COLUMNS);
}

const value = fc.option(fc.integer({ min: -3, max: 3 }));
const rows = fc.array(fc.tuple(value, value), { maxLength: 8 });

test('rows, nulls, ranges and duplicates are those a loop counts, whatever the buckets', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(rows, { minLength: 1, maxLength: 3 }), async (buckets) => {
      const all = buckets.flat();
      const got = await profile(buckets);
      const present = all.map(([, v]) => v).filter((v) => v !== null);
      expect(got.rows).toBe(all.length);
      expect(got.columns['v']).toEqual({
        nulls: all.length - present.length,
        min: present.length === 0 ? null : Math.min(...present),
        max: present.length === 0 ? null : Math.max(...present),
      });
      expect(got.keysUnique).toBe(buckets.every((bucket) => new Set(bucket.map(([k]) => k)).size === bucket.length));
      const [counted] = await duckdb.rows(duplicateKeysSql(table(all), ['k']));
      expect(Number(counted?.['duplicates'])).toBe(all.length - new Set(all.map(([k]) => k)).size);
    }),
    { numRuns: 60 },
  );
});

test('rows in the wrong place are counted', async () => {
  expect(
    (
      await profile(
        [
          [
            [1, 1],
            [2, null],
            [3, 3],
          ],
        ],
        'v <> 1',
      )
    ).misplaced,
  ).toBe(1);
  expect((await profile([[[1, 1]]])).misplaced).toBe(0);
});
