/** The last bytes of a log that comes in chunks, and no more of it than that. */
export class LogEnd {
  readonly #ring: Buffer;
  #at = 0;
  #cut = false;
  #bytes = 0;

  constructor(limit: number) {
    this.#ring = Buffer.alloc(limit);
  }

  get bytes(): number {
    return this.#bytes;
  }

  keep(chunk: Buffer): void {
    const limit = this.#ring.length;
    this.#cut ||= this.#bytes + chunk.length > limit;
    const end = chunk.subarray(Math.max(0, chunk.length - limit));
    const before = end.copy(this.#ring, this.#at);
    end.copy(this.#ring, 0, before);
    this.#at = (this.#at + end.length) % limit;
    this.#bytes = Math.min(limit, this.#bytes + end.length);
  }

  /** Whole lines: of a cut one nobody can say what it was, a secret among them. */
  text(): string {
    if (!this.#cut) return this.#ring.toString('utf8', 0, this.#bytes);
    const kept = Buffer.concat([this.#ring.subarray(this.#at), this.#ring.subarray(0, this.#at)]);
    const line = kept.indexOf('\n');
    return line === -1 ? '' : kept.toString('utf8', line + 1);
  }
}
