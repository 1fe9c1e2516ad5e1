import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { startEmrLocal, type EmrLocal, type EmrLocalOptions } from '../../../operator/emr-local/server';
import { AlmanacError } from '../../../pipelines/failures';
import {
  addSteps,
  CREDENTIAL,
  describeCluster,
  describeStep,
  emrClient,
  emrDirectory,
  pidIn,
  scriptStep,
  startCluster,
  untilCluster,
  untilStep,
} from '../../support/emr-local';
import { processesNaming } from '../../support/processes';
import { Random } from '../../support/random';
import { startSource } from '../../support/source-process';
import { until } from '../../support/until';

const DEADLINE_MS = 60_000;

let directory: string;
let options: EmrLocalOptions;

beforeEach(() => {
  const made = emrDirectory();
  directory = made.directory;
  options = {
    stateDirectory: path.join(directory, 'state'),
    port: 0,
    credentials: [CREDENTIAL],
    region: 'us-east-1',
    tools: { sparkSubmit: made.sparkSubmit, cores: 1 },
    timing: { provisionMs: 20, bootstrapMs: 20, shutdownMs: 20 },
  };
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** A server in a process of its own, to be killed. */
async function child(): Promise<{ readonly process: ChildProcess; readonly endpoint: string }> {
  const { process: started, greeting } = startSource('emr-local-child.ts');
  // It listens only once it is loaded; what is sent before waits in the channel.
  started.send(options);
  const { endpoint } = (await greeting) as { endpoint: string };
  return { process: started, endpoint };
}

async function kill({ process: killed }: { readonly process: ChildProcess }): Promise<void> {
  killed.kill('SIGKILL');
  if (killed.exitCode === null && killed.signalCode === null) await once(killed, 'exit');
}

/** Every process that works below the state directory. */
function left(): readonly number[] {
  return processesNaming(path.join(directory, 'spark-submit')).concat(processesNaming(options.stateDirectory));
}

it('a server that is killed leaves steps to the next, which ends them and calls their clusters lost', async () => {
  const first = await child();
  const client = emrClient(first.endpoint);
  const logs = path.join(directory, 'logs');
  const lost = await startCluster(client, { LogUri: pathToFileURL(logs).href });
  const idle = await startCluster(client, { Name: 'idle' });
  const file = path.join(directory, 'running');
  const [running = '', waiting = ''] = await addSteps(
    client,
    lost,
    scriptStep(`echo so-far; setsid sleep 600 & echo $$ > ${file}; sleep 600`),
    scriptStep('true'),
  );
  const pid = await pidIn(file);
  await untilCluster(client, idle, 'WAITING');
  await kill(first);
  client.destroy();
  expect(() => process.kill(pid, 0)).not.toThrow();

  const second = await startEmrLocal(options);
  const again = emrClient(second.endpoint);
  try {
    expect(processesNaming(running)).toEqual([]);
    const ended = await untilCluster(again, lost, 'TERMINATED_WITH_ERRORS');
    expect(ended.Status?.StateChangeReason?.Code).toBe('INSTANCE_FAILURE');
    const step = await describeStep(again, lost, running);
    expect(step.Status).toMatchObject({ State: 'FAILED', FailureDetails: { Message: 'The cluster was lost while the step ran' } });
    expect((await describeStep(again, lost, waiting)).Status?.State).toBe('CANCELLED');
    const log = path.join(logs, lost, 'steps', running, 'stdout.gz');
    await until('the logs of the lost step', () => existsSync(log), DEADLINE_MS);
    expect(gunzipSync(readFileSync(log)).toString()).toBe('so-far\n');
    const [id = ''] = await addSteps(again, idle, scriptStep('true'));
    await untilStep(again, idle, id, 'COMPLETED');
  } finally {
    again.destroy();
    await second.close();
  }
});

it('killed at any moment around the start of steps, it leaves none after its restart, and every step has an end', async () => {
  const random = new Random(Number(process.env.ALMANAC_TEST_SEED ?? Date.now()));
  for (let round = 0; round < 3; round += 1) {
    const server = await child();
    const client = emrClient(server.endpoint);
    const cluster = await startCluster(client, { StepConcurrencyLevel: 5, Name: `round ${round}` });
    const adding = addSteps(client, cluster, ...Array.from({ length: 8 }, () => scriptStep('sleep 600'))).catch(() => []);
    await new Promise((resolve) => setTimeout(resolve, random.below(150)));
    await kill(server);
    await adding;
    client.destroy();
    const next = await startEmrLocal(options);
    const again = emrClient(next.endpoint);
    expect(left()).toEqual([]);
    const { Status } = await describeCluster(again, cluster);
    expect(['TERMINATING', 'TERMINATED_WITH_ERRORS', 'WAITING', 'RUNNING', 'STARTING', 'BOOTSTRAPPING']).toContain(Status?.State);
    again.destroy();
    await next.close();
    expect(left()).toEqual([]);
  }
});

it('stopped in order it ends its steps, also one that heeds no signal', async () => {
  let server: EmrLocal | undefined = await startEmrLocal(options);
  const client = emrClient(server.endpoint);
  const file = path.join(directory, 'deaf');
  const cluster = await startCluster(client);
  await addSteps(client, cluster, scriptStep(`trap '' TERM; echo $$ > ${file}; while :; do sleep 0.05; done`));
  await pidIn(file);
  await server.close();
  expect(left()).toEqual([]);
  server = await startEmrLocal({ ...options, port: Number(new URL(server.endpoint).port) });
  await untilCluster(client, cluster, 'TERMINATED_WITH_ERRORS');
  client.destroy();
  await server.close();
});

it('one state directory has one server, and one port too', async () => {
  const server = await startEmrLocal(options);
  const refused = startEmrLocal(options).catch((error: unknown) => error);
  expect(await refused).toMatchObject({ code: 'emr.local-busy', next: expect.stringContaining('--state-dir') });
  const port = Number(new URL(server.endpoint).port);
  const taken = startEmrLocal({ ...options, stateDirectory: path.join(directory, 'other'), port }).catch((error: unknown) => error);
  expect(await taken).toMatchObject({ code: 'emr.local-port', message: expect.stringContaining(`port ${port}`) });
  await server.close();
});

it('a damaged file of a cluster is named, and nothing is served beside it', async () => {
  const server = await startEmrLocal(options);
  const client = emrClient(server.endpoint);
  const cluster = await startCluster(client);
  client.destroy();
  await server.close();
  const file = path.join(options.stateDirectory, 'clusters', `${cluster}.json`);
  writeFileSync(file, '{"id":');
  const failure: unknown = await startEmrLocal(options).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(AlmanacError);
  expect(failure).toMatchObject({
    code: 'emr.local-state',
    message: expect.stringContaining(file),
    next: expect.stringContaining(`rm ${file}`),
  });
  rmSync(file);
  await (await startEmrLocal(options)).close();
});
