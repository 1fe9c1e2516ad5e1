import { randomUUID } from 'node:crypto';
import { open, readFile, stat, type FileHandle } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  PutObjectCommand,
  UploadPartCommand,
  type CompletedPart,
} from '@aws-sdk/client-s3';
import { eachOf } from '../../lib/each-of';
import { isAbsent, nameOf, s3Failure, statusOf } from './s3-failures';
import { headOf } from './s3-head';
import { addressed, asked, encrypted, type S3Place } from './s3-place';

/** Says whose put an object is: one whose answer was lost finds the name taken by itself. */
const PUT = 'almanac-put';

const MIB = 2 ** 20;
/** Larger files go in parts of at least this size, so many at once: what a transfer holds in memory. */
const PART_BYTES = 8 * MIB;
const PARTS_AT_ONCE = 4;
const MOST_PARTS = 10_000;

/** S3 asks to repeat a conditional write that met another in flight. */
const CONFLICTS = 20;

/** Puts an object unless there is one of that key; false when there is one. */
export async function putIfAbsent(place: S3Place, key: string, body: Buffer): Promise<boolean> {
  const nonce = randomUUID();
  return once(place, key, nonce, () =>
    place.client.send(
      new PutObjectCommand({
        ...addressed(place),
        ...encrypted(place),
        Key: key,
        Body: body,
        IfNoneMatch: '*',
        Metadata: { [PUT]: nonce },
        ChecksumAlgorithm: 'CRC32',
      }),
    ),
  );
}

/** The same of a file, of any size: it becomes visible as a whole. A killed upload leaves parts that the bucket's lifecycle removes. */
export async function uploadIfAbsent(place: S3Place, key: string, file: string): Promise<boolean> {
  const { size } = await stat(file);
  if (size <= PART_BYTES) return putIfAbsent(place, key, await readFile(file));
  const nonce = randomUUID();
  const { client } = place;
  const question = { key, action: 's3:PutObject' };
  const { UploadId: upload } = await asked(
    place,
    question,
    client.send(
      new CreateMultipartUploadCommand({
        ...addressed(place),
        ...encrypted(place),
        Key: key,
        Metadata: { [PUT]: nonce },
        ChecksumAlgorithm: 'CRC32',
      }),
    ),
  );
  const parts = { ...addressed(place), Key: key, UploadId: upload };
  try {
    const handle = await open(file, 'r');
    const done: CompletedPart[] = [];
    const partSize = partSizeOf(size);
    /** Memory that the kernel has to give anew for each part costs as much as all else of an upload. */
    const free: Buffer[] = [];
    try {
      await eachOf(partsOf(size, partSize), PARTS_AT_ONCE, async ({ number, start, bytes }) => {
        const buffer = free.pop() ?? Buffer.allocUnsafe(partSize);
        const body = await slice(handle, buffer, start, bytes);
        const answer = client.send(new UploadPartCommand({ ...parts, PartNumber: number, Body: body, ChecksumAlgorithm: 'CRC32' }));
        const { ETag, ChecksumCRC32, $metadata } = await asked(place, question, answer);
        done[number - 1] = { PartNumber: number, ETag, ChecksumCRC32 };
        // An earlier try that was given up may still be sending it.
        if ($metadata.attempts === 1) free.push(buffer);
      });
    } finally {
      await handle.close();
    }
    const command = new CompleteMultipartUploadCommand({ ...parts, MultipartUpload: { Parts: done }, IfNoneMatch: '*' });
    const put = await once(place, key, nonce, () => client.send(command));
    if (!put) await abort();
    return put;
  } catch (error) {
    // The parts are litter; what matters is why.
    await abort().catch(() => undefined);
    throw error;
  }

  async function abort(): Promise<void> {
    try {
      await client.send(new AbortMultipartUploadCommand(parts));
    } catch (error) {
      if (statusOf(error) !== 404) throw s3Failure(error, { bucket: place.bucket, key, action: 's3:AbortMultipartUpload' });
    }
  }
}

/** Makes a conditional write; true when the object is the one of this nonce afterwards, however often the write was repeated on the way. */
async function once(place: S3Place, key: string, nonce: string, write: () => Promise<unknown>): Promise<boolean> {
  for (let tries = 1; ; tries++) {
    try {
      await write();
      return true;
    } catch (error) {
      const status = statusOf(error);
      // 404 of an upload: an earlier try completed it, and its answer was lost.
      if (status === 412 || nameOf(error) === 'NoSuchUpload') return (await nonceOf(place, key)) === nonce;
      if (status === 409 && tries < CONFLICTS) await sleep(10 * tries);
      else throw s3Failure(error, { bucket: place.bucket, key, action: 's3:PutObject' });
    }
  }
}

async function nonceOf(place: S3Place, key: string): Promise<string | undefined> {
  try {
    return (await headOf(place, key)).Metadata?.[PUT];
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw s3Failure(error, { bucket: place.bucket, key, action: 's3:GetObject' });
  }
}

function partSizeOf(size: number): number {
  return Math.max(PART_BYTES, Math.ceil(size / MOST_PARTS / MIB) * MIB);
}

function partsOf(size: number, bytes: number): { number: number; start: number; bytes: number }[] {
  return Array.from({ length: Math.ceil(size / bytes) }, (_, index) => ({
    number: index + 1,
    start: index * bytes,
    bytes: Math.min(bytes, size - index * bytes),
  }));
}

async function slice(handle: FileHandle, buffer: Buffer, start: number, bytes: number): Promise<Buffer> {
  for (let read = 0; read < bytes;) {
    const { bytesRead } = await handle.read(buffer, read, bytes - read, start + read);
    if (bytesRead === 0) throw new Error(`a file became shorter while it was uploaded`);
    read += bytesRead;
  }
  return buffer.subarray(0, bytes);
}
