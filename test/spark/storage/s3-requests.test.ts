import '../../support/one-realm';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createS3Store, probeBucket } from '../../../activities/storage/s3-store';
import { s3Client } from '../../../lib/aws';
import type { S3Config } from '../../../lib/s3-config';
import { FaultProxy, type Sent } from '../../support/fault-proxy';
import { testBucket } from '../../support/versitygw';

/** Everything that the store asks of S3, once, as it came to the service. */
async function everyRequest(changes: Partial<S3Config>): Promise<readonly Sent[]> {
  await using bucket = await testBucket();
  Object.assign(process.env, bucket.environment);
  await using proxy = await FaultProxy.before(bucket.endpoint);
  const root = mkdtempSync(path.join(tmpdir(), 'almanac-s3-requests-'));
  try {
    const config: S3Config = {
      ...{ bucket: bucket.bucket, prefix: '', endpoint: proxy.endpoint, region: bucket.region },
      ...{ pathStyle: true, requesterPays: false, cacheBytes: 1e9 },
      ...changes,
    };
    const store = createS3Store(s3Client(config), config, path.join(root, 'here'));
    await probeBucket(s3Client(config), config);
    await store.putIfAbsent('data/small', 'rows');
    await store.putIfAbsent('data/small', 'others');
    for (const _ of ['adopted', 'taken']) {
      const file = path.join(await store.scratch(), 'file');
      writeFileSync(file, randomBytes(20e6));
      await store.adoptFile(file, 'data/large');
    }
    await store.get('data/small');
    await (await store.localFiles(['small', 'large'].map((name) => ({ path: `data/${name}` }))))[Symbol.asyncDispose]();
    await store.list('data');
    await store.delete('data/small');
    return proxy.requests;
  } finally {
    rmSync(root, { recursive: true });
  }
}

/** The operation of S3 that a request is. */
function operation({ method, url }: Sent): string {
  const query = new URL(url, 'http://any').searchParams;
  if (method === 'POST') return query.has('uploads') ? 'CreateMultipartUpload' : 'CompleteMultipartUpload';
  if (method === 'PUT') return query.has('partNumber') ? 'UploadPart' : 'PutObject';
  if (method === 'DELETE') return query.has('uploadId') ? 'AbortMultipartUpload' : 'DeleteObject';
  if (method === 'HEAD') return 'HeadObject';
  return query.has('list-type') ? 'ListObjectsV2' : 'GetObject';
}

const ALL = [
  ...['AbortMultipartUpload', 'CompleteMultipartUpload', 'CreateMultipartUpload', 'DeleteObject', 'GetObject'],
  ...['HeadObject', 'ListObjectsV2', 'PutObject', 'UploadPart'],
];

test('whoever pays for requests says so with every one of them', async () => {
  const requests = await everyRequest({ requesterPays: true });
  expect([...new Set(requests.map(operation))].sort()).toEqual(ALL);
  expect(requests.filter(({ headers }) => headers['x-amz-request-payer'] !== 'requester').map(operation)).toEqual([]);
  expect((await everyRequest({})).filter(({ headers }) => 'x-amz-request-payer' in headers)).toEqual([]);
});

test('every object that is made names the key that it is encrypted with', async () => {
  const key = 'arn:aws:kms:eu-central-1:111122223333:key/1234abcd';
  const requests = await everyRequest({ kmsKey: key });
  const named = requests.filter(({ headers }) => 'x-amz-server-side-encryption' in headers);
  // Parts and their end have it from the upload they belong to.
  expect([...new Set(named.map(operation))].sort()).toEqual(['CreateMultipartUpload', 'PutObject']);
  expect(requests.filter((sent) => ['CreateMultipartUpload', 'PutObject'].includes(operation(sent)))).toHaveLength(named.length);
  for (const { headers } of named)
    expect(headers).toMatchObject({ 'x-amz-server-side-encryption': 'aws:kms', 'x-amz-server-side-encryption-aws-kms-key-id': key });
});

test('every object that is made is made on the condition that there is none, and with a checksum', async () => {
  const making = (await everyRequest({})).filter((sent) => ['CompleteMultipartUpload', 'PutObject'].includes(operation(sent)));
  expect(making.filter(({ headers }) => headers['if-none-match'] !== '*').map(operation)).toEqual([]);
  expect(making.filter(({ method, headers }) => method === 'PUT' && !('x-amz-checksum-crc32' in headers))).toEqual([]);
});

test('every upload in parts names the checksum of its parts, also the one that conditions are tried on', async () => {
  const requests = await everyRequest({});
  const of = (name: string): Sent[] => requests.filter((sent) => operation(sent) === name);
  expect(of('CreateMultipartUpload').filter(({ url }) => url.includes('probes/'))).toHaveLength(1);
  expect(of('CreateMultipartUpload').map(({ headers }) => headers['x-amz-checksum-algorithm'])).toEqual(['CRC32', 'CRC32', 'CRC32']);
  const sums = of('UploadPart').map(({ headers }) => String(headers['x-amz-checksum-crc32']));
  const told = of('CompleteMultipartUpload').flatMap(({ body = '' }) => body.match(/(?<=<ChecksumCRC32>)[^<]+/g) ?? []);
  expect(told.sort()).toEqual(sums.sort());
});
