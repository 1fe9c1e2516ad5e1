/** Metrics in words, for verdicts and histories. */
import { qualityText, valueText } from './quality/quality-text';
import type { CheckDeclaration, Metric } from './types';

/** One metric's short name, such as `null-count(pixel_id)`; two metrics that measure different things differ in it. */
export function metricText(measure: Metric): string {
  switch (measure.metric) {
    case 'rows':
      return 'rows';
    case 'null-count':
      return `null-count(${measure.column})`;
    case 'duplicate-keys':
      return `duplicate-keys(${measure.key.join(', ')})`;
    case 'rows-where':
      return `rows-where(${measure.predicate})`;
    case 'missing-references':
      return `missing-references(${measure.column} in ${measure.in.dataset}.${measure.in.column})`;
    case 'quarantine-ratio':
      return `quarantine-ratio(${measure.stage}: ${measure.reasons.join(', ')})`;
    default:
      return qualityText(measure);
  }
}

/** The measured number as a statement about the dataset: `3 of 25 rows of report (12 %) have no pixel_id`. */
export function describeMetric({ dataset, measure, as }: CheckDeclaration, value: number, rows: number): string {
  const one = value === 1 && as !== 'ratio';
  const subject =
    as === 'ratio'
      ? `${countText(value)} of ${countText(rows)} ${rows === 1 ? 'row' : 'rows'} of ${dataset} (${percentText(rows === 0 ? 0 : value / rows)})`
      : `${countText(value)} ${one ? 'row' : 'rows'} of ${dataset}`;
  switch (measure.metric) {
    case 'rows':
      return `${dataset} has ${countText(value)} ${value === 1 ? 'row' : 'rows'}`;
    case 'null-count':
      return `${subject} ${one ? 'has' : 'have'} no ${measure.column}`;
    case 'duplicate-keys':
      return `${subject} ${one ? 'repeats' : 'repeat'} the key (${measure.key.join(', ')}) of another row`;
    case 'rows-where':
      return `${subject} ${one ? 'is' : 'are'} such that ${measure.predicate}`;
    case 'missing-references':
      return `${subject} ${one ? 'has' : 'have'} a ${measure.column} that is not in ${measure.in.dataset}`;
    case 'quarantine-ratio':
      return `${percentText(value)} of the ${countText(rows)} rows read for ${dataset} are in quarantine as ${measure.reasons.join(' or ')}`;
    default:
      return `${qualityText(measure)} of ${dataset} is ${valueText(value)}`;
  }
}

/** `1,204`; fractions (bounds of a drift) are shown below 100 only. */
export function countText(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: Math.abs(value) < 100 ? 1 : 0 });
}

/** `12 %`, `0.03125 %`: four digits, so that what is just over a band does not read as the band itself. */
export function percentText(ratio: number): string {
  return `${(ratio * 100).toLocaleString('en-US', { maximumSignificantDigits: 4 })} %`;
}
