import type pg from 'pg';
import {
  closeAttempt,
  listAttempts,
  openAttempt,
  recordStanding,
  restoreAttempt,
  type AttemptEnd,
  type AttemptOrder,
  type OpenedAttempt,
} from '../../../activities/ledger/attempts';
import { claimRun, endRun, readRun, storePlan } from '../../../activities/ledger/runs';
import { migrate } from '../../../lib/migrate';
import type { FailureClass } from '../../../pipelines/failures';
import type { Plan, RunRef, StageOutput } from '../../../pipelines/types';
import { testDatabase, type TestDatabase } from '../../support/postgres';

let database: TestDatabase;
let pool: pg.Pool;

beforeAll(async () => {
  database = await testDatabase();
  pool = database.pool;
  await migrate(pool);
  await storePlan(pool, { hash: 'plan', pipeline: 'p' } as Plan);
});
afterAll(() => database[Symbol.asyncDispose]());

let windows = 0;
const at = (second: number): Date => new Date(Date.UTC(2026, 0, 1, 0, 0, second));
const output: StageOutput = { versions: [], rowsIn: 1, rowsOut: 2, bytesIn: 3, bytesOut: 4 };

async function claimed(): Promise<RunRef> {
  windows += 1;
  const run = { pipeline: 'p', window: `w${windows}`, branch: 'main', generation: 1 };
  await claim(run, 'mine');
  return run;
}

function claim(run: RunRef, token: string): Promise<boolean> {
  return claimRun(pool, {
    run,
    claim: token,
    planHash: 'plan',
    pins: {},
    bootstrap: false,
    origin: false,
    matrix: {},
    verb: 'run',
    who: 'test',
    now: at(0),
  });
}

function order(run: RunRef, over: Partial<AttemptOrder> = {}): AttemptOrder {
  return { run, claim: 'mine', stage: 'load', kind: 'ingest', epoch: 1, stageHash: 'h', worker: 'host:1', now: at(1), ...over };
}

async function opened(attempt: AttemptOrder): Promise<OpenedAttempt> {
  const result = await openAttempt(pool, attempt);
  if (result === undefined) throw new Error('the ledger refused the attempt');
  return result;
}

test('of eight racing claims of one generation one wins', async () => {
  windows += 1;
  const run = { pipeline: 'p', window: `w${windows}`, branch: 'main', generation: 1 };
  const wins = await Promise.all(Array.from({ length: 8 }, (_, i) => claim(run, `claim-${i}`)));
  expect(wins.filter(Boolean)).toHaveLength(1);
});

test('the first attempt marks the run running; attempts are numbered from 1', async () => {
  const run = await claimed();
  expect((await opened(order(run))).attempt).toBe(1);
  expect(await readRun(pool, run)).toMatchObject({ state: 'running', startedAt: at(1).toISOString() });
});

test('a newer attempt declares the older one lost, and its late report changes nothing', async () => {
  const run = await claimed();
  await opened(order(run));
  expect((await opened(order(run))).attempt).toBe(2);
  const late = await closeAttempt(pool, { run, stage: 'load', attempt: 1, state: 'succeeded', output, lines: [], now: at(2) });
  expect(late).toBe(false);
  expect((await listAttempts(pool, run)).map(({ state }) => state)).toEqual(['lost', 'running']);
});

test('an order whose completion was lost is answered from the ledger and not begun again', async () => {
  const run = await claimed();
  await opened(order(run));
  await closeAttempt(pool, { run, stage: 'load', attempt: 1, state: 'succeeded', output, lines: [], now: at(2) });
  expect((await opened(order(run))).finished).toEqual({ attempt: 1, output });
  expect(await listAttempts(pool, run)).toHaveLength(1);
});

test('opening does not wait for the disk, and only that statement does not', async () => {
  const run = await claimed();
  const client = await pool.connect();
  try {
    const within = async (): Promise<unknown> => (await client.query('show synchronous_commit')).rows[0];
    await client.query('begin');
    await openAttempt(client, order(run));
    expect(await within()).toEqual({ synchronous_commit: 'off' });
    await client.query('commit');
    expect(await within()).toEqual({ synchronous_commit: 'on' });
  } finally {
    client.release();
  }
});

describe('an attempt whose row a crash of the database took', () => {
  const ended = (run: RunRef, attempt = 1): AttemptEnd => ({
    run,
    stage: 'load',
    attempt,
    startedAt: at(1),
    state: 'succeeded',
    output,
    lines: [],
    now: at(2),
  });

  async function crashed(): Promise<RunRef> {
    const run = await claimed();
    await opened(order(run));
    await pool.query('delete from almanac.attempt where window_key = $1', [run.window]);
    return run;
  }

  test('is written anew when it ends', async () => {
    const run = await crashed();
    expect(await closeAttempt(pool, ended(run))).toBe(false);
    expect(await restoreAttempt(pool, order(run), ended(run))).toBe(true);
    expect(await listAttempts(pool, run)).toMatchObject([
      { stage: 'load', attempt: 1, epoch: 1, state: 'succeeded', output, startedAt: at(1).toISOString(), endedAt: at(2).toISOString() },
    ]);
    expect(await restoreAttempt(pool, order(run), ended(run))).toBe(false);
  });

  test('cannot end the attempt that got its number since', async () => {
    const run = await crashed();
    await opened(order(run, { worker: 'host:2', now: at(3) }));
    expect(await closeAttempt(pool, ended(run))).toBe(false);
    expect(await restoreAttempt(pool, order(run), ended(run))).toBe(false);
    expect(await listAttempts(pool, run)).toMatchObject([{ attempt: 1, worker: 'host:2', state: 'running' }]);
  });

  test('stays away from a run that is over or that another claimed', async () => {
    const run = await crashed();
    expect(await restoreAttempt(pool, order(run, { claim: 'other' }), ended(run))).toBe(false);
    await endRun(pool, run, 'mine', 'cancelled', [], 'execution', at(3));
    expect(await restoreAttempt(pool, order(run), ended(run))).toBe(false);
    expect(await listAttempts(pool, run)).toEqual([]);
  });
});

test('the next order of the same stage is begun again', async () => {
  const run = await claimed();
  await opened(order(run));
  await closeAttempt(pool, { run, stage: 'load', attempt: 1, state: 'succeeded', output, lines: [], now: at(2) });
  const next = await opened(order(run, { epoch: 2 }));
  expect(next).toMatchObject({ attempt: 2, finished: undefined });
});

test('another claim, or a closed run, is refused', async () => {
  const run = await claimed();
  expect(await openAttempt(pool, order(run, { claim: 'other' }))).toBeUndefined();
  await endRun(pool, run, 'mine', 'cancelled', [], 'execution', at(3));
  expect(await openAttempt(pool, order(run))).toBeUndefined();
});

test('an attempt sees the newest output of each stage that stands', async () => {
  const run = await claimed();
  await opened(order(run));
  await closeAttempt(pool, { run, stage: 'load', attempt: 1, state: 'succeeded', output, lines: [], now: at(2) });
  await recordStanding(pool, run, {
    stage: 'names',
    attempt: 1,
    epoch: 0,
    kind: 'ingest',
    stageHash: 'h',
    state: 'skipped',
    output: { ...output, rowsOut: 9 },
    tainted: true,
    now: at(2),
  });
  await opened(order(run, { stage: 'broken' }));
  expect((await opened(order(run, { stage: 'count' }))).outputs).toEqual({ load: output, names: { ...output, rowsOut: 9 } });
});

test('of two skips of one attempt the ledger tells the later that it does not stand', async () => {
  const run = await claimed();
  const skipped = {
    stage: 'load',
    attempt: 1,
    epoch: 1,
    kind: 'ingest',
    stageHash: 'h',
    state: 'skipped',
    output,
    tainted: true,
    now: at(2),
  } as const;
  expect(await recordStanding(pool, run, skipped)).toBe(true);
  expect(await recordStanding(pool, run, { ...skipped, output: { ...output, rowsOut: 9 } })).toBe(false);
  expect(await listAttempts(pool, run)).toMatchObject([{ state: 'skipped', output }]);
});

test('resource failures and the first start are counted per order', async () => {
  const run = await claimed();
  await opened(order(run));
  const failure = { code: 'engine.memory', class: 'resource', message: 'm', next: 'n', details: {} } as const;
  await closeAttempt(pool, {
    run,
    stage: 'load',
    attempt: 1,
    state: 'failed',
    failure,
    lines: [{ at: at(2), line: 'out of memory' }],
    now: at(2),
  });
  expect(await opened(order(run, { now: at(5) }))).toMatchObject({ resourceFailures: 1, firstStartedAt: at(1) });
  expect(await opened(order(run, { epoch: 2, now: at(6) }))).toMatchObject({ resourceFailures: 0, firstStartedAt: at(6) });
});

test('the half hour of a platform failure counts from the first one, whatever failed or was waited for before', async () => {
  const run = await claimed();
  const failed = async (failureClass: FailureClass, attempt: number, minute: number): Promise<void> => {
    const failure = { code: 'internal', class: failureClass, message: 'm', next: 'n', details: {} } as const;
    await closeAttempt(pool, { run, stage: 'load', attempt, state: 'failed', failure, lines: [], now: at(minute) });
  };
  expect((await opened(order(run))).firstFailedAt).toBeUndefined();
  await failed('data', 1, 2);
  expect((await opened(order(run, { now: at(3) }))).firstFailedAt).toBeUndefined();
  await failed('platform', 2, 4);
  expect((await opened(order(run, { now: at(5) }))).firstFailedAt).toEqual(at(4));
  expect((await opened(order(run, { epoch: 2, now: at(6) }))).firstFailedAt).toBeUndefined();
});

test('what tries of an order waited for permits is summed, and apart what those after the first platform failure did', async () => {
  const run = await claimed();
  const waited = (attempt: number, ms: number) =>
    pool.query('update almanac.attempt set permit_wait_ms = $1 where attempt = $2', [ms, attempt]);
  const lost = { code: 'internal', class: 'platform', message: 'm', next: 'n', details: {} } as const;
  expect((await opened(order(run))).permitDelay).toEqual({ sinceStart: 0, sinceFailure: 0 });
  await waited(1, 100);
  await closeAttempt(pool, { run, stage: 'load', attempt: 1, state: 'failed', failure: lost, lines: [], now: at(2) });
  expect((await opened(order(run, { now: at(3) }))).permitDelay).toEqual({ sinceStart: 100, sinceFailure: 0 });
  await waited(2, 20);
  expect((await opened(order(run, { now: at(4) }))).permitDelay).toEqual({ sinceStart: 120, sinceFailure: 20 });
  expect((await opened(order(run, { epoch: 2, now: at(6) }))).permitDelay).toEqual({ sinceStart: 0, sinceFailure: 0 });
});

test('a run is ended once', async () => {
  const run = await claimed();
  await endRun(pool, run, 'mine', 'succeeded', undefined, 'execution', at(3));
  await endRun(pool, run, 'mine', 'cancelled', [], 'execution', at(4));
  expect(await readRun(pool, run)).toMatchObject({ state: 'succeeded', endedAt: at(3).toISOString() });
});
