/** How dates and times are written, in the words of strftime: which of them are understood, and what other engines call them. */

/** A specifier in Java's letters: as many digits as there are, and a fixed number of them where nothing parts it from its neighbours. */
const SPECIFIERS: Readonly<Record<string, readonly [free: string, fixed: string]>> = {
  a: ['EEE', 'EEE'],
  A: ['EEEE', 'EEEE'],
  b: ['MMM', 'MMM'],
  B: ['MMMM', 'MMMM'],
  d: ['d', 'dd'],
  f: ['SSSSSS', 'SSSSSS'],
  H: ['H', 'HH'],
  I: ['h', 'hh'],
  j: ['D', 'DDD'],
  m: ['M', 'MM'],
  M: ['m', 'mm'],
  p: ['a', 'a'],
  S: ['s', 'ss'],
  y: ['yy', 'yy'],
  Y: ['yyyy', 'yyyy'],
  z: ['xx', 'xx'],
};

/** Specifiers (`%Y`), percent signs (`%%`) and the characters between them. */
function tokens(format: string): string[] {
  return format.match(/%.?|[^%]+/gs) ?? [];
}

/** What is wrong with a format; undefined when it is understood. */
export function formatProblem(format: string): string | undefined {
  const unknown = tokens(format).find((token) => token.startsWith('%') && token !== '%%' && !Object.hasOwn(SPECIFIERS, token.slice(1)));
  if (unknown !== undefined) return `the format has ${unknown}, which is none of %${Object.keys(SPECIFIERS).join(', %')} and %%`;
  return tokens(format).some(isSpecifier) ? undefined : 'the format names no part of a date';
}

/** Whether the format has years of four digits. */
export function hasFullYear(format: string): boolean {
  return tokens(format).includes('%Y');
}

/** The same format as a pattern of Java. */
export function javaPattern(format: string): string {
  const all = tokens(format);
  return all
    .map((token, i) => {
      if (!isSpecifier(token)) return `'${(token === '%%' ? '%' : token).replaceAll("'", "''")}'`;
      const beside = [all[i - 1], all[i + 1]].some((other) => other !== undefined && isSpecifier(other));
      return SPECIFIERS[token.slice(1)]?.[beside ? 1 : 0] ?? '';
    })
    .join('');
}

function isSpecifier(token: string): boolean {
  return token.length > 1 && token.startsWith('%') && token !== '%%';
}
