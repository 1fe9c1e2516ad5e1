import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';

const MAGIC = 0xfd2fb528;
const MAX_BLOCK = 128 * 1024;
const CHECKSUM_FLAG = 0x04;
/** Content size of 4 bytes, one segment: no window descriptor. */
const SINGLE_SEGMENT = 0xa0;

/** Lines of text as zstd compresses them: Node 20 has no zstd, DuckDB has. Each line must end with `\n`. */
export async function zstd(text: string): Promise<Buffer> {
  const folder = mkdtempSync(path.join(tmpdir(), 'almanac-zstd-'));
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' });
  const connection = await instance.connect();
  try {
    writeFileSync(path.join(folder, 'text'), text);
    const lines = `read_csv('${folder}/text', columns = {'line': 'varchar'}, auto_detect = false, header = false, delim = '\x01', quote = '', escape = '', parallel = false)`;
    await connection.run(
      `copy (from ${lines}) to '${folder}/zst' (format csv, header false, delimiter '\x01', quote '\x02', escape '\x02', compression zstd)`,
    );
    return readFileSync(path.join(folder, 'zst'));
  } finally {
    connection.closeSync();
    instance.closeSync();
    rmSync(folder, { recursive: true });
  }
}

/** A frame of raw blocks, by RFC 8878; with the flag of a checksum but a wrong one when `checksum` is given. */
export function storedZstd(body: Buffer, options: { readonly checksum?: Buffer } = {}): Buffer {
  const head = Buffer.alloc(9);
  head.writeUInt32LE(MAGIC, 0);
  head.writeUInt8(SINGLE_SEGMENT | (options.checksum ? CHECKSUM_FLAG : 0), 4);
  head.writeUInt32LE(body.length, 5);
  const parts: Buffer[] = [head];
  let from = 0;
  do {
    const block = body.subarray(from, from + MAX_BLOCK);
    from += block.length;
    const header = Buffer.alloc(3);
    header.writeUIntLE((block.length << 3) | (from >= body.length ? 1 : 0), 0, 3);
    parts.push(header, block);
  } while (from < body.length);
  return Buffer.concat([...parts, ...(options.checksum ? [options.checksum] : [])]);
}
