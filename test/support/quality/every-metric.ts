import type { QualityMetric } from '../../../pipelines/quality/metrics';
import type { CheckDeclaration, Metric } from '../../../pipelines/types';
import { NASTY_COLUMNS } from './nasty-table';

type Kind = Exclude<Metric, { metric: 'quarantine-ratio' }>['metric'];
type OfKind<M extends Metric, K extends Kind> = M extends Metric ? (K extends M['metric'] ? M : never) : never;

const tame = ['big', 'small', 'whole', 'price', 'nothing'] as const;
const numbers = [...tame, 'wild'] as const;
const columns = [...numbers, 'note', 'kind', 'flag', 'at', 'day'] as const;
const texts = ['note', 'kind'] as const;
const PATTERNS = [
  String.raw`^\d+$`,
  String.raw`\w`,
  String.raw`\s`,
  String.raw`^\S+$`,
  String.raw`\bb`,
  '^a',
  'b$',
  '^.$',
  '^..$',
  '.',
  'a.b',
  '[[:alpha:]]',
  String.raw`\p{L}`,
  String.raw`\pN`,
  '(?i)SS',
  '(?i)σ',
  '(?i)é',
  '[^a-z]',
  String.raw`[\d-]`,
  '^$',
  '',
  String.raw`\\`,
  "'",
  '"',
  '😀',
  '^😀{2}$',
  '[😀]',
  String.raw`\x{1F600}`,
  'a|b',
  String.raw`\Qa.b\E`,
  '(?s)a.b',
  '(?m)^b$',
  String.raw`\z`,
  String.raw`\A42`,
  '[a-c&&b]',
  '[[a]',
  String.raw`\D{3,}`,
  '(?P<n>a)',
  'x*',
  '[\\w.]+@',
  '\t',
  '\n',
];
const LIKES = [
  '%',
  '_',
  '__',
  'a%',
  '%b',
  '100%',
  String.raw`100\%`,
  '%_',
  String.raw`\_`,
  String.raw`\\`,
  String.raw`%\%`,
  String.raw`back\slash`,
  'A_',
  '',
  '%😀%',
  '_b',
  "it's",
  'a\nb',
];
/** For metrics with statements of their own, which are slow to ask. */
const FEW = ['flag', 'note is null -- odd'];
const WHERES = ['price > 0', 'flag', "kind = 'a' or small < 0", 'false', 'note is null -- odd'];

const of = <M extends Metric>(...metrics: readonly M[]): readonly M[] => metrics;
const narrowed = <M extends Metric>(measure: M): readonly M[] => [measure, ...WHERES.map((where) => ({ ...measure, where }) as M)];
const seldom = <M extends Metric>(measure: M): readonly M[] => [measure, ...FEW.map((where) => ({ ...measure, where }) as M)];

/** Every metric of the vocabulary, with every word it has: one that is left out here does not compile. Over the columns of the nasty table. */
export const EVERY_METRIC: { readonly [K in Kind]: readonly OfKind<Metric, K>[] } = {
  'rows': of({ metric: 'rows' }),
  'null-count': columns.map((column) => ({ metric: 'null-count', column })),
  'duplicate-keys': of(
    { metric: 'duplicate-keys', key: ['id'] },
    { metric: 'duplicate-keys', key: ['kind', 'flag'] },
    { metric: 'duplicate-keys', key: ['wild'] },
    { metric: 'duplicate-keys', key: ['note', 'small'] },
  ),
  'rows-where': WHERES.map((predicate) => ({ metric: 'rows-where', predicate })),
  'missing-references': of(
    { metric: 'missing-references', column: 'note', in: { dataset: 'others', column: 'note' } },
    { metric: 'missing-references', column: 'wild', in: { dataset: 'others', column: 'wild' } },
    { metric: 'missing-references', column: 'at', in: { dataset: 'others', column: 'at' } },
  ),
  'completeness': [
    ...columns.map((column) => ({ metric: 'completeness', column }) as const),
    ...narrowed({ metric: 'completeness', column: 'note' }),
  ],
  'columns-completeness': [
    ...narrowed({ metric: 'columns-completeness', columns: ['note', 'price'], mode: 'any' }),
    ...narrowed({ metric: 'columns-completeness', columns: ['note', 'price'], mode: 'all' }),
  ],
  'compliance': (['pass', 'fail', 'ignore', undefined] as const).flatMap((nulls) =>
    [
      'price > paid',
      'wild >= 0',
      'small % 3 = 1',
      'big > 0',
      "note < 'a'",
      'note <= kind',
      'flag',
      "lower(kind) = 'b'",
      'wild = wild',
      'wild > 1e308',
      '"at" < day',
      'abs(small) between 2 and 5',
      "coalesce(note, 'x') <> 'x'",
    ].map((predicate) => ({ metric: 'compliance', predicate, ...(nulls && { nulls }) }) as const),
  ),
  'pattern-match': [
    ...PATTERNS.map((pattern) => ({ metric: 'pattern-match', column: 'note', patterns: [pattern] }) as const),
    ...LIKES.map((pattern) => ({ metric: 'pattern-match', column: 'note', patterns: [pattern], syntax: 'like' }) as const),
    ...(['email', 'url', 'credit-card', 'us-social-security-number'] as const).map(
      (patterns) => ({ metric: 'pattern-match', column: 'note', patterns }) as const,
    ),
    ...narrowed({ metric: 'pattern-match', column: 'note', patterns: ['a', '^b'], match: 'all', not: true, nulls: 'pass' } as const),
    { metric: 'pattern-match', column: 'note', patterns: ['a', '^b'], match: 'any', nulls: 'ignore' },
  ],
  'contained-in': [
    { metric: 'contained-in', column: 'note', values: ['a', "it's", 'é', '😀', 'back\\slash', 'a\nb', '\u0085', '`'] },
    { metric: 'contained-in', column: 'note', values: [] },
    { metric: 'contained-in', column: 'kind', values: ['B'], not: true, nulls: 'ignore' },
    { metric: 'contained-in', column: 'big', values: [0, 42, 1e18], nulls: 'fail' },
    { metric: 'contained-in', column: 'small', values: [1, 2.5] },
    { metric: 'contained-in', column: 'wild', values: [0.1, 0, 1e22, 5e-324] },
    { metric: 'contained-in', column: 'flag', values: [true], where: 'price > 0' },
  ],
  'within': [
    ...numbers.flatMap(
      (column) =>
        [
          { metric: 'within', column, min: 0 },
          { metric: 'within', column, above: 0 },
          { metric: 'within', column, max: 2.5, nulls: 'fail' },
          { metric: 'within', column, min: -7, below: 1e300, nulls: 'ignore' },
        ] as const,
    ),
    { metric: 'within', column: 'at', min: '2026-03-29T01:30:00Z', below: '2026-11-20T00:00:00.000001Z' },
    { metric: 'within', column: 'at', max: '1970-01-01' },
    { metric: 'within', column: 'at', above: '2026-03-29T04:30:00+02:00' },
    { metric: 'within', column: 'day', above: '1582-10-04', max: '2026-11-20T12:00:00Z' },
    ...narrowed({ metric: 'within', column: 'price', min: 0, max: 100 }),
  ],
  'length-within': [
    { metric: 'length-within', column: 'note', min: 1, max: 2 },
    { metric: 'length-within', column: 'note', max: 0, nulls: 'pass' },
    { metric: 'length-within', column: 'note', min: 4, nulls: 'fail' },
  ],
  'contained-in-tuples': (['pass', 'fail', 'ignore', 'ignore-if-all', undefined] as const).map((nulls) => ({
    metric: 'contained-in-tuples',
    columns: ['kind', 'small'],
    tuples: [
      ['a', 1],
      ['b', null],
      [null, 3],
      ['😀', -2],
    ],
    ...(nulls && { nulls }),
  })),
  'increasing': [
    ...numbers.flatMap(
      (column) =>
        [
          { metric: 'increasing', column, orderBy: ['id'] },
          { metric: 'increasing', column, orderBy: ['id'], strictly: true },
        ] as const,
    ),
    ...narrowed({ metric: 'increasing', column: 'price', orderBy: ['small', 'id'] }),
    { metric: 'increasing', column: 'note', orderBy: ['id'] },
    { metric: 'increasing', column: 'at', orderBy: ['kind', 'id'] },
    { metric: 'increasing', column: 'small', orderBy: ['wild', 'id'] },
    { metric: 'increasing', column: 'small', orderBy: ['note', 'id'] },
  ],
  'decreasing': [
    ...numbers.map((column) => ({ metric: 'decreasing', column, orderBy: ['id'] }) as const),
    { metric: 'decreasing', column: 'small', orderBy: ['kind', 'flag', 'id'], strictly: true, where: 'price > 0' },
  ],
  'z-score-within': [
    ...(['small', 'price', 'paid', 'whole', 'big', 'nothing'] as const).flatMap(
      (column) =>
        [
          { metric: 'z-score-within', column, limit: 1 },
          { metric: 'z-score-within', column, limit: 1.5, doubleSided: true },
        ] as const,
    ),
    ...narrowed({ metric: 'z-score-within', column: 'price', limit: 1, doubleSided: true }),
  ],
  'parseable': [
    ...(['integer', 'double', 'date', 'timestamp', 'json'] as const).flatMap(
      (as) =>
        [
          { metric: 'parseable', column: 'note', as },
          { metric: 'parseable', column: 'note', as, nulls: 'fail' },
        ] as const,
    ),
    ...[
      '%d/%m/%Y',
      '%Y-%m-%d',
      '%Y%m%d',
      '%d/%m/%y',
      '%Y-%m-%d %H:%M:%S',
      '%Y-%m-%dT%H:%M:%SZ',
      '%H:%M',
      '%Y-%m-%d %H:%M:%S.%f',
      '%Y-%m-%d %H:%M:%S%z',
      '%j %Y',
      '%a %d %b %Y',
      '%I:%M %p',
      '%d %B %Y 100%%',
    ].map((format) => ({ metric: 'parseable', column: 'note', as: 'timestamp', format }) as const),
  ],
  'distinct-within-row': [
    ...narrowed({ metric: 'distinct-within-row', columns: ['note', 'kind'] }),
    { metric: 'distinct-within-row', columns: ['price', 'paid', 'wild'] },
    { metric: 'distinct-within-row', columns: ['small', 'whole', 'big'] },
  ],
  'size': narrowed({ metric: 'size' }),
  ...everyAggregate(),
  'exact-quantile': [0, 0.1, 0.5, 0.95, 1].flatMap(
    (quantile) =>
      [
        { metric: 'exact-quantile', column: 'price', quantile },
        { metric: 'exact-quantile', column: 'small', quantile, where: 'flag' },
        { metric: 'exact-quantile', column: 'big', quantile },
        { metric: 'exact-quantile', column: 'whole', quantile },
        { metric: 'exact-quantile', column: 'wild', quantile },
      ] as const,
  ),
  'min-length': texts.flatMap((column) =>
    (['ignore', 'empty', 'fail'] as const).flatMap((nulls) => narrowed({ metric: 'min-length', column, nulls } as const)),
  ),
  'max-length': texts.flatMap((column) =>
    (['ignore', 'empty', 'fail'] as const).flatMap((nulls) => narrowed({ metric: 'max-length', column, nulls } as const)),
  ),
  'data-type': [
    ...columns.map((column) => ({ metric: 'data-type', column }) as const),
    ...(['boolean', 'integral', 'fractional', 'numeric', 'text', 'unknown'] as const).map(
      (type) => ({ metric: 'data-type', column: 'note', type, where: 'flag' }) as const,
    ),
  ],
  'ratio-of-sums': [
    ...narrowed({ metric: 'ratio-of-sums', numerator: 'paid', denominator: 'price' }),
    { metric: 'ratio-of-sums', numerator: 'small', denominator: 'nothing' },
    { metric: 'ratio-of-sums', numerator: 'big', denominator: 'whole' },
  ],
  'correlation': [
    ...narrowed({ metric: 'correlation', columns: ['price', 'paid'] }),
    { metric: 'correlation', columns: ['small', 'whole'] },
    { metric: 'correlation', columns: ['price', 'nothing'] },
  ],
  'freshness': [...narrowed({ metric: 'freshness', column: 'at' }), { metric: 'freshness', column: 'day' }],
  ...everyGrouping(),
  'mutual-information': [
    ...seldom({ metric: 'mutual-information', columns: ['kind', 'flag'] }),
    { metric: 'mutual-information', columns: ['wild', 'small'] },
    { metric: 'mutual-information', columns: ['note', 'id'] },
  ],
  'histogram': [
    ...columns.map((column) => ({ metric: 'histogram', column }) as const),
    { metric: 'histogram', column: 'kind', sumOf: 'price' },
    { metric: 'histogram', column: 'kind', sumOf: 'small', where: 'flag' },
    { metric: 'histogram', column: 'kind', sumOf: 'big' },
    { metric: 'histogram', column: 'note', maxDetailBins: 3 },
  ],
  'distinct-values': (['contains', 'within', 'equals'] as const).flatMap(
    (relation) =>
      [
        { metric: 'distinct-values', column: 'kind', values: ['a', 'b', 'B', '😀', ''], relation },
        { metric: 'distinct-values', column: 'small', values: [1, 2], relation },
        { metric: 'distinct-values', column: 'flag', values: [true, false], relation },
        { metric: 'distinct-values', column: 'wild', values: [], relation },
      ] as const,
  ),
  'most-common': [
    ...seldom({ metric: 'most-common', column: 'kind', values: ['a', 'b'] }),
    { metric: 'most-common', column: 'small', values: [1, -3], ties: true },
    { metric: 'most-common', column: 'wild', values: [0] },
  ],
  'distribution-distance': (['kl', 'chi-square', 'l-infinity', 'psi', 'js'] as const).flatMap(
    (method) =>
      [
        ...seldom({
          metric: 'distribution-distance',
          column: 'kind',
          expected: { values: ['a', 'b', '😀'], weights: [0.5, 0.3, 0.2] },
          method,
          tailWeightHoldout: 0.1,
        } as const),
        {
          metric: 'distribution-distance',
          column: 'wild',
          expected: { values: [0, 1], weights: [0.5, 0.5] },
          method,
          tailWeightHoldout: 0.2,
        },
        {
          metric: 'distribution-distance',
          column: 'price',
          expected: { bins: [null, 0, 10, 100, null], weights: [0.2, 0.3, 0.4, 0.1] },
          method,
        },
        {
          metric: 'distribution-distance',
          column: 'wild',
          expected: { bins: [-1, 0, 1], weights: [0.4, 0.4], tailWeights: [0.1, 0.1] },
          method,
          internalWeightHoldout: 0.1,
        },
        {
          metric: 'distribution-distance',
          column: 'big',
          expected: { bins: [-1, 0, 1e15], weights: [0.4, 0.4], tailWeights: [0.1, 0.1] },
          method,
          where: 'flag',
        },
      ] as const,
  ),
  'sample-ratio-mismatch': [
    ...seldom({ metric: 'sample-ratio-mismatch', column: 'kind', expected: { a: 1, b: 1 } }),
    { metric: 'sample-ratio-mismatch', column: 'flag', expected: { true: 0.5, false: 0.5 } },
  ],
  'approx-count-distinct': [
    ...(['wild', 'note', 'at', 'price', 'flag', 'big'] as const).map((column) => ({ metric: 'approx-count-distinct', column }) as const),
    ...seldom({ metric: 'approx-count-distinct', column: 'note' }),
  ],
  'approx-quantile': [0, 0.5, 0.9, 1].flatMap(
    (quantile) =>
      [
        ...(['small', 'price', 'big', 'wild', 'nothing'] as const).map(
          (column) => ({ metric: 'approx-quantile', column, quantile }) as const,
        ),
        { metric: 'approx-quantile', column: 'price', quantile, relativeError: 0.2, where: 'flag' },
      ] as const,
  ),
  'histogram-binned': [
    ...(['price', 'big', 'wild', 'nothing'] as const).flatMap(
      (column) =>
        [
          { metric: 'histogram-binned', column, bins: 4 },
          { metric: 'histogram-binned', column, edges: [-1, 0, 0.5, 42] },
        ] as const,
    ),
    ...seldom({ metric: 'histogram-binned', column: 'price', edges: [0, 1, 50], sumOf: 'paid' } as const),
    { metric: 'histogram-binned', column: 'price', bins: 3, sumOf: 'small' },
  ],
  'column-count': of({ metric: 'column-count' }),
  'schema-match': [
    { metric: 'schema-match', columns: { id: 'bigint', note: 'text' }, mode: 'superset' },
    { metric: 'schema-match', columns: { id: ['integer', 'bigint'], note: '' } },
    {
      metric: 'schema-match',
      columns: NASTY_COLUMNS,
      mode: 'ordered',
    },
    { metric: 'schema-match', columns: { at: 'date', day: 'timestamp', flag: 'boolean' }, mode: 'superset', at: { at: 3, flag: 9 } },
  ],
  'custom-sql': [
    { metric: 'custom-sql', sql: 'select max(id) from nasty' },
    { metric: 'custom-sql', sql: 'select avg(price) from nasty -- mean' },
    { metric: 'custom-sql', sql: 'select count(*) from nasty join others on nasty.id = others.id', datasets: ['others'] },
    { metric: 'custom-sql', sql: 'select max(price) from nasty where false' },
  ],
  'unexpected-rows': [
    { metric: 'unexpected-rows', sql: 'select * from nasty where price < 0' },
    { metric: 'unexpected-rows', sql: 'select kind, count(*) as n from nasty group by kind having count(*) > 1' },
  ],
  'referential-integrity': (['note', 'wild', 'at', 'big'] as const).flatMap(
    (column) =>
      [
        { metric: 'referential-integrity', columns: [column], in: { dataset: 'others', columns: [column] } },
        {
          metric: 'referential-integrity',
          columns: [column, 'kind'],
          in: { dataset: 'others', columns: [column, 'kind'] },
          where: 'price > 0',
        },
      ] as const,
  ),
  'row-count-match': seldom({ metric: 'row-count-match', dataset: 'others' }),
  'data-set-match': [
    { metric: 'data-set-match', dataset: 'others' },
    { metric: 'data-set-match', dataset: 'others', key: ['id'] },
    { metric: 'data-set-match', dataset: 'others', key: ['small'], compare: ['kind'] },
    { metric: 'data-set-match', dataset: 'others', key: ['wild'], compare: ['flag'] },
  ],
  'conservation': [
    { metric: 'conservation', previous: 'others', added: 'others' },
    { metric: 'conservation', previous: 'others', added: 'others', removed: 'nasty', sumOf: 'price' },
    { metric: 'conservation', previous: 'others', added: 'others', removed: 'nasty', sumOf: 'small' },
    { metric: 'conservation', previous: 'others', added: 'others', removed: 'nasty', sumOf: 'big' },
    { metric: 'conservation', previous: 'others', added: 'others', sumOf: 'wild' },
  ],
};

type Aggregate =
  | 'minimum'
  | 'maximum'
  | 'range'
  | 'mean'
  | 'sum'
  | 'variance'
  | 'standard-deviation'
  | 'sample-standard-deviation'
  | 'skewness'
  | 'kurtosis'
  | 'zeros-count'
  | 'median'
  | 'interquartile-range';

function everyAggregate(): { readonly [K in Aggregate]: readonly OfKind<QualityMetric, K>[] } {
  const all = <K extends Aggregate>(metric: K): readonly OfKind<QualityMetric, K>[] =>
    [...tame.map((column) => ({ metric, column })), ...WHERES.map((where) => ({ metric, column: 'price', where }))] as unknown as OfKind<
      QualityMetric,
      K
    >[];
  return {
    'minimum': all('minimum'),
    'maximum': all('maximum'),
    'range': all('range'),
    'mean': all('mean'),
    'sum': all('sum'),
    'variance': all('variance'),
    'standard-deviation': all('standard-deviation'),
    'sample-standard-deviation': all('sample-standard-deviation'),
    'skewness': all('skewness'),
    'kurtosis': all('kurtosis'),
    'zeros-count': all('zeros-count'),
    'median': all('median'),
    'interquartile-range': all('interquartile-range'),
  };
}

type Grouping = 'uniqueness' | 'distinctness' | 'unique-value-ratio' | 'count-distinct' | 'primary-key' | 'duplicate-row-count' | 'entropy';

function everyGrouping(): { readonly [K in Grouping]: readonly OfKind<QualityMetric, K>[] } {
  const all = <K extends Grouping>(metric: K): readonly OfKind<QualityMetric, K>[] =>
    [
      ...columns.map((column) => ({ metric, columns: [column] })),
      ...WHERES.map((where) => ({ metric, columns: ['kind'], where })),
      { metric, columns: ['kind', 'flag'] },
      { metric, columns: [] },
    ] as unknown as OfKind<QualityMetric, K>[];
  return {
    'uniqueness': all('uniqueness'),
    'distinctness': all('distinctness'),
    'unique-value-ratio': all('unique-value-ratio'),
    'count-distinct': all('count-distinct'),
    'primary-key': all('primary-key'),
    'duplicate-row-count': all('duplicate-row-count'),
    'entropy': all('entropy'),
  };
}

/** A check of each metric, with a band that every number lies in. */
export function checksOf(dataset: string, measures: readonly Metric[]): CheckDeclaration[] {
  return measures.map((measure, i) => ({ id: `c${i}`, dataset, measure, fail: { min: -1e300, max: 1e300 }, why: 'It is compared.' }));
}
