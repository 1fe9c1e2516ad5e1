import { SPARK } from '../../../../pipelines/quality/dialect';
import { suiteMetrics, suiteQueries } from '../../../../pipelines/suite-sql';
import type { CheckDeclaration, DatasetSpec, Metric } from '../../../../pipelines/types';

const DATASETS: Record<string, DatasetSpec> = { orders: { columns: { id: 'bigint', price: 'double', note: 'text' } } };

function texts(...measures: Metric[]): string[] {
  const checks = measures.map((measure, i): CheckDeclaration => ({ id: `c${i}`, dataset: 'orders', measure, why: 'It is watched.' }));
  return suiteQueries(suiteMetrics({ checks }, DATASETS), { datasets: DATASETS, salt: 's', dialect: SPARK }).map(({ sql }) => sql);
}

test('one scan, with names in backticks and its own words for what it does otherwise', () => {
  expect(
    texts(
      { metric: 'size' },
      { metric: 'mean', column: 'price' },
      { metric: 'skewness', column: 'price' },
      { metric: 'exact-quantile', column: 'price', quantile: 0.5 },
      { metric: 'pattern-match', column: 'note', patterns: [String.raw`\d'`] },
    ),
  ).toEqual([
    [
      'select count(*) as `rows`',
      'count(*) as a0',
      'count(`price`) as a1',
      'cast(sum(`price` * 1BD) as double) as a2',
      'var_pop(`price`) as a3',
      'case when var_pop(`price`) > 0 then skewness(`price`) when count(`price`) > 0 then 0.0 end as a4',
      'percentile(`price`, 0.5) as a5',
      'count(*) filter (where true) as a6',
      'count(*) filter (where `failing 4`) as a7',
    ].join(',\n  ') + "\nfrom (select `orders`.*,\n  (not coalesce((`note` rlike '[0-9]\\''), false)) as `failing 4`\nfrom `orders`)",
  ]);
});

test('sketches hash by md5, so that their states merge with those of DuckDB', () => {
  expect(texts({ metric: 'approx-count-distinct', column: 'note' })).toEqual([
    "select collect_list(named_struct('b', b, 't', t)) as registers from (select left(h, 3) as b, min(substr(h, 4, 12)) as t\n" +
      'from (select md5(cast(`note` as string)) as h from `orders` as narrowed where `note` is not null) as hashed group by left(h, 3)) as buckets',
  ]);
});

test('metrics of the same groups share a statement, others have their own', () => {
  const [shared, own, ...more] = texts(
    { metric: 'uniqueness', columns: ['note'] },
    { metric: 'entropy', columns: ['note'] },
    { metric: 'uniqueness', columns: ['id'] },
  );
  expect(more).toEqual([]);
  expect(shared).toContain('select `note` as k1 from `orders`');
  expect(own).toContain('select `id` as k1 from `orders`');
});
