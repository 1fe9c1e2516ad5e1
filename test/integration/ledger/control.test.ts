import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import type pg from 'pg';
import { childIdentity, isAlive } from '../../../activities/compute/child-identity';
import type { AttemptProof } from '../../../activities/attempt-proof';
import { createControlActivities } from '../../../activities/control';
import { closeAttempt, openAttempt, recordChild } from '../../../activities/ledger/attempts';
import { claimRun, holdRun, readRun, storePlan } from '../../../activities/ledger/runs';
import { createDatasetStore } from '../../../activities/storage/datasets';
import type { DatasetStore } from '../../../activities/storage/dataset-store';
import { createLocalStore } from '../../../activities/storage/local-store';
import { systemClock } from '../../../lib/clock';
import { migrate } from '../../../lib/migrate';
import type { Outcome } from '../../../pipelines/frontier';
import type { Plan, RunRef } from '../../../pipelines/types';
import { testDatabase, type TestDatabase } from '../../support/postgres';
import { until } from '../../support/until';

const OUTPUT = { versions: [], rowsIn: 0, rowsOut: 0, bytesIn: 0, bytesOut: 0 };

let database: TestDatabase;
let pool: pg.Pool;
let root: string;
let datasets: DatasetStore;

beforeAll(async () => {
  database = await testDatabase();
  pool = database.pool;
  await migrate(pool);
  await storePlan(pool, { hash: 'plan', pipeline: 'p' } as Plan);
  root = mkdtempSync(path.join(os.tmpdir(), 'almanac-control-'));
  datasets = createDatasetStore(createLocalStore(root), systemClock);
});
afterAll(async () => {
  await database[Symbol.asyncDispose]();
  rmSync(root, { recursive: true });
});

let windows = 0;
async function claimed(): Promise<RunRef> {
  const run = { pipeline: 'p', window: `w${++windows}`, branch: 'main', generation: 1 };
  await claimRun(pool, {
    run,
    claim: 'mine',
    planHash: 'plan',
    pins: {},
    bootstrap: false,
    origin: false,
    matrix: {},
    verb: 'run',
    who: 'test',
    now: new Date(),
  });
  return run;
}

async function opened(run: RunRef, worker = `${os.hostname()}:1`): Promise<number> {
  const order = { run, claim: 'mine', stage: 's', kind: 'compute', epoch: 1, stageHash: 'h', worker, now: new Date() } as const;
  return (await openAttempt(pool, order))?.attempt ?? 0;
}

async function close(run: RunRef, claim: string, outcome: Outcome = 'cancelled'): Promise<readonly AttemptProof[]> {
  const activities = createControlActivities({ database: pool, datasets, clock: systemClock });
  await new MockActivityEnvironment().run(() => activities.closeRun({ run, claim, planHash: 'plan', outcome }));
  return ((await readRun(pool, run))?.proof ?? []) as readonly AttemptProof[];
}

const accept = (run: RunRef): Promise<unknown> =>
  datasets.accept({ pipeline: 'p', branch: 'main', window: run.window, run, versions: [], gates: {} });

test('an execution that was started twice ends without revoking what the first one brought to its end', async () => {
  const run = await claimed();
  await close(run, 'mine', 'succeeded');
  await close(run, 'mine', 'abandoned');
  expect(await readRun(pool, run)).toMatchObject({ state: 'succeeded' });
  await expect(accept(run)).resolves.toMatchObject({ run });
});

test('a late order to accept while a stage is run again accepts nothing', async () => {
  const run = await claimed();
  const stages = ['s', 'other'].map((id) => ({ id, kind: 'compute', needs: [], hash: 'h', timeoutSeconds: 1, spec: { kind: 'compute' } }));
  await storePlan(pool, { hash: 'two-stages', pipeline: 'p', stages } as unknown as Plan);
  const order = { run, claim: 'mine', kind: 'compute', stageHash: 'h', worker: 'w:1', now: new Date() } as const;
  for (const { id } of stages) {
    const attempt = (await openAttempt(pool, { ...order, stage: id, epoch: 1 }))?.attempt ?? 0;
    await closeAttempt(pool, { run, stage: id, attempt, state: 'succeeded', output: OUTPUT, lines: [], now: new Date() });
  }
  await openAttempt(pool, { ...order, stage: 's', epoch: 2 });
  const activities = createControlActivities({ database: pool, datasets, clock: systemClock });
  const late = new MockActivityEnvironment().run(() => activities.acceptWindow({ run, claim: 'mine', planHash: 'two-stages' }));
  await expect(late).rejects.toMatchObject({ type: 'run.stale', nonRetryable: true });
  expect(await datasets.accepted('p', 'main', run.window)).toBeUndefined();
});

test('an order to accept ends the hold that was retried, should the sender of the retry have died', async () => {
  const run = await claimed();
  await storePlan(pool, { hash: 'no-stages', pipeline: 'p', stages: [] } as unknown as Plan);
  await holdRun(pool, run, 'mine', {}, new Date(), 1);
  const activities = createControlActivities({ database: pool, datasets, clock: systemClock });
  const task = { run, claim: 'mine', planHash: 'no-stages', taken: { woken: 1, plans: 0, actions: [] } };
  await new MockActivityEnvironment().run(() => activities.acceptWindow(task));
  expect(await readRun(pool, run)).toMatchObject({ state: 'running', failure: null });
  await new MockActivityEnvironment().run(() => activities.recordHold({ ...task, hold: 1, failures: {} }));
  expect((await readRun(pool, run))?.state).toBe('running');
});

test('an order that accepts and closes says the same when its answer was lost; a run that ended otherwise refuses it', async () => {
  await storePlan(pool, { hash: 'no-stages', pipeline: 'p', stages: [] } as unknown as Plan);
  const activities = createControlActivities({ database: pool, datasets, clock: systemClock });
  const order = (run: RunRef, claim = 'mine'): Promise<unknown> =>
    new MockActivityEnvironment().run(() => activities.acceptWindow({ run, claim, planHash: 'no-stages', closes: true }));
  const run = await claimed();
  const answer = await order(run);
  expect(answer).toEqual({ sequence: 1, closed: true });
  const ended = await readRun(pool, run);
  expect(ended).toMatchObject({ state: 'succeeded' });
  expect(await order(run)).toEqual(answer);
  expect(await readRun(pool, run)).toEqual(ended);
  await expect(order(run, 'of another')).rejects.toMatchObject({ type: 'run.fenced' });
  const cancelled = await claimed();
  await close(cancelled, 'mine');
  await expect(order(cancelled)).rejects.toMatchObject({ type: 'run.fenced' });
  expect(await datasets.accepted('p', 'main', cancelled.window)).toBeUndefined();
});

test('an order to accept and close that nobody waits for any more accepts, and leaves the close to the next one', async () => {
  await storePlan(pool, { hash: 'no-stages', pipeline: 'p', stages: [] } as unknown as Plan);
  const activities = createControlActivities({ database: pool, datasets, clock: systemClock });
  const run = await claimed();
  const environment = new MockActivityEnvironment();
  environment.cancel();
  const order = { run, claim: 'mine', planHash: 'no-stages', closes: true };
  expect(await environment.run(() => activities.acceptWindow(order))).toEqual({ sequence: 1 });
  expect(await readRun(pool, run)).toMatchObject({ endedAt: null });
  expect(await datasets.accepted('p', 'main', run.window)).toMatchObject({ sequence: 1 });
});

test('an execution whose claim the ledger does not know ends without revoking the work of the one it knows', async () => {
  const run = await claimed();
  await opened(run);
  await close(run, 'of another ledger', 'abandoned');
  expect(await readRun(pool, run)).toMatchObject({ state: 'running', endedAt: null });
  await expect(accept(run)).resolves.toMatchObject({ run });
});

test('a cancelled generation is refused in the store, and its attempts are proven to have ended', async () => {
  const run = await claimed();
  const attempt = await opened(run);
  await closeAttempt(pool, { run, stage: 's', attempt, state: 'cancelled', lines: [], now: new Date() });
  expect(await close(run, 'mine')).toEqual([{ stage: 's', attempt, ended: 'reported' }]);
  expect(await readRun(pool, run)).toMatchObject({ state: 'cancelled' });
  await expect(accept(run)).rejects.toMatchObject({ code: 'run.fenced' });
});

/** A process that would go on for long, frozen; ends with its scope. */
function frozenProcess(): { readonly pid: number } & Disposable {
  const child = spawn('sleep', ['600'], { stdio: 'ignore' });
  child.kill('SIGSTOP');
  return { pid: child.pid ?? 0, [Symbol.dispose]: () => void child.kill('SIGKILL') };
}

test('the child of an attempt that did not report is killed, even when it is frozen', async () => {
  using process = frozenProcess();
  const child = childIdentity(process.pid);
  const run = await claimed();
  const attempt = await opened(run);
  await recordChild(pool, run, 's', attempt, child);
  expect(await close(run, 'mine')).toEqual([{ stage: 's', attempt, ended: 'child-dead', child }]);
  expect(isAlive(child)).toBe(false);
});

test('a process that has the pid of a child but not its start time is left alone', async () => {
  using process = frozenProcess();
  const run = await claimed();
  const attempt = await opened(run);
  await recordChild(pool, run, 's', attempt, { ...childIdentity(process.pid), startTicks: '1' });
  expect(await close(run, 'mine')).toMatchObject([{ ended: 'child-dead' }]);
  expect(isAlive(childIdentity(process.pid))).toBe(true);
});

test('the child of a lost attempt that reported after all serves others by now, and is left alone', async () => {
  using process = frozenProcess();
  const child = childIdentity(process.pid);
  const run = await claimed();
  const lost = await opened(run);
  await recordChild(pool, run, 's', lost, child);
  const attempt = await opened(run);
  expect(await closeAttempt(pool, { run, stage: 's', attempt: lost, state: 'succeeded', output: OUTPUT, lines: [], now: new Date() })).toBe(
    false,
  );
  await closeAttempt(pool, { run, stage: 's', attempt, state: 'cancelled', lines: [], now: new Date() });
  expect(await close(run, 'mine')).toEqual([
    { stage: 's', attempt: lost, ended: 'reported' },
    { stage: 's', attempt, ended: 'reported' },
  ]);
  expect(isAlive(child)).toBe(true);
});

test('an attempt of another host that did not report is fenced', async () => {
  const run = await claimed();
  const attempt = await opened(run, 'elsewhere:1');
  await recordChild(pool, run, 's', attempt, childIdentity(process.pid));
  expect(await close(run, 'mine')).toEqual([{ stage: 's', attempt, ended: 'fenced' }]);
});

test('a publisher that holds the row of the run in an open transaction does not keep it from ending', async () => {
  const run = await claimed();
  const publisher = await pool.connect();
  publisher.on('error', () => undefined);
  try {
    await publisher.query(
      `insert into almanac.publication (pipeline, branch, window_key, window_end, generation, stage, accepted_sequence, content, gates, versions, tables, state,
                                        attempt, fence, backend_pid, backend_start, opened_at)
       select 'p', 'main', $1, now(), 1, 'publish', 1, 'content', '{}', '{}', '{}', 'attached', 1, gen_random_uuid(), pid, backend_start, now()
       from pg_stat_activity where pid = pg_backend_pid()`,
      [run.window],
    );
    await publisher.query('begin');
    await publisher.query('select from almanac.run where pipeline = $1 and window_key = $2 for share', [run.pipeline, run.window]);
    const closing = close(run, 'mine');
    await until('the run has ended', async () => (await readRun(pool, run))?.state === 'cancelled');
    await closing;
    await expect(publisher.query('commit')).rejects.toThrow();
  } finally {
    publisher.release(true);
  }
});
