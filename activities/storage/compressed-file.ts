import { createHash } from 'node:crypto';
import { Writable, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import type { LandingFormat } from '../../pipelines/landing-format';
import { codeOf } from './error-code';
import { ZstdFrames } from './zstd-frames';

/** A file's identity, and why it cannot be read when it is damaged. */
export interface FileInspection {
  readonly bytes: number;
  readonly sha256: string;
  readonly damage?: string;
}

/**
 * Hashes a file in one pass and proves its compression whole meanwhile: DuckDB reads a truncated gzip or zstd file as a
 * shorter one and says nothing, so a half-arrived file would pass for a quiet day. Memory is a few buffers.
 */
export async function inspectFile(
  source: Readable,
  compression: LandingFormat['compression'],
  signal?: AbortSignal,
): Promise<FileInspection> {
  const stoppable = signal ? { signal } : {};
  const hash = createHash('sha256');
  let bytes = 0;
  async function* hashed(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) {
      hash.update(chunk);
      bytes += chunk.length;
      yield chunk;
    }
  }
  let damage: string | undefined;
  if (compression === 'gzip') {
    try {
      await pipeline(source, hashed, createGunzip(), nowhere(), stoppable);
    } catch (error) {
      const code = codeOf(error);
      if (code?.startsWith('Z_') !== true) throw error;
      damage = `gzip: ${error instanceof Error ? error.message : code}`;
    }
  } else {
    const frames = compression === 'zstd' ? new ZstdFrames() : undefined;
    const walk = async (chunks: AsyncIterable<Buffer>): Promise<void> => {
      for await (const chunk of chunks) frames?.add(chunk);
    };
    await pipeline(source, hashed, walk, stoppable);
    const fault = frames?.fault();
    damage = fault && `zstd: ${fault}`;
  }
  return { bytes, sha256: hash.digest('hex'), ...(damage === undefined ? {} : { damage }) };
}

function nowhere(): Writable {
  return new Writable({ write: (_chunk, _encoding, done) => done() });
}
