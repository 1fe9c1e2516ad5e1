import fc from 'fast-check';
import { boundedFailures, boundedText } from '../../../pipelines/bounded-failure';
import { AlmanacError, failureInfo, type FailureInfo } from '../../../pipelines/failures';

const KIB = 1024;
const bytes = (value: unknown): number => Buffer.byteLength(JSON.stringify(value));
const info = (message: string, details: Record<string, unknown> = {}, next = 'mend it'): FailureInfo =>
  failureInfo(new AlmanacError('engine.sql', message, { next, details }));

test('a failure of ordinary size is told whole', () => {
  const details = { file: 'a.csv', missing: ['a', 'b'], nested: { at: 3 } };
  expect(info('x.sql line 3: no such column', details)).toEqual({
    code: 'engine.sql',
    class: 'user',
    message: 'x.sql line 3: no such column',
    next: 'mend it',
    details,
  });
});

test('what is too long is cut and says how much is missing', () => {
  const { message, next, details } = info('m'.repeat(200_000), { duckdb: 'd'.repeat(200_000), line: 3 }, 'n'.repeat(10_000));
  expect(message).toMatch(/^m{4000,4096}… \(\d+ more characters\)$/);
  expect(next).toMatch(/^n{4000,4096}… \(\d+ more characters\)$/);
  expect(details).toEqual({ duckdb: expect.stringMatching(/^d{4000,4096}… \(\d+ more characters\)$/), line: 3 });
});

test('a long list keeps its first entries and says how many there are more', () => {
  const { details } = info('columns', { found: Array.from({ length: 6000 }, (_, n) => `column_${n}`) });
  const found = details['found'] as string[];
  expect(found.slice(0, 2)).toEqual(['column_0', 'column_1']);
  expect(found.at(-1)).toBe(`… (${6000 - (found.length - 1)} more)`);
});

test('details that JSON cannot say are told as far as it can', () => {
  const circle: Record<string, unknown> = { big: 2n ** 70n, file: 'a.csv' };
  circle['self'] = circle;
  expect(info('odd', circle).details).toMatchObject({ big: String(2n ** 70n), file: 'a.csv' });
});

test('whatever is thrown fits: 4 KiB of message and next, 16 KiB of details', () => {
  // Sizes are those of JSON: a control character takes six bytes there, a euro sign three.
  const text = fc
    .record({ unit: fc.constantFrom('x', '€', '\u0000', '😀', '\ud83d', '"'), times: fc.nat(30_000) })
    .map(({ unit, times }) => unit.repeat(times));
  const value = fc.anything({ withBigInt: true, maxDepth: 4, values: [text, fc.jsonValue()] });
  fc.assert(
    fc.property(text, text, fc.dictionary(fc.string(), value), (message, next, details) => {
      const bounded = failureInfo(new AlmanacError('internal', message, { next, details }));
      expect(bytes(bounded.message)).toBeLessThanOrEqual(4 * KIB + 2);
      expect(bytes(bounded.next)).toBeLessThanOrEqual(4 * KIB + 2);
      expect(bytes(bounded.details)).toBeLessThanOrEqual(16 * KIB);
    }),
    { numRuns: 200 },
  );
});

test('a cut never leaves half a character', () => {
  for (let size = 40; size < 60; size++) expect(boundedText('😀'.repeat(100), size)).not.toMatch(/[\uD800-\uDBFF](?![\uDC00-\uDFFF])/);
});

test.each([1, 3, 40, 100])('the failures of %i stages fit one payload together', (stages) => {
  const huge = info('m'.repeat(10_000), { list: Array.from({ length: 5000 }, (_, n) => `entry ${n}`) }, 'n'.repeat(10_000));
  const failures = boundedFailures(Object.fromEntries(Array.from({ length: stages }, (_, n) => [`stage-${n}`, huge])));
  expect(Object.keys(failures)).toHaveLength(stages);
  expect(bytes(failures)).toBeLessThan(60 * KIB);
  expect(failures['stage-0']?.message).toMatch(/^m+… \(/);
});

test('failures that fit are not cut', () => {
  const failures = { a: info('one'), b: info('two', { x: 1 }) };
  expect(boundedFailures(failures)).toEqual(failures);
});
