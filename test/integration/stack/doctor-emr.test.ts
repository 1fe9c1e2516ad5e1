import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { TerminateJobFlowsCommand } from '@aws-sdk/client-emr';
import { doctor } from '../../../operator/stack/doctor';
import type { Finding } from '../../../operator/stack/finding';
import { superviseStack } from '../../../operator/stack/up';
import { readConfig } from '../../../lib/config';
import { CREDENTIAL, startCluster, testEmr, untilCluster, type TestEmr } from '../../support/emr-local';

let emr: TestEmr;
let directory: string;
beforeAll(async () => {
  emr = await testEmr();
});
afterAll(() => emr[Symbol.asyncDispose]());
beforeEach(() => {
  process.env['AWS_ACCESS_KEY_ID'] = CREDENTIAL.accessKeyId;
  process.env['AWS_SECRET_ACCESS_KEY'] = CREDENTIAL.secretAccessKey;
  directory = mkdtempSync(path.join(tmpdir(), 'almanac-doctor-emr-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

function place(): Record<string, string> {
  return { ALMANAC_EMR_SETTINGS: 'emr.json', ALMANAC_EMR_ENDPOINT: emr.endpoint, ALMANAC_EMR_REGION: 'us-east-1' };
}

async function examine(settings: unknown, environment: Record<string, string> = {}): Promise<readonly Finding[]> {
  writeFileSync(path.join(directory, 'emr.json'), typeof settings === 'string' ? settings : JSON.stringify(settings));
  const findings = await doctor({ PATH: process.env.PATH, ...place(), ...environment }, directory);
  return findings.filter(({ check }) => check === 'emr');
}

function job(): { readonly job: { readonly jar: string } } {
  const jar = path.join(directory, 'job.jar');
  writeFileSync(jar, '');
  return { job: { jar: `file://${jar}` } };
}

const TRANSIENT = {
  ...{ release: 'emr-7.5.0', logs: 's3://logs/emr', serviceRole: 'r', instanceProfile: 'p' },
  fleets: [{ role: 'MASTER', onDemand: 1, instances: [{ type: 'm6g.xlarge' }] }],
};

test('without EMR nothing is said of it', async () => {
  const findings = await doctor({ PATH: process.env.PATH }, directory);
  expect(findings.filter(({ check }) => check === 'emr')).toEqual([]);
});

test.each([
  ['{', 'JSON'],
  [{ job: { jar: 'job.jar' } }, 'job.jar'],
  [{ job: { jar: 's3://lake/job.jar' }, polSeconds: 1 }, 'polSeconds'],
  [{ job: { jar: 's3://lake/job.jar' } }, 'neither ALMANAC_EMR_CLUSTER nor transient'],
])('settings that cannot be used are told with the place that is wrong: %j', async (settings, said) => {
  expect(await examine(settings)).toMatchObject([
    { state: 'fail', message: expect.stringContaining(said), next: expect.stringContaining('docs/operating.md') },
  ]);
});

test('settings that are not there, or say where both clusters are, are refused before a stack starts', async () => {
  const config = readConfig(place(), directory);
  const start = superviseStack({ config, projectDirectory: directory, tell: () => undefined }, new AbortController().signal);
  await expect(start).rejects.toMatchObject({ code: 'config.invalid', message: expect.stringContaining('emr.json') });
  expect(await examine({ ...job(), transient: TRANSIENT }, { ALMANAC_EMR_CLUSTER: 'j-0000AAAA' })).toMatchObject([
    { state: 'fail', message: expect.stringContaining('both') },
  ]);
});

test('the service, the cluster that stays and the job are looked at', async () => {
  expect(await examine({ ...job(), transient: TRANSIENT })).toMatchObject([
    { state: 'ok', message: expect.stringContaining(emr.endpoint) },
    { state: 'ok', message: expect.stringContaining('job.jar') },
  ]);
  const cluster = await startCluster(emr.client);
  await untilCluster(emr.client, cluster, 'WAITING');
  const environment = { ALMANAC_EMR_CLUSTER: cluster };
  expect(await examine(job(), environment)).toMatchObject([{ state: 'ok', message: expect.stringContaining('WAITING') }, { state: 'ok' }]);
  expect(await examine({ job: { jar: `file://${directory}/gone.jar` } }, environment)).toMatchObject([
    { state: 'ok' },
    { state: 'fail', message: expect.stringContaining('gone.jar'), next: expect.stringContaining('--job-jar') },
  ]);
  await emr.client.send(new TerminateJobFlowsCommand({ JobFlowIds: [cluster] }));
  await untilCluster(emr.client, cluster, 'TERMINATED');
  expect((await examine(job(), environment))[0]).toMatchObject({
    state: 'fail',
    message: expect.stringContaining('TERMINATED'),
    next: expect.stringContaining('ALMANAC_EMR_CLUSTER'),
  });
});

test('a cluster that is not there, and a service that does not answer, are told with what mends them', async () => {
  expect((await examine(job(), { ALMANAC_EMR_CLUSTER: 'j-0000AAAABBBBC' }))[0]).toMatchObject({
    state: 'fail',
    message: expect.stringContaining('DescribeCluster'),
    next: expect.stringContaining('ALMANAC_EMR_CLUSTER'),
  });
  expect((await examine({ ...job(), transient: TRANSIENT }, { ALMANAC_EMR_ENDPOINT: 'http://127.0.0.1:1' }))[0]).toMatchObject({
    state: 'fail',
    message: expect.stringContaining('http://127.0.0.1:1'),
    next: expect.stringContaining('ALMANAC_EMR_ENDPOINT'),
  });
});

test('credentials that are not taken are told without a word of them', async () => {
  process.env['AWS_SECRET_ACCESS_KEY'] = 'another-secret';
  const [finding] = await examine({ ...job(), transient: TRANSIENT });
  expect(finding).toMatchObject({ state: 'fail', next: expect.stringContaining('AWS SDK') });
  expect(JSON.stringify(finding)).not.toContain('another-secret');
});
