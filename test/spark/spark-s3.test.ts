import { computeStage } from '../../activities/compute/compute-stage';
import { createSparkStage } from '../../activities/compute/spark-stage';
import { createS3Store } from '../../activities/storage/s3-store';
import { s3Client } from '../../lib/aws';
import { readConfig } from '../../lib/config';
import { s3aSettings } from '../../pipelines/spark-settings';
import type { DatasetSpec } from '../../pipelines/types';
import { LocalSpark } from '../support/local-spark';
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
