import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import {
  addSteps,
  CREDENTIAL,
  describeStep,
  emrClient,
  emrDirectory,
  pidIn,
  scriptStep,
  startCluster,
  untilCluster,
} from '../support/emr-local';
import { cliEnvironment, runCommand, startCli } from '../support/cli';
import { processesNaming } from '../support/processes';
import { until } from '../support/until';

const DEADLINE_MS = 120_000;

const { directory, sparkSubmit } = emrDirectory();
const environment = cliEnvironment(path.join(directory, 'home'), {
  AWS_ACCESS_KEY_ID: CREDENTIAL.accessKeyId,
  AWS_SECRET_ACCESS_KEY: CREDENTIAL.secretAccessKey,
  AWS_REGION: 'us-east-1',
});
const started: ChildProcess[] = [];
afterAll(() => {
  for (const child of started) child.kill('SIGKILL');
  rmSync(directory, { recursive: true, force: true });
});

interface Server {
  readonly child: ChildProcess;
  readonly endpoint: string;
  readonly out: () => string;
}

async function serve(...args: readonly string[]): Promise<Server> {
  const child = startCli(['emr-local', '--spark-submit', sparkSubmit, ...args], environment);
  started.push(child);
  let out = '';
  let err = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (out += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (err += text));
  await until(`emr-local to serve: ${err}`, () => out.includes('http://') || child.exitCode !== null, DEADLINE_MS);
  const endpoint = /http:\/\/127\.0\.0\.1:\d+/.exec(out)?.[0] ?? `nothing: ${out}${err}`;
  return { child, endpoint, out: () => out + err };
}

test('emr-local serves until Ctrl-C, which leaves no process; started again it calls lost what ran', async () => {
  const server = await serve('--port', '0', '--faults');
  expect(server.out()).toContain(`EMR is served at ${server.endpoint} (region us-east-1, credentials: environment)`);
  expect(server.out()).toContain(`faults are ordered at ${server.endpoint}/faults`);
  expect(server.out()).not.toContain(CREDENTIAL.secretAccessKey);
  expect(readFileSync(path.join(directory, 'home', 'emr-local', 'environment.sh'), 'utf8')).toContain(
    `AWS_ENDPOINT_URL_EMR='${server.endpoint}'`,
  );
  const client = emrClient(server.endpoint);
  const cluster = await startCluster(client);
  const file = path.join(directory, 'running');
  const [step = ''] = await addSteps(client, cluster, scriptStep(`echo $$ > ${file}; setsid sleep 600 & sleep 600`));
  await pidIn(file);
  server.child.kill('SIGINT');
  if (server.child.exitCode === null) await once(server.child, 'exit');
  expect(server.child.exitCode).toBe(0);
  expect(processesNaming(directory)).toEqual([]);
  expect(processesNaming(step)).toEqual([]);

  const again = await serve('--port', new URL(server.endpoint).port, '--json');
  expect(again.endpoint).toBe(server.endpoint);
  await untilCluster(client, cluster, 'TERMINATED_WITH_ERRORS');
  expect((await describeStep(client, cluster, step)).Status?.State).toBe('FAILED');
  const second = await runCommand(['emr-local', '--spark-submit', sparkSubmit, '--json'], environment);
  expect(second.code).toBe(5);
  expect(JSON.parse(second.stdout)).toMatchObject({ error: { code: 'emr.local-busy' } });
  client.destroy();
  again.child.kill('SIGTERM');
  if (again.child.exitCode === null) await once(again.child, 'exit');
  expect(again.child.exitCode).toBe(0);
});

test.each([
  [['--port', '70000'], 'run.usage', '--port "70000"'],
  [['--throttle', 'fast'], 'run.usage', '--throttle "fast"'],
  [['--credentials', 'nowhere.json'], 'emr.local-credentials', 'nowhere.json'],
] as const)('emr-local %j is refused', async (args, code, message) => {
  const { stdout, code: exit } = await runCommand(['emr-local', '--spark-submit', sparkSubmit, '--json', ...args], environment);
  expect(exit).toBe(11);
  expect(JSON.parse(stdout)).toMatchObject({ error: { code, message: expect.stringContaining(message) } });
});
