import fc from 'fast-check';
import type { Metric } from '../../../pipelines/types';
import { Workbench, type Cell } from '../../support/quality/workbench';

const bench = new Workbench();
beforeAll(() => bench.open());
afterAll(() => bench.close());

let tables = 0;

async function matched(
  mine: readonly (readonly Cell[])[],
  theirs: readonly (readonly Cell[])[],
  more: object = {},
): Promise<number | null> {
  tables += 1;
  const types = { a: 'text', b: 'text' } as const;
  const dataset = await bench.load(`mine ${tables}`, { columns: ['a', 'b'], rows: mine, types });
  const other = await bench.load(`theirs ${tables}`, { columns: ['a', 'b'], rows: theirs, types });
  const measure = { metric: 'data-set-match', dataset: other, ...more } as Metric;
  const [judged] = await bench.judge([{ id: 'it', dataset, measure, why: 'They are the same.' }]);
  return judged?.verdict.observed ?? null;
}

test('a row that one side has twice and the other once is matched once', async () => {
  expect(
    await matched(
      [
        ['a', 'x'],
        ['a', 'x'],
      ],
      [
        ['a', 'x'],
        ['b', 'x'],
      ],
    ),
  ).toBe(0.5);
});

test('all columns that both have are compared where none is named, beside a key too', async () => {
  expect(await matched([['a', 'x']], [['a', 'y']])).toBe(0);
  expect(await matched([['a', 'x']], [['a', 'y']], { key: ['a'] })).toBe(0);
  expect(await matched([['a', 'x']], [['a', 'y']], { key: ['a'], compare: [] })).toBe(1);
});

test('rows without a value are equal to rows without one, and to no others', async () => {
  expect(await matched([['a', null]], [['a', null]])).toBe(1);
  expect(await matched([['a', null]], [['a', '']])).toBe(0);
});

test('two datasets without rows match, and one without rows matches none that has some', async () => {
  expect(await matched([], [])).toBe(1);
  expect(await matched([], [['a', 'x']])).toBe(0);
});

test('the share is that of the rows both have, whichever side is asked', async () => {
  const rows = fc.array(fc.tuple(fc.constantFrom('a', 'b', null), fc.constantFrom('x', 'y')), { maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(rows, rows, async (mine, theirs) => {
      const left = [...theirs.map((row) => JSON.stringify(row))];
      const both = mine.filter((row) => {
        const at = left.indexOf(JSON.stringify(row));
        if (at >= 0) left.splice(at, 1);
        return at >= 0;
      }).length;
      const most = Math.max(mine.length, theirs.length);
      const share = most === 0 ? 1 : both / most;
      expect(await matched(mine, theirs)).toBeCloseTo(share, 12);
      expect(await matched(theirs, mine)).toBeCloseTo(share, 12);
    }),
    { numRuns: 15 },
  );
});
