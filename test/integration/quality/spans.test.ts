import { migrate } from '../../../lib/migrate';
import { excludeWindows, readExclusions, withdrawExclusion } from '../../../activities/quality/exclusions';
import { markAccepted } from '../../../activities/quality/history';
import { showChecks, type ShownCheck } from '../../../operator/checks';
import type { CheckDeclaration, DatasetSpec, RunRef } from '../../../pipelines/types';
import { GateHarness } from '../../support/gate-harness';
import { testDatabase, type TestDatabase } from '../../support/postgres';

type BlockingCheck = Exclude<CheckDeclaration, { onFail: 'quarantine' }>;

const DATASETS: Record<string, DatasetSpec> = { sales: { columns: { id: 'bigint', price: 'double', kind: 'text' } } };
const NOW = new Date('2026-11-21T03:00:00Z');

let database: TestDatabase;
let harness: GateHarness;
beforeAll(async () => {
  database = await testDatabase();
  await migrate(database.pool);
  harness = new GateHarness(DATASETS, database.pool);
});
beforeEach(async () => {
  await database.pool.query('truncate almanac.check_metric, almanac.check_result, almanac.check_exclusion');
});
afterAll(async () => {
  await harness[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
});

function run(window: string): RunRef {
  return { pipeline: 'example', window, branch: 'main', generation: 1 };
}

/** Judges one check of a window's sales and accepts them. */
async function day(window: string, rows: string, check: CheckDeclaration): Promise<ShownCheck> {
  const version = await harness.version('sales', rows, window);
  await harness.judge({ checks: [check], inputs: { sales: version }, run: run(window) });
  await markAccepted(database.pool, run(window), [version]);
  const [shown] = await showChecks(database.pool, run(window));
  if (shown === undefined) throw new Error('nothing was judged');
  return shown;
}

function check(measure: CheckDeclaration['measure'], more: Partial<BlockingCheck> = {}): CheckDeclaration {
  return { id: 'it', dataset: 'sales', measure, why: 'It is watched.', ...more };
}

const prices = (...values: number[]): string =>
  `select i::bigint as id, x::double as price, 'k' || (i % 3) as kind from (values ${values.map((x, i) => `(${i}, ${x})`).join(', ')}) v(i, x)`;

test('a metric over windows is that of all their rows, from the states they left, with no second scan', async () => {
  const over = check({ metric: 'standard-deviation', column: 'price', over: 3 });
  await day('2026-11-16', prices(900, 900), over);
  await day('2026-11-17', prices(1, 2, 3), over);
  await day('2026-11-18', prices(4), over);
  harness.asked.length = 0;
  const shown = await day('2026-11-19', prices(5, 6), over);
  const mean = 21 / 6;
  expect(shown.observed).toBeCloseTo(Math.sqrt([1, 2, 3, 4, 5, 6].reduce((sum, x) => sum + (x - mean) ** 2, 0) / 6), 12);
  expect(shown.message).toContain('It is of 3 of the last 3 windows.');
  expect(harness.asked).toHaveLength(1);
});

test('a window that was not run is missing from a span and is told', async () => {
  const over = check({ metric: 'sum', column: 'price', over: 7 });
  await day('2026-11-14', prices(1, 2), over);
  const shown = await day('2026-11-19', prices(3), over);
  expect(shown).toMatchObject({ observed: 6 });
  expect(shown.message).toContain('It is of 2 of the last 7 windows.');
});

test('distinct values, quantiles and uniqueness merge over windows', async () => {
  const series = (from: number): string =>
    `select i::bigint as id, i::double as price, 'k' as kind from range(${from}, ${from + 5000}) r(i)`;
  for (const [measure, low, high] of [
    [{ metric: 'approx-count-distinct', column: 'id', over: 2 }, 7125, 7875],
    [{ metric: 'approx-quantile', column: 'price', quantile: 0.5, over: 2 }, 3700, 3800],
    [{ metric: 'uniqueness', columns: ['kind'], over: 2 }, 0, 0],
  ] as const) {
    await day('2026-11-18', series(0), check(measure));
    const { observed } = await day('2026-11-19', series(2500), check(measure));
    expect(observed).toBeGreaterThanOrEqual(low);
    expect(observed).toBeLessThanOrEqual(high);
  }
});

const FRIDAYS = ['2026-10-16', '2026-10-23', '2026-10-30', '2026-11-06', '2026-11-13'];
const SIZE = check({ metric: 'size' }, { warn: 'drift' });
const rows = (count: number): string => `select i::bigint as id, 1.0::double as price, 'k' as kind from range(${count}) r(i)`;

test('a window on record as like no others is no baseline, and no drift is judged of it', async () => {
  const holiday = { pipeline: 'example', dataset: null, from: '2026-11-06', to: '2026-11-06', reason: 'a fair was in town', who: 'ann' };
  const id = await excludeWindows(database.pool, holiday, NOW);
  for (const friday of FRIDAYS) {
    const shown = await day(friday, rows(friday === '2026-11-06' ? 5000 : 100), SIZE);
    if (friday === '2026-11-06')
      expect(shown).toMatchObject({ status: 'NO_HISTORY', message: expect.stringContaining('a fair was in town') as string });
  }
  expect(await day('2026-11-20', rows(100), SIZE)).toMatchObject({ status: 'PASS', n: 4 });
  expect(await readExclusions(database.pool, 'example')).toEqual([{ id, ...holiday }]);
  expect(await withdrawExclusion(database.pool, id, NOW)).toBe(true);
  expect(await withdrawExclusion(database.pool, id, NOW)).toBe(false);
  expect(await day('2026-11-27', rows(100), SIZE)).toMatchObject({ status: 'PASS', n: 6 });
});

test('of personal columns counts are kept, and no value', async () => {
  const personal = new GateHarness(
    { sales: { ...DATASETS['sales'], columns: { id: 'bigint', price: 'double', kind: 'text' }, pii: ['kind'] } },
    database.pool,
  );
  try {
    const version = await personal.version('sales', `select 1::bigint as id, 1.0::double as price, 'Ann' as kind`, '2026-11-19');
    const measures = [
      { metric: 'histogram', column: 'kind' },
      { metric: 'completeness', column: 'kind' },
    ] as const;
    await personal.judge({
      checks: measures.map((measure, i) => ({ ...check(measure), id: `it-${i}` })),
      inputs: { sales: version },
      run: run('2026-11-19'),
    });
  } finally {
    await personal[Symbol.asyncDispose]();
  }
  const { rows: kept } = await database.pool.query<{ metric: string; state: unknown; detail: unknown }>(
    'select metric, state, detail from almanac.check_metric order by metric',
  );
  expect(kept).toEqual([
    { metric: 'completeness', state: { kind: 'count', holds: 1, rows: 1 }, detail: null },
    { metric: 'histogram', state: null, detail: null },
  ]);
});

test('a distribution that shifts is told with the values that are new and gone', async () => {
  const kinds = (a: number, b: number, name = 'b'): string =>
    `select i::bigint as id, 1.0::double as price, case when i < ${a} then 'a' else '${name}' end as kind from range(${a + b}) r(i)`;
  const psi = check({ metric: 'histogram', column: 'kind' }, { drift: { method: 'psi', fail: 0.25 }, fail: { max: 10 } });
  for (const friday of FRIDAYS) expect((await day(friday, kinds(50, 50), psi)).status).not.toBe('FAIL');
  expect((await day('2026-11-20', kinds(49, 51), psi)).status).toBe('PASS');
  const version = await harness.version('sales', kinds(50, 50, 'z'), '2026-11-27');
  const failure = await harness.failure({ checks: [psi], inputs: { sales: version }, run: run('2026-11-27') });
  expect(failure.message).toMatch(/new: z, gone: b/);
});

test('numbers of any count are compared by bins of given edges; by value, beyond what is kept, the verdict says why they are not', async () => {
  const spread = (from: number): string =>
    `select i::bigint as id, (${from} + i % 2000)::double as price, 'a' as kind from range(4000) r(i)`;
  const byValue = check({ metric: 'histogram', column: 'price' }, { id: 'by-value', drift: { method: 'psi' } });
  const byBin = check(
    { metric: 'histogram-binned', column: 'price', edges: [0, 500, 1000, 1500, 2000] },
    { id: 'by-bin', drift: { method: 'psi', fail: 0.25 }, fail: { max: 4 } },
  );
  for (const friday of FRIDAYS) {
    const version = await harness.version('sales', spread(0), friday);
    await harness.judge({ checks: [byValue, byBin], inputs: { sales: version }, run: run(friday) });
    await markAccepted(database.pool, run(friday), [version]);
  }
  const version = await harness.version('sales', spread(1000), '2026-11-20');
  const failure = await harness.failure({ checks: [byValue, byBin], inputs: { sales: version }, run: run('2026-11-20') });
  expect(failure.message).toMatch(/by-bin: .*from that of the last \d+ Fridays by psi/);
  const { rows } = await database.pool.query<{ status: string; message: string }>(
    "select status, message from almanac.check_result where check_id = 'by-value' and window_key = '2026-11-20'",
  );
  expect(rows).toEqual([
    { status: 'NO_HISTORY', message: expect.stringMatching(/more than 1000 different values are not kept/) as string },
  ]);
});

test('a window with too many different values is not left out of a span: it cannot be measured', async () => {
  const over = check({ metric: 'uniqueness', columns: ['kind'], over: 3 });
  const many = (count: number): string => `select i::bigint as id, 1.0::double as price, 'k' || i as kind from range(${count}) r(i)`;
  // Without the span, which holds it already.
  await day('2026-11-17', many(1500), check({ metric: 'uniqueness', columns: ['kind'] }));
  const version = await harness.version('sales', many(5), '2026-11-19');
  const failure = await harness.failure({ checks: [over], inputs: { sales: version }, run: run('2026-11-19') });
  expect(failure.message).toMatch(/2026-11-17 left nothing to merge: more than 1000 different values are not kept/);
});

test('a branch merges the windows of main before its fork with its own, and main knows nothing of them', async () => {
  const over = check({ metric: 'sum', column: 'price', over: 3 });
  await day('2026-11-17', prices(1), over);
  await day('2026-11-18', prices(10), over);
  await database.pool.query("insert into almanac.chain_branch values ('example', 'b1', '2026-11-18', 'open', 1, now())");
  const judge = async (window: string, rows: string): Promise<number | null> => {
    const version = await harness.version('sales', rows, window);
    const ref = { ...run(window), branch: 'b1' };
    await harness.judge({ checks: [over], inputs: { sales: version }, run: ref });
    await markAccepted(database.pool, ref, [version]);
    return (await showChecks(database.pool, ref))[0]?.observed ?? null;
  };
  expect(await judge('2026-11-18', prices(100))).toBe(101);
  expect(await judge('2026-11-19', prices(1000))).toBe(1101);
  expect((await day('2026-11-19', prices(5), over)).observed).toBe(16);
});
