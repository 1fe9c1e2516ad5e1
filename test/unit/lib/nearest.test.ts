import fc from 'fast-check';
import { editDistance, nearest } from '../../../lib/nearest';

test.each([
  ['', 'abc', 3],
  ['kitten', 'sitting', 3],
  ['HOEM', 'HOME', 1],
  ['same', 'same', 0],
])('%j and %j are %d edits apart', (a, b, distance) => {
  expect(editDistance(a, b)).toBe(distance);
});

test('distance is symmetric, zero only for equal words, and at most the longer length', () => {
  const word = fc.string({ maxLength: 12 });
  fc.assert(
    fc.property(word, word, (a, b) => {
      const distance = editDistance(a, b);
      expect(distance).toBe(editDistance(b, a));
      expect(distance === 0).toBe(a === b);
      expect(distance).toBeLessThanOrEqual(Math.max(a.length, b.length));
    }),
  );
});

test.each([
  ['nope', ['site', 'report', 'udb']],
  ['foo', ['home']],
  ['xy', ['x1', 'yz']],
])('%s is too short and too different to guess at', (wrong, known) => {
  expect(nearest(wrong, known)).toBeUndefined();
});

test.each([
  ['udbs', 'udb'],
  ['audiense-index', 'audience-index'],
  ['audience_index', 'audience-index'],
  ['plas', 'plays'],
])('%s was probably meant to be %s', (wrong, meant) => {
  expect(nearest(wrong, ['site', meant])).toBe(meant);
});

test('a name far from all is not given a suggestion', () => {
  expect(nearest('zzzzzzzzzz', ['home', 'data'])).toBeUndefined();
  expect(nearest('hmoe', ['data', 'home'])).toBe('home');
});
