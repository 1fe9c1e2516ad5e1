import '../../support/one-realm';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createS3Store } from '../../../activities/storage/s3-store';
import { s3Client } from '../../../lib/aws';
import { readConfig } from '../../../lib/config';
import type { QuarantineView } from '../../../operator/quarantine';
import type { ReplayAnswer } from '../../../operator/replay';
import type { Finding } from '../../../operator/stack/finding';
import { EmbeddedStack } from '../../support/embedded-stack';
import { writeLanding } from '../../support/landing-files';
import { randomLanding } from '../../support/random-landing';
import { testBucket, type TestBucket } from '../../support/versitygw';

const SEED = Number(process.env.ALMANAC_TEST_SEED ?? '20261122');
const landing = randomLanding(SEED, 2);
const [first = '', second = ''] = landing.days.map(({ date }) => date);

let bucket: TestBucket;
let stack: EmbeddedStack;

beforeAll(async () => {
  bucket = await testBucket();
  stack = await EmbeddedStack.start({ env: { ...bucket.environment, ...bucket.settings } });
  await land();
});
afterAll(async () => {
  await stack?.[Symbol.asyncDispose]();
  await bucket?.[Symbol.asyncDispose]();
});

/** What was delivered to the bucket by others. */
async function land(): Promise<void> {
  Object.assign(process.env, bucket.environment);
  const root = mkdtempSync(path.join(tmpdir(), 'almanac-s3-stack-'));
  try {
    const { s3 } = readConfig(bucket.settings, root);
    if (s3 === undefined) throw new Error('the settings name no bucket');
    const store = createS3Store(s3Client(s3), s3, path.join(root, 'here'));
    const delivered = path.join(root, 'delivered');
    await writeLanding(landing, delivered);
    for (const entry of readdirSync(delivered, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const file = path.join(entry.parentPath, entry.name);
      await store.adoptFile(file, path.relative(delivered, file));
    }
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

test('a stack over S3 runs days of the audience index and publishes them, and every verb of the store works on the bucket', async () => {
  for (const day of [first, second]) await stack.ok('run', 'audience-index', '--window', day, '--wait');
  const database = await stack.database();
  const live = async (): Promise<number> =>
    Number((await database.query<{ rows: string }>('select count(*) as rows from audience_index')).rows[0]?.rows);
  const rows = await live();
  expect(rows).toBeGreaterThan(0);
  expect(readdirSync(path.join(bucket.folder, 'lake')).sort()).toEqual(
    expect.arrayContaining(['accepted', 'datasets', 'landing', 'probes']),
  );
  // All of the store is in the bucket: what lies here is scratch, and what was read.
  expect(readdirSync(stack.home)).not.toContain('data');

  const { findings } = await stack.json<{ findings: Finding[] }>('doctor');
  expect(findings.find(({ check }) => check === 'data')).toMatchObject({
    state: 'ok',
    message: expect.stringContaining('s3://almanac/lake'),
  });
  expect(await stack.json('reconcile', '--reason', 'a look')).toMatchObject({ lost: [], agree: 0 });
  const versions = await stack.json<readonly unknown[]>('dataset', 'versions', 'udb');
  expect(versions).toHaveLength(2);
  await stack.ok('dataset', 'reindex');
  expect(await stack.json('dataset', 'versions', 'udb')).toEqual(versions);
  expect(await stack.ok('dataset', 'list')).toContain('udb');
  await stack.ok('dataset', 'gc', '--older-than', '0s');
  expect(await stack.ok('show', `audience-index/${second}`)).toContain('publish');

  const aside = (await stack.json<QuarantineView[]>('quarantine', 'list')).find(
    ({ window, reason }) => window === second && reason === 'late',
  );
  if (aside === undefined) throw new Error(`nothing of ${second} is late (seed ${SEED})`);
  expect(aside.samples.length).toBeGreaterThan(0);
  const replay = ['quarantine', 'replay', aside.source, '--window', second, '--to', 'own-window', '--reason', 'delivered late'];
  const { windows } = await stack.json<ReplayAnswer>(...replay);
  expect(windows.reduce((sum, { rows: brought }) => sum + brought, 0)).toBeGreaterThan(0);
  expect(await stack.json<ReplayAnswer>(...replay)).toMatchObject({ windows: [] });

  await stack.ok('run', 'audience-index', '--window', second, '--again', '--reason', 'the same once more', '--wait');
  expect(await live()).toBe(rows);
});

test('a day that nobody delivered names its place in the bucket', async () => {
  const day = '2026-01-22';
  const { stdout, stderr } = await stack.run('run', 'audience-index', '--window', day, '--wait');
  expect(stdout + stderr).toContain(`s3://almanac/lake/landing/segment-adds/dt=${day}`);
});
