import { readFileSync } from 'node:fs';
import path from 'node:path';
import { SPARK } from '../../../../pipelines/quality/dialect';
import type { QualityMetric } from '../../../../pipelines/quality/metrics';
import { qualityText } from '../../../../pipelines/quality/quality-text';
import { suiteMetrics, suiteQueries } from '../../../../pipelines/suite-sql';
import type { CheckDeclaration, DatasetSpec } from '../../../../pipelines/types';

const COLUMNS = { id: 'bigint', price: 'double', paid: 'double', note: 'text', at: 'timestamp' } as const;
const DATASETS: Record<string, DatasetSpec> = {
  orders: { columns: COLUMNS, key: ['id'] },
  before: { columns: COLUMNS, key: ['id'] },
  added: { columns: COLUMNS, key: ['id'] },
};

type Kind = QualityMetric['metric'];
type OfKind<M extends QualityMetric, K extends Kind> = M extends QualityMetric ? (K extends M['metric'] ? M : never) : never;

/** Every metric of the vocabulary: one that is left out here does not compile. */
const METRICS: { readonly [K in Kind]: readonly OfKind<QualityMetric, K>[] } = {
  'completeness': [{ metric: 'completeness', column: 'note', where: 'price > 0' }],
  'columns-completeness': [{ metric: 'columns-completeness', columns: ['note', 'price'], mode: 'any' }],
  'compliance': [{ metric: 'compliance', predicate: 'price > 0 -- or free', nulls: 'ignore' }],
  'pattern-match': [
    { metric: 'pattern-match', column: 'note', patterns: [String.raw`^\d+'s$`, 'b'], match: 'all', not: true },
    { metric: 'pattern-match', column: 'note', patterns: [String.raw`100\%_`], syntax: 'like' },
    { metric: 'pattern-match', column: 'note', patterns: 'email' },
  ],
  'contained-in': [{ metric: 'contained-in', column: 'note', values: ["it's", 'b'] }],
  'within': [
    { metric: 'within', column: 'price', min: 0, below: 10.5 },
    { metric: 'within', column: 'at', min: '2026-01-01T00:00:00Z' },
  ],
  'length-within': [{ metric: 'length-within', column: 'note', min: 1, max: 5 }],
  'contained-in-tuples': [
    {
      metric: 'contained-in-tuples',
      columns: ['id', 'note'],
      tuples: [
        [1, 'a'],
        [2, null],
      ],
      nulls: 'ignore',
    },
  ],
  'increasing': [{ metric: 'increasing', column: 'price', orderBy: ['at'], strictly: true }],
  'decreasing': [{ metric: 'decreasing', column: 'id', orderBy: ['at', 'id'], where: 'price > 0' }],
  'z-score-within': [{ metric: 'z-score-within', column: 'price', limit: 3, doubleSided: true }],
  'parseable': [
    { metric: 'parseable', column: 'note', as: 'date' },
    { metric: 'parseable', column: 'note', as: 'json' },
    { metric: 'parseable', column: 'note', as: 'date', format: "%d/%m/%Y o'clock %H%M" },
  ],
  'distinct-within-row': [{ metric: 'distinct-within-row', columns: ['price', 'paid'] }],
  'size': [{ metric: 'size', where: 'price > 0' }],
  'minimum': [{ metric: 'minimum', column: 'price' }],
  'maximum': [{ metric: 'maximum', column: 'price', where: 'id > 1' }],
  'range': [{ metric: 'range', column: 'price' }],
  'mean': [{ metric: 'mean', column: 'price', where: 'id > 1' }],
  'sum': [{ metric: 'sum', column: 'price' }],
  'variance': [{ metric: 'variance', column: 'price' }],
  'standard-deviation': [{ metric: 'standard-deviation', column: 'price' }],
  'sample-standard-deviation': [{ metric: 'sample-standard-deviation', column: 'price' }],
  'skewness': [{ metric: 'skewness', column: 'price' }],
  'kurtosis': [{ metric: 'kurtosis', column: 'price' }],
  'zeros-count': [{ metric: 'zeros-count', column: 'price' }],
  'median': [{ metric: 'median', column: 'price' }],
  'interquartile-range': [{ metric: 'interquartile-range', column: 'price' }],
  'exact-quantile': [{ metric: 'exact-quantile', column: 'price', quantile: 0.95, where: 'id > 1' }],
  'min-length': [{ metric: 'min-length', column: 'note', nulls: 'fail' }],
  'max-length': [{ metric: 'max-length', column: 'note', nulls: 'empty' }],
  'data-type': [{ metric: 'data-type', column: 'note', type: 'integral' }],
  'ratio-of-sums': [{ metric: 'ratio-of-sums', numerator: 'paid', denominator: 'price' }],
  'correlation': [{ metric: 'correlation', columns: ['price', 'paid'] }],
  'freshness': [{ metric: 'freshness', column: 'at' }],
  'uniqueness': [{ metric: 'uniqueness', columns: ['id', 'note'] }],
  'distinctness': [{ metric: 'distinctness', columns: ['note'] }],
  'unique-value-ratio': [{ metric: 'unique-value-ratio', columns: ['note'] }],
  'count-distinct': [{ metric: 'count-distinct', columns: ['note'] }],
  'primary-key': [{ metric: 'primary-key', columns: ['id'] }],
  'duplicate-row-count': [{ metric: 'duplicate-row-count', columns: [] }],
  'entropy': [{ metric: 'entropy', columns: ['note'], where: 'id > 1' }],
  'mutual-information': [{ metric: 'mutual-information', columns: ['note', 'id'] }],
  'histogram': [{ metric: 'histogram', column: 'note', sumOf: 'price' }],
  'distinct-values': [{ metric: 'distinct-values', column: 'note', values: ['a', 'b'], relation: 'equals' }],
  'most-common': [{ metric: 'most-common', column: 'note', values: ['a'] }],
  'distribution-distance': [
    { metric: 'distribution-distance', column: 'note', expected: { values: ['a', 'b'], weights: [0.5, 0.5] }, method: 'l-infinity' },
    {
      metric: 'distribution-distance',
      column: 'price',
      expected: { bins: [null, 0, 10, 20], weights: [0.2, 0.5, 0.3] },
      method: 'psi',
    },
  ],
  'sample-ratio-mismatch': [{ metric: 'sample-ratio-mismatch', column: 'note', expected: { a: 1, b: 1 } }],
  'approx-count-distinct': [{ metric: 'approx-count-distinct', column: 'id', where: 'price > 0' }],
  'approx-quantile': [{ metric: 'approx-quantile', column: 'price', quantile: 0.5 }],
  'histogram-binned': [
    { metric: 'histogram-binned', column: 'price', bins: 2 },
    { metric: 'histogram-binned', column: 'price', edges: [0, 1, 2], sumOf: 'paid' },
  ],
  'column-count': [{ metric: 'column-count' }],
  'schema-match': [{ metric: 'schema-match', columns: { id: 'bigint', note: 'text' } }],
  'custom-sql': [{ metric: 'custom-sql', sql: 'select max(id) from orders' }],
  'unexpected-rows': [{ metric: 'unexpected-rows', sql: 'select * from orders where price < 0' }],
  'referential-integrity': [{ metric: 'referential-integrity', columns: ['id'], in: { dataset: 'before', columns: ['id'] } }],
  'row-count-match': [{ metric: 'row-count-match', dataset: 'before' }],
  'data-set-match': [{ metric: 'data-set-match', dataset: 'before', key: ['id'], compare: ['price'] }],
  'conservation': [{ metric: 'conservation', previous: 'before', added: 'added', sumOf: 'price' }],
};

/** The text of each declaration under a line that says it in words; reviewed by hand for Spark 3.5. */
const GOLDEN = new Map(
  readFileSync(path.join(__dirname, 'spark-metrics.sql'), 'utf8')
    .split(/^-- /m)
    .slice(1)
    .map((section) => [section.slice(0, section.indexOf('\n')), section.slice(section.indexOf('\n') + 1).trimEnd()] as const),
);

function sparkText(measure: QualityMetric): string {
  const check: CheckDeclaration = { id: 'it', dataset: 'orders', measure, why: 'It is watched.' };
  const scope = { datasets: DATASETS, salt: 's', reference: '2026-11-20T00:00:00Z', dialect: SPARK };
  return suiteQueries(suiteMetrics({ checks: [check] }, DATASETS), scope)
    .map(({ sql }) => sql)
    .join(';\n');
}

describe('the Spark SQL of', () => {
  for (const [kind, declared] of Object.entries(METRICS)) {
    test(kind, () => {
      expect(declared.length).toBeGreaterThan(0);
      for (const measure of declared) expect(sparkText(measure)).toBe(GOLDEN.get(qualityText(measure)));
    });
  }

  test('nothing else is on file', () => {
    const texts = Object.values(METRICS)
      .flat()
      .map((measure) => qualityText(measure));
    expect([...GOLDEN.keys()].sort()).toEqual(texts.sort());
  });

  test('every metric has no word of DuckDB’s own', () => {
    for (const text of GOLDEN.values())
      expect(text).not.toMatch(
        /(?<![[({])"(?![']|v"|\(|\[)\w+"|quantile_cont|regexp_matches|kurtosis_pop|json_valid|arg_min|\barg_max|\bvarchar\b|::|\blist\(|epoch\(|\(describe/,
      );
  });
});
