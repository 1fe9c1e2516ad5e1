import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ListStepsCommand } from '@aws-sdk/client-emr';
import type { EmrClient, EmrStep } from '../../../activities/compute/emr-client';
import { endRounds, sweepEmr } from '../../../activities/compute/emr-sweep';
import { ledgerId, listEffects } from '../../../activities/ledger/effects';
import { openAttempt } from '../../../activities/ledger/attempts';
import { claimRun, endRun, storePlan } from '../../../activities/ledger/runs';
import { Stopped } from '../../../activities/stopped';
import type { TransientCluster } from '../../../lib/emr-settings';
import { migrate } from '../../../lib/migrate';
import { ledgerPrefix } from '../../../pipelines/effect';
import type { Plan, RunRef } from '../../../pipelines/types';
import { addSteps, CREDENTIAL, startCluster, testEmr, untilCluster, untilStep, type TestEmr } from '../../support/emr-local';
import { emrRunner, fakeSparkSubmit, work, type RunnerPlace, type TestRunner } from '../../support/emr-runner';
import type { ChildOrder, ChildReport } from '../../support/emr-runner-child';
import { testDatabase, type TestDatabase } from '../../support/postgres';
import { Random } from '../../support/random';
import { startSource } from '../../support/source-process';
import { until } from '../../support/until';

const DEADLINE_MS = 60_000;
const DIRECTORY = mkdtempSync(path.join(os.tmpdir(), 'almanac-emr-steps-'));

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
  emr = await testEmr({ faults: true, tools: { sparkSubmit: fakeSparkSubmit(DIRECTORY), cores: 2 } });
  cluster = await startCluster(emr.client, { LogUri: `file://${DIRECTORY}/logs`, StepConcurrencyLevel: 4 });
});
afterAll(async () => {
  await emr[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
  rmSync(DIRECTORY, { recursive: true, force: true });
});

interface Scene extends AsyncDisposable {
  readonly run: RunRef;
  readonly place: RunnerPlace;
  readonly runner: TestRunner;
  attempt(): Promise<number>;
  commits(): number;
}

async function scene(more: Pick<RunnerPlace, 'cluster' | 'transient'> = { cluster }): Promise<Scene> {
  windows += 1;
  const run = { pipeline: 'p', window: `w${windows}`, branch: 'main', generation: 1 };
  const now = new Date();
  const claim = { planHash: 'plan', pins: {}, bootstrap: false, origin: false, matrix: {}, verb: 'run', who: 'test', now };
  await claimRun(database.pool, { run, claim: 'mine', ...claim });
  const place = { databaseUrl: database.url, root: path.join(DIRECTORY, `store-${windows}`), endpoint: emr.endpoint, ...more };
  const runner = emrRunner(place);
  return {
    run,
    place,
    runner,
    async attempt() {
      const order = {
        run,
        claim: 'mine',
        stage: 'compute',
        kind: 'compute',
        epoch: 1,
        stageHash: 'h',
        worker: 'host:1',
        now: new Date(),
      } as const;
      return (await openAttempt(database.pool, order))?.attempt ?? 0;
    },
    commits() {
      try {
        return readFileSync(path.join(place.root, 'commits'), 'utf8').trim().split('\n').length;
      } catch {
        return 0;
      }
    },
    [Symbol.asyncDispose]: () => runner[Symbol.asyncDispose](),
  };
}

async function fault(order: Readonly<Record<string, unknown>>): Promise<void> {
  const body = JSON.stringify(order);
  await fetch(`${emr.endpoint}/faults`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
}

/** States of the steps of a run, on the cluster that stays. */
async function states({ run }: Scene, on = cluster): Promise<string[]> {
  const { Steps = [] } = await emr.client.send(new ListStepsCommand({ ClusterId: on }));
  return Steps.filter(({ Name = '' }) => Name.includes(`p/${run.window} `)).map(({ Status }) => Status?.State ?? '');
}

function rethrow(error: unknown): never {
  throw error;
}

const forever = (): AbortSignal => new AbortController().signal;

test('a job is one step, whose time and cost are on record; the next attempt adopts it', async () => {
  await using one = await scene();
  const { runner } = one.runner;
  expect(await runner.run(work(one.place.root, one.run, await one.attempt()), forever())).toMatchObject({ round: 1 });
  await runner.run(work(one.place.root, one.run, await one.attempt()), forever());
  expect(await states(one)).toEqual(['COMPLETED']);
  const [effect] = await listEffects(database.pool, one.run);
  expect(effect).toMatchObject({ state: 'completed', round: 1, cluster });
  expect(effect?.cost).toBeCloseTo(effect?.seconds ?? -1);
  expect(one.commits()).toBe(1);
});

test.each(['lose-response', 'lose-request', 'throttle', 'fail'])('%s of a submission leaves one step that commits', async (kind) => {
  await using one = await scene();
  await fault({ fault: kind, operation: 'AddJobFlowSteps' });
  await one.runner.runner.run(work(one.place.root, one.run, await one.attempt()), forever());
  expect(await states(one)).toEqual(['COMPLETED']);
  expect(one.commits()).toBe(1);
});

test('throttled polls are waited out and fail nothing', async () => {
  await using one = await scene();
  await fault({ fault: 'throttle', operation: 'ListSteps', count: 7 });
  await one.runner.runner.run(work(one.place.root, one.run, await one.attempt()), forever());
  expect(await states(one)).toEqual(['COMPLETED']);
});

test('a failed step is told with the end of its log, without secrets; the next attempt submits anew', async () => {
  await using one = await scene();
  const failing = work(one.place.root, one.run, await one.attempt(), { fails: true });
  const failure: unknown = await one.runner.runner.run(failing, forever()).catch((error: unknown) => error);
  expect(failure).toMatchObject({ code: 'emr.step-failed', message: expect.stringContaining('the table is on fire') });
  expect(String(failure)).not.toMatch(/hunter2|noise/);
  // The order of a round stays: that of the next one succeeds.
  await one.runner.runner.run(work(one.place.root, one.run, await one.attempt()), forever());
  expect((await listEffects(database.pool, one.run)).map(({ state }) => state)).toEqual(['failed', 'completed']);
  expect(one.commits()).toBe(1);
});

test('an attempt that computes from other inputs ends the step of the one before', async () => {
  await using one = await scene();
  const leave = new AbortController();
  const first = one.runner.runner.run(work(one.place.root, one.run, await one.attempt(), { milliseconds: 600_000 }), leave.signal);
  first.catch(() => undefined);
  await until('the first step to run', async () => (await states(one)).includes('RUNNING'), DEADLINE_MS);
  leave.abort(new Stopped('lost'));
  await expect(first).rejects.toMatchObject({ why: 'lost' });
  expect(await states(one)).toEqual(['RUNNING']);
  await one.runner.runner.run(work(one.place.root, one.run, await one.attempt(), {}, { candidate: 'other' }), forever());
  expect((await states(one)).sort()).toEqual(['CANCELLED', 'COMPLETED']);
});

test('a stage that is cancelled ends its step; what a dead worker left is ended with the run and proven', async () => {
  await using one = await scene();
  const stop = new AbortController();
  const running = one.runner.runner.run(work(one.place.root, one.run, await one.attempt(), { milliseconds: 600_000 }), stop.signal);
  running.catch(() => undefined);
  await until('the step to run', async () => (await states(one)).includes('RUNNING'), DEADLINE_MS);
  stop.abort(new Stopped('cancelled'));
  await expect(running).rejects.toMatchObject({ why: 'cancelled' });
  expect(await states(one)).toEqual(['CANCELLED']);

  const leave = new AbortController();
  const left = one.runner.runner.run(work(one.place.root, one.run, await one.attempt(), { milliseconds: 600_000 }), leave.signal);
  left.catch(() => undefined);
  await until('the second step to run', async () => (await states(one)).includes('RUNNING'), DEADLINE_MS);
  leave.abort(new Stopped('lost'));
  await endRun(database.pool, one.run, 'mine', 'cancelled', undefined, null, new Date());
  const proof = await endRounds(one.runner.services, one.run, DEADLINE_MS);
  expect(proof.map(({ round, ended, state }) => [round, ended, state])).toEqual([
    [1, 'over', 'cancelled'],
    [2, 'over', 'cancelled'],
  ]);
  expect(await states(one)).toEqual(['CANCELLED', 'CANCELLED']);
});

test('the sweep of a cluster that stays lists what lives, not the days of steps that ended, and ends what nobody waits for', async () => {
  await using one = await scene();
  await one.runner.runner.run(work(one.place.root, one.run, await one.attempt()), forever());
  const Args = ['spark-submit', path.join(DIRECTORY, 'order-of-nobody.json')];
  writeFileSync(Args[1] ?? '', JSON.stringify({ token: path.join(DIRECTORY, 'token-of-nobody.json'), milliseconds: 600_000 }));
  const Name = `${ledgerPrefix(await ledgerId(database.pool))}of nobody`;
  const HadoopJarStep = { Jar: 'command-runner.jar', Args };
  const [orphan = ''] = await addSteps(emr.client, cluster, { Name, ActionOnFailure: 'CONTINUE', HadoopJarStep });
  const { services } = one.runner;
  const listed: EmrStep[] = [];
  const client: EmrClient = {
    ...services.client,
    async listSteps(...asked) {
      const steps = await services.client.listSteps(...asked);
      listed.push(...steps);
      return steps;
    },
  };
  const swept = await sweepEmr({ ...services, client }, { cluster, failed: rethrow }, forever());
  expect(swept.steps).toEqual([orphan]);
  expect(listed.map(({ id }) => id)).toEqual([orphan]);
  await untilStep(emr.client, cluster, orphan, 'CANCELLED');
});

const TRANSIENT: TransientCluster = {
  release: 'emr-7.1.0',
  logs: `file://${DIRECTORY}/logs`,
  serviceRole: 'EMR_DefaultRole',
  instanceProfile: 'EMR_EC2_DefaultRole',
  subnets: [],
  fleets: [
    { role: 'MASTER', onDemand: 1, spot: 0, instances: [{ type: 'm5.xlarge', weight: 1 }], spotTimeoutMinutes: 10 },
    { role: 'CORE', onDemand: 1, spot: 0, instances: [{ type: 'm5.xlarge', weight: 1 }], spotTimeoutMinutes: 10 },
    { role: 'TASK', onDemand: 0, spot: 2, instances: [{ type: 'm5.xlarge', weight: 1 }], spotTimeoutMinutes: 10 },
  ],
  bootstrap: [],
  configurations: [],
  tags: { team: 'audience' },
  idleSeconds: 900,
  steps: 4,
};

test('a run makes a cluster, found again though the answer was lost; one that is lost is followed by another, and none outlives its run', async () => {
  await using one = await scene({ transient: TRANSIENT });
  const { services } = one.runner;
  await fault({ fault: 'lose-response', operation: 'RunJobFlow' });
  const running = one.runner.runner.run(work(one.place.root, one.run, await one.attempt(), { milliseconds: 600_000 }), forever());
  running.catch(() => undefined);
  const mine = async (): Promise<string[]> =>
    (await services.client.listClusters(undefined, true)).filter(({ name }) => name.includes(`p/${one.run.window} `)).map(({ id }) => id);
  await until('its cluster', async () => (await mine()).length > 0, DEADLINE_MS);
  await until('its step to run', async () => (await states(one, (await mine())[0])).includes('RUNNING'), DEADLINE_MS);
  const [first = ''] = await mine();
  expect(await mine()).toHaveLength(1);
  await fault({ fault: 'lose-cluster', cluster: first });
  await expect(running).rejects.toMatchObject({ code: 'emr.cluster-lost', class: 'platform' });
  await one.runner.runner.run(work(one.place.root, one.run, await one.attempt(), {}, { candidate: 'again' }), forever());
  const [second = ''] = await mine();
  expect(second).not.toBe(first);
  expect(await sweepEmr(services, { cluster: undefined, failed: () => undefined }, forever())).toMatchObject({ clusters: [] });
  await endRun(database.pool, one.run, 'mine', 'succeeded', undefined, null, new Date());
  expect(await sweepEmr(services, { cluster: undefined, failed: () => undefined }, forever())).toMatchObject({ clusters: [second] });
  await untilCluster(emr.client, second, 'TERMINATED');
});

interface Worker {
  readonly process: ChildProcess;
  readonly reports: ChildReport[];
}

function startChild(order: ChildOrder): Worker {
  const { process: started } = startSource('emr-runner-child.ts');
  const reports: ChildReport[] = [];
  started.on('message', (message) => reports.push(message as ChildReport));
  started.send(order);
  return { process: started, reports };
}

test.each([1, 2, 3])('killed, frozen and woken anywhere around submit, poll and end, one step commits (seed %i)', async (seed) => {
  await using one = await scene();
  const random = new Random(seed + Number(process.env['ALMANAC_TEST_SEED'] ?? 0));
  const frozen: Worker[] = [];
  for (let victim = 0; victim < 3; victim += 1) {
    const signal = random.chance(0.5) ? 'SIGKILL' : 'SIGSTOP';
    const after = random.below(3);
    if (random.chance(0.4)) await fault({ fault: 'lose-response', operation: 'AddJobFlowSteps' });
    const child = startChild({ place: one.place, run: one.run, attempt: await one.attempt(), milliseconds: 200, after, signal });
    const over = (): boolean => child.process.exitCode !== null || child.process.signalCode !== null;
    await until('the worker to be killed, frozen or done', () => over() || child.reports.length > after, DEADLINE_MS);
    if (signal === 'SIGSTOP' && !over()) frozen.push(child);
    else if (!over()) await once(child.process, 'exit');
  }
  const last = startChild({
    place: one.place,
    run: one.run,
    attempt: await one.attempt(),
    milliseconds: 200,
    after: null,
    signal: 'SIGKILL',
  });
  await until('the last worker to finish', () => last.reports.some((report) => 'finished' in report || 'failed' in report), DEADLINE_MS);
  expect(last.reports.at(-1)).toHaveProperty('finished');
  for (const { process: woken } of frozen) {
    woken.kill('SIGCONT');
    if (woken.exitCode === null && woken.signalCode === null) await once(woken, 'exit');
  }
  await until('all steps to end', async () => (await states(one)).every((state) => !['PENDING', 'RUNNING'].includes(state)), DEADLINE_MS);
  expect((await states(one)).filter((state) => state === 'COMPLETED')).toHaveLength(1);
  expect(one.commits()).toBe(1);
  expect((await listEffects(database.pool, one.run)).map(({ state }) => state)).toEqual(['completed']);
});
