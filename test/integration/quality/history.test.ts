import { followHead } from '../../../activities/ledger/branches';
import { migrate } from '../../../lib/migrate';
import { markAccepted, paramsHash, readBaseline } from '../../../activities/quality/history';
import { metricHistory, showChecks } from '../../../operator/checks';
import { firstHead, withBranch, withPromoted } from '../../../pipelines/chain-head';
import type { CheckDeclaration, DatasetSpec, RunRef, VersionRef } from '../../../pipelines/types';
import type { AlmanacError } from '../../../pipelines/failures';
import { GateHarness } from '../../support/gate-harness';
import { testDatabase, type TestDatabase } from '../../support/postgres';

const DATASETS: Record<string, DatasetSpec> = { udb: { columns: { id: 'bigint' }, key: ['id'] } };
const SIZE: CheckDeclaration = {
  id: 'udb-size',
  dataset: 'udb',
  measure: { metric: 'rows' },
  warn: 'drift',
  why: 'The size is unlike that of the weeks before.',
};
const CAPPED: CheckDeclaration = { ...SIZE, id: 'udb-capped', fail: { max: 500 } };

const DAYS = { every: 'day', timezone: 'UTC' } as const;

let database: TestDatabase;
let harness: GateHarness;
beforeAll(async () => {
  database = await testDatabase();
  await migrate(database.pool);
  harness = new GateHarness(DATASETS, database.pool);
});
beforeEach(async () => {
  await database.pool.query('truncate almanac.check_metric, almanac.check_result');
});
afterAll(async () => {
  await harness[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
});

function run(window: string, more: Partial<RunRef> = {}): RunRef {
  return { pipeline: 'example', window, branch: 'main', generation: 1, ...more };
}

function udb(rows: number, window: string): Promise<VersionRef> {
  return harness.version('udb', `select i::bigint as id from range(${rows}) r(i)`, window);
}

/** Judges a size in a window; accepted as the runner would unless it fails or is told not to be. */
async function day(
  ref: RunRef,
  rows: number,
  options: { accept?: boolean; checks?: readonly CheckDeclaration[]; attempt?: number } = {},
): Promise<VersionRef> {
  const version = await udb(rows, ref.window);
  await harness.judge({
    checks: options.checks ?? [SIZE],
    inputs: { udb: version },
    run: ref,
    ...(options.attempt !== undefined && { attempt: options.attempt }),
  });
  if (options.accept !== false) await markAccepted(database.pool, ref, [version]);
  return version;
}

const FRIDAYS = ['2026-10-23', '2026-10-30', '2026-11-06', '2026-11-13'];

async function verdict(ref: RunRef): Promise<{ status: string; n: number | null; observed: number | null }> {
  const [shown] = await showChecks(database.pool, ref);
  return { status: shown?.status ?? 'none', n: shown?.n ?? null, observed: shown?.observed ?? null };
}

async function baseline(ref: RunRef): Promise<[string, number][]> {
  const { accepted } = await readBaseline(database.pool, ref, DAYS, SIZE);
  return accepted.map(({ window, value }) => [window, value]);
}

test('four accepted Fridays make a fifth judgeable; what is judged and warned is on record with band, windows and score', async () => {
  for (const friday of FRIDAYS) await day(run(friday), 100);
  await day(run('2026-11-20'), 100);
  expect(await verdict(run('2026-11-20'))).toEqual({ status: 'PASS', n: 4, observed: 100 });
  await day(run('2026-11-27'), 200);
  const [shown] = await showChecks(database.pool, run('2026-11-27'));
  expect(shown).toMatchObject({ status: 'WARN', observed: 200, method: 'drift', n: 5 });
  expect(shown?.low).toBeGreaterThan(90);
  expect(shown?.high).toBeLessThan(110);
  expect(shown?.score).toBeGreaterThan(6);
});

test('windows that were not accepted, later ones and the tested one are no baseline', async () => {
  for (const friday of FRIDAYS) await day(run(friday), 100);
  await day(run('2026-11-12'), 300, { accept: false });
  await expect(day(run('2026-11-11'), 900, { checks: [CAPPED] })).rejects.toMatchObject({ code: 'gate.failed' });
  await day(run('2026-11-27'), 400);
  await day(run('2026-11-20'), 100);
  expect(await baseline(run('2026-11-20'))).toEqual([...FRIDAYS].reverse().map((friday) => [friday, 100]));
});

test('deequ poisons its baseline with failed days: here none enters it; its repair is not compared with the failed value and takes its place', async () => {
  for (const friday of FRIDAYS) await day(run(friday), 100);
  await expect(day(run('2026-11-20'), 900, { checks: [CAPPED] })).rejects.toMatchObject({ code: 'gate.failed' });
  expect((await baseline(run('2026-11-27')))[0]).toEqual(['2026-11-13', 100]);
  await day(run('2026-11-20'), 101, { checks: [CAPPED], attempt: 2 });
  expect(await verdict(run('2026-11-20'))).toEqual({ status: 'PASS', n: 4, observed: 101 });
  expect((await baseline(run('2026-11-27')))[0]).toEqual(['2026-11-20', 101]);
});

test('a branch is judged by main before its fork and by itself from there on; once it is promoted main goes on from it', async () => {
  for (const friday of FRIDAYS) await day(run(friday), 100);
  const { pipeline } = run('2026-11-13');
  const head = withBranch(firstHead(pipeline), 'b1', '2026-11-13');
  await followHead(database.pool, head, new Date());
  await day(run('2026-11-13', { branch: 'b1' }), 150);
  const earlier = [...FRIDAYS].reverse().slice(1);
  const before = earlier.map((friday) => [friday, 100]);
  expect(await baseline(run('2026-11-20', { branch: 'b1' }))).toEqual([['2026-11-13', 150], ...before]);
  expect(await baseline(run('2026-11-20'))).toEqual([['2026-11-13', 100], ...before]);
  await followHead(database.pool, withPromoted(head, 'b1'), new Date());
  expect(await baseline(run('2026-11-20'))).toEqual([['2026-11-13', 150], ...before]);
});

test('a rebuilt window replaces its value: one window, one baseline', async () => {
  await day(run('2026-11-13'), 100);
  const rebuilt = await day(run('2026-11-13', { generation: 2 }), 120);
  expect(await baseline(run('2026-11-20'))).toEqual([['2026-11-13', 120]]);
  const points = await metricHistory(database.pool, 'udb', 'rows');
  expect(points.map(({ value, accepted, generation }) => ({ value, accepted, generation }))).toEqual([
    { value: 120, accepted: true, generation: 2 },
    { value: 100, accepted: false, generation: 1 },
  ]);
  // A crash between acceptance and mark repeats the mark.
  await markAccepted(database.pool, run('2026-11-13', { generation: 2 }), [rebuilt]);
  expect(await baseline(run('2026-11-20'))).toEqual([['2026-11-13', 120]]);
});

test('measuring again replaces and never doubles, and takes no acceptance away', async () => {
  await day(run('2026-11-13'), 100);
  const before = await database.pool.query('select * from almanac.check_metric');
  await Promise.all(Array.from({ length: 4 }, () => day(run('2026-11-13'), 100, { accept: false })));
  const after = await database.pool.query('select * from almanac.check_metric');
  expect(after.rows.map(({ measured_at: _when, ...rest }) => rest)).toEqual(before.rows.map(({ measured_at: _when, ...rest }) => rest));
  expect((await database.pool.query('select count(*) as n from almanac.check_result')).rows).toEqual([{ n: 1 }]);
  expect(await baseline(run('2026-11-20'))).toEqual([['2026-11-13', 100]]);
});

test('a branch and another pipeline have histories of their own, as has another predicate', async () => {
  await day(run('2026-11-13'), 100);
  await day(run('2026-11-13', { branch: 'rebuild' }), 50);
  await day(run('2026-11-13', { pipeline: 'other' }), 70);
  expect(await baseline(run('2026-11-20'))).toEqual([['2026-11-13', 100]]);
  expect(await baseline(run('2026-11-20', { branch: 'rebuild' }))).toEqual([['2026-11-13', 50]]);
  const predicate = (text: string): CheckDeclaration => ({ ...SIZE, measure: { metric: 'rows-where', predicate: text } });
  await day(run('2026-11-13'), 100, { checks: [predicate('id > 10')] });
  expect((await readBaseline(database.pool, run('2026-11-20'), DAYS, predicate('id > 10'))).accepted).toHaveLength(1);
  expect((await readBaseline(database.pool, run('2026-11-20'), DAYS, predicate('id > 11'))).accepted).toEqual([]);
});

describe('looking at it', () => {
  test('shows the newest attempt, and an earlier generation where a stage was carried over', async () => {
    await day(run('2026-11-20'), 100, { attempt: 1 });
    await day(run('2026-11-20'), 130, { attempt: 2 });
    expect(await showChecks(database.pool, run('2026-11-20'))).toMatchObject([{ generation: 1, attempt: 2, observed: 130 }]);
    expect(await showChecks(database.pool, run('2026-11-20', { generation: 3 }))).toMatchObject([{ generation: 1, attempt: 2 }]);
    await day(run('2026-11-20', { generation: 2 }), 140);
    expect(await showChecks(database.pool, run('2026-11-20', { generation: 3 }))).toMatchObject([
      { generation: 2, attempt: 1, observed: 140 },
    ]);
    expect(await showChecks(database.pool, run('2026-11-20'))).toMatchObject([{ generation: 1, attempt: 2 }]);
  });

  test('of a run without results, an unknown metric or dataset names what there is', async () => {
    await day(run('2026-11-20'), 100);
    await expect(showChecks(database.pool, run('2026-11-21'))).rejects.toMatchObject({
      code: 'check.unknown',
      next: 'almanac show example/2026-11-21 tells how far the run is',
    });
    await expect(metricHistory(database.pool, 'udb', 'null-count')).rejects.toMatchObject({
      code: 'check.unknown',
      details: { metrics: ['rows'] },
      next: 'almanac check history udb rows',
    });
    await expect(metricHistory(database.pool, 'udbb', 'rows')).rejects.toMatchObject({
      code: 'check.unknown',
      details: { datasets: ['udb'] },
      next: 'almanac check history udb rows',
    });
  });

  test('of a metric whose words hold quotes proposes its kind, which a shell takes as it is', async () => {
    await database.pool.query(
      `insert into almanac.check_metric (pipeline, branch, window_key, dataset, metric, params_hash, version, label, params, value, row_count, generation, stage, measured_at)
       select 'example', 'main', '2026-11-20', 'names', kind, kind, 'v', label, '{}', 1, 1, 1, 'judge', now()
       from (values ('completeness', 'completeness(id)'), ('rows-where', 'rows-where(name = ''O''''Neil'')')) m (kind, label)`,
    );
    const unknown = (metric: string): Promise<unknown> =>
      metricHistory(database.pool, 'names', metric).then(
        () => 'found',
        ({ next }: AlmanacError) => next,
      );
    expect(await unknown('rows-wher')).toBe('almanac check history names rows-where');
    expect(await unknown("rows-where(name = 'O')")).toBe('almanac check history names rows-where');
    expect(await unknown('x')).toBe('almanac check history names completeness');
    expect(await metricHistory(database.pool, 'names', 'rows-where')).toHaveLength(1);
    await expect(metricHistory(database.pool, 'name', 'rows')).rejects.toMatchObject({ next: 'almanac check history names completeness' });
  });
});

test('windows of a minute are compared with the same time of day for weeks, and nobody reads what the method needs not', async () => {
  const of = { hash: paramsHash(SIZE.measure), state: JSON.stringify({ kind: 'frequencies', counts: { a: 1 }, rows: 1 }) };
  await database.pool.query(
    `insert into almanac.check_metric (pipeline, branch, window_key, dataset, metric, params_hash, version, label, params, value, row_count, generation, stage, measured_at, accepted, state)
     select 'example', 'main', to_char(at, 'YYYYMMDD"T"HH24MI"Z-PT1M"'), 'udb', 'rows', $1, 'v', 'rows', '{}', extract(hour from at), 1, 1, 'judge', at, true, $2
     from generate_series(timestamp '2026-11-08 00:00', timestamp '2026-11-20 12:00', interval '1 minute') at`,
    [of.hash, of.state],
  );
  const minutes = { every: 'minutes', minutes: 1 } as const;
  const ref = run('20261120T1030Z-PT1M');
  const level = (await readBaseline(database.pool, ref, minutes, SIZE)).accepted;
  const own = level.filter(({ window }) => window.includes('T1030Z'));
  expect(own.map(({ window }) => window.slice(0, 8))).toEqual([19, 18, 17, 16, 15, 14, 13, 12].map((day) => `202611${day}`));
  expect(new Set(level.map(({ window }) => window.slice(9, 13))).size).toBe(144);
  expect(level.length).toBe(144 * 8);
  expect(level.every((past) => !('state' in past) && past.window < ref.window)).toBe(true);
  const psi = (await readBaseline(database.pool, ref, minutes, { ...SIZE, drift: { method: 'psi' } })).accepted;
  expect(psi).toHaveLength(8);
  expect(psi.every(({ state }) => state?.kind === 'frequencies')).toBe(true);
  const rate = (await readBaseline(database.pool, ref, minutes, { ...SIZE, drift: { method: 'rate' } })).accepted;
  expect(rate.map(({ window }) => window)).toEqual(['20261120T1029Z-PT1M']);
});
