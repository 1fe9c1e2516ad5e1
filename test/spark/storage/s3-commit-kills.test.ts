import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { readConfig } from '../../../lib/config';
import { commitKills } from '../../support/commit-kills';
import { testBucket, type TestBucket } from '../../support/versitygw';

let bucket: TestBucket;
let home: string;
beforeAll(async () => {
  bucket = await testBucket();
  Object.assign(process.env, bucket.environment);
  home = mkdtempSync(path.join(tmpdir(), 'almanac-s3-kills-'));
});
afterAll(async () => {
  await bucket[Symbol.asyncDispose]();
  rmSync(home, { recursive: true });
});

commitKills(() => readConfig({ ALMANAC_HOME: home, ...bucket.settings }, home));
