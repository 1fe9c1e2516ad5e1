import { javaRegex } from '../../../../pipelines/quality/java-regex';

test.each([
  ['a line end is one character and no other', '.$', String.raw`[^\x{a}]`.replace('\\x{a}', '\\n') + String.raw`(?:\z)`],
  ['spaces are those of ASCII', String.raw`\s`, String.raw`[\x{9}-\x{a}\x{c}-\x{d} ]`],
  ['a class of a class of POSIX', '[[:digit:]x]', '[0-9x]'],
  ['a bracket and an ampersand in a set are themselves', '[a&&[]', String.raw`[a\&\&\[]`],
  ['what is no size of a repetition is a text', 'a{,3}', String.raw`a\{,3\}`],
  ['a name in angle brackets is left out', '(?P<n>a)', '(?:a)'],
  ['cases fold by Unicode', '(?i)k', '[Kk\\x{212a}]'],
  ['and not by a language', '(?i)i', '[Ii]'],
  ['to the end of the group', '(?:(?i)a)a', '(?:[Aa])a'],
  ['what is quoted is a text', String.raw`\Qa.\Eb`, String.raw`a\.b`],
  ['an octal and a braced number are characters', String.raw`\101\x{1F600}`, String.raw`A\x{1f600}`],
])('%s', (_what, pattern, java) => {
  expect(javaRegex(pattern)).toBe(java);
});

test.each([
  'a**',
  '*a',
  'a{2}{2}',
  'a{1001}',
  'a{2,1}',
  '(?=a)',
  '(?<n>a)',
  '(?x)a',
  '(a',
  'a)',
  '[',
  '[]',
  '[b-a]',
  '[[:foo:]]',
  String.raw`\1`,
  String.raw`\Z`,
  String.raw`\h`,
  String.raw`\pX`,
  '\\',
])('RE2 has no %s', (pattern) => {
  expect(javaRegex(pattern)).toBeUndefined();
});
