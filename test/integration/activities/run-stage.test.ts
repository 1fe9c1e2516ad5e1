import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ApplicationFailure } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import type pg from 'pg';
import type { Engine } from '../../../activities/compute/engine';
import { createControlActivities } from '../../../activities/control';
import { listAttempts, openAttempt } from '../../../activities/ledger/attempts';
import { claimRun, holdRun, readRun, runKey } from '../../../activities/ledger/runs';
import { runStage, type StageShell } from '../../../activities/run-stage';
import type { StageBody } from '../../../activities/stage';
import { createDatasetStore } from '../../../activities/storage/datasets';
import { createLocalStore } from '../../../activities/storage/local-store';
import type { StageTask } from '../../../activities/tasks';
import { migrate } from '../../../lib/migrate';
import { AlmanacError } from '../../../pipelines/failures';
import type { Plan, RunRef, StageOutput } from '../../../pipelines/types';
import { StageMetrics } from '../../../workers/metrics';
import { testDatabase, type TestDatabase } from '../../support/postgres';

const OUTPUT: StageOutput = { versions: [], rowsIn: 1, rowsOut: 1, bytesIn: 1, bytesOut: 1 };
const PATIENCE = 60;
const PLAN = {
  hash: 'plan',
  pipeline: 'plays',
  chain: 'independent',
  window: { every: 'day', timezone: 'UTC' },
  params: {},
  datasets: {},
  stages: [
    { id: 'read', kind: 'ingest', needs: [], hash: 'h', timeoutSeconds: 30, spec: { kind: 'ingest', landing: 'plays', writes: 'plays' } },
  ],
} as const satisfies Plan;

const unused: Engine = {
  session: () => Promise.reject(new Error('nothing is computed here')),
  place: (_signal, body) => body(unused),
  close: () => Promise.resolve(),
};

let database: TestDatabase;
let pool: pg.Pool;
let root: string;

beforeAll(async () => {
  database = await testDatabase();
  pool = database.pool;
  await migrate(pool);
  root = mkdtempSync(path.join(os.tmpdir(), 'almanac-run-stage-'));
});
afterAll(async () => {
  await database[Symbol.asyncDispose]();
  rmSync(root, { recursive: true });
});

const at = (second: number): Date => new Date(Date.UTC(2026, 0, 2, 0, 0, second));
const missing = (what = 'is missing or empty'): Promise<never> =>
  Promise.reject(new AlmanacError('landing.missing', `The landing folder landing/plays ${what}.`, { next: 'put them there' }));
const present: StageBody = () => Promise.resolve(OUTPUT);

let windows = 0;

/** One claimed run with one stage; each try of its order happens at a second of its own. */
async function ordered(): Promise<{
  readonly run: RunRef;
  readonly metrics: StageMetrics;
  /** One try of the order; the failure Temporal is told, if it fails. */
  attempt(
    second: number,
    body: StageBody,
    over?: Partial<StageTask>,
    timeoutSeconds?: number,
    datasets?: Plan['datasets'],
  ): Promise<ApplicationFailure | undefined>;
  cancel(second: number): Promise<void>;
}> {
  windows += 1;
  const run = { pipeline: 'plays', window: `2026-01-${String(windows).padStart(2, '0')}`, branch: 'main', generation: 1 };
  const metrics = new StageMetrics();
  const store = createLocalStore(root);
  const services = (second: number): StageShell['services'] => ({
    store,
    datasets: createDatasetStore(store, { now: () => at(second) }),
    engine: unused,
    database: pool,
    clock: { now: () => at(second) },
    text: () => Promise.reject(new Error('an ingest has no text')),
  });
  await pool.query("insert into almanac.plan (hash, pipeline, body) values ('plan', 'plays', $1) on conflict do nothing", [
    JSON.stringify(PLAN),
  ]);
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
    now: at(0),
  });
  return {
    run,
    metrics,
    async attempt(second, body, over = {}, timeoutSeconds = 30, datasets = {}) {
      const plan: Plan = { ...PLAN, datasets, stages: PLAN.stages.map((stage) => ({ ...stage, timeoutSeconds })) };
      const shell: StageShell = {
        services: services(second),
        bodies: { ingest: body, sense: body, compute: body, check: body, publish: body },
        worker: `host:${second}`,
        limits: { memoryBytes: 1e9, threads: 1 },
        observer: metrics,
        plan: () => Promise.resolve(plan),
        point: () => Promise.resolve(),
      };
      const task = { run, claim: 'mine', planHash: 'plan', stage: 'read', epoch: 1, patienceSeconds: PATIENCE, ...over };
      return new MockActivityEnvironment()
        .run(() => runStage(shell, task))
        .then(
          () => undefined,
          (error: unknown) => {
            if (error instanceof ApplicationFailure) return error;
            throw error;
          },
        );
    },
    async cancel(second) {
      const control = createControlActivities(services(second));
      await new MockActivityEnvironment().run(() => control.closeRun({ run, claim: 'mine', planHash: 'plan', outcome: 'cancelled' }));
    },
  };
}

async function settled(metrics: StageMetrics): Promise<Record<string, number>> {
  const metric = await metrics.registry.getSingleMetric('almanac_stage_attempts_total')?.get();
  return Object.fromEntries((metric?.values ?? []).map(({ labels, value }) => [labels.outcome, value]));
}

async function lines(run: RunRef): Promise<string[]> {
  const { rows } = await pool.query<{ line: string }>(
    'select line from almanac.log_line where pipeline = $1 and window_key = $2 and branch = $3 and generation = $4 order by id',
    runKey(run),
  );
  return rows.map(({ line }) => line);
}

test('a stage of a dataset with personal data computes where no message quotes values', async () => {
  const { attempt } = await ordered();
  const masked: (boolean | undefined)[] = [];
  const body: StageBody = (context) => {
    masked.push(context.limits.maskValues);
    return missing();
  };
  const people: Plan['datasets'] = { plays: { columns: { user_id: 'text' }, pii: ['user_id'] } };
  await attempt(1, body);
  await attempt(2, body, {}, 30, people);
  expect(masked).toEqual([undefined, true]);
});

test('polls of an order whose data are missing are one attempt that waits, with since when, until when and how often', async () => {
  const { run, metrics, attempt } = await ordered();
  for (const second of [1, 6, 11]) {
    expect(await attempt(second, () => missing())).toMatchObject({ type: 'landing.missing', nonRetryable: false, nextRetryDelay: 5000 });
  }
  expect(await listAttempts(pool, run)).toMatchObject([
    {
      attempt: 1,
      state: 'waiting',
      worker: 'host:11',
      startedAt: at(1).toISOString(),
      waitingSince: at(1).toISOString(),
      waitsUntil: at(1 + PATIENCE).toISOString(),
      polls: 3,
      endedAt: null,
      failure: { code: 'landing.missing' },
    },
  ]);
  expect(await settled(metrics)).toEqual({});
  expect(await lines(run)).toEqual(['landing.missing: The landing folder landing/plays is missing or empty.']);
});

test('a poll says what changed since the one before, and nothing else', async () => {
  const { run, attempt } = await ordered();
  await attempt(1, () => missing());
  await attempt(6, () => missing('holds 1 of the 2 files it is to hold'));
  await attempt(11, () => missing('holds 1 of the 2 files it is to hold'));
  expect(await lines(run)).toHaveLength(2);
});

test('once the data are there the same attempt goes on and succeeds, counted once', async () => {
  const { run, metrics, attempt } = await ordered();
  await attempt(1, () => missing());
  let during: unknown;
  const looked: StageBody = async (context) => {
    during = await listAttempts(pool, run);
    expect(context.attempt).toBe(1);
    return OUTPUT;
  };
  expect(await attempt(6, looked)).toBeUndefined();
  expect(during).toMatchObject([{ state: 'running', worker: 'host:6', failure: null }]);
  expect(await listAttempts(pool, run)).toMatchObject([
    { attempt: 1, state: 'succeeded', polls: 1, failure: null, startedAt: at(1).toISOString(), endedAt: at(6).toISOString() },
  ]);
  expect(await settled(metrics)).toEqual({ succeeded: 1 });
});

test('when patience is over the attempt is failed, for good, and counted once', async () => {
  const { run, metrics, attempt } = await ordered();
  await attempt(1, () => missing());
  expect(await attempt(58, () => missing())).toMatchObject({ nonRetryable: false, nextRetryDelay: 3000 });
  expect(await attempt(61, () => missing())).toMatchObject({ type: 'landing.missing', nonRetryable: true });
  expect(await listAttempts(pool, run)).toMatchObject([{ attempt: 1, state: 'failed', polls: 3, endedAt: at(61).toISOString() }]);
  expect(await settled(metrics)).toEqual({ failed: 1 });
});

test('without patience the first look fails the attempt', async () => {
  const { run, attempt } = await ordered();
  expect(await attempt(1, () => missing(), { patienceSeconds: 0 })).toMatchObject({ nonRetryable: true });
  expect(await listAttempts(pool, run)).toMatchObject([{ state: 'failed', waitingSince: null, endedAt: at(1).toISOString() }]);
});

test('a poll whose worker dies is lost; the next one waits as an attempt of its own with the patience that is left', async () => {
  const { run, attempt } = await ordered();
  await attempt(1, () => missing());
  await openAttempt(pool, {
    run,
    claim: 'mine',
    stage: 'read',
    kind: 'ingest',
    epoch: 1,
    stageHash: 'h',
    worker: 'host:6',
    now: at(6),
  });
  await attempt(16, () => missing());
  expect(await listAttempts(pool, run)).toMatchObject([
    { attempt: 1, state: 'lost' },
    { attempt: 2, state: 'waiting', waitsUntil: at(1 + PATIENCE).toISOString() },
  ]);
});

test('another order of the stage does not take up the attempt that waits, but ends it as it last reported', async () => {
  const { run, attempt } = await ordered();
  await attempt(1, () => missing());
  await attempt(9, present, { epoch: 2 });
  expect(await listAttempts(pool, run)).toMatchObject([
    { attempt: 1, state: 'failed', failure: { code: 'landing.missing' }, endedAt: at(9).toISOString() },
    { attempt: 2, epoch: 2, state: 'succeeded' },
  ]);
});

test('an order ends the hold that was retried before it, recorded early or late, should the sender of the retry have died', async () => {
  const { run, attempt } = await ordered();
  await attempt(1, () => missing(), { patienceSeconds: 0 });
  await holdRun(pool, run, 'mine', {}, at(2), 1);
  await attempt(3, () => missing(), { epoch: 2, taken: { woken: 1, plans: 0, actions: [] } });
  expect(await readRun(pool, run)).toMatchObject({ state: 'running', failure: null });
  await holdRun(pool, run, 'mine', {}, at(2), 1);
  expect(await readRun(pool, run)).toMatchObject({ state: 'running' });
});

test('a cancel ends an attempt that waits; it is proven by its own report', async () => {
  const { run, attempt, cancel } = await ordered();
  await attempt(1, () => missing());
  await cancel(8);
  expect(await readRun(pool, run)).toMatchObject({ state: 'cancelled', proof: [{ stage: 'read', attempt: 1, ended: 'reported' }] });
  expect(await listAttempts(pool, run)).toMatchObject([{ state: 'cancelled', endedAt: at(8).toISOString() }]);
});

test('an attempt that waits is written anew when a crash took the row it began with', async () => {
  const { run, attempt } = await ordered();
  await attempt(1, async () => {
    await pool.query('delete from almanac.attempt where window_key = $1', [run.window]);
    return missing();
  });
  expect(await listAttempts(pool, run)).toMatchObject([
    { attempt: 1, state: 'waiting', polls: 1, waitingSince: at(1).toISOString(), waitsUntil: at(1 + PATIENCE).toISOString() },
  ]);
});

test('a stage that took too long names the command that goes on with it', async () => {
  const { run, attempt } = await ordered();
  const slow: StageBody = (context) =>
    new Promise((_, reject) => context.signal.addEventListener('abort', () => reject(new Error('stopped')), { once: true }));
  expect(await attempt(1, slow, {}, 0.05)).toMatchObject({ type: 'stage.timeout' });
  const [{ failure } = { failure: undefined }] = await listAttempts(pool, run);
  expect(failure?.next).toContain(`almanac logs plays/${run.window} read`);
  expect(failure?.next).toContain(`almanac retry plays/${run.window} --stage read --reason …`);
});

test('what a stage throws without a code is kept with the command that goes on with it', async () => {
  const { run, attempt } = await ordered();
  await attempt(1, () => Promise.reject(new Error('boom')));
  expect(await listAttempts(pool, run)).toMatchObject([
    { failure: { code: 'internal', next: expect.stringContaining(`almanac retry plays/${run.window} --stage read --reason …`) } },
  ]);
});

test('a second try after memory ran out gets half of it and one thread, and knows what is configured', async () => {
  const { attempt } = await ordered();
  const limits: unknown[] = [];
  const hungry: StageBody = (context) => {
    limits.push(context.limits);
    return Promise.reject(new AlmanacError('engine.memory', 'too little', { next: 'raise it' }));
  };
  expect(await attempt(1, hungry)).toMatchObject({ nonRetryable: false });
  expect(await attempt(2, hungry)).toMatchObject({ nonRetryable: true });
  expect(limits).toEqual([
    { memoryBytes: 1e9, threads: 1 },
    { memoryBytes: 5e8, threads: 1, configuredBytes: 1e9 },
  ]);
});
