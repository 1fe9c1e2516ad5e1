import '../../support/one-realm';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { ObjectStore } from '../../../activities/storage/object-store';
import { createS3Store } from '../../../activities/storage/s3-store';
import { s3Client } from '../../../lib/aws';
import type { S3Config } from '../../../lib/s3-config';
import { storeContract } from '../../support/store-contract';
import { testBucket, type TestBucket } from '../../support/versitygw';

const MB = 1e6;

let bucket: TestBucket;
let root: string;
let store: ObjectStore;
let tests = 0;

beforeAll(async () => {
  bucket = await testBucket();
  Object.assign(process.env, bucket.environment);
});
afterAll(() => bucket[Symbol.asyncDispose]());

beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), 'almanac-s3-store-'));
  store = open({ prefix: `test-${++tests}/lake/` });
});
afterEach(() => rmSync(root, { recursive: true }));

function config(changes: Partial<S3Config> = {}): S3Config {
  const { endpoint, region } = bucket;
  return { bucket: bucket.bucket, prefix: '', endpoint, region, pathStyle: true, requesterPays: false, cacheBytes: 1e9, ...changes };
}

function open(changes: Partial<S3Config> = {}): ObjectStore {
  const whole = config(changes);
  return createS3Store(s3Client(whole), whole, path.join(root, 'here'));
}

/** Where the gateway keeps an object of this test. */
function stored(objectPath: string): string {
  return path.join(bucket.folder, `test-${tests}`, 'lake', objectPath);
}

async function adopt(objectPath: string, body: Buffer): Promise<{ path: string; sha256: string }> {
  const file = path.join(await store.scratch(), 'file');
  writeFileSync(file, body);
  expect(await store.adoptFile(file, objectPath)).toBe(true);
  return { path: objectPath, sha256: createHash('sha256').update(body).digest('hex') };
}

function cached(): string[] {
  return readdirSync(path.join(root, 'here', 'cache'), { recursive: true, encoding: 'utf8' }).filter((name) => /[0-9a-f]{64}$/.test(name));
}

storeContract(() => store);

test('a large file goes up in parts and comes down in ranges, byte by byte', async () => {
  const body = randomBytes(50 * MB);
  const file = await adopt('data/large.parquet', body);
  expect(statSync(stored('data/large.parquet')).size).toBe(body.length);
  await using local = await store.localFiles([file]);
  expect(readFileSync(local.path(file.path)).equals(body)).toBe(true);
});

test('of large files that are adopted under one name at once one wins', async () => {
  const scratch = await store.scratch();
  const files = Array.from({ length: 3 }, (_, n) => path.join(scratch, String(n)));
  for (const [n, file] of files.entries()) writeFileSync(file, Buffer.alloc(17 * 2 ** 20, n + 1));
  const won = await Promise.all(files.map((file) => store.adoptFile(file, 'data/x.parquet')));
  expect(won.filter(Boolean)).toHaveLength(1);
  expect((await store.get('data/x.parquet'))?.[0]).toBe(won.indexOf(true) + 1);
});

test('lists more objects than S3 names on one page, and tells which names are none', async () => {
  mkdirSync(stored('landing/many'), { recursive: true });
  for (let n = 0; n < 1005; n++) writeFileSync(path.join(stored('landing/many'), `${n}.csv`), 'x');
  expect(await store.list('landing/many')).toHaveLength(1005);
});

test('what was read once comes from the cache, for whoever reads it under any name', async () => {
  const file = await adopt('data/a', Buffer.from('rows'));
  await (await store.localFiles([file]))[Symbol.asyncDispose]();
  await store.delete('data/a');
  await using local = await store.localFiles([{ ...file, path: 'data/elsewhere' }]);
  expect(readFileSync(local.path('data/elsewhere'), 'utf8')).toBe('rows');
});

test('the cache keeps to its limit by what was used longest ago, and takes nothing away that is in use', async () => {
  store = open({ prefix: `test-${tests}/lake/`, cacheBytes: 3 * MB });
  const files = [];
  for (let n = 0; n < 5; n++) files.push(await adopt(`data/${n}`, Buffer.alloc(MB, n)));
  const [first, ...rest] = files;
  await using held = await store.localFiles(first === undefined ? [] : [first]);
  const old = new Date(Date.now() - 3_600_000);
  utimesSync(held.path('data/0'), old, old);
  for (const file of rest) await (await store.localFiles([file]))[Symbol.asyncDispose]();
  expect(cached().length).toBeLessThanOrEqual(3);
  expect(cached().some((name) => name.endsWith(first?.sha256 ?? ''))).toBe(false);
  expect(readFileSync(held.path('data/0'))).toEqual(Buffer.alloc(MB, 0));
});

test('what no longer has the bytes on record is store.damaged, and so is what is gone', async () => {
  const file = await adopt('data/a', Buffer.from('rows'));
  truncateSync(stored('data/a'), 3);
  await expect(store.localFiles([file])).rejects.toMatchObject({ code: 'store.damaged', message: expect.stringContaining('data/a') });
  await store.delete('data/a');
  await expect(store.localFiles([file])).rejects.toMatchObject({ code: 'store.damaged' });
  await expect(store.read('data/a')).rejects.toMatchObject({ code: 'store.damaged' });
  expect(readdirSync(path.join(root, 'here', 'scratch')).flatMap((name) => readdirSync(path.join(root, 'here', 'scratch', name)))).toEqual(
    [],
  );
});

test('says where people find an object', () => {
  expect(store.place('landing/a')).toBe(`s3://almanac/test-${tests}/lake/landing/a`);
});

describe('a failure has a code and names the bucket', () => {
  test.each<[string, Partial<S3Config>, string]>([
    ['a bucket that is not there', { bucket: 'nobodys' }, 'store.bucket-missing'],
    ['an endpoint that is away', { endpoint: 'http://127.0.0.1:9' }, 'store.unreachable'],
    ['another region', { region: 'us-east-1' }, 'store.region'],
  ])('%s', async (_what, changes, code) => {
    const other = open(changes);
    for (const act of [() => other.list('a'), () => other.get('a'), () => other.putIfAbsent('a', 'x')])
      await expect(act()).rejects.toMatchObject({ code, message: expect.stringContaining(changes.bucket ?? bucket.bucket) });
  });

  test('a secret that is not the one, without telling them', async () => {
    const { AWS_SECRET_ACCESS_KEY: secret } = process.env;
    try {
      process.env.AWS_SECRET_ACCESS_KEY = 'a-secret-of-a-stranger';
      const error: unknown = await open()
        .list('a')
        .catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: 'store.credentials' });
      expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain('a-secret');
    } finally {
      process.env.AWS_SECRET_ACCESS_KEY = secret;
    }
  });
});
