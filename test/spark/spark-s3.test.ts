import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { computeStage } from '../../activities/compute/compute-stage';
import { createSparkStage } from '../../activities/compute/spark-stage';
import { createS3Store } from '../../activities/storage/s3-store';
import { s3Client } from '../../lib/aws';
import { readConfig } from '../../lib/config';
import { objectSettings, s3aSettings } from '../../pipelines/spark-settings';
import type { DatasetSpec } from '../../pipelines/types';
import { FaultProxy, type PfxIdentity } from '../support/fault-proxy';
import { LocalSpark } from '../support/local-spark';
import { sparkRuntime } from '../support/spark';
import { StageHarness, type StageRequest } from '../support/stage-harness';
import { testBucket, type TestBucket } from '../support/versitygw';

const columns: DatasetSpec['columns'] = { user_id: 'text', segment_id: 'bigint', seen: 'timestamp' };
const buckets = { by: 'user_id', count: 4 };
const DATASETS: Record<string, DatasetSpec> = {
  adds: { columns, buckets },
  state: { kind: 'state', columns, key: ['user_id', 'segment_id'], buckets },
};

let bucket: TestBucket;
let harness: StageHarness;
beforeAll(async () => {
  bucket = await testBucket();
  Object.assign(process.env, bucket.environment);
  const { s3 } = readConfig(bucket.settings, '/');
  if (!s3) throw new Error('the settings of the bucket name no bucket');
  harness = new StageHarness(DATASETS, (folder) => createS3Store(s3Client(s3), s3, folder));
});
afterAll(async () => {
  await harness[Symbol.asyncDispose]();
  await bucket[Symbol.asyncDispose]();
});

it('commits over S3 what DuckDB commits, by one of two jobs that race for an order', async () => {
  const adds = await harness.version(
    'adds',
    "select 'user-' || (n % 300) as user_id, n % 3 as segment_id, timestamp '2026-11-20' + interval (n) second as seen from range(900) as r(n)",
  );
  const request: StageRequest = {
    spec: { reads: { adds: 'adds', yesterday: { previous: 'state' } }, sql: 'update.sql', writes: 'state', each: 'bucket' },
    texts: {
      'update.sql': `select user_id, segment_id, max(seen) as seen from (select * from adds union all select * from yesterday) as days group by 1, 2`,
    },
    inputs: { adds },
  };
  const [duckdb] = (await computeStage(harness.context(request))).versions;

  const settings = s3aSettings({ endpoint: bucket.endpoint, region: bucket.region, pathStyle: true });
  const sparks = [1, 2].map(() => new LocalSpark(harness.store, undefined, settings));
  const outputs = await Promise.all(sparks.map((spark) => createSparkStage(spark)(harness.context({ ...request, generation: 2 }))));

  expect(sparks.flatMap(({ ends }) => ends.map(({ code }) => code)).sort()).toEqual([0, 3]);
  expect(outputs[1]?.versions).toEqual(outputs[0]?.versions);
  const spark = outputs[0]?.versions[0];
  expect(spark?.digest).toBe(duckdb?.digest);
  expect(await harness.rows(spark)).toEqual(await harness.rows(duckdb));
});

/** An identity that nobody vouches for; keytool comes with the JDK. */
function selfSigned(): PfxIdentity {
  const folder = mkdtempSync(path.join(tmpdir(), 'almanac-identity-'));
  const [file, passphrase] = [path.join(folder, 'identity.p12'), 'changeit'];
  try {
    const names = ['-alias', 'proxy', '-keyalg', 'EC', '-dname', 'CN=proxy', '-ext', 'san=ip:127.0.0.1'];
    execFileSync('keytool', ['-genkeypair', '-storetype', 'PKCS12', '-keystore', file, '-storepass', passphrase, ...names], {
      stdio: 'ignore',
    });
    return { pfx: readFileSync(file), passphrase };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

it('names the key of the store for every object it makes, and says who pays for its token and result', async () => {
  const adds = await harness.version('adds', "select 'user' as user_id, 1::bigint as segment_id, timestamp '2026-11-20' as seen");
  // The SDK names keys over TLS only.
  await using proxy = await FaultProxy.before(bucket.endpoint, selfSigned());
  process.env['JDK_JAVA_OPTIONS'] = '-Dcom.amazonaws.sdk.disableCertChecking=true';
  const key = 'arn:aws:kms:eu-central-1:111122223333:key/1234abcd';
  const spark = new LocalSpark(harness.store, undefined, {
    ...s3aSettings({ endpoint: proxy.endpoint, region: bucket.region, pathStyle: true }),
    ...objectSettings({ kmsKey: key, requesterPays: true }),
  });
  const request: StageRequest = {
    ...{ spec: { reads: { adds: 'adds' }, sql: 'all.sql', writes: 'state' }, texts: { 'all.sql': 'select * from adds' }, inputs: { adds } },
    generation: 3,
  };
  const output = await createSparkStage(spark)(harness.context(request));
  expect(await harness.rows(output.versions[0])).toHaveLength(1);
  const making = proxy.requests.filter(({ method, url }) => method === 'PUT' && !url.includes('partNumber='));
  expect(making.filter(({ url }) => url.includes('.parquet'))).not.toEqual([]);
  for (const { headers } of making)
    expect(headers).toMatchObject({ 'x-amz-server-side-encryption': 'aws:kms', 'x-amz-server-side-encryption-aws-kms-key-id': key });
  const orders = proxy.requests.filter(({ method, url }) => method === 'PUT' && /\/(token|result)\.json/.test(url));
  expect(orders.map(({ headers }) => headers['x-amz-request-payer'])).toEqual(['requester', 'requester']);
});

/** Says where a client of the job asks, for each word: the region of the machine, or nothing, then settings. */
const ASKING = `package almanac;
public final class Asking {
  public static void main(String[] scenes) {
    for (String scene : scenes) {
      String[] words = scene.split(" ");
      System.setProperty("aws.region", words[0]);
      var configuration = new org.apache.hadoop.conf.Configuration(false);
      for (int at = 1; at < words.length; at++) configuration.set("fs.s3a." + words[at].split("=")[0], words[at].split("=")[1]);
      var client = new S3Put("bucket", "key", configuration).client();
      System.out.println(client.getRegionName() + " " + client.getUrl("bucket", "key").getAuthority());
    }
  }
}`;

it('puts its token in the region that is given, else in that of its machine: Spark names an endpoint of all regions where nobody names any', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'almanac-asking-'));
  try {
    const { sparkHome, jars, jobJar } = sparkRuntime();
    const classPath = [folder, jobJar, ...jars, path.join(sparkHome, 'jars', '*')].join(path.delimiter);
    writeFileSync(path.join(folder, 'Asking.java'), ASKING);
    execFileSync('javac', ['-cp', classPath, '-d', folder, path.join(folder, 'Asking.java')], { stdio: 'pipe' });
    const { AWS_REGION: _region, ...environment } = process.env;
    const env = { ...environment, AWS_EC2_METADATA_DISABLED: 'true', AWS_CONFIG_FILE: path.join(folder, 'none') };
    const central = 'endpoint=s3.amazonaws.com';
    const expected = {
      [`eu-west-1 ${central}`]: 'eu-west-1 bucket.s3.eu-west-1.amazonaws.com',
      [`eu-west-1 ${central} endpoint.region=eu-central-1`]: 'eu-central-1 bucket.s3.eu-central-1.amazonaws.com',
      [` ${central}`]: 'us-east-1 bucket.s3.amazonaws.com',
      ['']: 'us-east-1 bucket.s3.amazonaws.com',
      ['eu-west-1 endpoint=http://127.0.0.1:9 path.style.access=true']: 'us-east-1 127.0.0.1:9',
    };
    const asked = execFileSync('java', ['-cp', classPath, 'almanac.Asking', ...Object.keys(expected)], {
      env,
      stdio: 'pipe',
      encoding: 'utf8',
    });
    expect(asked.trim().split('\n')).toEqual(Object.values(expected));
  } finally {
    rmSync(folder, { recursive: true });
  }
});
