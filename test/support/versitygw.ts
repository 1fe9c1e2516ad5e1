import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { packageRoot } from '../../lib/package-root';
import { freePort } from './ports';
import { until } from './until';

const READY_DEADLINE_MS = 120_000;

/** Keys of a gateway that lives as long as its suite and listens on this machine alone. */
const ACCESS = 'almanac-test';
const SECRET = 'almanac-test-secret';

/** A bucket of its own behind an S3 gateway that keeps objects as files. */
export interface TestBucket extends AsyncDisposable {
  readonly endpoint: string;
  readonly region: string;
  readonly bucket: string;
  /** What the AWS SDK, the CLI and Spark need to speak to it. */
  readonly environment: Readonly<Record<'AWS_ACCESS_KEY_ID' | 'AWS_SECRET_ACCESS_KEY' | 'AWS_REGION' | 'AWS_DEFAULT_REGION', string>>;
  /** What Almanac needs to keep its objects there. */
  readonly settings: Readonly<Record<'ALMANAC_DATA' | 'ALMANAC_S3_ENDPOINT' | 'ALMANAC_S3_REGION' | 'ALMANAC_S3_PATH_STYLE', string>>;
  /** Where the gateway keeps the objects of the bucket. */
  readonly folder: string;
}

/** Starts a gateway on a random port with one empty bucket. */
export async function testBucket(): Promise<TestBucket> {
  const program = versitygw();
  const root = mkdtempSync(path.join(tmpdir(), 'almanac-s3-'));
  const folder = path.join(root, 'almanac');
  mkdirSync(folder);
  const region = 'eu-central-1';
  const port = await freePort();
  const child = spawn(program, ['--region', region, '--port', `127.0.0.1:${port}`, '--quiet', 'posix', root], {
    env: { ...process.env, ROOT_ACCESS_KEY: ACCESS, ROOT_SECRET_KEY: SECRET },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let told = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (told += text));
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  await until(
    'versitygw listens',
    async () => {
      if (child.exitCode !== null) throw new Error(`versitygw ended with ${child.exitCode}: ${told}`);
      return listens(port);
    },
    READY_DEADLINE_MS,
  );
  const endpoint = `http://127.0.0.1:${port}`;
  return {
    endpoint,
    region,
    bucket: 'almanac',
    environment: { AWS_ACCESS_KEY_ID: ACCESS, AWS_SECRET_ACCESS_KEY: SECRET, AWS_REGION: region, AWS_DEFAULT_REGION: region },
    settings: {
      ALMANAC_DATA: 's3://almanac/lake',
      ALMANAC_S3_ENDPOINT: endpoint,
      ALMANAC_S3_REGION: region,
      ALMANAC_S3_PATH_STYLE: '1',
    },
    folder,
    async [Symbol.asyncDispose]() {
      await stop(child, ended);
      rmSync(root, { recursive: true, force: true });
    },
  };
}

/** The program, built once per user. */
function versitygw(): string {
  const made = spawnSync(process.execPath, [path.join(packageRoot(), 'bin', 'versitygw.mjs')], { encoding: 'utf8' });
  if (made.status !== 0) throw new Error(`bin/versitygw.mjs ended with ${made.status}: ${made.stderr}`);
  return (JSON.parse(made.stdout) as { program: string }).program;
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const done = (answer: boolean) => () => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', done(true)).once('error', done(false));
  });
}

async function stop(child: ChildProcess, ended: Promise<void>): Promise<void> {
  child.kill('SIGKILL');
  await ended;
}
