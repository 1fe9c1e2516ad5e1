import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { pipeline as stream } from 'node:stream/promises';

/** What is known of a file that nobody writes to any more. */
export interface Seal {
  readonly sha256: string;
  readonly bytes: number;
}

/** Small reads cost more than the hash. */
const READ_BYTES = 1 << 20;

/** Hashes a file nobody writes to any more, and waits until the disk has it. */
export async function sealFile(file: string): Promise<Seal> {
  const [seal] = await Promise.all([hashFile(file), sync(file)]);
  return seal;
}

/** The same without the wait: for bytes that can be had again. */
export async function hashFile(file: string): Promise<Seal> {
  const hash = createHash('sha256');
  let bytes = 0;
  await stream(createReadStream(file, { highWaterMark: READ_BYTES }), async (chunks: AsyncIterable<Buffer>) => {
    for await (const chunk of chunks) {
      hash.update(chunk);
      bytes += chunk.length;
    }
  });
  return { sha256: hash.digest('hex'), bytes };
}

async function sync(file: string): Promise<void> {
  const handle = await open(file, 'r+');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
