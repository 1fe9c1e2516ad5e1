import type { Metric } from '../types';

/** Datasets beside its own that a metric reads. */
export function otherDatasets(measure: Metric): readonly string[] {
  switch (measure.metric) {
    case 'missing-references':
    case 'referential-integrity':
      return [measure.in.dataset];
    case 'row-count-match':
    case 'data-set-match':
      return [measure.dataset];
    case 'custom-sql':
    case 'unexpected-rows':
      return measure.datasets ?? [];
    case 'conservation':
      return [measure.previous, measure.added, ...(measure.removed === undefined ? [] : [measure.removed])];
    default:
      return [];
  }
}
