import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ListClustersCommand } from '@aws-sdk/client-emr';
import { openEmrLocal, type OpenEmrLocal, type OpenOptions } from '../../../operator/emr-local/open';
import { localSpark } from '../../../operator/emr-local/spark-tools';
import { emrClient, emrDirectory } from '../../support/emr-local';

let directory: string;
let options: OpenOptions;
let opened: OpenEmrLocal | undefined;

beforeEach(() => {
  const made = emrDirectory();
  directory = made.directory;
  options = {
    stateDirectory: path.join(directory, 'state'),
    port: 0,
    cores: 1,
    faults: false,
    environment: { PATH: process.env.PATH },
    sparkSubmit: made.sparkSubmit,
    tell: () => undefined,
  };
});
afterEach(async () => {
  await opened?.close();
  opened = undefined;
  rmSync(directory, { recursive: true, force: true });
});

async function list(server: OpenEmrLocal, credentials: { accessKeyId: string; secretAccessKey: string }): Promise<unknown> {
  const client = emrClient(server.endpoint, { credentials, region: server.region });
  try {
    return await client.send(new ListClustersCommand({}));
  } finally {
    client.destroy();
  }
}

/** The variables of the file that a shell reads. */
function variables(file: string): Record<string, string> {
  return Object.fromEntries(
    [...readFileSync(file, 'utf8').matchAll(/^export (\w+)='(.*)'$/gm)].map(([, name = '', value = '']) => [name, value]),
  );
}

it('makes up a key pair once, tells it in a file of its user alone, and nowhere else', async () => {
  opened = await openEmrLocal(options);
  const first = variables(opened.environmentFile);
  expect(statSync(opened.environmentFile).mode & 0o077).toBe(0);
  expect(first).toMatchObject({ AWS_ENDPOINT_URL_EMR: opened.endpoint, AWS_REGION: 'us-east-1' });
  const pair = { accessKeyId: first.AWS_ACCESS_KEY_ID ?? '', secretAccessKey: first.AWS_SECRET_ACCESS_KEY ?? '' };
  await expect(list(opened, pair)).resolves.toMatchObject({ Clusters: [] });
  expect(JSON.stringify(opened)).not.toContain(pair.secretAccessKey);
  await opened.close();
  opened = await openEmrLocal(options);
  await expect(list(opened, pair)).resolves.toMatchObject({ Clusters: [] });
});

it('takes the pair and the region of its environment, and writes no secret down', async () => {
  const environment = {
    ...options.environment,
    AWS_ACCESS_KEY_ID: 'AKIAENV',
    AWS_SECRET_ACCESS_KEY: 'of-the-environment',
    AWS_REGION: 'eu-west-1',
  };
  opened = await openEmrLocal({ ...options, environment });
  expect(opened).toMatchObject({ credentials: 'environment', region: 'eu-west-1', faults: null });
  await expect(list(opened, { accessKeyId: 'AKIAENV', secretAccessKey: 'of-the-environment' })).resolves.toMatchObject({ Clusters: [] });
  expect(readFileSync(opened.environmentFile, 'utf8')).not.toContain('of-the-environment');
  expect(readFileSync(path.join(options.stateDirectory, 'spark-conf', 'spark-defaults.conf'), 'utf8')).not.toContain('of-the-environment');
  expect(existsSync(path.join(options.stateDirectory, 'credentials.json'))).toBe(false);
});

it('takes the pairs of a file', async () => {
  const credentialsFile = path.join(directory, 'pairs.json');
  writeFileSync(credentialsFile, JSON.stringify([{ accessKeyId: 'AKIAFILE', secretAccessKey: 's' }]));
  opened = await openEmrLocal({ ...options, credentialsFile });
  expect(opened.credentials).toBe('file');
  await expect(list(opened, { accessKeyId: 'AKIAFILE', secretAccessKey: 's' })).resolves.toMatchObject({ Clusters: [] });
});

it.each([
  ['not there', undefined, 'ENOENT'],
  ['no JSON', '[{"secretAccessKey": "hidden"', 'it is not JSON'],
  ['no list', '{}', 'expected array'],
  ['without a secret', '[{"accessKeyId": "a"}]', '0.secretAccessKey'],
  ['with a name nobody knows', '[{"accessKeyId": "a", "secretAccessKey": "hidden", "hidden": 1}]', 'unknown name'],
])('a file of key pairs that is %s is refused, without what it holds', async (_what, text, reason) => {
  const credentialsFile = path.join(directory, 'pairs.json');
  if (text !== undefined) writeFileSync(credentialsFile, text);
  const failure: unknown = await openEmrLocal({ ...options, credentialsFile }).catch((error: unknown) => error);
  expect(failure).toMatchObject({
    code: 'emr.local-credentials',
    message: expect.stringContaining(reason),
    next: expect.stringContaining('JSON list'),
  });
  expect(String((failure as Error).message)).not.toContain('hidden');
});

it('a spark-submit that cannot be executed is named', async () => {
  const sparkSubmit = path.join(directory, 'pairs.json');
  const failure: unknown = await openEmrLocal({ ...options, sparkSubmit }).catch((error: unknown) => error);
  expect(failure).toMatchObject({
    code: 'emr.local-spark',
    message: expect.stringContaining(sparkSubmit),
    next: expect.stringContaining('--spark-submit'),
  });
  expect(() => localSpark(sparkSubmit, {})).toThrow('ENOENT');
});
