import { createReadStream, mkdtempSync, rmSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';
import { NoSuchKey, S3Client, type GetObjectCommand } from '@aws-sdk/client-s3';
import fc from 'fast-check';
import { createLogReader, failedLog, type LogReader } from '../../../activities/compute/emr-logs';
import { LogEnd } from '../../../activities/compute/log-end';
import { systemClock } from '../../../lib/clock';
import { logTail } from '../../../pipelines/log-tail';

const DIRECTORY = mkdtempSync(path.join(os.tmpdir(), 'almanac-emr-logs-'));
const LINE = '26/11/22 01:02:03 INFO BlockManager: Removed broadcast_12_piece0 from memory, size 13.1 KiB, free 434.4 MiB\n';
const FAILURE = `Exception in thread "main" java.io.IOException: the täble is on fire
\tat almanac.Job.main(Job.scala:12)
Caused by: java.lang.IllegalStateException: no water
`;
const MB = 2 ** 20;

const s3 = new S3Client({ region: 'us-east-1' });
afterAll(() => {
  s3.destroy();
  rmSync(DIRECTORY, { recursive: true, force: true });
});

function told(read: LogReader, logs: string, signal = new AbortController().signal): Promise<string> {
  return failedLog(read, logs, 'j-1', 's-1', { clock: systemClock, waitMs: 0, everyMs: 1 }, signal);
}

async function logs(name: string, stderr: Buffer): Promise<string> {
  const folder = path.join(DIRECTORY, name);
  await mkdir(path.join(folder, 'j-1/steps/s-1'), { recursive: true });
  await writeFile(path.join(folder, 'j-1/steps/s-1/stderr.gz'), stderr);
  return pathToFileURL(folder).href;
}

const last = (text: string, limit: number): string => {
  const bytes = Buffer.from(text);
  if (bytes.length <= limit) return text;
  const kept = bytes.subarray(bytes.length - limit);
  const cut = kept.indexOf('\n');
  return cut === -1 ? '' : kept.subarray(cut + 1).toString('utf8');
};

test('the end of a log is its last whole lines within the limit, however it comes', () => {
  const text = fc.array(fc.constantFrom('a', 'ä', '\n', '😀', 'long enough to be cut\n'), { maxLength: 60 }).map((parts) => parts.join(''));
  fc.assert(
    fc.property(text, fc.integer({ min: 1, max: 64 }), fc.array(fc.integer({ min: 0, max: 90 })), (whole, limit, sizes) => {
      const end = new LogEnd(limit);
      let rest = Buffer.from(whole);
      for (const size of [...sizes, rest.length]) {
        end.keep(rest.subarray(0, size));
        rest = rest.subarray(size);
        expect(end.bytes).toBeLessThanOrEqual(limit);
      }
      expect(end.text()).toBe(last(whole, limit));
    }),
  );
});

test('a chunk that is kept for its end is not held as a whole', () => {
  const end = new LogEnd(4);
  const chunk = Buffer.from('gone\nabc');
  end.keep(chunk);
  chunk.fill('x');
  expect(end.text()).toBe('abc');
});

test('of a large log the same is told as of its end, and others have their turns meanwhile', async () => {
  const large = gzipSync(Buffer.concat([Buffer.alloc(64 * MB, LINE), Buffer.from(`\n${FAILURE}`)]));
  let turns = 0;
  let reading = true;
  const turn = (): void => {
    turns += 1;
    if (reading) setImmediate(turn);
  };
  turn();
  const tail = await told(() => Promise.resolve(Readable.from([large])), 's3://lake/emr');
  reading = false;
  expect(tail).toBe(logTail(FAILURE));
  expect(tail).toContain('the täble is on fire\nCaused by:');
  expect(turns).toBeGreaterThan(500);
});

test.each([
  ['is not gzipped', Buffer.from(FAILURE), 'incorrect header check'],
  ['is cut in the middle', gzipSync(LINE.repeat(99) + FAILURE).subarray(0, -20), 'unexpected end of file'],
  ['is empty', Buffer.alloc(0), 'unexpected end of file'],
  ['has other bytes than its checksum', Buffer.concat([gzipSync(FAILURE).subarray(0, -8), Buffer.alloc(8)]), 'incorrect data check'],
])('a log that %s is said so in its place', async (name, body, message) => {
  const place = await logs(name.replaceAll(' ', '-'), body);
  expect(await told(createLogReader(s3), place)).toBe(`its log in ${place}/j-1/steps/s-1/ cannot be read: ${message}`);
});

test('a log in S3 is asked for by its key; what is not there yet is waited for, what breaks off is said', async () => {
  const file = path.join(DIRECTORY, 'body.gz');
  await writeFile(file, gzipSync(FAILURE));
  const bodies: (() => Readable)[] = [
    () => createReadStream(file),
    () =>
      Readable.from(
        (function* () {
          yield gzipSync(FAILURE).subarray(0, 20);
          throw new Error('the connection was reset');
        })(),
      ),
  ];
  const asked: unknown[] = [];
  const client = {
    send({ input }: GetObjectCommand) {
      asked.push(input);
      if (input.Key?.endsWith('stderr.gz') === true) return Promise.reject(new NoSuchKey({ message: '', $metadata: {} }));
      return Promise.resolve({ Body: bodies.shift()?.() });
    },
  } as unknown as S3Client;
  const read = createLogReader(client);
  expect(await told(read, 's3n://lake/emr logs/')).toBe(logTail(FAILURE));
  expect(asked).toEqual(['stderr.gz', 'stdout.gz'].map((name) => ({ Bucket: 'lake', Key: `emr logs/j-1/steps/s-1/${name}` })));
  expect(await told(read, 's3://lake/emr')).toBe('its log in s3://lake/emr/j-1/steps/s-1/ cannot be read: the connection was reset');
  expect(await told(read, 's3://lake/emr')).toBe('its log did not come to s3://lake/emr/j-1/steps/s-1/ in 0 s');
});

test('who is stopped while a log comes throws what stopped it, and lets go of the log', async () => {
  const stop = new AbortController();
  const reason = new Error('the run is cancelled');
  const endless = new Readable({
    read() {
      setImmediate(() => stop.abort(reason));
    },
  });
  await expect(told(() => Promise.resolve(endless), 's3://lake/emr', stop.signal)).rejects.toBe(reason);
  expect(endless.destroyed).toBe(true);
});
