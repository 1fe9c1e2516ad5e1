import { spawn } from 'node:child_process';
import { once } from 'node:events';
import os from 'node:os';
import type pg from 'pg';
import { closeAttempt, openAttempt } from '../../../activities/ledger/attempts';
import { installPools, readLeases, takePermits } from '../../../activities/ledger/pools';
import { claimRun, storePlan } from '../../../activities/ledger/runs';
import { createLogger } from '../../../lib/log';
import { readConfig } from '../../../lib/config';
import { migrate } from '../../../lib/migrate';
import { failureInfo, AlmanacError } from '../../../pipelines/failures';
import { formatRun } from '../../../pipelines/run-id';
import type { Plan, RunRef } from '../../../pipelines/types';
import { LedgerGauges } from '../../../workers/ledger-gauges';
import { freeOrphanedLeases } from '../../../workers/lease-reconciler';
import { parseExposition, samplesOf } from '../../support/exposition';
import { testDatabase, type TestDatabase } from '../../support/postgres';
import { testNamespace, type TestNamespace } from '../../support/temporal';

const ASKED = new Date('2026-01-02T00:00:00Z');
const LATER = new Date('2026-01-02T09:00:00Z');
const log = createLogger(readConfig({ ALMANAC_LOG_LEVEL: 'error' }, '/'), { role: 'control' });

const planOf = (hash: string, stages: unknown): Plan => ({ hash, pipeline: 'a', stages }) as Plan;

let database: TestDatabase;
let pool: pg.Pool;
let temporal: TestNamespace;
beforeEach(async () => {
  [database, temporal] = await Promise.all([testDatabase(), testNamespace()]);
  pool = database.pool;
  await migrate(pool);
  await storePlan(pool, planOf('plan', [{ id: 'load', pool: { name: 'warehouse', permits: 1 } }]));
  await storePlan(pool, planOf('newer', [{ id: 'load' }]));
  await installPools(pool, { warehouse: 1 }, ASKED);
});
afterEach(async () => {
  await temporal[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
});

/** A run whose stage took the permit, or waits for it, on a worker of this host with that pid. */
async function stage(window: string, worker: string): Promise<RunRef> {
  const run = { pipeline: 'a', window, branch: 'main', generation: 1 };
  await claimRun(pool, {
    ...{ run, claim: window, planHash: 'plan', pins: {}, bootstrap: false, origin: false, matrix: {}, verb: 'run', who: 'x', now: ASKED },
  });
  const order = { run, claim: window, stage: 'load', kind: 'compute', epoch: 1, stageHash: 'h', worker, now: ASKED } as const;
  const attempt = (await openAttempt(pool, order))?.attempt ?? 0;
  const { state } = await takePermits(pool, { ...order, attempt, pool: { name: 'warehouse', permits: 1 } });
  if (state === 'waiting') {
    const failure = failureInfo(new AlmanacError('pool.full', 'waits', { next: 'n' }));
    await closeAttempt(pool, { run, stage: 'load', attempt, state, failure, lines: [], now: ASKED });
  }
  return run;
}

async function execution(run: RunRef): Promise<void> {
  await temporal.client.workflow.start('runPipeline', {
    workflowId: formatRun(run),
    taskQueue: 'nobody',
    args: [],
    memo: { claim: run.window },
  });
}

async function left(): Promise<string[]> {
  const { held, waiting } = await readLeases(pool, 'warehouse', LATER);
  return [...held, ...waiting].map(({ run, state }) => `${run.window} ${state}`);
}
const look = (now = LATER): Promise<number> =>
  freeOrphanedLeases({ database: pool, client: temporal.client, clock: { now: () => now }, log });

/** The pid of a process that is no more. */
async function deadPid(): Promise<number> {
  const child = spawn('true');
  await once(child, 'exit');
  return child.pid ?? 0;
}
const alive = `${os.hostname()}:${process.pid}`;

test('a run that goes on keeps what it has, however long it takes', async () => {
  await execution(await stage('held', `${os.hostname()}:${await deadPid()}`));
  await execution(await stage('waits', alive));
  expect(await look()).toBe(0);
  expect(await left()).toEqual(['held held', 'waits waiting']);
});

test('once Temporal says the run is closed, what is proven to be over is given back', async () => {
  const [held, waits] = [await stage('held', `${os.hostname()}:${await deadPid()}`), await stage('waits', alive)];
  for (const run of [held, waits]) {
    await execution(run);
    await temporal.client.workflow.getHandle(formatRun(run)).terminate();
  }
  expect(await look(ASKED)).toBe(0);
  expect(await look()).toBe(2);
  expect(await left()).toEqual([]);
});

test.each([
  ['whose worker lives', alive],
  ['of another host', 'elsewhere:1'],
])('an attempt %s keeps its permit though Temporal does not know the run: nothing is given back by time', async (_which, worker) => {
  await stage('held', worker);
  expect(await look()).toBe(0);
  expect(await left()).toEqual(['held held']);
});

test('what the ledger closed has nothing, whatever brought the lease back', async () => {
  const run = await stage('held', alive);
  const { rows } = await pool.query<{ lease: string }>('select to_jsonb(l) as lease from almanac.lease l');
  await pool.query("update almanac.run set state = 'cancelled', ended_at = now() where window_key = $1", [run.window]);
  expect(await left()).toEqual([]);
  await pool.query('insert into almanac.lease select * from jsonb_populate_record(null::almanac.lease, $1)', [
    JSON.stringify(rows[0]?.lease),
  ]);
  expect(await look()).toBe(1);
  expect(await left()).toEqual([]);
});

test('a stage that needs the pool no longer by the newer plan of its run gives back what is proven to be over, though the run goes on', async () => {
  await execution(await stage('held', `${os.hostname()}:${await deadPid()}`));
  await execution(await stage('waits', alive));
  await pool.query("update almanac.run set plan_hash = 'newer'");
  expect(await look()).toBe(2);
  await execution(await stage('lives', alive));
  await pool.query("update almanac.run set plan_hash = 'newer'");
  expect(await look()).toBe(0);
  expect(await left()).toEqual(['lives held']);
});

test('a run that Temporal cannot tell of keeps its permit and is named; it stops nobody else', async () => {
  const odd = await stage('odd', alive);
  // A memo nobody can read.
  await temporal.client.workflowService.startWorkflowExecution({
    ...{
      namespace: temporal.client.options.namespace,
      workflowId: formatRun(odd),
      requestId: 'odd',
      workflowType: { name: 'runPipeline' },
    },
    taskQueue: { name: 'nobody' },
    memo: { fields: { claim: { metadata: { encoding: Buffer.from('odd') }, data: Buffer.from('odd') } } },
  });
  await stage('gone', alive);
  const ended = await stage('ended', alive);
  await pool.query("update almanac.run set state = 'succeeded', ended_at = now() where window_key = $1", [ended.window]);
  const warn = jest.spyOn(log, 'warn');
  expect(await look()).toBe(2);
  expect(warn.mock.calls).toEqual([[expect.objectContaining({ runs: ['a/odd'], count: 1 }), expect.stringContaining('Temporal')]]);
  warn.mockRestore();
  expect(await left()).toEqual(['odd held']);
});

test('the metrics tell of permits, of those that are out, of stages that wait and for how long', async () => {
  await stage('one', alive);
  await stage('two', alive);
  await stage('three', alive);
  await installPools(pool, { mail: 3 }, ASKED);
  await using ledger = new LedgerGauges({ databaseUrl: database.url, clock: { now: () => LATER }, failed: () => undefined });
  await ledger.refresh();
  const families = parseExposition(await ledger.registry.metrics());
  const told = (metric: string): string[] =>
    samplesOf(families, metric)
      .map(({ labels, value }) => `${labels.pool} ${value}`)
      .sort();
  expect(
    ['almanac_pool_permits', 'almanac_pool_permits_held', 'almanac_pool_waiting', 'almanac_pool_oldest_wait_seconds'].map(told),
  ).toEqual([
    ...[
      ['mail 3', 'warehouse 1'],
      ['mail 0', 'warehouse 1'],
      ['mail 0', 'warehouse 2'],
      ['mail 0', `warehouse ${9 * 3600}`],
    ],
  ]);
});
