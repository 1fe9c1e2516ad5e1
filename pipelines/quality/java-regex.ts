/**
 * Regular expressions of RE2, which declarations are written in, as Java reads them. Java counts more for a line end, a space and a letter of
 * a word, folds cases by other rules, and has words that RE2 refuses; so everything is spelled out here, and no flag of Java's is used.
 */
import { foldOrbit, foldedRanges, type Range } from './case-folding';

interface Flags {
  readonly fold: boolean;
  readonly lines: boolean;
  readonly dotAll: boolean;
}

const WORD = '[0-9A-Za-z_]';
const BOUNDARY = `(?:(?<=${WORD})(?!${WORD})|(?<!${WORD})(?=${WORD}))`;
const INSIDE = `(?:(?<=${WORD})(?=${WORD})|(?<!${WORD})(?!${WORD}))`;
const MOST_REPEATS = 1000;
const LAST = 0x10ffff;

const PERL: Readonly<Record<string, readonly Range[]>> = {
  d: ranges('09'),
  s: [point(0x09, 0x0a), point(0x0c, 0x0d), point(0x20)],
  w: ranges('09', 'AZ', '__', 'az'),
};
const POSIX: Readonly<Record<string, readonly Range[]>> = {
  alnum: ranges('09', 'AZ', 'az'),
  alpha: ranges('AZ', 'az'),
  ascii: [point(0, 0x7f)],
  blank: [point(0x09), point(0x20)],
  cntrl: [point(0, 0x1f), point(0x7f)],
  digit: ranges('09'),
  graph: ranges('!~'),
  lower: ranges('az'),
  print: ranges(' ~'),
  punct: ranges('!/', ':@', '[`', '{~'),
  space: [point(0x09, 0x0d), point(0x20)],
  upper: ranges('AZ'),
  word: ranges('09', 'AZ', '__', 'az'),
  xdigit: ranges('09', 'AF', 'af'),
};
const CONTROLS: Readonly<Record<string, number>> = { a: 0x07, f: 0x0c, n: 0x0a, r: 0x0d, t: 0x09, v: 0x0b };
const CATEGORY = /^(?:Cc|Cf|Co|Cs|L[lmotu]?|M[cen]?|N[dlo]?|P[cdefios]?|S[ckmo]?|Z[lps]?)$/;

/** The same expression in Java's words; undefined where RE2 has no such expression. */
export function javaRegex(pattern: string): string | undefined {
  const translation = new Translation(pattern);
  try {
    return translation.whole();
  } catch (error) {
    if (error instanceof NotRe2) return undefined;
    throw error;
  }
}

class NotRe2 extends Error {}

class Translation {
  readonly #text: readonly string[];
  #at = 0;

  constructor(pattern: string) {
    this.#text = [...pattern];
  }

  whole(): string {
    const all = this.#alternatives({ fold: false, lines: false, dotAll: false });
    if (this.#at < this.#text.length) throw new NotRe2('unexpected )');
    return all;
  }

  /** Up to the parenthesis that closes, or the end. Flags hold to there. */
  #alternatives(outer: Flags): string {
    let flags = outer;
    let out = '';
    let repeatable = false;
    for (let c = this.#peek(); c !== undefined && c !== ')'; c = this.#peek()) {
      const repetition = this.#repetition();
      if (repetition !== undefined) {
        if (!repeatable) throw new NotRe2('no argument for a repetition');
        out += repetition;
        repeatable = false;
        continue;
      }
      this.#at += 1;
      repeatable = c !== '|';
      if (c === '|') out += '|';
      else if (c === '(') {
        const { text, after } = this.#group(flags);
        flags = after ?? flags;
        repeatable = after === undefined;
        out += text;
      } else if (c === '[') out += this.#set(flags.fold);
      else if (c === '.') out += flags.dotAll ? '(?s:.)' : '[^\\n]';
      // Other than Java's, a line begins after the last line end too.
      else if (c === '^') out += flags.lines ? '(?:(?<![^\\n]))' : '(?:^)';
      else if (c === '$') out += flags.lines ? '(?:(?![^\\n]))' : '(?:\\z)';
      else if (c === '\\') out += this.#escape(flags);
      else out += literal(code(c), flags.fold);
    }
    return out;
  }

  #repetition(): string | undefined {
    const [sign] = /^(?:[*+?]|\{\d+(?:,\d*)?\})/.exec(this.#ahead(16)) ?? [];
    if (sign === undefined) return undefined;
    const [, least, most] = /^\{(\d+)(?:,(\d*))?\}$/.exec(sign) ?? [];
    const [low, high] = [Number(least ?? 0), most === undefined || most === '' ? Number(least ?? 0) : Number(most)];
    if (low > MOST_REPEATS || high > MOST_REPEATS || high < low) throw new NotRe2('a size no repetition has');
    this.#at += sign.length;
    const lazy = this.#peek() === '?' ? '?' : '';
    this.#at += lazy.length;
    // What repeats does not repeat again.
    if (/^(?:[*+?]|\{\d+(?:,\d*)?\})/.test(this.#ahead(16))) throw new NotRe2('a repetition of a repetition');
    return sign + lazy;
  }

  /** `after`: the flags from here on, of a group that sets nothing else. */
  #group(flags: Flags): { readonly text: string; readonly after?: Flags } {
    let inner = flags;
    const rest = this.#ahead(300);
    if (rest.startsWith('?')) {
      const [named] = /^\?P?<\w+>/.exec(rest) ?? [];
      const [set, on = '', off = '', end] = /^\?([imsU]*)(?:-([imsU]+))?([:)])/.exec(rest) ?? [];
      if (named?.startsWith('?P') === true) this.#at += named.length;
      else if (set !== undefined) {
        inner = flagged(flagged(flags, on, true), off, false);
        this.#at += set.length;
        if (end === ')') return { text: '', after: inner };
      } else throw new NotRe2('an operator of Perl');
    }
    const text = this.#alternatives(inner);
    if (this.#next() !== ')') throw new NotRe2('missing )');
    return { text: `(?:${text})` };
  }

  #escape({ fold }: Flags): string {
    const c = this.#peek();
    if (c === 'Q') return this.#quoted(fold);
    const simple = { A: '(?:^)', z: '(?:\\z)', b: BOUNDARY, B: INSIDE }[c ?? ''];
    if (simple !== undefined) {
      this.#at += 1;
      return simple;
    }
    const named = this.#namedSet(fold);
    return named === undefined ? literal(this.#character(), fold) : `[${named}]`;
  }

  #quoted(fold: boolean): string {
    this.#at += 1;
    let out = '';
    while (this.#at < this.#text.length && this.#ahead(2) !== '\\E') out += literal(code(this.#next() ?? ''), fold);
    this.#at += 2;
    return out;
  }

  /** `\d`, `\pL`, `\p{Greek}` and the like after their backslash, as members of a set; undefined for another escape. */
  #namedSet(fold: boolean): string | undefined {
    const c = this.#peek() ?? '';
    const perl = PERL[c.toLowerCase()];
    if (perl !== undefined && /[dswDSW]/.test(c)) {
      this.#at += 1;
      return members(c === c.toLowerCase() ? folded(perl, fold) : complement(folded(perl, fold)));
    }
    if (c !== 'p' && c !== 'P') return undefined;
    const [all, one, name = one] = /^[pP](?:([A-Z])|\{(\^?[A-Za-z_]+)\})/.exec(this.#ahead(60)) ?? [];
    if (all === undefined || name === undefined) throw new NotRe2('no class of characters');
    this.#at += all.length;
    return property(name.replace(/^\^/, ''), (c === 'P') !== name.startsWith('^'), fold);
  }

  #set(fold: boolean): string {
    const negated = this.#peek() === '^';
    if (negated) this.#at += 1;
    let out = '';
    for (let first = true; first || this.#peek() !== ']'; first = false) {
      if (this.#peek() === undefined) throw new NotRe2('missing ]');
      const [posix, not, name = ''] = /^\[:(\^?)([^:\]]*):\]/.exec(this.#ahead(20)) ?? [];
      if (posix !== undefined) {
        const known = Object.hasOwn(POSIX, name) ? POSIX[name] : undefined;
        if (known === undefined) throw new NotRe2('no class of characters');
        this.#at += posix.length;
        out += members(not === '^' ? complement(folded(known, fold)) : folded(known, fold));
        continue;
      }
      const escaped = this.#peek() === '\\';
      if (escaped) {
        this.#at += 1;
        const named = this.#namedSet(fold);
        if (named !== undefined) {
          out += named;
          continue;
        }
        this.#at -= 1;
      }
      const low = this.#member();
      let high = low;
      if (this.#peek() === '-' && this.#text[this.#at + 1] !== ']' && this.#text[this.#at + 1] !== undefined) {
        this.#at += 1;
        high = this.#member();
      }
      if (high < low) throw new NotRe2('an empty range');
      out += members(folded([[low, high]], fold));
    }
    this.#at += 1;
    return `[${negated ? '^' : ''}${out}]`;
  }

  #member(): number {
    const c = this.#next();
    if (c === undefined) throw new NotRe2('missing ]');
    return c === '\\' ? this.#character() : code(c);
  }

  /** One character that is written with a backslash, which is behind already. */
  #character(): number {
    const rest = this.#ahead(12);
    const [hex, braced, two] = /^x(?:\{([0-9A-Fa-f]{1,8})\}|([0-9A-Fa-f]{2}))/.exec(rest) ?? [];
    // A digit alone would point back at a group.
    const [octal] = /^(?:0[0-7]{0,2}|[1-7][0-7]{1,2})/.exec(rest) ?? [];
    if (hex !== undefined || octal !== undefined) {
      this.#at += (hex ?? octal ?? '').length;
      const value = hex === undefined ? Number.parseInt(octal ?? '', 8) : Number.parseInt(braced ?? two ?? '', 16);
      if (value > LAST) throw new NotRe2('no character');
      return value;
    }
    const c = this.#next() ?? '';
    const control = Object.hasOwn(CONTROLS, c) ? CONTROLS[c] : undefined;
    if (control !== undefined) return control;
    if (c === '' || /[0-9A-Za-z]/.test(c) || code(c) > 0x7f) throw new NotRe2('no such escape');
    return code(c);
  }

  #peek(): string | undefined {
    return this.#text[this.#at];
  }

  #next(): string | undefined {
    const c = this.#text[this.#at];
    if (c !== undefined) this.#at += 1;
    return c;
  }

  #ahead(characters: number): string {
    return this.#text.slice(this.#at, this.#at + characters).join('');
  }
}

function flagged(flags: Flags, letters: string, on: boolean): Flags {
  return {
    fold: letters.includes('i') ? on : flags.fold,
    lines: letters.includes('m') ? on : flags.lines,
    dotAll: letters.includes('s') ? on : flags.dotAll,
  };
}

function literal(character: number, fold: boolean): string {
  const orbit = fold ? foldOrbit(character) : [character];
  return orbit.length === 1 ? escaped(character) : `[${orbit.map(escaped).join('')}]`;
}

function property(name: string, negated: boolean, fold: boolean): string {
  if (name === 'Any') return negated ? members([]) : members([[0, LAST]]);
  // RE2 does not count what is not assigned.
  const java = name === 'C' ? ['Cc', 'Cf', 'Co', 'Cs'] : CATEGORY.test(name) ? [name] : [`Is${name}`];
  const javaScript = java.map((one) => (one.startsWith('Is') ? `\\p{Script=${name}}` : `\\p{${one}}`)).join('');
  let known: RegExp;
  try {
    known = new RegExp(`[${javaScript}]`, 'u');
  } catch {
    throw new NotRe2('no class of characters');
  }
  const own = java.map((one) => `\\p{${one}}`).join('') + (fold ? members(foldedRanges((c) => known.test(String.fromCodePoint(c)))) : '');
  return negated ? `[^${own}]` : own;
}

function folded(of: readonly Range[], fold: boolean): readonly Range[] {
  if (!fold) return of;
  return [...of, ...foldedRanges((c) => of.some(([low, high]) => c >= low && c <= high))];
}

function complement(of: readonly Range[]): Range[] {
  const out: Range[] = [];
  let from = 0;
  for (const [low, high] of [...of].sort(([a], [b]) => a - b)) {
    if (low > from) out.push([from, low - 1]);
    from = Math.max(from, high + 1);
  }
  return from <= LAST ? [...out, [from, LAST]] : out;
}

function members(of: readonly Range[]): string {
  return of.map(([low, high]) => (low === high ? escaped(low) : `${escaped(low)}-${escaped(high)}`)).join('');
}

function escaped(character: number): string {
  const text = String.fromCodePoint(character);
  if (/[\\^$.|?*+()[\]{}&-]/.test(text)) return `\\${text}`;
  return character >= 0x20 && character < 0x7f ? text : `\\x{${character.toString(16)}}`;
}

function code(character: string): number {
  return character.codePointAt(0) ?? 0;
}

function point(low: number, high = low): Range {
  return [low, high];
}

function ranges(...of: readonly string[]): Range[] {
  return of.map((pair) => [pair.charCodeAt(0), pair.charCodeAt(1)]);
}
