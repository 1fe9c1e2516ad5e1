import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { FollowingHash, writeBody } from '../../../activities/storage/s3-body';

let root: string;
let handle: FileHandle;
beforeEach(async () => {
  root = mkdtempSync(path.join(tmpdir(), 'almanac-s3-body-'));
  handle = await open(path.join(root, 'file'), 'wx+');
});
afterEach(async () => {
  await handle.close();
  rmSync(root, { recursive: true });
});

async function* bodyOf(bytes: Buffer, chunk: number, failsAt = Number.POSITIVE_INFINITY): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += chunk) {
    if (at >= failsAt) throw new Error('the connection broke');
    await turn();
    yield bytes.subarray(at, at + chunk);
  }
}

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

test.each([0, 1, 65_536, 2 ** 20, 3_456_789])('a body of %i bytes goes to its place in the file', async (length) => {
  const bytes = randomBytes(length);
  await handle.write('head');
  expect(await writeBody(bodyOf(bytes, 65_536), handle, 4)).toBe(length);
  expect(readFileSync(path.join(root, 'file')).equals(Buffer.concat([Buffer.from('head'), bytes]))).toBe(true);
});

test('what a disk takes only in part is written on', async () => {
  const bytes = randomBytes(1_500_000);
  const slow = {
    writev: (buffers: readonly Buffer[], at: number) => handle.write(Buffer.concat(buffers).subarray(0, 100_001), 0, undefined, at),
  } as unknown as FileHandle;
  await writeBody(bodyOf(bytes, 65_536), slow, 0);
  expect(readFileSync(path.join(root, 'file')).equals(bytes)).toBe(true);
});

test('a body that breaks off or is stopped throws, and nothing is written after that', async () => {
  const bytes = randomBytes(4 * 2 ** 20);
  await expect(writeBody(bodyOf(bytes, 65_536, 3 * 2 ** 20), handle, 0)).rejects.toThrow('the connection broke');
  const { mtimeMs } = await handle.stat();
  await turn();
  expect((await handle.stat()).mtimeMs).toBe(mtimeMs);
  await expect(writeBody(bodyOf(bytes, 65_536), handle, 0, AbortSignal.abort(new Error('stopped')))).rejects.toThrow('stopped');
});

test('what the disk refuses is thrown, wherever it is in the body', async () => {
  const full = { writev: () => Promise.reject(Object.assign(new Error('no space'), { code: 'ENOSPC' })) } as unknown as FileHandle;
  for (const length of [1000, 2 ** 20, 5 * 2 ** 20])
    await expect(writeBody(bodyOf(randomBytes(length), 65_536), full, 0)).rejects.toThrow('no space');
});

test('the hash of a file that is written in pieces of any order is that of the file', async () => {
  const bytes = randomBytes(2_500_000);
  await handle.write(bytes);
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.integer({ min: 1, max: bytes.length - 1 }), { maxLength: 8 }),
      fc.infiniteStream(fc.nat()),
      async (cuts, luck) => {
        const ends = [...cuts.sort((a, b) => a - b), bytes.length];
        const pieces = ends.map((end, index) => ({ start: ends[index - 1] ?? 0, end, rank: luck.next().value ?? 0 }));
        const hash = new FollowingHash(handle);
        await Promise.all(pieces.sort((a, b) => a.rank - b.rank).map(({ start, end }) => hash.written(start, end - start)));
        expect(hash.digest()).toBe(sha256(bytes));
      },
    ),
    { numRuns: 20 },
  );
});

test('a file with a gap has no hash', async () => {
  const hash = new FollowingHash(handle);
  await hash.written(10, 10);
  expect(() => hash.digest()).toThrow('gap');
});
