import { metricText } from '../../../pipelines/metric-text';
import { DUCKDB, SPARK, type Dialect } from '../../../pipelines/quality/dialect';
import { isQualityMetric } from '../../../pipelines/quality/metrics';
import { isRowLevel, rowLevelSql } from '../../../pipelines/quality/row-level';
import { BothEngines } from '../../support/quality/both-engines';
import { checksOf, EVERY_METRIC } from '../../support/quality/every-metric';
import { NASTY_COLUMNS, nastyRows, tableStatements, TEXTS } from '../../support/quality/nasty-table';
import type { Judged } from '../../support/quality/workbench';
import { Random } from '../../support/random';
import type { Metric } from '../../../pipelines/types';

const REFERENCE = '2026-11-21T00:00:00Z';
const SEED = Number(process.env['ALMANAC_TEST_SEED'] ?? Date.now() % 1_000_000);
const GROUPS = [
  'uniqueness',
  'distinctness',
  'unique-value-ratio',
  'count-distinct',
  'primary-key',
  'duplicate-row-count',
  'entropy',
  'histogram',
  'distinct-values',
  'most-common',
  'distribution-distance',
  'sample-ratio-mismatch',
] as const;

/** Without a number in any engine: what is no number or no truth, has no such column, or comes out as none. */
const REFUSED: readonly Metric[] = [
  { metric: 'mean', column: 'note' },
  { metric: 'mean', column: 'wild' },
  { metric: 'maximum', column: 'wild' },
  { metric: 'mean', column: 'nothing' },
  { metric: 'sum', column: 'nobody' },
  { metric: 'rows-where', predicate: 'small' },
  { metric: 'rows-where', predicate: 'no_such_function(small)' },
  { metric: 'compliance', predicate: 'small +' },
  { metric: 'pattern-match', column: 'note', patterns: ['(?=a)'] },
  { metric: 'pattern-match', column: 'note', patterns: ['[a'] },
  { metric: 'duplicate-keys', key: ['nobody'] },
  { metric: 'uniqueness', columns: ['nobody'] },
  { metric: 'custom-sql', sql: 'select price from nasty where false' },
  { metric: 'custom-sql', sql: "select 'a'" },
];

describe(`DuckDB and Spark tell the same numbers of nasty data (seed ${SEED})`, () => {
  const both = new BothEngines();
  beforeAll(async () => {
    const random = new Random(SEED);
    await both.open();
    const tables = {
      others: nastyRows(random, 100),
      nasty: nastyRows(random, TEXTS.length + 50),
      empty: [],
      one: nastyRows(random, 1, 0),
      absent: nastyRows(random, 3, 1),
      flat: Array<string>(5).fill("(7, 7, 7, 7, 0.1, 0.1, 0.1, 'a', 'a', '1', true, timestamp '2026-01-01', date '2026-01-01', null)"),
    };
    for (const [name, rows] of Object.entries(tables)) {
      for (const sql of tableStatements(name, NASTY_COLUMNS, rows)) await both.session.exec(sql);
      await both.declare(name, { columns: NASTY_COLUMNS });
    }
  });
  afterAll(() => both.close());

  for (const [kind, measures] of Object.entries(EVERY_METRIC).filter(([name]) => !(GROUPS as readonly string[]).includes(name)))
    test(kind, async () => {
      expect(await both.differences(checksOf('nasty', measures), REFERENCE)).toEqual([]);
    });

  test(GROUPS.join(', '), async () => {
    const measures = GROUPS.flatMap((kind): readonly Metric[] => EVERY_METRIC[kind]);
    expect(await both.differences(checksOf('nasty', measures), REFERENCE)).toEqual([]);
  });

  test.each(['empty', 'one', 'absent', 'flat'])('a table that is %s', async (table) => {
    const measures = Object.values(EVERY_METRIC).flatMap((of: readonly Metric[]) => of.slice(0, 1));
    expect(await both.differences(checksOf(table, measures), REFERENCE)).toEqual([]);
  });

  test('JSON with a text as long as a document', async () => {
    await both.session.exec(`create table wordy as select '{"v": "' || repeat('a', 100000) || '"}' as note`);
    await both.declare('wordy', { columns: { note: 'text' } });
    expect(await both.differences(checksOf('wordy', [{ metric: 'parseable', column: 'note', as: 'json' }]), REFERENCE)).toEqual([]);
  });

  test('what one refuses the other does, and whatever else is asked of the table is answered', async () => {
    const checks = checksOf('nasty', [...REFUSED, { metric: 'rows' }, { metric: 'mean', column: 'price' }]);
    const refused = (judged: readonly Judged[]): string[] =>
      judged.flatMap(({ check, verdict }) => (verdict.status === 'ERROR' ? [metricText(check.measure)] : []));
    expect(refused(await both.judge(checks, REFERENCE))).toEqual(REFUSED.map(metricText));
    expect(refused(await both.judgeOnSpark(checks, REFERENCE))).toEqual(REFUSED.map(metricText));
  });

  test('which rows are right, of metrics that have an answer for every row', async () => {
    const all: readonly Metric[] = Object.values(EVERY_METRIC).flatMap((of: readonly Metric[]) => of.slice(0, 1));
    const measures = all.flatMap((measure) => (isQualityMetric(measure) && isRowLevel(measure) ? [measure] : []));
    expect(measures.length).toBeGreaterThan(15);
    const doubles = new Set(Object.entries(NASTY_COLUMNS).flatMap(([name, type]) => (type === 'double' ? [name] : [])));
    for (const measure of measures) {
      const answers = (dialect: Dialect): string =>
        `select id, answer from (${rowLevelSql('nasty', measure, { dialect, doubles })}) as answered order by id`;
      expect([measure, await both.spark.rows(answers(SPARK))]).toEqual([measure, await both.rows(answers(DUCKDB))]);
    }
  });
});
