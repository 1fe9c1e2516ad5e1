import fc from 'fast-check';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { declarationProblems } from '../../../../pipelines/quality/check-rules';
import {
  countAsideQuery,
  goingOnSelect,
  putAsideStatements,
  quarantinedSelect,
  type SplitVersion,
} from '../../../../pipelines/quality/put-aside-sql';
import type { CheckDeclaration, PutAsideCheck, PutAsideMetric } from '../../../../pipelines/types';
import { testDuckDb, type TestDuckDb } from '../../../support/duckdb';

const COLUMNS = [
  { name: 'id', type: 'bigint' },
  { name: 'price', type: 'double' },
  { name: 'name', type: 'text' },
] as const;

type Row = readonly [id: number, price: number | null, name: string | null];

let directory: string;
let duckdb: TestDuckDb;
beforeAll(async () => {
  directory = mkdtempSync(path.join(tmpdir(), 'almanac-aside-'));
  duckdb = await testDuckDb();
});
afterAll(() => {
  duckdb[Symbol.dispose]();
  rmSync(directory, { recursive: true });
});

function check(id: string, measure: PutAsideMetric, why = `Why ${id}.`): PutAsideCheck {
  return { id, dataset: 'orders', measure, mostly: 0, onFail: 'quarantine', why };
}

/** A version of one file for each list of rows. */
async function version(files: readonly (readonly Row[])[]): Promise<SplitVersion> {
  const written = [];
  for (const [index, rows] of files.entries()) {
    const file = path.join(directory, `part-${index}.parquet`);
    const text = (name: string | null): string => (name === null ? 'null' : `'${name.replaceAll("'", "''")}'`);
    const values = rows.map(
      ([id, price, name]) => `(${id}::bigint, ${Number.isNaN(price) ? "'nan'" : (price ?? 'null')}::double, ${text(name)}::varchar)`,
    );
    await duckdb.rows(`copy (select * from (values ${values.join(', ')}) t(id, price, name)) to '${file}' (format parquet)`);
    written.push({ readable: file, path: `datasets/orders/part-${index}` });
  }
  return { dataset: 'orders', columns: COLUMNS, files: written };
}

async function split(files: readonly (readonly Row[])[], checks: readonly PutAsideCheck[]) {
  const from = await version(files);
  for (const statement of putAsideStatements(from, checks)) await duckdb.rows(statement);
  const [counted = {}] = await duckdb.rows(countAsideQuery(checks));
  const kept = [];
  for (const { readable } of from.files) kept.push(...(await duckdb.rows(goingOnSelect(COLUMNS, readable))));
  const aside = await duckdb.rows(quarantinedSelect(from, checks, []));
  return { counted, kept, aside };
}

const priced = check('priced', { metric: 'completeness', column: 'price' });
const cheap = check('cheap', { metric: 'within', column: 'price', max: 10 });
const named = check('named', { metric: 'pattern-match', column: 'name', patterns: ['^[a-z]+$'] });

test('rows that fail go aside with every check they fail and where they lay, all others go on as they are', async () => {
  const { counted, kept, aside } = await split(
    [
      [
        [1, 5, 'ann'],
        [2, null, 'B!'],
      ],
      [
        [3, 50, 'cid'],
        [4, 1, null],
      ],
    ],
    [priced, cheap, named],
  );
  expect(kept).toEqual([{ id: '1', price: 5, name: 'ann' }]);
  expect(counted).toEqual({ rows: '3', c0: '1', c1: '1', c2: '2' });
  expect(aside.map(({ reason, detail, file, line, checks }) => ({ reason, detail, file, line, checks }))).toEqual([
    {
      reason: 'check',
      detail: 'priced: Why priced. named: Why named.',
      file: 'datasets/orders/part-0',
      line: '2',
      checks: ['priced', 'named'],
    },
    { reason: 'check', detail: 'cheap: Why cheap.', file: 'datasets/orders/part-1', line: '1', checks: ['cheap'] },
    { reason: 'check', detail: 'named: Why named.', file: 'datasets/orders/part-1', line: '2', checks: ['named'] },
  ]);
  expect(JSON.parse(String(aside[0]?.['row']))).toEqual({ id: '2', price: null, name: 'B!' });
});

test('a why in quotes, a predicate that ends in a comment and one that is NULL do no harm', async () => {
  const odd = check('id', { metric: 'rows-where', predicate: "price > 3 -- it's" }, "It's 'odd' -- really.");
  const { kept, aside } = await split(
    [
      [
        [1, 5, 'a'],
        [2, null, 'b'],
        [3, 1, 'c'],
      ],
    ],
    [odd],
  );
  expect(kept.map(({ id }) => id)).toEqual(['2', '3']);
  expect(aside.map(({ detail }) => detail)).toEqual(["id: It's 'odd' -- really."]);
});

test('what is no number passes no comparison', async () => {
  const { kept } = await split(
    [
      [
        [1, 5, 'a'],
        [2, Number.NaN, 'b'],
      ],
    ],
    [check('low', { metric: 'within', column: 'price', min: 0 })],
  );
  expect(kept.map(({ id }) => id)).toEqual(['1']);
});

test('what is judged beside other rows is judged beside those of all files', async () => {
  const rising = check('rising', { metric: 'increasing', column: 'id', orderBy: ['price'] });
  const { kept } = await split(
    [
      [[5, 1, 'a']],
      [
        [4, 2, 'b'],
        [6, 3, 'c'],
      ],
    ],
    [rising],
  );
  expect(kept.map(({ id }) => id)).toEqual(['5', '6']);
});

test('a version without files has nothing to put aside', async () => {
  for (const statement of putAsideStatements({ dataset: 'orders', columns: COLUMNS, files: [] }, [priced])) await duckdb.rows(statement);
  expect(await duckdb.rows(countAsideQuery([priced]))).toEqual([{ rows: '0', c0: '0' }]);
  expect(await duckdb.rows(quarantinedSelect({ files: [] }, [priced], []))).toEqual([]);
});

test('no row is lost, made or changed, whichever rows fail and however many are equal', async () => {
  const row: fc.Arbitrary<Row> = fc.tuple(
    fc.integer({ min: 1, max: 3 }),
    fc.option(fc.constantFrom(1, 20), { nil: null }),
    fc.option(fc.constantFrom('ok', 'N0', "o'k"), { nil: null }),
  );
  const files = fc.array(fc.array(row, { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 3 });
  const checks = fc.subarray([priced, cheap, named], { minLength: 1 });
  await fc.assert(
    fc.asyncProperty(files, checks, async (rows, declared) => {
      const { kept, aside } = await split(rows, declared);
      const text = ({ id, price, name }: Record<string, unknown>): string =>
        JSON.stringify([String(id), price === null ? null : Number(price), name]);
      const all = rows.flat().map(([id, price, name]) => text({ id, price, name }));
      const found = [...kept.map(text), ...aside.map((one) => text(JSON.parse(String(one['row'])) as Record<string, unknown>))];
      expect(found.sort()).toEqual(all.sort());
      expect(kept.every(({ price }) => price !== null || !declared.includes(priced))).toBe(true);
      expect(aside.every((one) => (one['checks'] as unknown[]).length > 0)).toBe(true);
    }),
    { numRuns: 25 },
  );
});

describe('a check that puts rows aside', () => {
  const problems = (more: Partial<Record<keyof CheckDeclaration, unknown>>): string[] =>
    declarationProblems({ ...priced, ...more } as CheckDeclaration);

  test.each([
    [
      'an aggregate',
      { measure: { metric: 'mean', column: 'price' }, mostly: undefined, fail: { min: 1 } },
      /mean says nothing of any one row/,
    ],
    ['a metric of many windows', { measure: { metric: 'completeness', column: 'price', over: 7 } }, /leave `over` out/],
    ['no limit', { mostly: undefined }, /up to a limit: say with `mostly`/],
    ['a limit that lets no row go', { mostly: undefined, fail: { min: 1 } }, /up to a limit: say with `mostly`/],
    [
      'a count without a limit',
      { measure: { metric: 'null-count', column: 'price' }, mostly: undefined, fail: { max: 0 } },
      /say with `fail: \{ max \}`/,
    ],
  ])('is refused with %s', (_what, more, message) => {
    expect(problems(more)).toEqual([expect.stringMatching(message)]);
  });

  test('has its limit as a share, also beside the band of the constraint, or as a count', () => {
    expect(problems({})).toEqual([]);
    expect(problems({ fail: { min: 1 }, mostly: 0.9 })).toEqual([]);
    expect(problems({ measure: { metric: 'null-count', column: 'price' }, mostly: undefined, fail: { max: 3 } })).toEqual([]);
  });
});
