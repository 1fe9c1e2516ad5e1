/** The Spark arm of bench:spark: steps of a local EMR over a real spark-submit, followed as a compute worker follows them. */
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type pg from 'pg';
import { createEmrClient } from '../activities/compute/emr-client';
import { createSparkStage } from '../activities/compute/spark-stage';
import { openAttempt } from '../activities/ledger/attempts';
import { listEffects, type EffectRow } from '../activities/ledger/effects';
import { claimRun, storePlan } from '../activities/ledger/runs';
import { jobPath } from '../activities/storage/store-paths';
import type { ObjectStore } from '../activities/storage/object-store';
import { systemClock } from '../lib/clock';
import { openEmrLocal } from '../operator/emr-local/open';
import type { SparkResult, SparkSpent } from '../pipelines/spark-order';
import type { Plan, RunRef } from '../pipelines/types';
import { openEmr } from '../workers/emr';
import type { StageArm } from './udb-arms';

export const POLL_SECONDS = 0.25;
const REGION = 'us-east-1';
const PLAN = 'bench';
const CLAIM = 'bench';

/** One step, from the request that submits it to the moment at which its result was known. */
export interface StepTimes {
  readonly stage: string;
  /** All of it. */
  readonly seconds: number;
  /** From the start of the application to the end of its work, as the job itself tells it. */
  readonly sparkSeconds: number;
  /** From the request to the start of the JVM, from there to the application, and from the end of its work to the end of the step as it was seen. */
  readonly before: number;
  readonly jvm: number;
  readonly after: number;
  readonly cpuSeconds: number;
  readonly peakMemoryBytes: number | undefined;
}

export interface SparkArm extends StageArm, AsyncDisposable {
  /** Steps of the run that ended last. */
  readonly steps: readonly StepTimes[];
  /** Opens the run whose stages follow. */
  open(pipeline: string, window: string, generation: number): Promise<void>;
}

export interface SparkArmOptions {
  readonly database: pg.Pool;
  readonly store: ObjectStore;
  readonly home: string;
  readonly jobJar: string;
  readonly cores: number;
  /** As spark-submit takes it, like `4g`. */
  readonly memory: string;
  readonly tell: (line: string) => void;
}

/** Serves EMR with a cluster that stays. Its credentials are made up, and set for this process. */
export async function sparkArm({ database, store, home, jobJar, cores, memory, tell }: SparkArmOptions): Promise<SparkArm> {
  Object.assign(process.env, {
    AWS_ACCESS_KEY_ID: `AKIA${randomBytes(8).toString('hex').toUpperCase()}`,
    AWS_SECRET_ACCESS_KEY: randomBytes(30).toString('base64url'),
    AWS_REGION: REGION,
  });
  delete process.env['AWS_SESSION_TOKEN'];
  const emr = await openEmrLocal({
    stateDirectory: path.join(home, 'emr-local'),
    ...{ port: 0, cores, faults: false, environment: process.env, tell },
  });
  const client = createEmrClient({ endpoint: emr.endpoint, region: REGION });
  const cluster = await client.runCluster({
    ...{ Name: 'bench', ReleaseLabel: 'emr-7.5.0', ServiceRole: 'bench', JobFlowRole: 'bench' },
    LogUri: pathToFileURL(path.join(home, 'emr-logs')).href,
    Instances: { InstanceCount: 1, MasterInstanceType: 'm5.xlarge', KeepJobFlowAliveWhenNoSteps: true },
  });
  const conf = ['spark.driver.host=127.0.0.1', 'spark.driver.bindAddress=127.0.0.1', `spark.sql.shuffle.partitions=${2 * cores}`];
  const settings = path.join(home, 'emr.json');
  const sparkArguments = ['--master', `local[${cores}]`, '--driver-memory', memory, ...conf.flatMap((setting) => ['--conf', setting])];
  const job = { jar: pathToFileURL(jobJar).href, sparkArguments };
  writeFileSync(settings, JSON.stringify({ job, pollSeconds: POLL_SECONDS, settleSeconds: 5, logSeconds: 30 }));
  const opened = await openEmr({ emr: { endpoint: emr.endpoint, region: REGION, cluster, settings } }, { database, store });
  if (opened === undefined) throw new Error('unreachable: EMR is configured');
  let steps: StepTimes[] = [];
  return {
    body: createSparkStage(opened.runner),
    get steps() {
      return steps;
    },
    async open(pipeline, window, generation) {
      steps = [];
      const run = { pipeline, window, branch: 'main', generation };
      await storePlan(database, { hash: PLAN, pipeline } as Plan);
      const claim = { planHash: PLAN, pins: {}, bootstrap: false, origin: false, matrix: {}, verb: 'run', who: 'bench' };
      await claimRun(database, { run, claim: CLAIM, ...claim, now: systemClock.now() });
    },
    async begin(stage, run) {
      const order = { run, claim: CLAIM, stage, kind: 'compute', epoch: 1, stageHash: stage, worker: 'bench:1' } as const;
      await openAttempt(database, { ...order, now: systemClock.now() });
    },
    async ended(stage, run, version) {
      const effect = (await listEffects(database, run)).find((row) => row.stage === stage);
      if (effect === undefined || version === undefined) throw new Error(`${stage} was not computed by a step`);
      steps.push(await stepTimes(store, effect, version.dataset, run));
    },
    async [Symbol.asyncDispose]() {
      opened.close();
      await client.terminate(cluster);
      client.close();
      await emr.close();
    },
  };
}

/** Reads what the job told of itself, and removes its order. */
async function stepTimes(store: ObjectStore, effect: EffectRow, dataset: string, run: RunRef): Promise<StepTimes> {
  const path = (name: 'order' | 'token' | 'result'): string => jobPath(dataset, run.window, effect.candidate, effect.round, name);
  const body = await store.get(path('result'));
  const spent = body && (JSON.parse(body.toString('utf8')) as SparkResult).spent;
  if (spent === undefined || effect.sentAt === null || effect.endedAt === null)
    throw new Error(`${effect.stage} did not tell what it took`);
  for (const name of ['order', 'token', 'result'] as const) await store.delete(path(name));
  return timesOf(effect.stage, effect.sentAt.getTime(), effect.endedAt.getTime(), spent);
}

function timesOf(stage: string, sentAt: number, endedAt: number, spent: SparkSpent): StepTimes {
  const { jvmStartedAt, startedAt, endedAt: doneAt, cpuSeconds, peakMemoryBytes } = spent;
  const seconds = (from: number, to: number): number => (to - from) / 1000;
  return {
    ...{ stage, seconds: seconds(sentAt, endedAt), sparkSeconds: seconds(startedAt, doneAt), cpuSeconds, peakMemoryBytes },
    ...{ before: seconds(sentAt, jvmStartedAt), jvm: seconds(jvmStartedAt, startedAt), after: seconds(doneAt, endedAt) },
  };
}
