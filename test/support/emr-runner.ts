/** A runner over the local EMR with a ledger and a store, as a compute worker has it, for tests and for the processes that they kill. */
import { chmodSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { S3Client } from '@aws-sdk/client-s3';
import { createEmrClient, type EmrClient } from '../../activities/compute/emr-client';
import { createLogReader, failedLog } from '../../activities/compute/emr-logs';
import { createEmrPoller } from '../../activities/compute/emr-poller';
import type { RoundServices } from '../../activities/compute/emr-rounds';
import { createEmrRunner } from '../../activities/compute/emr-steps';
import type { SparkRunner, SparkWork } from '../../activities/compute/spark-runner';
import { createLocalStore } from '../../activities/storage/local-store';
import { systemClock } from '../../lib/clock';
import type { EmrSettings, TransientCluster } from '../../lib/emr-settings';
import { connect } from '../../lib/postgres';
import type { RunRef } from '../../pipelines/types';

const POLL_MS = 50;

export interface RunnerPlace {
  readonly databaseUrl: string;
  readonly root: string;
  readonly endpoint: string;
  readonly cluster?: string;
  readonly transient?: TransientCluster;
  readonly sparkArguments?: readonly string[];
}

export interface TestRunner extends AsyncDisposable {
  readonly runner: SparkRunner;
  readonly services: RoundServices;
  readonly client: EmrClient;
}

export function emrRunner({ databaseUrl, root, endpoint, cluster, transient, sparkArguments = [] }: RunnerPlace): TestRunner {
  const database = connect(databaseUrl);
  const client = createEmrClient({ endpoint, region: 'us-east-1' });
  const s3 = new S3Client({ region: 'us-east-1' });
  const read = createLogReader(s3);
  const wait = { clock: systemClock, waitMs: 5_000, everyMs: POLL_MS };
  const services: RoundServices = {
    database,
    client,
    poller: createEmrPoller(client, systemClock, POLL_MS),
    clock: systemClock,
    store: createLocalStore(root),
    settleMs: 400,
    pollMs: POLL_MS,
    pricePerHour: 3600,
    logTail: async (id, step, signal) => failedLog(read, (await client.describeCluster(id)).logs, id, step, wait, signal),
  };
  const settings: EmrSettings = {
    job: { jar: 'file:///job.jar', class: 'almanac.Job', sparkArguments: [...sparkArguments] },
    pollSeconds: POLL_MS / 1000,
    settleSeconds: 0.4,
    logSeconds: 5,
    ...(transient === undefined ? {} : { transient }),
  };
  return {
    runner: createEmrRunner({ services, config: cluster === undefined ? {} : { cluster }, settings, objects: {} }),
    services,
    client,
    async [Symbol.asyncDispose]() {
      client.close();
      s3.destroy();
      await database.end();
    },
  };
}

/** What the fake job is told: how long it takes, and whether it fails. */
export interface FakeJob {
  readonly milliseconds?: number;
  readonly fails?: boolean;
  /** Where its process tells its pid. */
  readonly pidFile?: string;
}

export function work(root: string, run: RunRef, attempt: number, job: FakeJob = {}, more: Partial<SparkWork> = {}): SparkWork {
  const candidate = more.candidate ?? 'candidate';
  const store = createLocalStore(root);
  return {
    run,
    stage: 'compute',
    attempt,
    candidate,
    async place(round) {
      const place = (name: string): string => `datasets/d/${run.window}/jobs/${candidate}-${round}/${name}.json`;
      const file = (name: string): string => path.join(root, place(name));
      await store.putIfAbsent(
        place('order'),
        JSON.stringify({ ...job, token: file('token'), result: file('result'), commits: path.join(root, 'commits') }),
      );
      return { uri: file('order'), token: place('token'), result: place('result') };
    },
    log: () => undefined,
    point: () => Promise.resolve(),
    ...more,
  };
}

/** A spark-submit that does what the job does to the store: claims its token first, puts its result last. */
const FAKE = `#!/usr/bin/env node
const fs = require('node:fs');
const words = process.argv.slice(2);
const order = JSON.parse(fs.readFileSync(words.at(-1), 'utf8'));
const submission = words.find((word) => word.startsWith('spark.almanac.submission='))?.split('=')[1];
try {
  fs.writeFileSync(order.token, JSON.stringify({ submission }), { flag: 'wx' });
} catch (error) {
  console.error('almanac: duplicate');
  process.exit(3);
}
if (order.pidFile) fs.writeFileSync(order.pidFile, String(process.pid));
setTimeout(() => {
  if (order.fails) {
    console.error('26/11/22 01:02:03 INFO SparkContext: noise\\njava.io.IOException: the table is on fire, password=hunter2');
    process.exit(1);
  }
  fs.writeFileSync(order.result, '{}', { flag: 'wx' });
  fs.appendFileSync(order.commits, submission + '\\n');
}, order.milliseconds ?? 20);
`;

export function fakeSparkSubmit(directory: string): string {
  const file = path.join(directory, 'spark-submit-fake');
  writeFileSync(file, FAKE);
  chmodSync(file, 0o755);
  return file;
}
