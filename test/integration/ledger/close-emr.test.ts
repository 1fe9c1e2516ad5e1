import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import type { AttemptProof } from '../../../activities/attempt-proof';
import { createEmrPoller } from '../../../activities/compute/emr-poller';
import type { RoundServices } from '../../../activities/compute/emr-rounds';
import { createControlActivities } from '../../../activities/control';
import { listEffects } from '../../../activities/ledger/effects';
import { openAttempt } from '../../../activities/ledger/attempts';
import { claimRun, readRun, storePlan } from '../../../activities/ledger/runs';
import { Stopped } from '../../../activities/stopped';
import { createDatasetStore } from '../../../activities/storage/datasets';
import { createLocalStore } from '../../../activities/storage/local-store';
import { systemClock } from '../../../lib/clock';
import { migrate } from '../../../lib/migrate';
import { renderProofLine } from '../../../cli/render-proof';
import type { Plan, RunRef } from '../../../pipelines/types';
import { CREDENTIAL, startCluster, testEmr, type TestEmr } from '../../support/emr-local';
import { emrRunner, fakeSparkSubmit, work, type TestRunner } from '../../support/emr-runner';
import { testDatabase, type TestDatabase } from '../../support/postgres';
import { until } from '../../support/until';

const DEADLINE_MS = 60_000;
jest.setTimeout(4 * DEADLINE_MS);
const DIRECTORY = mkdtempSync(path.join(os.tmpdir(), 'almanac-close-emr-'));

let database: TestDatabase;
let emr: TestEmr;
let cluster: string;
let windows = 0;

beforeAll(async () => {
  process.env['AWS_ACCESS_KEY_ID'] = CREDENTIAL.accessKeyId;
  process.env['AWS_SECRET_ACCESS_KEY'] = CREDENTIAL.secretAccessKey;
  database = await testDatabase();
  await migrate(database.pool);
  await storePlan(database.pool, { hash: 'plan', pipeline: 'p' } as Plan);
  emr = await testEmr({ tools: { sparkSubmit: fakeSparkSubmit(DIRECTORY), cores: 2 } });
  cluster = await startCluster(emr.client, { LogUri: `file://${DIRECTORY}/logs`, StepConcurrencyLevel: 4 });
});
afterAll(async () => {
  await emr[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
  rmSync(DIRECTORY, { recursive: true, force: true });
});

interface Scene extends AsyncDisposable {
  readonly run: RunRef;
  readonly root: string;
  readonly emr: TestRunner;
  attempt(): Promise<number>;
  close(rounds?: RoundServices): Promise<readonly AttemptProof[]>;
}

async function scene(): Promise<Scene> {
  windows += 1;
  const run = { pipeline: 'p', window: `w${windows}`, branch: 'main', generation: 1 };
  const claim = { planHash: 'plan', pins: {}, bootstrap: false, origin: false, matrix: {}, verb: 'run', who: 'test', now: new Date() };
  await claimRun(database.pool, { run, claim: 'mine', ...claim });
  const root = path.join(DIRECTORY, `store-${windows}`);
  const runner = emrRunner({ databaseUrl: database.url, root, endpoint: emr.endpoint, cluster });
  const datasets = createDatasetStore(createLocalStore(root), systemClock);
  return {
    run,
    root,
    emr: runner,
    async attempt() {
      const order = { run, claim: 'mine', stage: 'compute', kind: 'compute', epoch: 1, stageHash: 'h', worker: 'elsewhere:1' } as const;
      return (await openAttempt(database.pool, { ...order, now: new Date() }))?.attempt ?? 0;
    },
    async close(rounds = runner.services) {
      const activities = createControlActivities({ database: database.pool, datasets, clock: systemClock, rounds });
      await new MockActivityEnvironment().run(() => activities.closeRun({ run, claim: 'mine', planHash: 'plan', outcome: 'cancelled' }));
      return ((await readRun(database.pool, run))?.proof ?? []) as readonly AttemptProof[];
    },
    [Symbol.asyncDispose]: () => runner[Symbol.asyncDispose](),
  };
}

/** Starts a job that goes on for long and kills its worker once it runs; tells the process of its Spark. */
async function abandonedJob(one: Scene): Promise<{ readonly pid: number; readonly step: string }> {
  const leave = new AbortController();
  const pidFile = path.join(one.root, 'pid');
  const running = one.emr.runner.run(work(one.root, one.run, await one.attempt(), { milliseconds: 600_000, pidFile }), leave.signal);
  running.catch(() => undefined);
  let pid = 0;
  await until(
    'the Spark process to run',
    () => {
      try {
        pid = Number(readFileSync(pidFile, 'utf8'));
      } catch {
        return false;
      }
      return pid > 0;
    },
    DEADLINE_MS,
  );
  await until('its step to be followed', async () => (await listEffects(database.pool, one.run))[0]?.state === 'running', DEADLINE_MS);
  leave.abort(new Stopped('lost'));
  await running.catch(() => undefined);
  return { pid, step: (await listEffects(database.pool, one.run))[0]?.step ?? '' };
}

function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch {
    return true;
  }
}

test('a cancelled run ends the Spark process of a worker that is gone, and proves it by the step', async () => {
  await using one = await scene();
  const { pid, step } = await abandonedJob(one);
  const proof = await one.close();
  expect(proof).toEqual([{ stage: 'compute', attempt: 1, ended: 'step-ended', step: { cluster, step, state: 'cancelled' } }]);
  expect(proof.map(renderProofLine)).toEqual([`compute#1: its step on EMR is over (${step} on ${cluster}, cancelled)`]);
  await until('the process to be gone', () => isGone(pid), DEADLINE_MS);
  expect(await one.close()).toEqual(proof);
});

test('attempts that went on with one step are proven by it, whichever of them began it', async () => {
  await using one = await scene();
  const { step } = await abandonedJob(one);
  expect(await one.attempt()).toBe(2);
  const leave = new AbortController();
  const adopted = one.emr.runner.run(work(one.root, one.run, 2, { milliseconds: 600_000 }), leave.signal);
  adopted.catch(() => undefined);
  await until('the second attempt to take it up', async () => (await listEffects(database.pool, one.run))[0]?.attempt === 2, DEADLINE_MS);
  leave.abort(new Stopped('lost'));
  await adopted.catch(() => undefined);
  const ended = { ended: 'step-ended', step: { cluster, step, state: 'cancelled' } };
  expect(await one.close()).toEqual([
    { stage: 'compute', attempt: 1, ...ended },
    { stage: 'compute', attempt: 2, ...ended },
  ]);
});

test('a step that EMR does not tell of is fenced, and its run is closed all the same', async () => {
  await using one = await scene();
  const { step } = await abandonedJob(one);
  await using away = emrRunner({ databaseUrl: database.url, root: one.root, endpoint: 'http://127.0.0.1:1', cluster });
  const fenced = [{ stage: 'compute', attempt: 1, ended: 'fenced', step: { cluster, step, state: 'running' } }];
  const silent: RoundServices = { ...away.services, poller: createEmrPoller(away.client, systemClock, 50, 100) };
  expect(await one.close(silent)).toEqual(fenced);
  expect(await readRun(database.pool, one.run)).toMatchObject({ state: 'cancelled' });
  expect(await one.close()).toMatchObject([{ ended: 'step-ended', step: { state: 'cancelled' } }]);
});

test('of an attempt that never submitted the proof says so', async () => {
  await using one = await scene();
  const attempt = await one.attempt();
  const leave = new AbortController();
  const point = (name: string): Promise<void> => {
    if (name !== 'step-intended') return Promise.resolve();
    leave.abort(new Stopped('lost'));
    return Promise.reject(new Error('the worker is gone'));
  };
  await expect(one.emr.runner.run(work(one.root, one.run, attempt, {}, { point }), leave.signal)).rejects.toThrow('gone');
  const proof = await one.close();
  expect(proof).toMatchObject([{ ended: 'step-ended', step: { step: null, state: 'cancelled' } }]);
});
