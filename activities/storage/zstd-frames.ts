const MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50;
const DICTIONARY_ID_BYTES = [0, 1, 2, 4] as const;
const CONTENT_SIZE_BYTES = [0, 2, 4, 8] as const;
const BLOCK_HEADER_BYTES = 3;
const CHECKSUM_BYTES = 4;
const RLE = 1;
const RESERVED = 3;

/**
 * Walks the frames and blocks of a zstd file (RFC 8878) without decompressing, to tell a whole file from a truncated
 * one. Feed it the bytes in order, then ask for the fault.
 */
export class ZstdFrames {
  #pending: Buffer = Buffer.alloc(0);
  /** Bytes of the current block or skippable frame still to come. */
  #skip = 0;
  #state: 'frame' | 'header' | 'block' | 'checksum' | 'corrupt' = 'frame';
  #checksum = false;
  #frames = 0;

  add(chunk: Buffer): void {
    let rest = chunk;
    while (rest.length > 0 && this.#state !== 'corrupt') {
      if (this.#skip > 0) {
        const skipped = Math.min(this.#skip, rest.length);
        this.#skip -= skipped;
        rest = rest.subarray(skipped);
        continue;
      }
      // Heads are at most 18 bytes, so what is pending stays small.
      this.#pending = Buffer.concat([this.#pending, rest.subarray(0, 1)]);
      rest = rest.subarray(1);
      if (this.#head(this.#pending)) this.#pending = Buffer.alloc(0);
    }
  }

  /** What is wrong with all bytes added so far taken as a whole file; undefined when nothing is. */
  fault(): string | undefined {
    if (this.#state === 'corrupt') return 'not a frame where one should begin, or a reserved block';
    if (this.#frames === 0) return 'no frame';
    const atEnd = this.#state === 'frame' && this.#skip === 0 && this.#pending.length === 0;
    return atEnd ? undefined : 'the file ends within a frame';
  }

  /** Takes a complete head; false while bytes are missing. */
  #head(bytes: Buffer): boolean {
    switch (this.#state) {
      case 'frame':
        return this.#frameStart(bytes);
      case 'header':
        return this.#frameHeader(bytes);
      case 'block':
        return this.#blockHeader(bytes);
      case 'checksum':
        if (bytes.length < CHECKSUM_BYTES) return false;
        this.#state = 'frame';
        return true;
      case 'corrupt':
        return true;
    }
  }

  #frameStart(bytes: Buffer): boolean {
    if (bytes.length < 4) return false;
    const magic = bytes.readUInt32LE(0);
    if (magic === MAGIC) {
      this.#frames += 1;
      this.#state = 'header';
      return true;
    }
    if ((magic & 0xfffffff0) >>> 0 !== SKIPPABLE_MAGIC) {
      this.#state = 'corrupt';
      return true;
    }
    if (bytes.length < 8) return false;
    this.#skip = bytes.readUInt32LE(4);
    return true;
  }

  #frameHeader(bytes: Buffer): boolean {
    const descriptor = bytes[0] ?? 0;
    const singleSegment = (descriptor & 0x20) !== 0;
    const sizeFlag = descriptor >> 6;
    const contentSize = sizeFlag === 0 && singleSegment ? 1 : (CONTENT_SIZE_BYTES[sizeFlag] ?? 0);
    const length = 1 + (singleSegment ? 0 : 1) + (DICTIONARY_ID_BYTES[descriptor & 3] ?? 0) + contentSize;
    if (bytes.length < length) return false;
    this.#checksum = (descriptor & 4) !== 0;
    this.#state = 'block';
    return true;
  }

  #blockHeader(bytes: Buffer): boolean {
    if (bytes.length < BLOCK_HEADER_BYTES) return false;
    const header = bytes.readUIntLE(0, BLOCK_HEADER_BYTES);
    const type = (header >> 1) & 3;
    if (type === RESERVED) {
      this.#state = 'corrupt';
      return true;
    }
    this.#skip = type === RLE ? 1 : header >> 3;
    const last = (header & 1) === 1;
    if (last) this.#state = this.#checksum ? 'checksum' : 'frame';
    return true;
  }
}
