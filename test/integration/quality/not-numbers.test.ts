import type { CheckDeclaration } from '../../../pipelines/types';
import { checks } from '../../../pipelines/define';
import { Workbench, type Judged } from '../../support/quality/workbench';

const bench = new Workbench();

beforeAll(async () => {
  await bench.open();
  for (const view of ['some', 'rising']) await bench.load(view, { columns: ['at', 'x'], rows: [], types: { at: 'bigint', x: 'double' } });
  await bench.session.exec(`insert into "some" values (1, 1), (2, 'nan'::double), (3, null), (4, 'inf'::double), (5, '-inf'::double)`);
  await bench.session.exec(`insert into "rising" values (1, 1), (2, 2), (3, 'nan'::double), (4, 3), (5, null), (6, 4)`);
});
afterAll(() => bench.close());

async function judged(
  dataset: string,
  check: Omit<Exclude<CheckDeclaration, { onFail: 'quarantine' }>, 'id' | 'dataset' | 'why'>,
): Promise<Judged> {
  const [result] = await bench.judge([{ id: 'it', dataset, why: 'Numbers are compared.', ...check }]);
  if (result === undefined) throw new Error('nothing was judged');
  return result;
}

async function share(dataset: string, measure: CheckDeclaration['measure']): Promise<number | null> {
  return (await judged(dataset, { measure })).verdict.observed;
}

test('NaN is neither positive nor non-negative, while an infinity is what its sign says and NULL passes', async () => {
  // Wrong: NaN and -Infinity.
  for (const check of [checks.isNonNegative('x'), checks.isPositive('x')]) {
    const { verdict } = await judged('some', check);
    expect(verdict).toMatchObject({ status: 'FAIL', observed: 3 / 5 });
  }
});

test('NaN lies in no range, open to whichever side', async () => {
  expect(await share('some', { metric: 'within', column: 'x', min: 0, nulls: 'ignore' })).toBe(2 / 4);
  expect(await share('some', { metric: 'within', column: 'x', max: 10, nulls: 'ignore' })).toBe(2 / 4);
  expect(await share('some', { metric: 'within', column: 'x', min: -10, max: 10, nulls: 'ignore' })).toBe(1 / 4);
});

test('NaN is out of order, and what follows it is held against what stood before it', async () => {
  expect(await share('rising', { metric: 'increasing', column: 'x', orderBy: ['at'] })).toBe(4 / 5);
  expect(await share('rising', { metric: 'decreasing', column: 'x', orderBy: ['at'] })).toBe(1 / 5);
});

test('NaN has no score, and does not spoil that of others', async () => {
  expect(await share('rising', { metric: 'z-score-within', column: 'x', limit: 3, doubleSided: true })).toBe(4 / 5);
});

test('what comes out as no finite number is an ERROR', async () => {
  for (const metric of ['maximum', 'mean', 'range'] as const)
    expect((await judged('rising', { measure: { metric, column: 'x' } })).verdict.status).toBe('ERROR');
  const { verdict } = await judged('some', { measure: { metric: 'approx-quantile', column: 'x', quantile: 0.5 } });
  expect(verdict).toMatchObject({ status: 'ERROR', message: expect.stringContaining('NaN or an infinity') as string });
});
