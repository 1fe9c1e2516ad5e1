import { mkdtempSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { maskUrl, readConfig } from '../../../lib/config';
import { VARIABLE_NAMES } from '../../../lib/variables';
import { AlmanacError } from '../../../pipelines/failures';

function refusal(environment: Record<string, string>): AlmanacError {
  try {
    readConfig(environment, '/project');
  } catch (error) {
    if (error instanceof AlmanacError) return error;
    throw error;
  }
  throw new Error('was accepted');
}

test('without variables everything embedded lives below .almanac of the project', () => {
  const config = readConfig({}, '/project');
  expect(config.home).toBe('/project/.almanac');
  expect(config.data).toBe('/project/.almanac/data');
  expect(config.databaseUrl).toBeUndefined();
  expect(config.temporal).toEqual({ namespace: 'default' });
});

test('relative directories are taken from the project, and an empty variable counts as unset', () => {
  const config = readConfig({ ALMANAC_HOME: 'state', ALMANAC_DATA: '/lake', DATABASE_URL: '', TEMPORAL_ADDRESS: '' }, '/project');
  expect([config.home, config.data, config.databaseUrl, config.temporal.external]).toEqual([
    '/project/state',
    '/lake',
    undefined,
    undefined,
  ]);
});

test.each([
  ['ALMANAC_HOEM', 'ALMANAC_HOME'],
  ['ALMANAC_TREADS', 'ALMANAC_THREADS'],
  ['ALMANAC_MEMROY', 'ALMANAC_MEMORY'],
  ['ALMANAC_LOGLEVEL', 'ALMANAC_LOG_LEVEL'],
])('%s is refused with the nearest name %s', (wrong, right) => {
  const error = refusal({ [wrong]: 'x' });
  expect(error.code).toBe('config.unknown');
  expect(error.message).toContain(wrong);
  expect(error.next).toContain(right);
});

test('any name that is not in the list is refused, and the known ones are not', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[A-Z_]{1,12}$/), (suffix) => {
      const name = `ALMANAC_${suffix}`;
      fc.pre(!VARIABLE_NAMES.includes(name) && !name.startsWith('ALMANAC_TEST_'));
      expect(refusal({ [name]: '1' }).code).toBe('config.unknown');
    }),
  );
});

test.each([
  ['ALMANAC_MEMORY', 'lots'],
  ['ALMANAC_MEMORY', '1MB'],
  ['ALMANAC_THREADS', '0'],
  ['ALMANAC_THREADS', '2.5'],
  ['ALMANAC_PLACES', '257'],
  ['ALMANAC_METRICS', '9464'],
  ['ALMANAC_QUEUE', 'a b'],
  ['ALMANAC_BUILD', 'a/b'],
  ['ALMANAC_BUILD', 'x'.repeat(101)],
  ['ALMANAC_LOG_LEVEL', 'loud'],
  ['TEMPORAL_ADDRESS', 'http://cluster'],
  ['TEMPORAL_TLS', 'yes'],
  ['DATABASE_URL', 'mysql://u:secret@h/d'],
])('%s=%s is refused by its name', (name, value) => {
  const error = refusal({ [name]: value });
  expect(error.code).toBe('config.invalid');
  expect(error.message).toContain(name);
  expect(error.message).not.toContain('secret');
});

test.each([
  ['512MB', 512e6],
  ['1.5GB', 1.5e9],
  ['2GiB', 2 ** 31],
])('a memory limit of %s is %d bytes', (text, expected) => {
  expect(readConfig({ ALMANAC_MEMORY: text }, '/').worker.memoryBytes).toBe(expected);
});

test('an external cluster comes with its TLS and key', () => {
  const { temporal } = readConfig(
    { TEMPORAL_ADDRESS: 'cluster.example:7233', TEMPORAL_NAMESPACE: 'prod', TEMPORAL_API_KEY: 'k', TEMPORAL_TLS_SERVER_NAME: 'inner' },
    '/',
  );
  expect(temporal.namespace).toBe('prod');
  expect(temporal.external).toMatchObject({ address: 'cluster.example:7233', apiKey: 'k', tls: { serverName: 'inner' } });
});

test('a key without the address of its cluster would go to the embedded server, so it is refused', () => {
  expect(refusal({ TEMPORAL_API_KEY: 'topsecret' }).message).not.toContain('topsecret');
});

test('a password is not shown, neither in the authority nor in a parameter', () => {
  expect(maskUrl('postgres://u:pa55@h:5432/d?sslpassword=pa55')).not.toContain('pa55');
  expect(maskUrl('not a url with pa55')).not.toContain('pa55');
});

test('a Temporal configuration that cannot be read is refused without a line of it', () => {
  const file = path.join(mkdtempSync(path.join(os.tmpdir(), 'almanac-config-')), 'temporal.toml');
  writeFileSync(file, '[profile.default]\naddress = "cluster:7233"\napi_key = "topsecret"\nno toml\n');
  const { code, message } = refusal({ TEMPORAL_CONFIG_FILE: file });
  expect(code).toBe('config.invalid');
  expect(message).toContain('TEMPORAL_CONFIG_FILE');
  expect(message).not.toContain('topsecret');
});

test.each([
  ['ALMANAC_FOO', 'unset ALMANAC_FOO'],
  ['ALMANAC_TREADS', 'did you mean ALMANAC_THREADS? Rename it, or: unset ALMANAC_TREADS'],
])('%s is compared by what follows the prefix', (name, next) => {
  expect(() => readConfig({ [name]: '1' }, '/')).toThrow(expect.objectContaining({ code: 'config.unknown', next }));
});

test.each([
  ['file:///lake/of%20ours', '/lake/of ours'],
  ['FILE:///lake/', '/lake/'],
  ['lake', '/project/lake'],
  ['./a:b', '/project/a:b'],
])('objects lie in a folder, also one that is given as a URI: %s', (given, folder) => {
  expect(readConfig({ ALMANAC_DATA: given }, '/project')).toMatchObject({ data: path.resolve(folder) });
});

test('objects lie in a bucket when the data root is one', () => {
  const config = readConfig({ ALMANAC_DATA: 's3://lake/team/almanac/' }, '/project');
  expect(config.data).toBe('s3://lake/team/almanac');
  expect(config.s3).toEqual({ bucket: 'lake', prefix: 'team/almanac/', pathStyle: false, requesterPays: false, cacheBytes: 20e9 });
  const whole = readConfig(
    {
      ALMANAC_DATA: 's3://lake',
      ALMANAC_S3_ENDPOINT: 'http://127.0.0.1:7070',
      ALMANAC_S3_REGION: 'eu-central-1',
      ALMANAC_S3_PATH_STYLE: 'true',
      ALMANAC_S3_KMS_KEY: 'alias/lake',
      ALMANAC_S3_REQUESTER_PAYS: '1',
      ALMANAC_S3_CACHE: '2GB',
    },
    '/project',
  );
  expect(whole.s3).toEqual({
    ...{ bucket: 'lake', prefix: '', endpoint: 'http://127.0.0.1:7070', region: 'eu-central-1' },
    ...{ pathStyle: true, kmsKey: 'alias/lake', requesterPays: true, cacheBytes: 2e9 },
  });
  expect(readConfig({ ALMANAC_DATA: 'lake' }, '/project').s3).toBeUndefined();
});

test.each([
  ['ALMANAC_DATA', 's3://'],
  ['ALMANAC_DATA', 's3://Lake'],
  ['ALMANAC_DATA', 's3a://lake'],
  ['ALMANAC_DATA', 's3://lake/a/../b'],
  ['ALMANAC_DATA', 's3://lake//a'],
  ['ALMANAC_DATA', 'file://lake'],
  ['ALMANAC_DATA', 'file:lake'],
  ['ALMANAC_DATA', 'file:///lake?a=b'],
  ['ALMANAC_DATA', 'file:///lake%2Fa'],
  ['ALMANAC_DATA', 'gs://lake/a'],
  ['ALMANAC_S3_ENDPOINT', '127.0.0.1:7070'],
  ['ALMANAC_S3_PATH_STYLE', 'yes'],
  ['ALMANAC_S3_CACHE', '1MB'],
])('%s=%s is refused', (variable, value) => {
  expect(refusal({ [variable]: value })).toMatchObject({ code: 'config.invalid', message: expect.stringContaining(variable) });
});

test('an endpoint with a user is refused', () => {
  const error = refusal({ ALMANAC_S3_ENDPOINT: 'http://me:word@127.0.0.1:7070' });
  expect(error.code).toBe('config.invalid');
  expect(error.message).not.toContain('word');
});

const LOCAL_EMR = { ALMANAC_EMR_SETTINGS: 'emr.json', ALMANAC_EMR_ENDPOINT: 'http://127.0.0.1:4588' };

test('EMR is where the variables say, with its settings taken from the project', () => {
  expect(readConfig({}, '/project').emr).toBeUndefined();
  expect(readConfig(LOCAL_EMR, '/project').emr).toEqual({ endpoint: 'http://127.0.0.1:4588', settings: '/project/emr.json' });
  const whole = {
    ALMANAC_DATA: 's3://lake',
    ALMANAC_EMR_SETTINGS: '/etc/emr.json',
    ALMANAC_EMR_CLUSTER: 'j-2AXXXXXXGAPLF',
    ALMANAC_EMR_REGION: 'eu-central-1',
  };
  expect(readConfig(whole, '/project').emr).toEqual({
    settings: '/etc/emr.json',
    cluster: 'j-2AXXXXXXGAPLF',
    region: 'eu-central-1',
  });
});

test.each([
  ['ALMANAC_EMR_SETTINGS', { ALMANAC_EMR_CLUSTER: 'j-2AXXXXXXGAPLF' }, 'unset ALMANAC_EMR_CLUSTER'],
  ['ALMANAC_EMR_SETTINGS', { ALMANAC_EMR_ENDPOINT: 'http://127.0.0.1:4588' }, 'unset ALMANAC_EMR_ENDPOINT'],
  ['ALMANAC_EMR_SETTINGS', { ALMANAC_EMR_REGION: 'eu-central-1' }, 'unset ALMANAC_EMR_REGION'],
  ['ALMANAC_EMR_CLUSTER', { ...LOCAL_EMR, ALMANAC_EMR_CLUSTER: 'nightly' }, 'correct ALMANAC_EMR_CLUSTER'],
  ['ALMANAC_EMR_REGION', { ...LOCAL_EMR, ALMANAC_EMR_REGION: 'Frankfurt' }, 'correct ALMANAC_EMR_REGION'],
  ['ALMANAC_DATA', { ALMANAC_EMR_SETTINGS: 'emr.json' }, 'ALMANAC_DATA=s3://'],
  ['ALMANAC_DATA', { ...LOCAL_EMR, ALMANAC_EMR_ENDPOINT: 'http://emr.example:4588' }, 'ALMANAC_DATA=s3://'],
])('what does not go together is refused by the name of %s', (variable, environment, next) => {
  const error = refusal(environment as Record<string, string>);
  expect(error).toMatchObject({ code: 'config.invalid', next: expect.stringContaining(next) });
  expect(error.message).toContain(variable);
});

test('an endpoint of EMR with a user is refused without a word of it', () => {
  const error = refusal({ ...LOCAL_EMR, ALMANAC_EMR_ENDPOINT: 'http://me:word@127.0.0.1:4588' });
  expect([error.code, error.message.includes('word')]).toEqual(['config.invalid', false]);
});
