/** Bodies on their way to a file: in few large writes, and hashed as the file grows. */
import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';

const MIB = 2 ** 20;

/** Sockets give 64 kB at a time; a write of so little costs more than the bytes. Up to two such lots of a body are held. */
const WRITE_BYTES = MIB;

/** Writes a body to a place in a file, and answers how many bytes it had. */
export async function writeBody(body: AsyncIterable<Buffer>, handle: FileHandle, start: number, signal?: AbortSignal): Promise<number> {
  let lot: Buffer[] = [];
  let [collected, sent] = [0, 0];
  let writing: Promise<void> = Promise.resolve();
  /** One lot is written while the next is collected. */
  const flush = async (): Promise<void> => {
    await writing;
    writing = writeAll(handle, lot, start + sent);
    // It is awaited at the next turn, or at the end; until then a failure is nobody's.
    writing.catch(() => undefined);
    sent += collected;
    [lot, collected] = [[], 0];
  };
  try {
    for await (const chunk of body) {
      signal?.throwIfAborted();
      lot.push(chunk);
      collected += chunk.length;
      if (collected >= WRITE_BYTES) await flush();
    }
    await flush();
  } finally {
    // Nothing is written any more once this is over, however it ends.
    await writing;
  }
  return sent;
}

async function writeAll(handle: FileHandle, lot: readonly Buffer[], start: number): Promise<void> {
  for (let rest = lot, at = start; rest.length > 0;) {
    const { bytesWritten } = await handle.writev(rest, at);
    at += bytesWritten;
    rest = remaining(rest, bytesWritten);
  }
}

/** A disk may take less than it was given. */
function remaining(lot: readonly Buffer[], written: number): readonly Buffer[] {
  let left = written;
  for (const [index, buffer] of lot.entries()) {
    if (left < buffer.length) return [buffer.subarray(left), ...lot.slice(index + 1)];
    left -= buffer.length;
  }
  return [];
}

/** SHA-256 of a file that is written in pieces of any order: it follows as far as there is no gap. */
export class FollowingHash {
  readonly #hash = createHash('sha256');
  readonly #waiting = new Map<number, number>();
  readonly #buffer = Buffer.allocUnsafe(MIB);
  #at = 0;
  #follows = false;

  constructor(private readonly handle: FileHandle) {}

  /** A piece of the file is there and stays as it is. Whoever is at it already follows into this one too. */
  async written(start: number, bytes: number): Promise<void> {
    this.#waiting.set(start, bytes);
    if (this.#follows) return;
    this.#follows = true;
    try {
      for (let piece = this.#next(); piece !== undefined; piece = this.#next()) await this.#follow(piece);
    } finally {
      this.#follows = false;
    }
  }

  /** Once, when all pieces are written. */
  digest(): string {
    if (this.#waiting.size > 0) throw new TypeError('the file has a gap');
    return this.#hash.digest('hex');
  }

  #next(): number | undefined {
    const bytes = this.#waiting.get(this.#at);
    this.#waiting.delete(this.#at);
    return bytes;
  }

  async #follow(bytes: number): Promise<void> {
    for (const end = this.#at + bytes; this.#at < end;) {
      const { bytesRead } = await this.handle.read(this.#buffer, 0, Math.min(MIB, end - this.#at), this.#at);
      if (bytesRead === 0) throw new Error('a file became shorter while it was hashed');
      this.#hash.update(this.#buffer.subarray(0, bytesRead));
      this.#at += bytesRead;
    }
  }
}
