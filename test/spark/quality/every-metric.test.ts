import { BothEngines } from '../../support/quality/both-engines';
import { checksOf, EVERY_METRIC } from '../../support/quality/every-metric';
import { NASTY_COLUMNS, nastyRows, tableStatements, TEXTS } from '../../support/quality/nasty-table';
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
});
