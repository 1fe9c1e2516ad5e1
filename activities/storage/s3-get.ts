import { open, type FileHandle } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { GetObjectCommand, type GetObjectCommandOutput } from '@aws-sdk/client-s3';
import { isErrno } from '../../lib/file-failure';
import { eachOf } from '../../lib/each-of';
import { FollowingHash, writeBody } from './s3-body';
import { brokenBody, isAbsent, nameOf, s3Failure } from './s3-failures';
import { headOf, stoppable } from './s3-head';
import { addressed, asked, type S3Place } from './s3-place';
import type { Seal } from './sealed-file';

/** Larger objects come in ranges of this size, so many at once; each goes to the disk as it comes. */
const RANGE_BYTES = 16 * 2 ** 20;
const RANGES_AT_ONCE = 6;
/** The SDK tries a request again until its head came; a body that breaks off is tried again here. */
const BODIES = 6;
const BROKEN_MS = 100;

/** The bytes of a small object; undefined when there is none. */
export async function getObject(place: S3Place, key: string): Promise<Buffer | undefined> {
  return whole(place, key, undefined, async () => {
    let answer: GetObjectCommandOutput;
    try {
      answer = await place.client.send(new GetObjectCommand({ ...addressed(place), Key: key, ChecksumMode: 'ENABLED' }));
    } catch (error) {
      if (isAbsent(error)) return () => Promise.resolve(undefined);
      throw error;
    }
    return async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of bodyOf(answer)) chunks.push(chunk);
      const body = Buffer.concat(chunks);
      requireLength(body.length, answer.ContentLength);
      return body;
    };
  });
}

/**
 * Brings an object to a new file, in ranges beside each other when it is large, and answers what the file then holds. All
 * ranges are of one object, or it throws `store.damaged`.
 */
export async function download(place: S3Place, key: string, file: string, signal?: AbortSignal): Promise<Seal> {
  const question = { key, action: 's3:GetObject' };
  const head = await asked(place, question, headOf(place, key, { signal })).catch((error: unknown) => {
    signal?.throwIfAborted();
    throw error;
  });
  const { ContentLength: bytes = 0, ETag: etag } = head;
  const handle = await open(file, 'wx+');
  const hash = new FollowingHash(handle);
  try {
    if (bytes <= RANGE_BYTES) {
      await range(place, key, handle, { etag, start: 0, bytes, whole: true }, signal);
      await hash.written(0, bytes);
    } else {
      await eachOf(rangesOf(bytes), RANGES_AT_ONCE, async (part) => {
        await range(place, key, handle, { ...part, etag, whole: false }, signal);
        await hash.written(part.start, part.bytes);
      });
    }
    return { sha256: hash.digest(), bytes };
  } finally {
    await handle.close();
  }
}

interface Range {
  readonly etag: string | undefined;
  readonly start: number;
  readonly bytes: number;
  readonly whole: boolean;
}

async function range(place: S3Place, key: string, handle: FileHandle, part: Range, signal: AbortSignal | undefined): Promise<void> {
  const { etag, start, bytes } = part;
  const command = new GetObjectCommand({
    ...addressed(place),
    Key: key,
    ...(etag === undefined ? {} : { IfMatch: etag }),
    // S3 knows the checksum of objects, not of ranges.
    ...(part.whole ? { ChecksumMode: 'ENABLED' as const } : { Range: `bytes=${start}-${start + bytes - 1}` }),
  });
  await whole(place, key, signal, async () => {
    const answer = await place.client.send(command, stoppable(signal));
    return async () => {
      requireLength(await writeBody(bodyOf(answer), handle, start, signal), bytes);
    };
  });
}

/** Asks, then takes the body, from the start again when that breaks off. */
async function whole<T>(place: S3Place, key: string, signal: AbortSignal | undefined, ask: () => Promise<() => Promise<T>>): Promise<T> {
  for (let tries = 1; ; tries++) {
    signal?.throwIfAborted();
    const take = await ask().catch((error: unknown) => {
      signal?.throwIfAborted();
      throw s3Failure(changed(error), { bucket: place.bucket, key, action: 's3:GetObject' });
    });
    try {
      return await take();
    } catch (error) {
      signal?.throwIfAborted();
      if (tries === BODIES || isOfDisk(error)) throw s3Failure(error, { bucket: place.bucket, key, action: 's3:GetObject' });
      await sleep(BROKEN_MS * 2 ** tries);
    }
  }
}

function bodyOf({ Body: body }: GetObjectCommandOutput): AsyncIterable<Buffer> {
  if (body === undefined) throw new TypeError('S3 answered without a body');
  return body as Readable;
}

function requireLength(found: number, wanted: number | undefined): void {
  if (wanted !== undefined && found !== wanted) throw brokenBody(`${found} of ${wanted} bytes came`);
}

/** Another object of that key lies there since its length was asked for. */
function changed(error: unknown): unknown {
  return nameOf(error) === 'PreconditionFailed' ? brokenBody('the object changed meanwhile') : error;
}

/** What the disk of this machine says is said once. */
function isOfDisk(error: unknown): boolean {
  return isErrno(error) && error.syscall === 'write' && error.code !== 'EPIPE';
}

function rangesOf(bytes: number): { start: number; bytes: number }[] {
  return Array.from({ length: Math.ceil(bytes / RANGE_BYTES) }, (_, index) => ({
    start: index * RANGE_BYTES,
    bytes: Math.min(RANGE_BYTES, bytes - index * RANGE_BYTES),
  }));
}
