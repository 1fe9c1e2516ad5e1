import '../../support/one-realm';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { doctor } from '../../../operator/stack/doctor';
import type { Finding } from '../../../operator/stack/finding';
import { testBucket } from '../../support/versitygw';

test('doctor says whether the bucket lets us in, and what mends it', async () => {
  const home = mkdtempSync(path.join(tmpdir(), 'almanac-s3-doctor-'));
  await using bucket = await testBucket();
  Object.assign(process.env, bucket.environment);
  const data = async (changes: Record<string, string>): Promise<Finding | undefined> =>
    (await doctor({ PATH: process.env.PATH, ALMANAC_HOME: home, ...bucket.settings, ...changes }, home)).find(
      ({ check }) => check === 'data',
    );
  try {
    expect(await data({})).toMatchObject({ state: 'ok', message: expect.stringContaining('s3://almanac/lake/') });
    expect(await data({ ALMANAC_DATA: 's3://nobodys' })).toMatchObject({
      state: 'fail',
      message: expect.stringContaining('nobodys'),
      next: expect.stringContaining('ALMANAC_DATA'),
    });
    expect(await data({ ALMANAC_S3_REGION: 'us-east-1' })).toMatchObject({
      state: 'fail',
      next: expect.stringContaining('ALMANAC_S3_REGION'),
    });
    process.env.AWS_SECRET_ACCESS_KEY = 'another-secret';
    const refused = await data({});
    expect(refused).toMatchObject({ state: 'fail', next: expect.stringContaining('AWS SDK') });
    expect(JSON.stringify(refused)).not.toContain('another-secret');
  } finally {
    rmSync(home, { recursive: true });
  }
});
