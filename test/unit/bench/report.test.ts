import { median, table } from '../../../bench/report';

test.each([
  [[3, 1, 2], 2],
  [[4, 1, 3, 2], 2.5],
  [[7], 7],
  [[], Number.NaN],
])('the median of %j is %d', (values, middle) => {
  expect(median(values)).toBe(middle);
});

test('a table aligns names left and figures right', () => {
  expect(
    table(
      ['stage', 's'],
      [
        ['a', '10.5'],
        ['longer', '1.0'],
      ],
    ),
  ).toBe(['stage      s', '------  ----', 'a       10.5', 'longer   1.0'].join('\n'));
});
