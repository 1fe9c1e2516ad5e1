import fc from 'fast-check';
import { JSON_TEXTS } from '../../../../pipelines/quality/forms';
import { javaRegex } from '../../../../pipelines/quality/java-regex';

/** The same texts, one character or escape at a time. */
const PLAIN = String.raw`"([^"\\\x00-\x1f]|\\["\\/bfnrtu])*"`;

test('texts within JSON are those of its grammar, as Java reads it too', () => {
  const java = javaRegex(JSON_TEXTS)?.replace(/\\x\{(\w+)\}/g, '\\u{$1}') ?? '';
  const parts = fc.constantFrom(
    '"',
    '"',
    '\\',
    '\\"',
    '\\\\',
    '\\n',
    '\\u0041',
    '\\x',
    '/',
    "'",
    ',',
    'a',
    'ä',
    '😀',
    '\n',
    '\x00',
    '\x1f',
    '\x7f',
  );
  fc.assert(
    fc.property(fc.array(parts, { maxLength: 40 }), (made) => {
      const text = made.join('');
      const wanted = text.replace(new RegExp(PLAIN, 'gu'), '0');
      expect(text.replace(new RegExp(JSON_TEXTS, 'gu'), '0')).toBe(wanted);
      expect(text.replace(new RegExp(java, 'gu'), '0')).toBe(wanted);
    }),
    { numRuns: 2_000 },
  );
});
