/** Defects found in others' engines and stores, each beside what happens here; those of verdicts are in the unit suite of the same name. */
import { storeMetrics } from '../../../activities/quality/history';
import { migrate } from '../../../lib/migrate';
import { rowLevelSql } from '../../../pipelines/quality/row-level';
import { suiteMetrics, suiteQueries } from '../../../pipelines/suite-sql';
import type { CheckDeclaration } from '../../../pipelines/types';
import { testDatabase } from '../../support/postgres';
import { Workbench } from '../../support/quality/workbench';

const ROWS = 1000;
const bench = new Workbench();
beforeAll(async () => {
  await bench.open();
  const rows = Array.from({ length: ROWS }, (_, i) => [i, `n${i}`, i % 4 === 0 ? null : 1]);
  await bench.load('orders', { columns: ['id', 'note', 'paid'], rows });
});
afterAll(() => bench.close());

function check(id: string, measure: CheckDeclaration['measure']): CheckDeclaration {
  return { id, dataset: 'orders', measure, fail: { min: 1 }, why: 'It must hold.' };
}

const PATTERN = { metric: 'pattern-match', column: 'note', patterns: ['^x'] } as const;

test('deequ’s shared scan: one failing expression fails every metric of it; here only itself', async () => {
  const judged = await bench.judge([
    check('broken', { metric: 'compliance', predicate: 'cast(note as bigint) > 0' }),
    check('complete', { metric: 'completeness', column: 'id' }),
    check('paid', { metric: 'completeness', column: 'paid' }),
    check('size', { metric: 'size' }),
  ]);
  expect(judged.map(({ verdict }) => [verdict.status, verdict.observed])).toEqual([
    ['ERROR', null],
    ['PASS', 1],
    ['FAIL', 0.75],
    ['PASS', ROWS],
  ]);
});

test('deequ tells no reason of a failing row: here each check shows its own rows and says why', async () => {
  const [paid, pattern] = await bench.judge([check('paid', { metric: 'completeness', column: 'paid' }), check('pattern', PATTERN)]);
  const sample = (of: typeof paid): readonly object[] => (of !== undefined && 'sample' in of.measured ? of.measured.sample : []);
  expect(sample(paid)).toHaveLength(5);
  expect(sample(paid)).toEqual(Array.from({ length: 5 }, () => expect.objectContaining({ paid: null })));
  expect(sample(pattern)).toEqual(Array.from({ length: 5 }, () => expect.objectContaining({ note: expect.stringMatching(/^n\d+$/) })));
  expect(paid?.verdict.message).toMatch(/^paid: .*paid.*It must hold\.$/);
});

test('deequ’s repository in a file loses updates of concurrent writers: here every one is on record', async () => {
  await using database = await testDatabase();
  await migrate(database.pool);
  const run = { pipeline: 'example', window: '2026-11-20', branch: 'main', generation: 1 };
  const writes = Array.from({ length: 20 }, (_, i) =>
    storeMetrics(
      database.pool,
      run,
      'gate',
      [{ dataset: 'orders', version: 'v1', measure: { metric: 'mean', column: `c${i}` }, value: i, rows: 1 }],
      new Date(),
    ),
  );
  await Promise.all(writes);
  const { rows } = await database.pool.query<{ value: number }>('select value from almanac.check_metric order by value');
  expect(rows.map(({ value }) => value)).toEqual(Array.from({ length: 20 }, (_, i) => i));
});

test('Great Expectations tells at most 200 unexpected rows: here all are counted, and each has an answer of its own', async () => {
  const [judged] = await bench.judge([check('pattern', PATTERN)]);
  expect(judged?.verdict).toMatchObject({ status: 'FAIL', observed: 0 });
  expect(judged?.measured).toMatchObject({ rows: ROWS, state: { holds: 0, rows: ROWS } });
  expect(await bench.rows(`select * from (${rowLevelSql('orders', PATTERN)}) where answer = false`)).toHaveLength(ROWS);
});

test('soda reads all rows of a failing regex and ignores the limit of its samples: here one row comes back, of five samples', async () => {
  const datasets = { orders: { columns: { id: 'bigint', note: 'text', paid: 'bigint' }, key: ['id'] } } as const;
  const [query] = suiteQueries(suiteMetrics({ checks: [check('pattern', PATTERN)] }, datasets), { datasets, salt: 's' });
  const [answer, ...more] = await bench.rows(query?.sql ?? '');
  expect([Object.keys(answer ?? {}), more]).toEqual([['rows', 'a0', 'a1'], []]);
  const [samples, ...others] = await bench.rows(query?.sampleSql?.(answer ?? {}) ?? '');
  expect(others).toEqual([]);
  expect(samples?.['s0']).toHaveLength(5);
  for (const row of samples?.['s0'] as object[]) expect(Object.keys(row)).toEqual(['id', 'note']);
});
