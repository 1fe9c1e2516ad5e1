import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { packageRoot } from '../../../lib/package-root';
import { openEmrLocal, type OpenEmrLocal } from '../../../operator/emr-local/open';
import { processesNaming } from '../../support/processes';
import { until } from '../../support/until';
import { testBucket, type TestBucket } from '../../support/versitygw';

/** The real \`aws\` command against our EMR, over a real Spark. */
const DEADLINE_MS = 240_000;
/** Three jobs of Spark and some twenty starts of the command, on a machine that may be shared. */
const TEST_MS = 1_200_000;

const directory = mkdtempSync(path.join(os.tmpdir(), 'almanac-aws-'));
let bucket: TestBucket;
let environment: NodeJS.ProcessEnv;
let store: S3Client;
let command: string;
let emr: OpenEmrLocal;

beforeAll(async () => {
  const made = spawnSync(process.execPath, [path.join(packageRoot(), 'bin', 'aws-cli.mjs')], { encoding: 'utf8' });
  if (made.status !== 0) throw new Error(made.stderr);
  command = made.stdout.trim();
  bucket = await testBucket();
  const own = {
    ...bucket.environment,
    AWS_DEFAULT_REGION: bucket.region,
    AWS_ENDPOINT_URL_S3: bucket.endpoint,
    // Nothing of the user's own.
    AWS_CONFIG_FILE: path.join(directory, 'config'),
    AWS_SHARED_CREDENTIALS_FILE: path.join(directory, 'credentials'),
    AWS_PAGER: '',
  };
  for (const file of [own.AWS_CONFIG_FILE, own.AWS_SHARED_CREDENTIALS_FILE]) writeFileSync(file, '');
  // The logs are kept by the SDK's own chain, which reads the process.
  Object.assign(process.env, own);
  environment = { ...process.env, ...own };
  store = new S3Client({ forcePathStyle: true });
  const stateDirectory = path.join(directory, 'state');
  mkdirSync(stateDirectory);
  emr = await openEmrLocal({ stateDirectory, port: 0, cores: 1, faults: false, environment, tell: () => undefined });
});
afterAll(async () => {
  await emr.close();
  store.destroy();
  await bucket[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

interface End {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function run(args: readonly string[], more: Readonly<Record<string, string>> = {}): Promise<End> {
  const child = spawn(command, [...args, '--output', 'json'], { env: { ...environment, AWS_ENDPOINT_URL_EMR: emr.endpoint, ...more } });
  let [out, err] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, out, err }));
  });
}

async function aws<T>(...args: readonly string[]): Promise<T> {
  const { code, out, err } = await run(['emr', ...args]);
  if (code !== 0) throw new Error(`aws emr ${args.join(' ')} ended with ${code}: ${err}`);
  return JSON.parse(out || '{}') as T;
}

async function createCluster(): Promise<string> {
  const { ClusterId } = await aws<{ ClusterId: string }>(
    'create-cluster',
    ...['--name', 'by hand', '--release-label', 'emr-7.1.0', '--applications', 'Name=Spark', '--no-auto-terminate'],
    ...['--instance-fleets', 'InstanceFleetType=MASTER,TargetOnDemandCapacity=1,InstanceTypeConfigs=[{InstanceType=m5.xlarge}]'],
    ...['--service-role', 'EMR_DefaultRole', '--ec2-attributes', 'InstanceProfile=EMR_EC2_DefaultRole,SubnetIds=[subnet-1]'],
    ...['--tags', 'run=audience-index', '--log-uri', `s3://${bucket.bucket}/logs`, '--step-concurrency-level', '2'],
  );
  return ClusterId;
}

async function addStep(cluster: string, script: string): Promise<string> {
  const name = `job-${script.length}.py`;
  await store.send(new PutObjectCommand({ Bucket: bucket.bucket, Key: name, Body: script }));
  const step = `Type=Spark,Name=job,ActionOnFailure=CONTINUE,Args=[--master,yarn,--deploy-mode,cluster,--conf,spark.driver.memory=512m,s3://${bucket.bucket}/${name}]`;
  const { StepIds } = await aws<{ StepIds: readonly string[] }>('add-steps', '--cluster-id', cluster, '--steps', step);
  return StepIds[0] ?? '';
}

interface StepStatus {
  readonly State: string;
  readonly FailureDetails?: { readonly Reason: string; readonly Message: string; readonly LogFile: string };
}

async function status(cluster: string, step: string): Promise<StepStatus> {
  return (await aws<{ Step: { Status: StepStatus } }>('describe-step', '--cluster-id', cluster, '--step-id', step)).Step.Status;
}

async function untilState(cluster: string, step: string, state: string): Promise<StepStatus> {
  let found: StepStatus | undefined;
  await until(
    `step ${step} to be ${state}`,
    async () => {
      found = await status(cluster, step);
      return /^(COMPLETED|FAILED|CANCELLED)$/.test(found.State);
    },
    DEADLINE_MS,
    500,
  );
  if (found?.State !== state) throw new Error(`step ${step} is not ${state} but ${JSON.stringify(found)}`);
  return found;
}

const PRELUDE = 'from pyspark.sql import SparkSession\nspark = SparkSession.builder.getOrCreate()\n';

test(
  'the aws command makes a cluster, runs real Spark jobs on it, waits for them, cancels one, and ends it',
  async () => {
    const cluster = await createCluster();
    const good = await addStep(
      cluster,
      `${PRELUDE}print("rows", spark.range(1000).selectExpr("sum(id)").first()[0], spark.sparkContext.master)\n`,
    );
    const bad = await addStep(cluster, `${PRELUDE}spark.sql("SELECT * FROM nowhere").show()\n`);
    await untilState(cluster, good, 'COMPLETED');
    await aws('wait', 'step-complete', '--cluster-id', cluster, '--step-id', good);
    await until('the log of the step', () => printed(logOf(cluster, good)) !== undefined, DEADLINE_MS);
    expect(printed(logOf(cluster, good))).toBe('rows 499500 local[1]\n');

    expect((await untilState(cluster, bad, 'FAILED')).FailureDetails).toMatchObject({
      Reason: 'Unknown Error.',
      LogFile: `s3://${bucket.bucket}/logs/${cluster}/steps/${bad}/stderr.gz`,
    });
    // What a Python driver says of itself Spark writes to stdout.
    await until('the log of the failed step', () => printed(logOf(cluster, bad)) !== undefined, DEADLINE_MS);
    expect(printed(logOf(cluster, bad))).toContain('TABLE_OR_VIEW_NOT_FOUND');

    const mark = path.join(directory, 'running');
    const slow = await addStep(
      cluster,
      `${PRELUDE}open(${JSON.stringify(mark)}, "w").write("x")\nspark.range(1).rdd.foreach(lambda row: __import__("time").sleep(900))\n`,
    );
    await until('the slow job runs in Spark', () => processesNaming(slow).length > 1 && exists(mark), DEADLINE_MS);
    const cancelled = await aws<{ CancelStepsInfoList: readonly { Status: string }[] }>(
      'cancel-steps',
      '--cluster-id',
      cluster,
      '--step-ids',
      slow,
    );
    expect(cancelled.CancelStepsInfoList).toEqual([{ StepId: slow, Status: 'SUBMITTED' }]);
    await untilState(cluster, slow, 'CANCELLED');
    expect(processesNaming(slow)).toEqual([]);

    const { Steps } = await aws<{ Steps: readonly { Id: string; Status: StepStatus }[] }>('list-steps', '--cluster-id', cluster);
    expect(Steps.map(({ Id, Status }) => [Id, Status.State])).toEqual([
      [slow, 'CANCELLED'],
      [bad, 'FAILED'],
      [good, 'COMPLETED'],
    ]);
    const { Clusters } = await aws<{ Clusters: readonly { Id: string }[] }>('list-clusters', '--active');
    expect(Clusters.map(({ Id }) => Id)).toEqual([cluster]);
    const described = await aws<{ Cluster: Readonly<Record<string, unknown>> }>('describe-cluster', '--cluster-id', cluster);
    expect(described.Cluster).toMatchObject({
      Status: { State: 'WAITING', StateChangeReason: { Message: 'Cluster ready after last step cancelled.' } },
      Tags: [{ Key: 'run', Value: 'audience-index' }],
      InstanceFleets: [{ InstanceFleetType: 'MASTER', ProvisionedOnDemandCapacity: 1 }],
      BootstrapActions: [],
    });
    await aws('add-tags', '--resource-id', cluster, '--tags', 'more=yes');
    await aws('modify-cluster', '--cluster-id', cluster, '--step-concurrency-level', '3');
    await aws('terminate-clusters', '--cluster-ids', cluster);
    await aws('wait', 'cluster-terminated', '--cluster-id', cluster);
  },
  TEST_MS,
);

test('the aws command is refused with another secret, and told of ids that nobody has', async () => {
  const wrong = await run(['emr', 'list-clusters'], { AWS_SECRET_ACCESS_KEY: 'wrong' });
  expect(wrong.code).not.toBe(0);
  expect(wrong.err).toContain('An error occurred (InvalidSignatureException) when calling the ListClusters operation');
  const unknown = await run(['emr', 'describe-cluster', '--cluster-id', 'j-NOBODY']);
  expect(unknown.err).toContain(
    "An error occurred (InvalidRequestException) when calling the DescribeCluster operation: Cluster id 'j-NOBODY' is not valid.",
  );
});

/** As the gateway keeps it. */
function logOf(cluster: string, step: string): string {
  return path.join(bucket.folder, 'logs', cluster, 'steps', step, 'stdout.gz');
}

function printed(file: string): string | undefined {
  try {
    return gunzipSync(readFileSync(file)).toString();
  } catch {
    return undefined;
  }
}

function exists(file: string): boolean {
  try {
    return readFileSync(file).length > 0;
  } catch {
    return false;
  }
}
