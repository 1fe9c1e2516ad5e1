/**
 * What the S3 store transfers: one large file in and out of a gateway on this machine, beside `aws s3 cp` of the same file in the same
 * run. The arms alternate. Out, ours also hashes the file and holds it to its record.
 */
import { spawnSync } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { closeSync, copyFileSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { createS3Store } from '../activities/storage/s3-store';
import { sealFile } from '../activities/storage/sealed-file';
import { s3Client } from '../lib/aws';
import { readConfig } from '../lib/config';
import { findOnPath } from '../operator/stack/temporal-binary';
import { testBucket, type TestBucket } from '../test/support/versitygw';
import { machine, median, table } from './report';

const BYTES = 2e9;
const REPEATS = 3;
const CHUNK = 2 ** 24;
/** Of the figure of `aws s3 cp`. */
const GOAL = 0.8;
const MEMORY_GOAL = 300e6;

interface Arm {
  readonly name: string;
  /** Seconds, one figure a repeat. */
  readonly up: number[];
  readonly down: number[];
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { bytes: { type: 'string' }, repeats: { type: 'string' }, check: { type: 'boolean', default: false } },
  });
  const [bytes, repeats] = [Number(values.bytes ?? BYTES), Number(values.repeats ?? REPEATS)];
  const aws = findOnPath('aws', process.env);
  if (aws === undefined) throw new Error('there is no `aws` on PATH to compare with: pip install awscli');
  const root = mkdtempSync(path.join(tmpdir(), 'almanac-bench-s3-'));
  try {
    await using bucket = await testBucket();
    Object.assign(process.env, bucket.environment);
    const file = path.join(root, 'file');
    writeRandom(file, bytes);
    const { sha256 } = await sealFile(file);
    const ours: Arm = { name: 'almanac', up: [], down: [] };
    const theirs: Arm = { name: 'aws s3 cp', up: [], down: [] };
    for (let repeat = 0; repeat < repeats; repeat++) {
      await transferOurs(bucket, ours, { root, file, sha256, name: `data/ours-${repeat}` });
      await transferTheirs(aws, bucket, theirs, { root, file, name: `theirs-${repeat}` });
    }
    report(bytes, ours, theirs, values.check);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

function writeRandom(file: string, bytes: number): void {
  const handle = openSync(file, 'w');
  const chunk = Buffer.alloc(CHUNK);
  for (let left = bytes; left > 0; left -= CHUNK) writeSync(handle, randomFillSync(chunk), 0, Math.min(left, CHUNK));
  closeSync(handle);
}

interface Transfer {
  readonly root: string;
  readonly file: string;
  readonly name: string;
}

async function transferOurs(
  bucket: TestBucket,
  arm: Arm,
  { root, file, name, sha256 }: Transfer & { readonly sha256: string },
): Promise<void> {
  const { s3 } = readConfig(bucket.settings, root);
  if (s3 === undefined) throw new Error('the settings name no bucket');
  const store = createS3Store(s3Client(s3), { ...s3, cacheBytes: 0 }, path.join(root, 'here'));
  const moved = path.join(await store.scratch(), 'file');
  copyFileSync(file, moved);
  arm.up.push(await seconds(async () => void (await store.adoptFile(moved, name))));
  arm.down.push(
    await seconds(async () => {
      await using local = await store.localFiles([{ path: name, sha256 }]);
      local.path(name);
    }),
  );
  await store.delete(name);
}

async function transferTheirs(aws: string, { endpoint, bucket }: TestBucket, arm: Arm, { root, file, name }: Transfer): Promise<void> {
  const uri = `s3://${bucket}/${name}`;
  const run = (...args: string[]): void => {
    const { status, stderr } = spawnSync(aws, ['--endpoint-url', endpoint, 's3', ...args, '--only-show-errors'], { encoding: 'utf8' });
    if (status !== 0) throw new Error(`aws s3 ended with ${String(status)}: ${stderr}`);
  };
  arm.up.push(await seconds(() => Promise.resolve(run('cp', file, uri))));
  const back = path.join(root, 'back');
  arm.down.push(await seconds(() => Promise.resolve(run('cp', uri, back))));
  rmSync(back);
  run('rm', uri);
}

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return (performance.now() - started) / 1000;
}

function report(bytes: number, ours: Arm, theirs: Arm, check: boolean): void {
  const peak = process.resourceUsage().maxRSS * 1024;
  const speed = (of: readonly number[]): number => bytes / median(of) / 1e6;
  const rows = (['up', 'down'] as const).map((way) => [
    way,
    `${speed(ours[way]).toFixed(0)} MB/s`,
    `${speed(theirs[way]).toFixed(0)} MB/s`,
    (speed(ours[way]) / speed(theirs[way])).toFixed(2),
  ]);
  console.log(machine());
  console.log(table(['', ours.name, theirs.name, 'ratio'], rows));
  console.log(`peak memory of this process ${(peak / 1e6).toFixed(0)} MB`);
  const missed = rows.some(([, , , ratio]) => Number(ratio) < GOAL) || peak > MEMORY_GOAL;
  if (check && missed) process.exitCode = 1;
}

void main();
