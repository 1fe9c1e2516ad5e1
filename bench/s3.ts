/**
 * What the S3 store transfers: one large file in and out of a gateway on this machine, beside `aws s3 cp` of the same file in the same
 * run. Both are processes of their own, from their start to their end, and take turns. Out, ours also hashes the file and holds it to its
 * record.
 */
import { spawnSync } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { closeSync, linkSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { hashFile } from '../activities/storage/sealed-file';
import { packageRoot } from '../lib/package-root';
import { testBucket, type TestBucket } from '../test/support/versitygw';
import { machine, median, table } from './report';
import type { Errand } from './s3-arm';

const BYTES = 2e9;
const REPEATS = 3;
const CHUNK = 2 ** 24;
/** Of the figure of `aws s3 cp`. */
const GOAL = 0.8;
const MEMORY_GOAL = 300e6;
/** Of the times that the kernel tells. */
const TICKS = 100;

const WAYS = ['up', 'down'] as const;
type Way = (typeof WAYS)[number];

interface Cost {
  readonly seconds: number;
  /** Seconds of processor, in the program and in the kernel for it. */
  readonly cpu: number;
  /** Bytes; NaN where nobody tells. */
  readonly peak: number;
}

/** One figure a repeat. */
type Costs = Readonly<Record<Way, Cost[]>>;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { bytes: { type: 'string' }, repeats: { type: 'string' }, check: { type: 'boolean', default: false } },
  });
  const [bytes, repeats] = [Number(values.bytes ?? BYTES), Number(values.repeats ?? REPEATS)];
  const aws = run(process.execPath, [path.join(packageRoot(), 'bin', 'aws-cli.mjs')]).trim();
  const root = mkdtempSync(path.join(tmpdir(), 'almanac-bench-s3-'));
  try {
    await using bucket = await testBucket();
    const file = path.join(root, 'file');
    writeRandom(file, bytes);
    const { sha256 } = await hashFile(file);
    const [ours, theirs]: [Costs, Costs] = [
      { up: [], down: [] },
      { up: [], down: [] },
    ];
    for (let repeat = 0; repeat < repeats; repeat++) {
      for (const way of WAYS) {
        const arms = [
          () => ours[way].push(transferOurs(bucket, { way, root, file: path.join(root, 'moved'), sha256, name: `data/${repeat}` }, file)),
          () => theirs[way].push(transferTheirs(aws, bucket, way, file, path.join(root, 'back'))),
        ];
        for (const arm of repeat % 2 === 0 ? arms : arms.reverse()) arm();
      }
      rmSync(path.join(bucket.folder, 'lake'), { recursive: true });
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

function transferOurs({ environment, settings }: TestBucket, errand: Errand, file: string): Cost {
  if (errand.way === 'up') linkSync(file, errand.file);
  const arm = path.join(packageRoot(), 'dist', 'bench', 's3-arm.js');
  const [cost, told] = measured(process.execPath, [arm, JSON.stringify(errand)], { ...environment, ...settings });
  return { ...cost, peak: Number(told) };
}

function transferTheirs(aws: string, { endpoint, bucket, environment }: TestBucket, way: Way, file: string, back: string): Cost {
  const uri = `s3://${bucket}/lake/theirs`;
  const [from, to] = way === 'up' ? [file, uri] : [uri, back];
  const [cost] = measured(aws, ['--endpoint-url', endpoint, 's3', 'cp', from, to, '--only-show-errors'], environment);
  rmSync(back, { force: true });
  return cost;
}

function measured(program: string, args: readonly string[], environment: Readonly<Record<string, string>>): [Cost, string] {
  const [started, before] = [performance.now(), cpuOfChildren()];
  const told = run(program, args, environment);
  return [{ seconds: (performance.now() - started) / 1000, cpu: cpuOfChildren() - before, peak: Number.NaN }, told];
}

function run(program: string, args: readonly string[], environment: Readonly<Record<string, string>> = {}): string {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', env: { ...process.env, ...environment } });
  if (status !== 0) throw new Error(`${program} ended with ${String(status)}: ${stderr}`);
  return stdout;
}

/** Seconds of processor of all that this process waited for: two fields of the kernel's, behind a name that may hold anything. */
function cpuOfChildren(): number {
  const stat = readFileSync('/proc/self/stat', 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[13]) + Number(fields[14])) / TICKS;
}

function report(bytes: number, ours: Costs, theirs: Costs, check: boolean): void {
  const speed = (costs: readonly Cost[]): number => bytes / median(costs.map(({ seconds }) => seconds)) / 1e6;
  const cpu = (costs: readonly Cost[]): string => `${median(costs.map((cost) => cost.cpu)).toFixed(1)} s`;
  const peak = Math.max(...WAYS.flatMap((way) => ours[way].map((cost) => cost.peak)));
  const ratios = WAYS.map((way) => speed(ours[way]) / speed(theirs[way]));
  const rows = WAYS.map((way, index) => [
    way,
    `${speed(ours[way]).toFixed(0)} MB/s`,
    `${speed(theirs[way]).toFixed(0)} MB/s`,
    (ratios[index] ?? Number.NaN).toFixed(2),
    ours[way].map(({ seconds }, repeat) => ((theirs[way][repeat]?.seconds ?? Number.NaN) / seconds).toFixed(2)).join(' '),
    cpu(ours[way]),
    cpu(theirs[way]),
  ]);
  console.log(machine());
  console.log(table([`${(bytes / 1e9).toFixed(1)} GB`, 'almanac', 'aws s3 cp', 'ratio', 'of pairs', 'cpu', 'cpu of aws'], rows));
  console.log(`peak memory of almanac ${(peak / 1e6).toFixed(0)} MB`);
  if (check && (ratios.some((ratio) => !(ratio >= GOAL)) || !(peak < MEMORY_GOAL))) process.exitCode = 1;
}

void main();
