import '../../support/one-realm';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createDatasetStore } from '../../../activities/storage/datasets';
import type { ObjectStore } from '../../../activities/storage/object-store';
import { createS3Store, probeBucket } from '../../../activities/storage/s3-store';
import { s3Client } from '../../../lib/aws';
import { systemClock } from '../../../lib/clock';
import type { S3Config } from '../../../lib/s3-config';
import { FaultProxy, type Fault } from '../../support/fault-proxy';
import { until } from '../../support/until';
import { testBucket, type TestBucket } from '../../support/versitygw';

const FOREVER = 1000;

let bucket: TestBucket;
let proxy: FaultProxy;
let root: string;
let store: ObjectStore;
let tests = 0;

beforeAll(async () => {
  bucket = await testBucket();
  Object.assign(process.env, bucket.environment);
});
afterAll(() => bucket[Symbol.asyncDispose]());

beforeEach(async () => {
  proxy = await FaultProxy.before(bucket.endpoint);
  root = mkdtempSync(path.join(tmpdir(), 'almanac-s3-faults-'));
  tests += 1;
  store = open(proxy.endpoint);
});
afterEach(async () => {
  await proxy[Symbol.asyncDispose]();
  rmSync(root, { recursive: true });
});

function configOf(endpoint: string): S3Config {
  const { region, bucket: name } = bucket;
  return {
    ...{ bucket: name, prefix: `test-${tests}/`, endpoint, region },
    ...{ pathStyle: true, requesterPays: false, cacheBytes: 1e9 },
  };
}

function open(endpoint: string): ObjectStore {
  const config = configOf(endpoint);
  return createS3Store(s3Client(config), config, path.join(root, 'here'));
}

async function adopt(objectPath: string, body: Buffer): Promise<{ path: string; sha256: string }> {
  const file = path.join(await store.scratch(), 'file');
  writeFileSync(file, body);
  expect(await store.adoptFile(file, objectPath)).toBe(true);
  expect(existsSync(file)).toBe(false);
  return { path: objectPath, sha256: createHash('sha256').update(body).digest('hex') };
}

const SLOW_DOWN: Fault = { kind: 'answer', status: 503, code: 'SlowDown' };

describe('a transfer is right all the same', () => {
  const body = randomBytes(20e6);

  test.each<[string, Fault]>([
    ['answers come late', { kind: 'latency', ms: 300 }],
    ['S3 asks to slow down', SLOW_DOWN],
    ['the connection breaks within a body', { kind: 'reset-body' }],
    ['a body ends early', { kind: 'truncated-body' }],
    ['a byte of a body is another', { kind: 'spoiled-body' }],
    ['the server fails', { kind: 'answer', status: 500, code: 'InternalError' }],
  ])('when %s, down', async (_what, fault) => {
    const [large, small] = [await adopt('data/large', body), await adopt('data/small', body.subarray(0, 5000))];
    for (const name of ['large', 'small']) proxy.inject({ method: 'GET', path: `data/${name}` }, fault);
    await using local = await store.localFiles([large, small]);
    expect(readFileSync(local.path('data/large')).equals(body)).toBe(true);
    expect(readFileSync(local.path('data/small')).equals(body.subarray(0, 5000))).toBe(true);
    expect(proxy.struck).toBe(2);
  });

  test.each<[string, Fault]>([
    ['answers come late', { kind: 'latency', ms: 300 }],
    ['S3 asks to slow down', SLOW_DOWN],
    ['the answer is lost', { kind: 'lost-answer' }],
    ['the connection breaks within what is sent', { kind: 'reset-upload' }],
    ['the server fails', { kind: 'answer', status: 500, code: 'InternalError' }],
  ])('when %s, up', async (_what, fault) => {
    for (const part of ['data/large?partNumber=1', 'data/large?partNumber=2', 'data/small'])
      proxy.inject({ method: 'PUT', path: part }, fault);
    for (const part of ['data/large?uploads', 'data/large?uploadId']) proxy.inject({ method: 'POST', path: part }, fault);
    const [large, small] = [await adopt('data/large', body), await adopt('data/small', body.subarray(0, 5000))];
    expect(proxy.struck).toBeGreaterThanOrEqual(3);
    await using local = await open(bucket.endpoint).localFiles([large, small]);
    expect(readFileSync(local.path('data/large')).equals(body)).toBe(true);
    expect(readFileSync(local.path('data/small')).equals(body.subarray(0, 5000))).toBe(true);
  });
});

describe('a writer whose answer was lost', () => {
  test('knows its own object again', async () => {
    proxy.inject({ method: 'PUT', path: 'accepted/a' }, { kind: 'lost-answer' });
    expect(await store.putIfAbsent('accepted/a', 'mine')).toBe(true);
    expect(await store.putIfAbsent('accepted/a', 'mine')).toBe(false);
    expect(proxy.struck).toBe(1);
  });

  test('keeps the files of the version that it committed', async () => {
    proxy.inject({ method: 'PUT', path: '.json' }, { kind: 'lost-answer' });
    const datasets = createDatasetStore(store, systemClock);
    const file = path.join(await store.scratch(), 'part');
    writeFileSync(file, 'rows');
    const run = { pipeline: 'p', window: '2026-03-10', branch: 'main', generation: 1 };
    const manifest = await datasets.commit({
      ...{ dataset: 'd', window: run.window, key: 'k', digest: 'x', columns: [], rowsIn: 1, files: [{ file, rows: 1 }] },
      provenance: { run, stage: 's', attempt: 1, stageHash: 'h', inputs: [] },
    });
    expect(proxy.struck).toBe(1);
    await using local = await store.localFiles(manifest.files);
    expect(readFileSync(local.path(manifest.files[0]?.path ?? ''), 'utf8')).toBe('rows');
  });
});

test('of two committers of one version one is refused, and both go on with the same', async () => {
  const run = { pipeline: 'p', window: '2026-03-10', branch: 'main', generation: 1 };
  const commits = ['first', 'second'].map(async (rows) => {
    const own = open(proxy.endpoint);
    const file = path.join(await own.scratch(), 'part');
    writeFileSync(file, rows);
    return createDatasetStore(own, systemClock).commit({
      ...{ dataset: 'd', window: run.window, key: 'k', digest: rows, columns: [], rowsIn: 1, files: [{ file, rows: 1 }] },
      provenance: { run, stage: 's', attempt: 1, stageHash: 'h', inputs: [] },
    });
  });
  const [first, second] = await Promise.all(commits);
  expect(first).toEqual(second);
  expect((await store.list('datasets')).map(({ path: name }) => name)).toHaveLength(2);
  expect((await store.get(first?.files[0]?.path ?? ''))?.toString()).toBe(first?.digest);
});

describe('what does not pass has a code', () => {
  test.each<[string, Fault, string]>([
    ['throttled for good', SLOW_DOWN, 'store.throttled'],
    ['a server that fails for good', { kind: 'answer', status: 500, code: 'InternalError' }, 'store.unreachable'],
    ['clocks apart', { kind: 'answer', status: 403, code: 'RequestTimeTooSkewed' }, 'store.clock'],
    ['expired credentials', { kind: 'answer', status: 400, code: 'ExpiredToken' }, 'store.credentials'],
    ['denied', { kind: 'answer', status: 403, code: 'AccessDenied' }, 'store.denied'],
    ['connections that break for good', { kind: 'lost-answer' }, 'store.unreachable'],
  ])('%s', async (_what, fault, code) => {
    for (const method of ['GET', 'PUT']) proxy.inject({ method, path: '' }, fault, FOREVER);
    await expect(store.get('a')).rejects.toMatchObject({ code });
    await expect(store.putIfAbsent('b', 'x')).rejects.toMatchObject({ code });
  });

  // What is asked is nothing that the client asks again.
  test.each<[string, Fault, string]>([
    ['clocks apart', { kind: 'answer', status: 403, code: 'RequestTimeTooSkewed' }, 'store.clock'],
    ['expired credentials', { kind: 'answer', status: 400, code: 'ExpiredToken' }, 'store.credentials'],
    ['denied', { kind: 'answer', status: 403, code: 'AccessDenied' }, 'store.denied'],
    ['another region', { kind: 'answer', status: 301, code: 'PermanentRedirect' }, 'store.region'],
    ['another region in the signature', { kind: 'answer', status: 400, code: 'AuthorizationHeaderMalformed' }, 'store.region'],
  ])('%s, of files, in parts and in lists', async (_what, fault, code) => {
    const large = await adopt('data/large', randomBytes(20e6));
    const file = path.join(await store.scratch(), 'file');
    writeFileSync(file, randomBytes(20e6));
    for (const method of ['HEAD', 'GET', 'POST']) proxy.inject({ method, path: '' }, fault, FOREVER);
    await expect(store.localFiles([large])).rejects.toMatchObject({ code });
    await expect(store.adoptFile(file, 'data/another')).rejects.toMatchObject({ code });
    await expect(store.list('data')).rejects.toMatchObject({ code });
    expect(existsSync(file)).toBe(true);
  });

  test.each<[string, Fault, string]>([
    ['clocks apart', { kind: 'answer', status: 403, code: 'RequestTimeTooSkewed' }, 'store.clock'],
    ['expired credentials', { kind: 'answer', status: 400, code: 'ExpiredToken' }, 'store.credentials'],
    ['denied', { kind: 'answer', status: 403, code: 'AccessDenied' }, 'store.denied'],
    ['another region in the signature', { kind: 'answer', status: 400, code: 'AuthorizationHeaderMalformed' }, 'store.region'],
  ])('%s, when a writer asks whose the object is, or conditions are tried', async (_what, fault, code) => {
    await store.putIfAbsent('data/a', 'x');
    for (const method of ['HEAD', 'GET']) proxy.inject({ method, path: 'data/a' }, fault, FOREVER);
    await expect(store.putIfAbsent('data/a', 'x')).rejects.toMatchObject({ code });

    // Whose the object of the probe is gets its answer; what comes next asks for another object than it is.
    proxy.inject({ method: 'HEAD', path: 'probes/' }, { kind: 'latency', ms: 0 });
    for (const method of ['HEAD', 'GET']) proxy.inject({ method, path: 'probes/' }, fault, FOREVER);
    await expect(open(proxy.endpoint).putIfAbsent('data/b', 'x')).rejects.toMatchObject({ code });
    expect(proxy.requests.filter(({ method }) => method === 'HEAD').at(-1)?.headers).toHaveProperty('if-match');
  });

  test('what is spoiled on its way up, which no object comes of', async () => {
    const file = path.join(await store.scratch(), 'file');
    writeFileSync(file, randomBytes(20e6));
    await store.putIfAbsent('data/first', 'x');
    for (const part of ['data/small', 'data/large?partNumber=2'])
      proxy.inject({ method: 'PUT', path: part }, { kind: 'spoiled-upload' }, FOREVER);
    await expect(store.putIfAbsent('data/small', 'rows')).rejects.toMatchObject({ code: 'store.damaged' });
    await expect(store.adoptFile(file, 'data/large')).rejects.toMatchObject({ code: 'store.damaged' });
    expect((await store.list('data')).map(({ path: name }) => name)).toEqual(['data/first']);
  });

  test.each<[string, Fault, string]>([
    ['bytes that are spoiled every time', { kind: 'spoiled-body' }, 'store.damaged'],
    ['bodies that end early every time', { kind: 'truncated-body' }, 'store.damaged'],
  ])('%s', async (_what, fault, code) => {
    const file = await adopt('data/a', randomBytes(20e6));
    proxy.inject({ method: 'GET', path: 'data/a' }, fault, FOREVER);
    await expect(store.localFiles([file])).rejects.toMatchObject({ code });
  });
});

describe('whoever is cancelled throws the reason and waits for nothing', () => {
  const reason = new Error('cancelled by an operator');

  test.each(['HEAD', 'GET'])('of a %s that is never answered', async (method) => {
    await store.putIfAbsent('landing/a', 'rows');
    proxy.inject({ method, path: 'landing/a' }, { kind: 'silence' }, FOREVER);
    const cancel = new AbortController();
    const cancelled = expect(store.read('landing/a', cancel.signal)).rejects.toBe(reason);
    await until('it was asked for', () => proxy.struck > 0);
    cancel.abort(reason);
    await cancelled;
  });

  test('of what another downloads, who goes on', async () => {
    const file = await adopt('data/a', Buffer.from('rows'));
    proxy.inject({ method: 'GET', path: 'data/a' }, { kind: 'silence' }, FOREVER);
    const [other, cancel] = [new AbortController(), new AbortController()];
    let over = false;
    const others = store.localFiles([file], other.signal).finally(() => (over = true));
    const otherEnds = expect(others).rejects.toBe(other);
    try {
      await until('another downloads it', () => proxy.struck > 0);
      const cancelled = expect(store.localFiles([file], cancel.signal)).rejects.toBe(reason);
      // By then it waits: what comes before are looks at the disk of this machine.
      await until('it has a folder', () => readdirSync(path.join(root, 'here', 'scratch')).length > 2);
      cancel.abort(reason);
      await cancelled;
      expect([over, proxy.struck]).toEqual([false, 1]);
    } finally {
      other.abort(other);
      await otherEnds;
    }
  });
});

describe('a service that does not honour conditions is refused before anything is written to it', () => {
  test.each([
    ['PUT', 'If-None-Match of PutObject'],
    ['HEAD', 'If-Match of GetObject'],
    ['POST', 'If-None-Match of CompleteMultipartUpload'],
  ])('of %s requests', async (method, condition) => {
    proxy.inject({ method, path: 'probes/' }, { kind: 'unconditional' }, FOREVER);
    const refused = { code: 'store.unconditional', message: expect.stringContaining(condition) };
    await expect(store.putIfAbsent('data/a', 'x')).rejects.toMatchObject(refused);
    expect(await store.get('data/a')).toBeUndefined();
    await expect(probeBucket(s3Client(configOf(proxy.endpoint)), configOf(proxy.endpoint))).rejects.toMatchObject(refused);
  });

  test('also when another process had tried it with a service that did', async () => {
    await store.putIfAbsent('data/a', 'x');
    proxy.inject({ method: 'PUT', path: 'probes/' }, { kind: 'unconditional' }, FOREVER);
    await expect(open(proxy.endpoint).putIfAbsent('data/b', 'x')).rejects.toMatchObject({ code: 'store.unconditional' });
  });

  test('and it is tried once a process, in few requests', async () => {
    await store.putIfAbsent('data/a', 'x');
    const another = open(proxy.endpoint);
    const probes = (): number => proxy.requests.filter(({ url }) => url.includes('probes/')).length;
    const before = probes();
    for (const name of ['b', 'c', 'd']) await another.putIfAbsent(`data/${name}`, 'x');
    expect(probes() - before).toBe(3);
  });
});
