export class MalformedExposition extends Error {
  constructor(problem: string, line?: number) {
    super(line === undefined ? problem : `line ${line}: ${problem}`);
  }
}

/** Patterns for {@link ExpositionLine.match}. */
export const METRIC_NAME = /[a-zA-Z_:][a-zA-Z0-9_:]*/y;
export const LABEL_NAME = /[a-zA-Z_][a-zA-Z0-9_]*/y;
const BLANKS = /[ \t]*/y;
const WORD = /[^ \t]+/y;

/** A cursor over one line. */
export class ExpositionLine {
  private at = 0;

  constructor(
    private readonly text: string,
    readonly number: number,
  ) {}

  get done(): boolean {
    return this.at >= this.text.length;
  }

  skipBlanks(): void {
    this.sticky(BLANKS);
  }

  take(character: string): boolean {
    if (this.text[this.at] !== character) return false;
    this.at += 1;
    return true;
  }

  /** Up to the next blank; empty at the end unless `what` must be there. */
  word(what?: string): string {
    return what === undefined ? (this.sticky(WORD) ?? '') : this.match(WORD, what);
  }

  match(pattern: RegExp, what: string): string {
    return this.sticky(pattern) ?? this.refuse(`${what} is expected at column ${this.at + 1}`);
  }

  rest(): string {
    const text = this.text.slice(this.at);
    this.at = this.text.length;
    return text;
  }

  /** Up to the closing quote, unescaped. */
  quoted(): string {
    let value = '';
    for (;;) {
      const character = this.text[this.at];
      if (character === undefined) this.refuse('a label value is not closed');
      this.at += 1;
      if (character === '"') return value;
      if (character !== '\\') value += character;
      else {
        value += this.unescaped(this.text[this.at], '\\"n');
        this.at += 1;
      }
    }
  }

  unescaped(character: string | undefined, allowed: string): string {
    if (character === undefined || !allowed.includes(character)) this.refuse(`\\${character ?? ''} is no escape`);
    return character === 'n' ? '\n' : character;
  }

  refuse(problem: string): never {
    throw new MalformedExposition(problem, this.number);
  }

  private sticky(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text)?.[0];
    this.at += found?.length ?? 0;
    return found;
  }
}
