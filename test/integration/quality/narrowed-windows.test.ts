import type { Metric } from '../../../pipelines/types';
import { rowLevelSql } from '../../../pipelines/quality/row-level';
import { Workbench } from '../../support/quality/workbench';

const bench = new Workbench();
let dataset = '';

beforeAll(async () => {
  await bench.open();
  const types = { at: 'bigint', kind: 'text', x: 'double' } as const;
  const rows = [
    [1, 'a', 1],
    [2, 'b', 100],
    [3, 'a', 2],
    [4, 'b', null],
    [5, 'a', 3],
    [6, 'b', 1000],
    [7, 'a', 2.5],
  ];
  dataset = await bench.load('narrowed', { columns: ['at', 'kind', 'x'], rows, types });
});
afterAll(() => bench.close());

const ofA = { where: "kind = 'a'" };

async function measured(measure: Metric): Promise<{ value: number | null; rows: (string | null)[] }> {
  const [judged] = await bench.judge([{ id: 'it', dataset, measure, sample: ['at'], why: 'It is narrowed.' }]);
  const sample = judged !== undefined && 'sample' in judged.measured ? judged.measured.sample : [];
  return { value: judged?.verdict.observed ?? null, rows: sample.map(({ at }) => at ?? null) };
}

test('order is that of the rows the filter leaves, whatever lies between them', async () => {
  // Among all rows 3 follows 100 and would be out of order; of kind a only the last one is.
  const measure = { metric: 'increasing', column: 'x', orderBy: ['at'], ...ofA } as const;
  expect(await measured(measure)).toEqual({ value: 3 / 4, rows: ['7'] });
  const answers = await bench.rows(`select answer from (${rowLevelSql(dataset, measure)}) order by "at"`);
  expect(answers.map(({ answer }) => answer)).toEqual([true, null, true, null, true, null, false]);
});

test('falling values are told the same way', async () => {
  expect(await measured({ metric: 'decreasing', column: 'x', orderBy: ['at'], where: "kind = 'b'" })).toEqual({
    value: 1 / 2,
    rows: ['6'],
  });
});

test('scores are taken over the rows the filter leaves', async () => {
  // By mean and deviation of all rows none of kind a would be far off.
  const { value, rows } = await measured({ metric: 'z-score-within', column: 'x', limit: 1, doubleSided: true, ...ofA });
  expect({ value, rows }).toEqual({ value: 2 / 4, rows: expect.arrayContaining(['1', '5']) as string[] });
});
