import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import {
  AddJobFlowStepsCommand,
  DescribeClusterCommand,
  DescribeStepCommand,
  EMRClient,
  RunJobFlowCommand,
  type Cluster,
  type RunJobFlowCommandInput,
  type Step,
  type StepConfig,
} from '@aws-sdk/client-emr';
import { startEmrLocal, type EmrLocal, type EmrLocalOptions } from '../../operator/emr-local/server';
import { until } from './until';

export const CREDENTIAL = { accessKeyId: 'AKIATEST', secretAccessKey: 'only-for-tests' };
const REGION = 'us-east-1';
const DEADLINE_MS = 60_000;

/** What a step of these tests runs as "spark-submit": a shell that takes its words as a script. */
const FAKE_SPARK_SUBMIT = '#!/bin/sh\nexec /bin/sh -c "$1"\n';

export interface TestEmr extends AsyncDisposable {
  readonly endpoint: string;
  readonly directory: string;
  readonly client: EMRClient;
  /** Lines the server told. */
  readonly told: readonly string[];
  /** Ends the server as Ctrl-C does and starts it anew over the same state; clients stay good. */
  restart(): Promise<void>;
}

export function emrClient(endpoint: string, more: Partial<ConstructorParameters<typeof EMRClient>[0]> = {}): EMRClient {
  return new EMRClient({ endpoint, region: REGION, credentials: CREDENTIAL, maxAttempts: 1, ...more });
}

export function emrDirectory(): { readonly directory: string; readonly sparkSubmit: string } {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'almanac-emr-'));
  const sparkSubmit = path.join(directory, 'spark-submit');
  writeFileSync(sparkSubmit, FAKE_SPARK_SUBMIT);
  chmodSync(sparkSubmit, 0o755);
  return { directory, sparkSubmit };
}

/** EMR over a fake spark-submit, on a random port, with state of its own. */
export async function testEmr(options: Partial<EmrLocalOptions> = {}): Promise<TestEmr> {
  const { directory, sparkSubmit } = emrDirectory();
  const told: string[] = [];
  const start = (port: number): Promise<EmrLocal> =>
    startEmrLocal({
      stateDirectory: path.join(directory, 'state'),
      port,
      credentials: [CREDENTIAL],
      region: REGION,
      tools: { sparkSubmit, cores: 2 },
      timing: { provisionMs: 50, bootstrapMs: 50, shutdownMs: 50 },
      tell: (line) => told.push(line),
      ...options,
    });
  let server = await start(0);
  const { endpoint } = server;
  const client = emrClient(endpoint);
  return {
    endpoint,
    directory,
    client,
    told,
    async restart() {
      await server.close();
      server = await start(Number(new URL(endpoint).port));
    },
    async [Symbol.asyncDispose]() {
      client.destroy();
      await server.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** A cluster that waits for steps, unless told otherwise. */
export function clusterRequest(more: Partial<RunJobFlowCommandInput> = {}): RunJobFlowCommandInput {
  return {
    Name: 'test',
    ReleaseLabel: 'emr-7.1.0',
    Instances: { InstanceCount: 1, MasterInstanceType: 'm5.xlarge', KeepJobFlowAliveWhenNoSteps: true },
    ServiceRole: 'EMR_DefaultRole',
    JobFlowRole: 'EMR_EC2_DefaultRole',
    ...more,
  };
}

/** A step that runs a shell script by way of spark-submit. */
export function scriptStep(script: string, more: Partial<StepConfig> = {}): StepConfig {
  return {
    Name: 'step',
    ActionOnFailure: 'CONTINUE',
    HadoopJarStep: { Jar: 'command-runner.jar', Args: ['spark-submit', script] },
    ...more,
  };
}

export async function startCluster(client: EMRClient, more: Partial<RunJobFlowCommandInput> = {}): Promise<string> {
  const { JobFlowId } = await client.send(new RunJobFlowCommand(clusterRequest(more)));
  if (JobFlowId === undefined) throw new Error('no cluster id');
  return JobFlowId;
}

export async function addSteps(client: EMRClient, cluster: string, ...steps: readonly StepConfig[]): Promise<readonly string[]> {
  const { StepIds = [] } = await client.send(new AddJobFlowStepsCommand({ JobFlowId: cluster, Steps: [...steps] }));
  return StepIds;
}

export async function describeCluster(client: EMRClient, id: string): Promise<Cluster> {
  const { Cluster: cluster } = await client.send(new DescribeClusterCommand({ ClusterId: id }));
  if (cluster === undefined) throw new Error('no cluster');
  return cluster;
}

export async function describeStep(client: EMRClient, cluster: string, id: string): Promise<Step> {
  const { Step: step } = await client.send(new DescribeStepCommand({ ClusterId: cluster, StepId: id }));
  if (step === undefined) throw new Error('no step');
  return step;
}

export async function untilCluster(client: EMRClient, id: string, ...states: readonly string[]): Promise<Cluster> {
  let found: Cluster | undefined;
  await until(
    `cluster ${id} to be ${states.join(' or ')}`,
    async () => states.includes((found = await describeCluster(client, id)).Status?.State ?? ''),
    DEADLINE_MS,
  );
  if (found === undefined) throw new Error('no cluster');
  return found;
}

export async function untilStep(client: EMRClient, cluster: string, id: string, ...states: readonly string[]): Promise<Step> {
  let found: Step | undefined;
  await until(
    `step ${id} to be ${states.join(' or ')}`,
    async () => states.includes((found = await describeStep(client, cluster, id)).Status?.State ?? ''),
    DEADLINE_MS,
  );
  if (found === undefined) throw new Error('no step');
  return found;
}

/** The pid a script wrote into a file with \`echo $$\`, once it is there. */
export async function pidIn(file: string): Promise<number> {
  let pid = 0;
  await until(
    `a pid in ${file}`,
    () => {
      try {
        pid = Number(readFileSync(file, 'utf8'));
      } catch {
        return false;
      }
      return pid > 0;
    },
    DEADLINE_MS,
  );
  return pid;
}
