import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ListStepsCommand, type StepSummary } from '@aws-sdk/client-emr';
import { MockActivityEnvironment } from '@temporalio/testing';
import { createComputeStage } from '../../../activities/compute/choose-engine';
import { createControlActivities } from '../../../activities/control';
import { listEffects } from '../../../activities/ledger/effects';
import { claimRun, readRun, storePlan } from '../../../activities/ledger/runs';
import { runStage, type StageShell } from '../../../activities/run-stage';
import { createDatasetStore } from '../../../activities/storage/datasets';
import { openStore } from '../../../activities/storage/open-store';
import type { StageReceipt } from '../../../activities/tasks';
import { readConfig, type Config } from '../../../lib/config';
import { systemClock } from '../../../lib/clock';
import { createLogger } from '../../../lib/log';
import { migrate } from '../../../lib/migrate';
import type { Engine } from '../../../activities/compute/engine';
import { objectSettings } from '../../../pipelines/spark-settings';
import type { DatasetSpec, Plan, RunRef } from '../../../pipelines/types';
import { jobObjects, openEmr, type Emr } from '../../../workers/emr';
import { sweepEffects } from '../../../workers/emr-sweeper';
import { StageMetrics } from '../../../workers/metrics';
import { CREDENTIAL, startCluster, testEmr, type TestEmr } from '../../support/emr-local';
import { testDatabase, type TestDatabase } from '../../support/postgres';
import { until } from '../../support/until';

const DEADLINE_MS = 60_000;
jest.setTimeout(4 * DEADLINE_MS);
const DIRECTORY = mkdtempSync(path.join(os.tmpdir(), 'almanac-worker-emr-'));
/** A value of a row. */
const MARY = 'mary@example.test';

/** What our job does to the store and to its log, by what its text says: no rows, a value that fails, a crash that quotes one, or going on for long. */
const FAKE = `#!/usr/bin/env node
const fs = require('node:fs');
const words = process.argv.slice(2);
const file = (uri) => uri.replace('file://', '');
const order = JSON.parse(fs.readFileSync(file(words.at(-1)), 'utf8'));
const submission = words.find((word) => word.startsWith('spark.almanac.submission='))?.split('=')[1];
fs.writeFileSync(file(order.token), JSON.stringify({ submission }), { flag: 'wx' });
const put = (result) => fs.writeFileSync(file(order.result), JSON.stringify({ format: 1, ...result }), { flag: 'wx' });
const profile = { nulls: 0, min: null, max: null };
if (order.text.includes('crash')) {
  console.error('Exception in thread "main" java.lang.RuntimeException: ${MARY} has no name, password=hunter2');
  process.exit(1);
} else if (order.text.includes('value')) {
  console.error("ERROR Executor: [CAST_INVALID_INPUT] The value '${MARY}' cannot be cast");
  put({ fault: { kind: 'value', message: order.maskValues ? '[CAST_INVALID_INPUT]' : "[CAST_INVALID_INPUT] The value '${MARY}' cannot be cast" } });
} else if (order.text.includes('long')) setTimeout(() => undefined, 600_000);
else put({ written: { files: [], digest: { rows: '0', first: '0', second: '0' }, profiles: order.output.columns.map(() => profile), cpuSeconds: 1.5, peakMemoryBytes: 1000 } });
`;

let database: TestDatabase;
let emr: TestEmr;
let cluster: string;
let worker: Emr;
let windows = 0;
const config = () =>
  readConfig(
    {
      ...{ ALMANAC_DATA: 'data', ALMANAC_EMR_SETTINGS: 'emr.json', ALMANAC_EMR_CLUSTER: cluster },
      ...{ ALMANAC_EMR_ENDPOINT: emr.endpoint, ALMANAC_EMR_REGION: 'us-east-1' },
    },
    DIRECTORY,
  );

beforeAll(async () => {
  process.env['AWS_ACCESS_KEY_ID'] = CREDENTIAL.accessKeyId;
  process.env['AWS_SECRET_ACCESS_KEY'] = CREDENTIAL.secretAccessKey;
  database = await testDatabase();
  await migrate(database.pool);
  await database.pool.query("insert into almanac.pool (name, declared, changed_at) values ('warehouse', 1, now())");
  const sparkSubmit = path.join(DIRECTORY, 'spark-submit');
  writeFileSync(sparkSubmit, FAKE);
  chmodSync(sparkSubmit, 0o755);
  emr = await testEmr({ tools: { sparkSubmit, cores: 2 } });
  cluster = await startCluster(emr.client, { LogUri: `file://${DIRECTORY}/logs`, StepConcurrencyLevel: 4 });
  const settings = { job: { jar: 'file:///job.jar' }, pricePerHour: 3600, pollSeconds: 0.05, settleSeconds: 0.4, logSeconds: 20 };
  writeFileSync(path.join(DIRECTORY, 'emr.json'), JSON.stringify(settings));
  worker = await opened();
});
afterAll(async () => {
  worker.close();
  await emr[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
  rmSync(DIRECTORY, { recursive: true, force: true });
});

async function opened(changes: Partial<Config> = {}): Promise<Emr> {
  const found = await openEmr({ ...config(), ...changes }, { database: database.pool, store: await openStore(config()) });
  if (found === undefined) throw new Error('the configuration names EMR');
  return found;
}

/** EMR computes: whoever asks for a place or a child of DuckDB is told so. */
const noDuckDb: Engine = {
  session: () => Promise.reject(new Error('a child of DuckDB was asked for')),
  place: () => Promise.reject(new Error('a place of DuckDB was asked for')),
  close: () => Promise.resolve(),
};

interface Scene {
  readonly run: RunRef;
  readonly environment: MockActivityEnvironment;
  start(): Promise<StageReceipt>;
  close(rounds?: Emr['services']): Promise<unknown>;
}

async function scene(text: string, people: Partial<DatasetSpec> = {}, by = worker): Promise<Scene> {
  windows += 1;
  const run = { pipeline: 'p', window: `2026-01-${String(windows).padStart(2, '0')}`, branch: 'main', generation: 1 };
  const plan: Plan = {
    ...{ hash: `plan-${windows}`, pipeline: 'p', chain: 'independent', window: { every: 'day', timezone: 'UTC' }, params: {} },
    datasets: { people: { columns: { email: 'text' }, ...people } },
    stages: [
      {
        ...{ id: 'compute', kind: 'compute', needs: [], hash: 'h', timeoutSeconds: 300, sqlHash: 'text' },
        pool: { name: 'warehouse', permits: 1 },
        spec: { kind: 'compute', sql: 'people.sql', writes: 'people', engine: 'spark' },
      },
    ],
  };
  await storePlan(database.pool, plan);
  const claim = { planHash: plan.hash, pins: {}, bootstrap: false, origin: false, matrix: {}, verb: 'run', who: 'test', now: new Date() };
  await claimRun(database.pool, { run, claim: 'mine', ...claim });
  const store = await openStore(config());
  const services = { store, datasets: createDatasetStore(store, systemClock), database: database.pool, clock: systemClock };
  const body = createComputeStage(by.runner);
  const shell: StageShell = {
    services: { ...services, engine: noDuckDb, text: () => Promise.resolve(text) },
    bodies: { ingest: body, sense: body, compute: body, check: body, publish: body },
    ...{ worker: 'elsewhere:1', limits: { memoryBytes: 1e9, threads: 1 }, observer: new StageMetrics() },
    plan: () => Promise.resolve(plan),
    point: () => Promise.resolve(),
  };
  const environment = new MockActivityEnvironment();
  return {
    run,
    environment,
    start: () =>
      environment.run(() => runStage(shell, { run, claim: 'mine', planHash: plan.hash, stage: 'compute', epoch: 1, patienceSeconds: 60 })),
    async close(rounds) {
      const control = createControlActivities({ ...services, rounds });
      await new MockActivityEnvironment().run(() => control.closeRun({ run, claim: 'mine', planHash: plan.hash, outcome: 'cancelled' }));
      return (await readRun(database.pool, run))?.proof;
    },
  };
}

async function stepsOf({ run }: Scene): Promise<StepSummary[]> {
  const { Steps = [] } = await emr.client.send(new ListStepsCommand({ ClusterId: cluster }));
  return Steps.filter(({ Name = '' }) => Name.includes(`p/${run.window} `));
}

async function stepStates(of: Scene): Promise<string[]> {
  return (await stepsOf(of)).map(({ Status }) => Status?.State ?? '');
}

/** All that ledger and store have, as text. */
async function everything(): Promise<string> {
  const tables = ['run', 'attempt', 'effect', 'log_line', 'action'];
  const rows = await Promise.all(
    tables.map((table) => database.pool.query<{ row: unknown }>(`select to_jsonb(t) as row from almanac.${table} t`)),
  );
  const data = path.join(DIRECTORY, 'data');
  const files = readdirSync(data, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(path.join(entry.parentPath, entry.name), 'utf8'));
  return JSON.stringify([rows.map((result) => result.rows), files]);
}

test('without the variables there is no EMR, and settings that are not there are refused', async () => {
  expect(await openEmr(readConfig({}, DIRECTORY), worker.services)).toBeUndefined();
  const lost = readConfig({ ALMANAC_EMR_SETTINGS: 'gone.json', ALMANAC_EMR_ENDPOINT: emr.endpoint }, DIRECTORY);
  await expect(openEmr(lost, worker.services)).rejects.toMatchObject({
    code: 'config.invalid',
    message: expect.stringContaining('gone.json'),
  });
});

test('a stage runs on EMR as the environment has it, with a permit and without a place, and tells time and cost', async () => {
  const one = await scene('select no rows');
  expect(await one.start()).toMatchObject({ adopted: false, rows: 0 });
  const [effect] = await listEffects(database.pool, one.run);
  expect(effect).toMatchObject({ state: 'completed', cluster });
  expect(effect?.cost).toBeCloseTo(effect?.seconds ?? -1);
  const { rows } = await database.pool.query("select 1 from almanac.lease where window_key = $1 and state = 'held'", [one.run.window]);
  expect(rows).toEqual([]);
});

test('a job writes and reads objects as the store of its worker does: in its region, under its key, and for its money', async () => {
  const s3 = {
    bucket: 'any',
    prefix: '',
    region: 'eu-central-1',
    pathStyle: true,
    kmsKey: 'alias/almanac',
    requesterPays: true,
    cacheBytes: 0,
  };
  const paying = await opened({ s3 });
  const one = await scene('select no rows', {}, paying);
  await one.start();
  const [step] = await stepsOf(one);
  const given = (step?.Config?.Args ?? []).filter((_, at, words) => words[at - 1] === '--conf');
  expect(given).toEqual([
    expect.stringMatching(/^spark\.almanac\.submission=/),
    ...Object.entries(objectSettings(s3)).map(([name, value]) => `${name}=${value}`),
  ]);
  expect(given).toContain('spark.hadoop.fs.s3.serverSideEncryption.kms.keyId=alias/almanac');
  expect(given).toContain('spark.hadoop.fs.s3a.endpoint.region=eu-central-1');
  expect(objectSettings({ requesterPays: false })).toEqual({});
  paying.close();
});

test('the bucket is in the region of the clusters where nobody says, unless one of the two is not of AWS', () => {
  const s3 = { bucket: 'any', prefix: '', pathStyle: false, requesterPays: false, cacheBytes: 0 };
  const clusters = { settings: 'emr.json', region: 'eu-west-1' };
  const region = (name: string): unknown => ({ 'spark.hadoop.fs.s3a.endpoint.region': name });
  expect(jobObjects(clusters, s3)).toEqual(region('eu-west-1'));
  expect(jobObjects(clusters, { ...s3, region: 'eu-central-1' })).toEqual(region('eu-central-1'));
  // These have a region of their own, which their Spark is told by who started it.
  expect(jobObjects({ ...clusters, endpoint: 'http://127.0.0.1:1' }, s3)).toEqual({});
  expect(jobObjects(clusters, { ...s3, endpoint: 'http://127.0.0.1:1' })).toEqual({});
  expect(jobObjects(clusters, undefined)).toEqual({});
});

test('a long stage heartbeats; cancelled, its step ends, and the closed run proves it', async () => {
  const one = await scene('long');
  let beats = 0;
  one.environment.on('heartbeat', () => (beats += 1));
  const running = one.start();
  running.catch(() => undefined);
  await until('the step to run', async () => (await stepStates(one)).includes('RUNNING'), DEADLINE_MS);
  const seen = beats;
  await until('heartbeats meanwhile', () => beats > seen + 1, DEADLINE_MS);
  one.environment.cancel();
  await expect(running).rejects.toThrow('stopped on request');
  // On a machine that is busy the close may not see it end in its time, and says so.
  let proof: unknown;
  await until(
    'the step to be seen to end',
    async () => JSON.stringify((proof = await one.close(worker.services))).includes('step-ended'),
    DEADLINE_MS,
  );
  expect(proof).toMatchObject([{ stage: 'compute', attempt: 1, ended: 'step-ended', step: { cluster, state: 'cancelled' } }]);
  expect(await stepStates(one)).toEqual(['CANCELLED']);
});

test('what a run left that was closed by a worker without EMR is ended by the sweepers, several at once', async () => {
  const one = await scene('long');
  const running = one.start();
  running.catch(() => undefined);
  await until('the step to run', async () => (await stepStates(one)).includes('RUNNING'), DEADLINE_MS);
  one.environment.cancel('WORKER_SHUTDOWN');
  await expect(running).rejects.toThrow();
  expect(await one.close()).toMatchObject([{ ended: 'fenced' }]);
  expect(await stepStates(one)).toEqual(['RUNNING']);
  const stop = new AbortController();
  await using _stopped = { [Symbol.asyncDispose]: () => Promise.resolve(stop.abort()) };
  const log = createLogger({ logLevel: 'error' }, {});
  const sweepers = [worker, await opened()].map(({ services, config: place }) => sweepEffects(services, place, log, stop.signal, 100));
  await until('the step to end', async () => (await stepStates(one)).join() === 'CANCELLED', DEADLINE_MS);
  await until('the ledger to say so', async () => (await listEffects(database.pool, one.run))[0]?.state === 'cancelled', DEADLINE_MS);
  stop.abort();
  await Promise.all(sweepers);
});

test.each(['value', 'crash'])('of personal data no failure leaves a value in ledger, error or store: %s', async (kind) => {
  const one = await scene(kind, { pii: ['email'] });
  const error = await one.start().then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toMatchObject({ type: kind === 'value' ? 'engine.sql' : 'emr.step-failed' });
  expect(JSON.stringify([error, String(error)])).toContain(kind === 'value' ? 'CAST_INVALID_INPUT' : 'java.lang.RuntimeException');
  expect(JSON.stringify([error, String(error)])).not.toContain(MARY);
  const kept = await everything();
  expect(kept).toContain(one.run.window);
  expect(kept).not.toContain(MARY);
});

test('of other data the failure tells what its log says, without secrets', async () => {
  const one = await scene('crash');
  await expect(one.start()).rejects.toMatchObject({ type: 'emr.step-failed', message: expect.stringContaining(MARY) });
  const kept = await everything();
  expect(kept).toContain(MARY);
  expect(kept).not.toContain('hunter2');
});
