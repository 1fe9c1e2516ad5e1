import { checksOf } from '../../support/quality/every-metric';
import { BothEngines } from '../../support/quality/both-engines';
import { NASTY_COLUMNS, nastyRows, tableStatements } from '../../support/quality/nasty-table';
import { Random } from '../../support/random';
import type { Metric } from '../../../pipelines/types';

const ROWS = 2000;
const COLUMNS = ['small', 'price', 'paid'] as const;
const AGGREGATES = ['minimum', 'maximum', 'mean', 'sum', 'variance', 'skewness', 'kurtosis', 'zeros-count', 'median'] as const;

/** What one scan answers, however much of it. */
const SCANNED: readonly Metric[] = [
  { metric: 'rows' },
  ...COLUMNS.flatMap((column): Metric[] => [
    ...AGGREGATES.map((metric) => ({ metric, column })),
    { metric: 'completeness', column },
    { metric: 'within', column, min: 0 },
    { metric: 'null-count', column },
  ]),
  { metric: 'pattern-match', column: 'note', patterns: ['^a'] },
  { metric: 'rows-where', predicate: 'price > paid' },
  { metric: 'correlation', columns: ['price', 'paid'] },
  { metric: 'freshness', column: 'at' },
];

describe('the shared scan of a suite on Spark', () => {
  const both = new BothEngines();
  beforeAll(async () => {
    await both.open();
    for (const sql of tableStatements('nasty', NASTY_COLUMNS, nastyRows(new Random(20261122), ROWS))) await both.session.exec(sql);
    await both.declare('nasty', { columns: NASTY_COLUMNS });
  });
  afterAll(() => both.close());

  test('is one SQL execution with one scan node that reads each row once, and one Spark job where adaptive execution does not part its stages', async () => {
    const [query, ...more] = both.sparkQueries(checksOf('nasty', SCANNED), '2026-11-21T00:00:00Z');
    expect(more).toEqual([]);
    await both.spark.sql('set spark.sql.adaptive.enabled=false');
    const whole = await both.spark.counted(query?.sql ?? '');
    expect({ ...whole.work, jobs: whole.jobs }).toEqual({ executions: 1, scans: 1, recordsRead: ROWS, jobs: 1 });
    await both.spark.sql('set spark.sql.adaptive.enabled=true');
    const parted = await both.spark.counted(query?.sql ?? '');
    expect(parted.work).toEqual({ executions: 1, scans: 1, recordsRead: ROWS });
  });

  test('tells the same numbers as on DuckDB', async () => {
    expect(await both.differences(checksOf('nasty', SCANNED), '2026-11-21T00:00:00Z')).toEqual([]);
  });
});
