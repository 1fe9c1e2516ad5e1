/** Checks that data suggest, from a profile of one version, by the rules deequ suggests by. A person decides which to keep. */
import type { Column } from '../duckdb-sql';
import type { Measurement } from '../suite-sql';
import type { CheckDeclaration } from '../types';
import type { QualityMetric } from './metrics';

export interface Suggestion {
  readonly check: CheckDeclaration;
  /** What was seen that suggests it. */
  readonly because: string;
}

/** Values that make up this share of the rows are a column's usual ones. */
const USUAL = 0.9;
/** At most this share of a column's values may be different for them to be categories, and no more of them than this. */
const CATEGORICAL = 0.1;
const MOST_CATEGORIES = 100;
/** Normal quantile of the confidence a lower bound is given with, as deequ's: 95 %. */
const CONFIDENCE = 1.96;
/** Below this completeness a bound says nothing. */
const LEAST_COMPLETENESS = 0.2;

/** What the profile of a column is made of. */
export function profileMetrics({ name, type }: Column): QualityMetric[] {
  const metrics: QualityMetric[] = [
    { metric: 'completeness', column: name },
    { metric: 'uniqueness', columns: [name] },
    { metric: 'count-distinct', columns: [name] },
    { metric: 'histogram', column: name },
  ];
  if (type === 'bigint' || type === 'integer' || type === 'double') metrics.push({ metric: 'minimum', column: name });
  if (type === 'text') metrics.push({ metric: 'data-type', column: name });
  return metrics;
}

export type ColumnMeasurements = Partial<Readonly<Record<QualityMetric['metric'], Measurement>>>;

/** Suggestions for one column of a dataset. Of a `personal` one no value is told, so it suggests no categories. */
export function suggestFor(dataset: string, column: Column, measured: ColumnMeasurements, personal = false): Suggestion[] {
  const { name, type } = column;
  const suggestions: Suggestion[] = [];
  const slug =
    name
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, '-')
      .replace(/^-+|-+$/g, '') || 'column';
  const suggest = (id: string, check: Pick<CheckDeclaration, 'measure' | 'fail' | 'mostly'>, because: string, why: string): void => {
    suggestions.push({ check: { id: `${slug}-${id}`, dataset, ...check, why }, because });
  };
  const { completeness, uniqueness, histogram, minimum } = measured;
  const rows = completeness?.rows ?? 0;
  if (completeness === undefined || rows === 0) return [];
  const share = completeness.value;
  const complete = { metric: 'completeness', column: name } as const;
  if (share === 1) suggest('complete', { measure: complete, fail: { min: 1 } }, 'no row is without a value', `${name} was always there.`);
  else if (share >= LEAST_COMPLETENESS) {
    const least = Math.floor((share - CONFIDENCE * Math.sqrt((share * (1 - share)) / rows)) * 100) / 100;
    suggest(
      'completeness',
      { measure: complete, mostly: least },
      `${(share * 100).toFixed(1)} % of the rows have a value`,
      `${name} is there as often as it was.`,
    );
  }
  if (uniqueness?.value === 1 && rows > 1)
    suggest(
      'unique',
      { measure: { metric: 'uniqueness', columns: [name] }, fail: { min: 1 } },
      'no value comes twice',
      `${name} tells rows apart.`,
    );
  if (!personal) suggestions.push(...categories(dataset, slug, column, histogram));
  if (minimum !== undefined && minimum.value >= 0)
    suggest(
      'non-negative',
      { measure: { metric: 'within', column: name, min: 0 }, fail: { min: 1 } },
      personal ? 'no value is negative' : `the smallest value is ${minimum.value}`,
      `${name} was never negative.`,
    );
  const inferred = type === 'text' ? inferredType(measured['data-type']) : undefined;
  if (inferred !== undefined)
    suggest(
      'type',
      { measure: { metric: 'data-type', column: name, type: inferred }, fail: { min: 1 } },
      `every text reads as ${inferred}`,
      `${name} held only ${inferred} values.`,
    );
  return suggestions;
}

function categories(dataset: string, slug: string, { name, type }: Column, histogram: Measurement | undefined): Suggestion[] {
  if (type !== 'text' || histogram?.detail?.kind !== 'frequencies' || histogram.detail.tailCount > 0) return [];
  const present = histogram.detail.values.filter(({ value }) => value !== 'NullValue');
  const total = present.reduce((sum, { count }) => sum + count, 0);
  if (present.length === 0 || present.length > MOST_CATEGORIES || present.length > CATEGORICAL * total) return [];
  let covered = 0;
  const usual = present.filter(({ count }) => {
    const needed = covered < USUAL * total;
    if (needed) covered += count;
    return needed;
  });
  const all = present.map(({ value }) => String(value)).sort();
  const suggestion = (id: string, values: readonly string[], least: number, because: string): Suggestion => ({
    check: {
      id: `${slug}-${id}`,
      dataset,
      measure: { metric: 'contained-in', column: name, values },
      mostly: least,
      why: `${name} held only these values.`,
    },
    because,
  });
  const every = suggestion('categories', all, 1, `${total} values are of ${all.length} kinds`);
  if (usual.length === present.length || usual.length > all.length / 2) return [every];
  const share = Math.floor((covered / total) * 100) / 100;
  return [
    every,
    suggestion(
      'usual-categories',
      usual.map(({ value }) => String(value)).sort(),
      share,
      `${usual.length} of ${all.length} kinds are ${(share * 100).toFixed(0)} % of the values`,
    ),
  ];
}

function inferredType(measured: Measurement | undefined): 'integral' | 'fractional' | 'boolean' | undefined {
  if (measured?.detail?.kind !== 'frequencies') return undefined;
  const of = (name: string): number =>
    measured.detail?.kind === 'frequencies' ? (measured.detail.values.find(({ value }) => value === name)?.count ?? 0) : 0;
  const known = measured.rows - of('Unknown');
  if (known === 0 || of('String') > 0) return undefined;
  if (of('Boolean') === known) return 'boolean';
  if (of('Integral') === known) return 'integral';
  return of('Fractional') + of('Integral') === known && of('Integral') === 0 ? 'fractional' : undefined;
}
