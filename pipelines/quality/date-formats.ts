/** How dates and times are written, in the words of strftime: which of them are understood, and what other engines call them. */

/** A specifier in Java's letters: as many digits as there are, and a fixed number of them where nothing parts it from its neighbours. */
const SPECIFIERS: Readonly<Record<string, readonly [free: string, fixed: string]>> = {
  a: ['', ''],
  A: ['', ''],
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

/** Names of days, the longer ones first. */
export const WEEKDAYS = '(?i)(Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday|Mon|Tue|Wed|Thu|Fri|Sat|Sun)';

/** Names are names however they are written. */
function named(names: string): readonly [free: string, fixed: string] {
  return [`(?i:${names})`, `(?i:${names})`];
}

/** What a specifier stands for: as many digits as there are, and a fixed number of them. */
const FORMS: Readonly<Record<string, readonly [free: string, fixed: string]>> = {
  a: named('Mon|Tue|Wed|Thu|Fri|Sat|Sun'),
  A: named('Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday'),
  b: named('Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec'),
  B: named('January|February|March|April|May|June|July|August|September|October|November|December'),
  d: ['(0?[1-9]|[12][0-9]|3[01])', '(0[1-9]|[12][0-9]|3[01])'],
  f: ['[0-9]{6}', '[0-9]{6}'],
  H: ['([01]?[0-9]|2[0-3])', '([01][0-9]|2[0-3])'],
  I: ['(0?[1-9]|1[0-2])', '(0[1-9]|1[0-2])'],
  j: ['[0-9]{1,3}', '[0-9]{3}'],
  m: ['(0?[1-9]|1[0-2])', '(0[1-9]|1[0-2])'],
  M: ['[0-5]?[0-9]', '[0-5][0-9]'],
  p: named('AM|PM'),
  S: ['[0-5]?[0-9]', '[0-5][0-9]'],
  y: ['[0-9]{2}', '[0-9]{2}'],
  Y: ['[1-9][0-9]{3}', '[1-9][0-9]{3}'],
  z: ['[+-](0[0-9]|1[0-4])[0-5][0-9]', '[+-](0[0-9]|1[0-4])[0-5][0-9]'],
};

/** A regular expression of texts that are written so, with nothing around them; whether there is such a day is for an engine to say. */
export function writtenForm(format: string): string {
  const all = tokens(format);
  const forms = all.map((token, i) =>
    isSpecifier(token)
      ? pick(FORMS, all, i)
      : (token === '%%' ? '%' : token).replaceAll(/[^0-9A-Za-z ]/g, (c) => (c < '\u0080' ? `\\${c}` : c)),
  );
  return `^${forms.join('')}$`;
}

/** The spelling of a specifier, by whether digits of another one lie beside it. */
function pick(of: Readonly<Record<string, readonly [free: string, fixed: string]>>, all: readonly string[], i: number): string {
  const beside = [all[i - 1], all[i + 1]].some((other) => other !== undefined && isSpecifier(other));
  return of[(all[i] ?? '').slice(1)]?.[beside ? 1 : 0] ?? '';
}

/** The same format as a pattern of Java. */
export function javaPattern(format: string): string {
  const all = tokens(format);
  return all
    .map((token, i) => {
      if (!isSpecifier(token)) return `'${(token === '%%' ? '%' : token).replaceAll("'", "''")}'`;
      return pick(SPECIFIERS, all, i);
    })
    .join('');
}

function isSpecifier(token: string): boolean {
  return token.length > 1 && token.startsWith('%') && token !== '%%';
}
