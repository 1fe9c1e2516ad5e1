import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import type pg from 'pg';
import type { Engine } from '../../../activities/compute/engine';
import { listAttempts } from '../../../activities/ledger/attempts';
import { installPools, readLeases, setPermits } from '../../../activities/ledger/pools';
import { claimRun, storePlan } from '../../../activities/ledger/runs';
import { runStage, type StageShell } from '../../../activities/run-stage';
import type { StageBody } from '../../../activities/stage';
import { createDatasetStore } from '../../../activities/storage/datasets';
import { createLocalStore } from '../../../activities/storage/local-store';
import { migrate } from '../../../lib/migrate';
import { AlmanacError } from '../../../pipelines/failures';
import { POOL_PATIENCE_SECONDS } from '../../../pipelines/pools';
import type { Plan, PlanStage, RunRef, StageOutput } from '../../../pipelines/types';
import { StageMetrics } from '../../../workers/metrics';
import { until } from '../../support/until';
import { testDatabase, type TestDatabase } from '../../support/postgres';

const OUTPUT: StageOutput = { versions: [], rowsIn: 1, rowsOut: 1, bytesIn: 1, bytesOut: 1 };
const LOAD: PlanStage = {
  ...{ id: 'load', kind: 'ingest', needs: [], hash: 'h', timeoutSeconds: 30, pool: { name: 'warehouse', permits: 1 } },
  spec: { kind: 'ingest', landing: 'plays', writes: 'plays', pool: { name: 'warehouse' } },
};
const PLAN: Plan = {
  ...{ hash: 'plan', pipeline: 'plays', chain: 'independent', window: { every: 'day', timezone: 'UTC' }, params: {}, datasets: {} },
  stages: [LOAD],
};

let database: TestDatabase;
let pool: pg.Pool;
let root: string;
beforeEach(async () => {
  database = await testDatabase();
  pool = database.pool;
  await migrate(pool);
  await storePlan(pool, PLAN);
  await installPools(pool, { warehouse: 1 }, at(0));
  root = mkdtempSync(path.join(os.tmpdir(), 'almanac-permits-'));
});
afterEach(async () => {
  await database[Symbol.asyncDispose]();
  rmSync(root, { recursive: true });
});

const at = (second: number): Date => new Date(Date.UTC(2026, 0, 3) + second * 1000);
const done: StageBody = () => Promise.resolve(OUTPUT);
const fails =
  (code: 'landing.missing' | 'engine.lost'): StageBody =>
  () =>
    Promise.reject(new AlmanacError(code, 'not now', { next: 'wait' }));

interface Surroundings {
  readonly stage?: PlanStage;
  /** Returns when there is a place; from then on it is that second. Default: there is one. */
  readonly place?: (signal: AbortSignal) => Promise<number>;
}

interface Ordered {
  readonly run: RunRef;
  /** One try of the order at a second; the failure Temporal is told, if it fails. */
  attempt(second: number, body?: StageBody, more?: Surroundings): Promise<ApplicationFailure | CancelledFailure | undefined>;
  readonly environment: () => MockActivityEnvironment;
}

async function ordered(window: string): Promise<Ordered> {
  const run = { pipeline: 'plays', window, branch: 'main', generation: 1 };
  await claimRun(pool, {
    ...{ run, claim: 'mine', planHash: 'plan', pins: {}, bootstrap: false, origin: false, matrix: {}, verb: 'run', who: 'x', now: at(0) },
  });
  let environment = new MockActivityEnvironment();
  return {
    run,
    environment: () => environment,
    attempt(second, body = done, { stage = LOAD, place } = {}) {
      let now = second;
      const clock = { now: () => at(now) };
      const store = createLocalStore(root);
      const unused = (): Promise<never> => Promise.reject(new Error('nothing is computed here'));
      const engine: Engine = {
        session: unused,
        async place(signal, within) {
          now = (await place?.(signal)) ?? now;
          return within(engine);
        },
        close: () => Promise.resolve(),
      };
      const shell: StageShell = {
        services: {
          ...{ store, datasets: createDatasetStore(store, clock), database: pool, clock, text: unused },
          engine,
        },
        bodies: { ingest: body, sense: body, compute: body, check: body, publish: body },
        ...{ worker: `host:${second}`, limits: { memoryBytes: 1e9, threads: 1 }, observer: new StageMetrics() },
        plan: () => Promise.resolve({ ...PLAN, stages: [stage] }),
        point: () => Promise.resolve(),
      };
      environment = new MockActivityEnvironment();
      const task = { run, claim: 'mine', planHash: 'plan', stage: 'load', epoch: 1, patienceSeconds: 60 };
      return environment
        .run(() => runStage(shell, task))
        .then(
          () => undefined,
          (error: unknown) => {
            if (error instanceof ApplicationFailure || error instanceof CancelledFailure) return error;
            throw error;
          },
        );
    },
  };
}

async function leases(): Promise<string[]> {
  const { held, waiting } = await readLeases(pool, 'warehouse', at(0));
  return [...held, ...waiting].map(({ run, state }) => `${run.window} ${state}`);
}

test('a stage holds its permit while its body runs; others wait as one attempt, and take it when it is back', async () => {
  const [first, second] = [await ordered('2026-01-01'), await ordered('2026-01-02')];
  const body: StageBody = async () => {
    expect(await leases()).toEqual(['2026-01-01 held']);
    for (const poll of [2, 3])
      expect(await second.attempt(poll)).toMatchObject({
        type: 'pool.full',
        nonRetryable: false,
        nextRetryDelay: 1000,
        category: 'BENIGN',
      });
    expect(await leases()).toEqual(['2026-01-01 held', '2026-01-02 waiting']);
    expect(await listAttempts(pool, second.run)).toMatchObject([
      {
        ...{ attempt: 1, state: 'waiting', polls: 2, waitingSince: at(2).toISOString() },
        waitsUntil: at(2 + POOL_PATIENCE_SECONDS).toISOString(),
        failure: { code: 'pool.full', details: { pool: 'warehouse', position: 1, of: 1 } },
      },
    ]);
    return OUTPUT;
  };
  expect(await first.attempt(1, body)).toBeUndefined();
  expect(await second.attempt(4)).toBeUndefined();
  expect(await listAttempts(pool, second.run)).toMatchObject([{ attempt: 1, state: 'succeeded' }]);
  expect(await leases()).toEqual([]);
});

test.each(['landing.missing', 'engine.lost'] as const)('an attempt that ends with %s gives its permit back', async (code) => {
  const first = await ordered('2026-01-01');
  expect(await first.attempt(1, fails(code))).toMatchObject({ type: code, nonRetryable: false });
  expect(await leases()).toEqual([]);
});

test('a stage that is cancelled gives its permit back', async () => {
  const first = await ordered('2026-01-01');
  const body: StageBody = (context) =>
    new Promise((_, reject) => {
      context.signal.addEventListener('abort', () => reject(new Error('stopped')), { once: true });
      first.environment().cancel('CANCELLED');
    });
  expect(await first.attempt(1, body)).toBeInstanceOf(CancelledFailure);
  expect(await leases()).toEqual([]);
});

test('a zombie neither holds nor frees what the next attempt has', async () => {
  const first = await ordered('2026-01-01');
  const zombie: StageBody = async () => {
    expect(
      await first.attempt(20, async () => {
        expect(await leases()).toEqual(['2026-01-01 held']);
        return OUTPUT;
      }),
    ).toBeUndefined();
    expect(await leases()).toEqual([]);
    return OUTPUT;
  };
  expect(await first.attempt(1, zombie)).toBeUndefined();
  expect(await leases()).toEqual([]);
});

test.each([
  ['took over', 'update almanac.lease set attempt = attempt + 1'],
  ['has yet to take over', 'select'],
])('an attempt that was declared lost ends late: what its successor %s stays', async (_when, takeOver) => {
  const first = await ordered('2026-01-01');
  const late: StageBody = async () => {
    await pool.query("update almanac.attempt set state = 'lost'");
    await pool.query(takeOver);
    return OUTPUT;
  };
  expect(await first.attempt(1, late)).toBeUndefined();
  expect(await leases()).toEqual(['2026-01-01 held']);
});

test('after seven days it holds, as a matter of time', async () => {
  const first = await ordered('2026-01-01');
  await setPermits(pool, 'warehouse', 0, { who: 'ann', reason: 'closed', now: at(0) });
  await first.attempt(1);
  expect(await first.attempt(1 + POOL_PATIENCE_SECONDS)).toMatchObject({ type: 'pool.full', nonRetryable: true });
  expect(await listAttempts(pool, first.run)).toMatchObject([{ state: 'failed', failure: { class: 'timeout' } }]);
  expect(await leases()).toEqual([]);
});

test('a stage whose turn comes waits for a place without permits: after a while others take them, and it keeps its position', async () => {
  const [first, second] = [await ordered('2026-01-01'), await ordered('2026-01-02')];
  let goOn = (_output: StageOutput): void => undefined;
  const gate = new Promise<StageOutput>((resolve) => (goOn = resolve));
  let overtaking: Promise<unknown> = Promise.resolve('never');
  const place = async (): Promise<number> => {
    expect(await leases()).toEqual(['2026-01-01 waiting']);
    expect((await readLeases(pool, 'warehouse', at(1))).waiting).toMatchObject([{ placeSince: at(1).toISOString() }]);
    expect(await second.attempt(10)).toMatchObject({ type: 'pool.full', details: [{ details: { position: 2, of: 2 } }] });
    overtaking = second.attempt(40, () => gate);
    await until('it was overtaken', async () => (await leases()).includes('2026-01-02 held'), 60_000);
    return 50;
  };
  expect(await first.attempt(1, done, { place })).toMatchObject({ type: 'pool.full' });
  expect(await leases()).toEqual(['2026-01-02 held', '2026-01-01 waiting']);
  goOn(OUTPUT);
  expect(await overtaking).toBeUndefined();
  expect(await first.attempt(51)).toBeUndefined();
});

test('a stage that gets its place takes its permits then, and both are back at its end', async () => {
  const first = await ordered('2026-01-01');
  const body: StageBody = async () => {
    expect(await leases()).toEqual(['2026-01-01 held']);
    expect((await readLeases(pool, 'warehouse', at(20))).held).toMatchObject([{ since: at(20).toISOString(), placeSince: null }]);
    return OUTPUT;
  };
  expect(await first.attempt(1, body, { place: () => Promise.resolve(20) })).toBeUndefined();
  expect(await leases()).toEqual([]);
});

test('a worker that ends while its stage waits for a place leaves it its position; a cancel takes it out of the line', async () => {
  const first = await ordered('2026-01-01');
  const stopped = (why: 'WORKER_SHUTDOWN' | 'CANCELLED') => (signal: AbortSignal) =>
    new Promise<number>((_, reject) => {
      signal.addEventListener('abort', () => reject(new Error('stopped')), { once: true });
      first.environment().cancel(why);
    });
  expect(await first.attempt(1, done, { place: stopped('WORKER_SHUTDOWN') })).toMatchObject({ type: 'service.unavailable' });
  expect((await readLeases(pool, 'warehouse', at(2))).waiting).toMatchObject([{ askedAt: at(1).getTime() }]);
  expect(await first.attempt(2, done, { place: stopped('CANCELLED') })).toBeInstanceOf(CancelledFailure);
  expect(await leases()).toEqual([]);
});

test('a stage that computes nothing needs no place', async () => {
  const first = await ordered('2026-01-01');
  const place = (): Promise<number> => Promise.reject(new Error('not asked for'));
  expect(await first.attempt(1, done, { stage: { ...LOAD, kind: 'sense' }, place })).toBeUndefined();
});

test('the patience for its data counts without what it waited for permits, between its looks as well', async () => {
  const first = await ordered('2026-01-01');
  const permits = (count: number): Promise<boolean> => setPermits(pool, 'warehouse', count, { who: 'ann', reason: 'tests', now: at(0) });
  await permits(0);
  for (const second of [0, 10, 1000]) expect(await first.attempt(second)).toMatchObject({ type: 'pool.full' });
  await permits(1);
  expect(await first.attempt(1010, fails('landing.missing'))).toMatchObject({ type: 'landing.missing', nonRetryable: false });
  expect(await listAttempts(pool, first.run)).toMatchObject([{ waitsUntil: at(1070).toISOString() }]);
  await permits(0);
  for (const second of [1020, 2020]) expect(await first.attempt(second)).toMatchObject({ type: 'pool.full' });
  await permits(1);
  expect(await first.attempt(2059, fails('landing.missing'))).toMatchObject({ nonRetryable: false });
  expect(await first.attempt(2110, fails('landing.missing'))).toMatchObject({ nonRetryable: true });
});

test('tries after a platform failure are not spent by the line they stand in', async () => {
  const first = await ordered('2026-01-01');
  expect(await first.attempt(0, fails('engine.lost'))).toMatchObject({ nonRetryable: false });
  await setPermits(pool, 'warehouse', 0, { who: 'ann', reason: 'tests', now: at(0) });
  for (const second of [1, 7200]) expect(await first.attempt(second)).toMatchObject({ type: 'pool.full' });
  await setPermits(pool, 'warehouse', null, { who: 'ann', reason: 'tests', now: at(0) });
  expect(await first.attempt(7201, fails('engine.lost'))).toMatchObject({ nonRetryable: false });
  expect(await first.attempt(7200 + 1801, fails('engine.lost'))).toMatchObject({ nonRetryable: true });
});

test('a stage that asks for more than its pool has fails at once, one that waits with its next look, and says both numbers', async () => {
  const [first, second] = [await ordered('2026-01-01'), await ordered('2026-01-02')];
  const stage = { ...LOAD, pool: { name: 'warehouse', permits: 3 } };
  const by = { who: 'ann', now: at(0) };
  await installPools(pool, { warehouse: 4 }, at(0));
  await setPermits(pool, 'warehouse', 0, { ...by, reason: 'it is moved' });
  expect(await first.attempt(1, done, { stage })).toMatchObject({
    type: 'pool.full',
    message: 'stage load waits for 3 permits of pool warehouse, which is closed: it is moved',
  });
  await setPermits(pool, 'warehouse', 2, { ...by, reason: 'it is slow' });
  for (const one of [first, second]) {
    expect(await one.attempt(2, done, { stage })).toMatchObject({
      ...{ type: 'pool.too-small', nonRetryable: true },
      message: 'stage load asks for 3 permits of pool warehouse, which has 2; declared are 4, an operator set 2: it is slow',
      details: [{ next: expect.stringMatching(/^almanac pool set warehouse --permits 4 --reason …, .*; then: almanac retry plays/) }],
    });
    expect(await listAttempts(pool, one.run)).toMatchObject([{ attempt: 1, state: 'failed', failure: { class: 'user' } }]);
  }
  expect(await leases()).toEqual([]);
});

test('a pool that the ledger does not know fails the stage and says what to do', async () => {
  const first = await ordered('2026-01-01');
  const nowhere = { ...LOAD, pool: { name: 'nowhere', permits: 1 } };
  expect(await first.attempt(1, done, { stage: nowhere })).toMatchObject({ type: 'pool.unknown', nonRetryable: true });
});

test('a stage that needs no pool any more, by a newer plan, gives back what its killed attempt held', async () => {
  const first = await ordered('2026-01-01');
  const { pool: _, ...without } = LOAD;
  const killed: StageBody = async () => {
    const body: StageBody = async () => {
      expect(await leases()).toEqual([]);
      return OUTPUT;
    };
    expect(await first.attempt(20, body, { stage: without })).toBeUndefined();
    return OUTPUT;
  };
  expect(await first.attempt(1, killed)).toBeUndefined();
  expect(await leases()).toEqual([]);
});

test('a stage without a pool asks nothing of the ledger for it', async () => {
  const first = await ordered('2026-01-01');
  const { pool: _, ...without } = LOAD;
  const query = jest.spyOn(pool, 'query');
  const connect = jest.spyOn(pool, 'connect');
  await first.attempt(1, done, { stage: without });
  // Opening the attempt and closing it.
  expect([query.mock.calls.length, connect.mock.calls.length]).toEqual([2, 2]);
  query.mockRestore();
  connect.mockRestore();
});
