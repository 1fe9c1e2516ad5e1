import { Cron } from 'croner';
import fc from 'fast-check';
import { cronProblem, nominalTimes } from '../../../pipelines/cron-times';

const DAY = 86_400_000;

it('names the times the library names, in order', () => {
  const field = (max: number, min = 0): fc.Arbitrary<string> => {
    const value = fc.integer({ min, max });
    const range = fc.tuple(value, value).map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`);
    const step = fc.integer({ min: 1, max: 6 });
    const part = fc.oneof(
      value.map(String),
      range,
      fc.constant('*'),
      fc.tuple(fc.oneof(range, fc.constant('*')), step).map(([base, by]) => `${base}/${by}`),
    );
    return fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => parts.join(','));
  };
  const weekday = fc.oneof(fc.constantFrom('*', 'MON-FRI', 'SUN', '5L', '1#2'), field(6));
  const text = fc
    .tuple(field(59), field(23), fc.oneof(fc.constantFrom('*', 'L', '15W'), field(28, 1)), field(12, 1), weekday)
    .map((parts) => parts.join(' '));
  fc.assert(
    fc.property(text, fc.integer({ min: Date.UTC(2024, 0, 1) / 60_000, max: Date.UTC(2028, 0, 1) / 60_000 }), (cron, minute) => {
      const from = minute * 60_000;
      const expected: number[] = [];
      const library = new Cron(cron, { paused: true, mode: '5-part', timezone: 'UTC' });
      for (
        let next = library.nextRun(new Date(from - 1));
        next !== null && next.getTime() < from + 40 * DAY && expected.length < 50;
        next = library.nextRun(next)
      ) {
        expected.push(next.getTime());
      }
      expect([...nominalTimes(cron, from, from + 40 * DAY)].slice(0, 50)).toEqual(expected);
    }),
    { numRuns: 60 },
  );
});

it.each(['', '* * * *', '* * * * * *', '60 * * * *', '* 24 * * *', '1-70 * * * *', '5-1 * * * *', '*/0 * * * *', 'x * * * *', '@daily'])(
  'objects to %j',
  (text) => {
    expect(cronProblem(text)).toEqual(expect.any(String));
  },
);

it('has nothing against good ones', () => {
  expect(cronProblem('*/10 0-4,22 * JAN-MAR MON')).toBeUndefined();
});
