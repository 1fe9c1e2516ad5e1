import { suiteMetrics, suiteQueries } from '../../../pipelines/suite-sql';
import type { CheckDeclaration } from '../../../pipelines/types';
import { Workbench } from '../../support/quality/workbench';

const bench = new Workbench();

beforeAll(async () => {
  await bench.open();
  await bench.load('spread', { columns: ['x'], rows: [], types: { x: 'double' } });
  await bench.session.exec(`insert into "spread" select 1.0 + i / 1000 from range(1001) as numbers(i)`);
});
afterAll(() => bench.close());

const quantile = (at: number, relativeError?: number): CheckDeclaration => ({
  id: `q${at}-${relativeError ?? 'as-is'}`.replaceAll('.', '-'),
  dataset: 'spread',
  measure: { metric: 'approx-quantile', column: 'x', quantile: at, ...(relativeError === undefined ? {} : { relativeError }) },
  why: 'It is looked at.',
});

test('quantiles of one column are read off one statement, and each is its own', async () => {
  const checks = [quantile(0.5), quantile(0.9), quantile(0.99), quantile(0.5, 0.05)];
  const datasets = { spread: { columns: { x: 'double' } } } as const;
  expect(suiteQueries(suiteMetrics({ checks }, datasets), { datasets, salt: 's' }).map(({ metrics }) => metrics.length)).toEqual([3, 1]);
  const values = (await bench.judge(checks)).map(({ verdict }) => Number(verdict.observed));
  for (const [i, exact] of [1.5, 1.9, 1.99, 1.5].entries())
    expect(Math.abs((values[i] ?? 0) / exact - 1)).toBeLessThan(i === 3 ? 0.05 : 0.01);
});

test('the less it may be off, the more bins are kept', async () => {
  const judged = await bench.judge([quantile(0.5, 0.1), quantile(0.5), quantile(0.5, 0.001)]);
  const bins = judged.map(({ measured }) => ('state' in measured && measured.state?.kind === 'quantiles' ? measured.state.bins.length : 0));
  // As many as powers of 1.1, 1.01 and 1.001 lie between 1 and 2.
  for (const [i, step] of [1.1, 1.01, 1.001].entries()) expect(Math.abs((bins[i] ?? 0) - Math.log(2) / Math.log(step))).toBeLessThan(2);
});
