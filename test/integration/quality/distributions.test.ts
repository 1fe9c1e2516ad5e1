import type { CheckDeclaration } from '../../../pipelines/types';
import { Workbench, type Judged } from '../../support/quality/workbench';

const bench = new Workbench();

beforeAll(async () => {
  await bench.open();
  await bench.load('many', { columns: ['kind', 'x'], rows: [], types: { kind: 'text', x: 'double' } });
  // 1500 kinds of two rows each, one of a single row: more than are told one by one, and the rarest is the one that is named.
  await bench.session.exec(
    `insert into "many" select 'k' || (i // 2), case when i = 0 then 'nan'::double when i = 1 then null else i end from range(3000) as numbers(i)`,
  );
  await bench.session.exec(`insert into "many" values ('rare', -5)`);
});
afterAll(() => bench.close());

async function measured(measure: CheckDeclaration['measure']): Promise<Judged['measured']> {
  const [judged] = await bench.judge([{ id: 'it', dataset: 'many', measure, why: 'It is looked at.' }]);
  if (judged === undefined) throw new Error('nothing was judged');
  return judged.measured;
}

test('a value beyond the thousand most frequent ones is compared as it is, and the others are all counted', async () => {
  const expected = { values: ['rare', 'k0'], weights: [0.5, 0.5] };
  expect(await measured({ metric: 'distribution-distance', column: 'kind', expected, method: 'l-infinity' })).toMatchObject({
    value: 2998 / 3001,
    detail: { labels: ['rare', 'k0', 'other values'], observed: [1 / 3001, 2 / 3001, 2998 / 3001], expected: [0.5, 0.5, 0] },
  });
});

test('numbers are compared as numbers, however they are written', async () => {
  const expected = { values: [2, 3], weights: [0.5, 0.5] };
  const measure = { metric: 'distribution-distance', column: 'x', expected, method: 'l-infinity', where: 'x in (2, 3)' } as const;
  expect(await measured(measure)).toMatchObject({ value: 0 });
});

test('a histogram between given edges tells what lies below and above them, and what has no value', async () => {
  expect(await measured({ metric: 'histogram-binned', column: 'x', edges: [0, 1000, 2000] })).toMatchObject({
    value: 2,
    detail: { kind: 'bins', counts: [998, 1001], below: 1, above: 1000, nulls: 1 },
    // Of every window alike, so that windows add up.
    state: { kind: 'frequencies', counts: { '0': 998, '1': 1001, 'below': 1, 'above': 1000 } },
  });
});

test('edges that were not given cannot be told of a column with NaN', async () => {
  expect(await measured({ metric: 'histogram-binned', column: 'x' })).toEqual({
    reason: 'the column holds NaN or an infinity: give `edges`',
  });
});

test('a partition may be open on either side, and every bin holds its lower edge', async () => {
  const of = { metric: 'distribution-distance', column: 'x', method: 'l-infinity', where: 'x in (10, 20, 30)' } as const;
  const expected = { bins: [null, 20, 30, null], weights: [0.25, 0.25, 0.5] };
  expect(await measured({ ...of, expected })).toMatchObject({ detail: { observed: [1 / 3, 1 / 3, 1 / 3], expected: [0.25, 0.25, 0.5] } });
  expect(await measured({ ...of, expected: { bins: [null, 20, null], weights: [0.5, 0.5] } })).toMatchObject({
    value: expect.closeTo(1 / 6, 12) as number,
  });
  expect(await measured({ ...of, expected: { bins: [10, 20, 30], weights: [0.5, 0.5] } })).toMatchObject({
    detail: { observed: [0, 1 / 3, 2 / 3, 0] },
  });
});
