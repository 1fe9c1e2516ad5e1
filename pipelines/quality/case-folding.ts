/** Which characters are one but for their case: Unicode's simple folding, as RE2 has it. No language's own rules, so that i and ı are two. */

/** Code points from the first to the last. */
export type Range = readonly [low: number, high: number];

/** Beyond it no script has cases. */
const LAST_CASED = 0x1ffff;

let orbits: ReadonlyMap<number, readonly number[]> | undefined;

/** The characters that fold to the same as this one, itself among them. */
export function foldOrbit(character: number): readonly number[] {
  orbits ??= orbitsOf();
  return orbits.get(character) ?? [character];
}

/** Characters of which another case belongs to a set. */
export function foldedRanges(belongs: (character: number) => boolean): Range[] {
  orbits ??= orbitsOf();
  const more = [...orbits].filter(([character, orbit]) => !belongs(character) && orbit.some(belongs));
  return more.map(([character]) => [character, character]);
}

function orbitsOf(): Map<number, number[]> {
  const found = new Map<number, number[]>();
  for (let character = 0; character <= LAST_CASED; character += 1) {
    const text = String.fromCodePoint(character);
    const [lower, upper] = [text.toLowerCase(), text.toUpperCase()];
    if (lower === text && upper === text) continue;
    for (const other of [lower, upper, upper.toLowerCase(), lower.toUpperCase()]) {
      const [of = '', ...more] = other;
      const code = of.codePointAt(0) ?? 0;
      if (more.length > 0 || code === character || !same(character, of)) continue;
      const orbit = [...new Set([...(found.get(character) ?? [character]), ...(found.get(code) ?? [code])])].sort((a, b) => a - b);
      for (const member of orbit) found.set(member, orbit);
    }
  }
  return found;
}

/** JavaScript folds as Unicode does simply, where it is asked to look at code points. */
function same(character: number, other: string): boolean {
  return new RegExp(`^\\u{${character.toString(16)}}$`, 'iu').test(other);
}
