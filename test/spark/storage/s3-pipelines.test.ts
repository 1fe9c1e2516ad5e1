import '../../support/one-realm';
import path from 'node:path';
import { createS3Store } from '../../../activities/storage/s3-store';
import { s3Client } from '../../../lib/aws';
import { readConfig } from '../../../lib/config';
import { audienceIndex } from '../../../pipelines/audience-index/pipeline';
import type { VersionRef } from '../../../pipelines/types';
import { writeLanding } from '../../support/landing-files';
import { PipelineBench } from '../../support/pipeline-bench';
import { randomLanding } from '../../support/random-landing';
import { testBucket } from '../../support/versitygw';

const SEED = Number(process.env.ALMANAC_TEST_SEED ?? '20261122');
const DAYS = 3;

test('days of the audience index that DuckDB computes over S3 have the rows and digests of those over files', async () => {
  await using bucket = await testBucket();
  Object.assign(process.env, bucket.environment);
  const { s3 } = readConfig(bucket.settings, path.sep);
  if (s3 === undefined) throw new Error('the settings name no bucket');
  await using files = await PipelineBench.open(audienceIndex);
  await using objects = await PipelineBench.open(audienceIndex, {}, (folder) => createS3Store(s3Client(s3), s3, folder));
  const landing = randomLanding(SEED, DAYS);
  for (const bench of [files, objects]) await writeLanding(landing, path.join(bench.root, 'data'));
  await objects.land();
  expect(await objects.store.list('landing')).not.toEqual([]);

  for (const { date } of landing.days) {
    const [left, right] = [await files.run(date), await objects.run(date)];
    const digests = (versions: Readonly<Record<string, VersionRef>>): Record<string, string> =>
      Object.fromEntries(Object.entries(versions).map(([dataset, { digest }]) => [dataset, digest]));
    expect(digests(right.versions)).toEqual(digests(left.versions));
    expect(Object.keys(right.versions)).toContain('report');
    for (const [id, { rowsIn, rowsOut, quarantined, gate }] of Object.entries(left.outputs))
      expect({ id, ...right.outputs[id] }).toMatchObject({
        id,
        rowsIn,
        rowsOut,
        ...(quarantined && { quarantined }),
        ...(gate && { gate }),
      });
    for (const dataset of ['udb', 'site', 'report', 'audience_segments'])
      expect(await objects.rows(right.versions[dataset])).toEqual(await files.rows(left.versions[dataset]));
  }
  expect((await objects.store.list('datasets')).length).toBeGreaterThan(0);
});
