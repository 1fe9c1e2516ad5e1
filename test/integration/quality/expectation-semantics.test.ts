/** What Great Expectations says of its expectations, for arguments and tables beside those of its published cases: ours, translated, says the same. */
import fc from 'fast-check';
import { translate } from '../../support/quality/ge-expectations';
import type { Kwargs } from '../../support/quality/ge-kwargs';
import { POSITION, Refused, Workbench, type Cell, type Fixture } from '../../support/quality/workbench';
import type { CheckStatus } from '../../../pipelines/types';

const bench = new Workbench();
beforeAll(() => bench.open());
afterAll(() => bench.close());

let tables = 0;

interface Asked {
  readonly type: string;
  readonly kwargs: Kwargs;
}

async function statuses(fixture: Fixture, asked: readonly Asked[], others: Readonly<Record<string, string>> = {}): Promise<CheckStatus[]> {
  tables += 1;
  const view = await bench.load(`table ${tables}`, fixture, true);
  const checks = asked.map(({ type, kwargs }, i) => {
    const { measure, fail, mostly } = translate(type, kwargs, view, { others });
    const bands = { ...(fail === undefined ? {} : { fail }), ...(mostly === undefined ? {} : { mostly }) };
    return { id: `c${i}`, dataset: view, measure, ...bands, sample: [POSITION], why: 'Somebody else expects it.' };
  });
  return (await bench.judge(checks)).map(({ verdict }) => verdict.status);
}

function columns(data: Readonly<Record<string, readonly Cell[]>>): Fixture {
  const names = Object.keys(data);
  const height = Math.max(0, ...Object.values(data).map(({ length }) => length));
  return { columns: names, rows: Array.from({ length: height }, (_, i) => names.map((name) => data[name]?.[i] ?? null)) };
}

const PAIR = { column_A: 'a', column_B: 'b' };
const LIST = { column_list: ['a', 'b'] };
const ISO = { column: 'x', strftime_format: '%Y-%m-%d' };

test.each<[what: string, data: Record<string, Cell[]>, type: string, Kwargs, CheckStatus]>([
  ['dates as they are written', { x: ['2026-01-31', '2026-2-1', null] }, 'expect_column_values_to_match_strftime_format', ISO, 'PASS'],
  ['a day that is none', { x: ['2026-02-30'] }, 'expect_column_values_to_match_strftime_format', ISO, 'FAIL'],
  ['a date with something after it', { x: ['2026-01-31x'] }, 'expect_column_values_to_match_strftime_format', ISO, 'FAIL'],
  ['a date with a space before it', { x: [' 2026-01-31'] }, 'expect_column_values_to_match_strftime_format', ISO, 'FAIL'],
  ['a year of two digits for one of four', { x: ['26-01-31'] }, 'expect_column_values_to_match_strftime_format', ISO, 'FAIL'],
  [
    'most of some dates',
    { x: ['Nov 5 2026', 'nov 6 2026', '7 Nov 2026'] },
    'expect_column_values_to_match_strftime_format',
    { column: 'x', strftime_format: '%b %d %Y', mostly: 0.66 },
    'PASS',
  ],
  ['dates of what is no text', { x: [2026] }, 'expect_column_values_to_match_strftime_format', ISO, 'ERROR'],
  ['a pair with one NULL', { a: [1, null], b: [1, 2] }, 'expect_column_pair_values_to_be_equal', PAIR, 'FAIL'],
  ['a pair of NULLs', { a: [1, null], b: [1, null] }, 'expect_column_pair_values_to_be_equal', PAIR, 'PASS'],
  [
    'a pair with one NULL that is left out',
    { a: [1, null], b: [1, 2] },
    'expect_column_pair_values_to_be_equal',
    { ...PAIR, ignore_row_if: 'either_value_is_missing' },
    'PASS',
  ],
  [
    'a pair of NULLs that is not left out',
    { a: [1, null], b: [1, null] },
    'expect_column_pair_values_to_be_equal',
    { ...PAIR, ignore_row_if: 'neither' },
    'FAIL',
  ],
  ['a sum with a NULL', { a: [1, null], b: [2, 3] }, 'expect_multicolumn_sum_to_equal', { ...LIST, sum_total: 3 }, 'FAIL'],
  [
    'a sum with a NULL that is left out',
    { a: [1, null], b: [2, 3] },
    'expect_multicolumn_sum_to_equal',
    { ...LIST, sum_total: 3, ignore_row_if: 'any_value_is_missing' },
    'PASS',
  ],
  ['two NULLs in a row', { a: [1, null], b: [2, null], c: [3, 3] }, 'expect_multicolumn_values_to_be_unique', LIST, 'PASS'],
  [
    'two NULLs beside a value',
    { a: [1, null], b: [2, null], c: [3, 3] },
    'expect_select_column_values_to_be_unique_within_record',
    { column_list: ['a', 'b', 'c'] },
    'FAIL',
  ],
  [
    'two NULLs beside a value, left out',
    { a: [1, null], b: [2, null], c: [3, 3] },
    'expect_select_column_values_to_be_unique_within_record',
    { column_list: ['a', 'b', 'c'], ignore_row_if: 'any_value_is_missing' },
    'PASS',
  ],
  [
    'a row of NULLs that counts',
    { a: [1, null], b: [2, null] },
    'expect_select_column_values_to_be_unique_within_record',
    { ...LIST, ignore_row_if: 'never' },
    'FAIL',
  ],
  ['keys that repeat with a NULL', { a: [1, 1], b: [null, null] }, 'expect_compound_columns_to_be_unique', LIST, 'FAIL'],
  [
    'keys that repeat with a NULL, left out',
    { a: [1, 1], b: [null, null] },
    'expect_compound_columns_to_be_unique',
    { ...LIST, ignore_row_if: 'any_value_is_missing' },
    'PASS',
  ],
  [
    'keys of NULLs that count',
    { a: [null, null], b: [null, null] },
    'expect_compound_columns_to_be_unique',
    { ...LIST, ignore_row_if: 'never' },
    'FAIL',
  ],
  ['no value at all is unique', { x: [null, null] }, 'expect_column_values_to_be_unique', { column: 'x' }, 'PASS'],
  ['the only most common value', { x: [1, 1, 2] }, 'expect_column_most_common_value_to_be_in_set', { column: 'x', value_set: [1] }, 'PASS'],
  [
    'one of two that are as common',
    { x: [1, 1, 2, 2] },
    'expect_column_most_common_value_to_be_in_set',
    { column: 'x', value_set: [1, 2] },
    'FAIL',
  ],
  [
    'one of two that are as common, which will do',
    { x: [1, 1, 2, 2] },
    'expect_column_most_common_value_to_be_in_set',
    { column: 'x', value_set: [1], ties_okay: true },
    'PASS',
  ],
  ['no set to be in', { x: [1, null] }, 'expect_column_values_to_be_in_set', { column: 'x', value_set: null }, 'PASS'],
  ['an empty set of distinct values', { x: [1, 2] }, 'expect_column_distinct_values_to_be_in_set', { column: 'x', value_set: [] }, 'PASS'],
  ['a score far below', { x: [0, 0, 0, 0, 0, -9] }, 'expect_column_value_z_scores_to_be_less_than', { column: 'x', threshold: 2 }, 'FAIL'],
  [
    'a score far below, on the other side',
    { x: [0, 0, 0, 0, 0, -9] },
    'expect_column_value_z_scores_to_be_less_than',
    { column: 'x', threshold: 2, double_sided: false },
    'PASS',
  ],
  ['a column in its place', { x: [1], y: [1] }, 'expect_column_to_exist', { column: 'y', column_index: 1 }, 'PASS'],
  ['a column in another place', { x: [1], y: [1] }, 'expect_column_to_exist', { column: 'x', column_index: 1 }, 'FAIL'],
  ['a column without a place', { x: [1], y: [1] }, 'expect_column_to_exist', { column: 'x' }, 'PASS'],
])('%s', async (_what, data, type, kwargs, status) => {
  expect(await statuses(columns(data), [{ type, kwargs }])).toEqual([status]);
});

test('as many rows as another table has: none is as many as none', async () => {
  const load = (name: string, values: number[]): Promise<string> => bench.load(name, columns({ x: values }));
  const others = { two: await load('two', [1, 2]), none: await load('none', []) };
  const asked = (other: string): Asked => ({ type: 'expect_table_row_count_to_equal_other_table', kwargs: { other_table_name: other } });
  expect(await statuses(columns({ x: [3, 4] }), [asked('two'), asked('none')], others)).toEqual(['PASS', 'ERROR']);
  expect(await statuses({ columns: ['x'], rows: [] }, [asked('none'), asked('two')], others)).toEqual(['PASS', 'FAIL']);
  await expect(statuses(columns({ x: [1] }), [asked('three')], others)).rejects.toBeInstanceOf(Refused);
});

/** Whether a row is as expected; undefined where it is left out. */
type Rule = (row: {
  readonly x: number | null;
  readonly y: number | null;
  readonly s: string | null;
  readonly i: number;
}) => boolean | undefined;

interface Modelled extends Asked {
  readonly rule: Rule;
}

interface Row {
  readonly x: number | null;
  readonly y: number | null;
  readonly s: string | null;
}

/** Great Expectations' documented meaning of its expectations of rows, as plain code. */
function modelled(
  rows: readonly Row[],
  { low, width, strictMin, strictMax, strictly }: { low: number; width: number; strictMin: boolean; strictMax: boolean; strictly: boolean },
): Modelled[] {
  const high = low + width;
  const set = [low, low + 1];
  const present = (i: number): number | undefined => rows.slice(0, i).findLast(({ x }) => x !== null)?.x ?? undefined;
  const times = (of: number): number => rows.filter(({ x }) => x === of).length;
  const ordered =
    (sign: number): Rule =>
    ({ x, i }) => {
      const before = present(i);
      if (x === null) return undefined;
      return before === undefined || (strictly ? sign * (x - before) > 0 : sign * (x - before) >= 0);
    };
  const pairs =
    (of: (x: number, y: number) => boolean, ignored: string): Rule =>
    ({ x, y }) => {
      const missing = [x, y].filter((one) => one === null).length;
      if (missing === 2 || (missing === 1 && ignored === 'either_value_is_missing')) return undefined;
      return x !== null && y !== null && of(x, y);
    };
  const column = { column: 'x' };
  const two = { column_A: 'x', column_B: 'y' };
  return [
    {
      type: 'expect_column_values_to_be_between',
      kwargs: { ...column, min_value: low, max_value: high, strict_min: strictMin, strict_max: strictMax },
      rule: ({ x }) => (x === null ? undefined : (strictMin ? x > low : x >= low) && (strictMax ? x < high : x <= high)),
    },
    {
      type: 'expect_column_values_to_be_in_set',
      kwargs: { ...column, value_set: set },
      rule: ({ x }) => (x === null ? undefined : set.includes(x)),
    },
    {
      type: 'expect_column_values_to_not_be_in_set',
      kwargs: { ...column, value_set: set },
      rule: ({ x }) => (x === null ? undefined : !set.includes(x)),
    },
    { type: 'expect_column_values_to_not_be_null', kwargs: column, rule: ({ x }) => x !== null },
    { type: 'expect_column_values_to_be_null', kwargs: column, rule: ({ x }) => x === null },
    { type: 'expect_column_values_to_be_unique', kwargs: column, rule: ({ x }) => (x === null ? undefined : times(x) === 1) },
    { type: 'expect_column_values_to_be_increasing', kwargs: { ...column, strictly }, rule: ordered(1) },
    { type: 'expect_column_values_to_be_decreasing', kwargs: { ...column, strictly }, rule: ordered(-1) },
    {
      type: 'expect_column_value_lengths_to_be_between',
      kwargs: { column: 's', min_value: 1, max_value: 2 },
      rule: ({ s }) => (s === null ? undefined : s.length >= 1 && s.length <= 2),
    },
    {
      type: 'expect_column_values_to_match_regex',
      kwargs: { column: 's', regex: '^a' },
      rule: ({ s }) => (s === null ? undefined : s.startsWith('a')),
    },
    { type: 'expect_column_pair_values_to_be_equal', kwargs: two, rule: pairs((x, y) => x === y, '') },
    {
      type: 'expect_column_pair_values_a_to_be_greater_than_b',
      kwargs: { ...two, or_equal: strictly, ignore_row_if: 'either_value_is_missing' },
      rule: pairs((x, y) => (strictly ? x >= y : x > y), 'either_value_is_missing'),
    },
    {
      type: 'expect_multicolumn_sum_to_equal',
      kwargs: { column_list: ['x', 'y'], sum_total: low },
      rule: pairs((x, y) => x + y === low, ''),
    },
  ];
}

test('any table and any arguments: shares of rows are held to `mostly` as documented, and no row at all is as expected', async () => {
  const number = fc.option(fc.integer({ min: -2, max: 2 }), { nil: null, freq: 3 });
  const row = fc.record({ x: number, y: number, s: fc.option(fc.constantFrom('', 'a', 'ab', 'bbb'), { nil: null }) });
  const args = fc.record({
    ...{ low: fc.integer({ min: -2, max: 1 }), width: fc.integer({ min: 1, max: 3 }) },
    ...{ strictMin: fc.boolean(), strictMax: fc.boolean(), strictly: fc.boolean() },
    mostly: fc.constantFrom(1, 0.9, 0.75, 0.5, 0.25, 0),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(row, { maxLength: 8 }), args, async (rows, { mostly, ...more }) => {
      const asked = modelled(rows, more);
      const expected = asked.map(({ type, rule }) => {
        const answers = rows.map((one, i) => rule({ ...one, i })).filter((answer) => answer !== undefined);
        const right = answers.filter(Boolean).length;
        // A share of unique values is none where there is no value, as with deequ.
        if (answers.length === 0 && type.endsWith('to_be_unique') && mostly < 1) return 'ERROR';
        return answers.length === 0 || right / answers.length >= mostly ? 'PASS' : 'FAIL';
      });
      const fixture: Fixture = {
        columns: ['x', 'y', 's'],
        rows: rows.map(({ x, y, s }) => [x, y, s]),
        types: { x: 'bigint', y: 'bigint', s: 'text' },
      };
      const found = await statuses(
        fixture,
        asked.map(({ type, kwargs }) => ({ type, kwargs: { ...kwargs, mostly } })),
      );
      const by = (status: readonly string[]): string[] => asked.map(({ type }, i) => `${type} ${status[i] ?? ''}`);
      expect(by(found)).toEqual(by(expected));
    }),
    { numRuns: 60 },
  );
});
