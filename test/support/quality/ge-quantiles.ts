import type { CheckDeclaration } from '../../../pipelines/types';
import { rangeBand, type Kwargs } from './ge-kwargs';

interface QuantileRanges {
  readonly quantiles: readonly number[];
  readonly value_ranges: readonly (readonly [number | null, number | null])[];
}

/** Quantiles that are elements of the data, one check each. Throws where they have not one range each. */
export function quantileChecks(kwargs: Kwargs, check: Omit<CheckDeclaration, 'measure' | 'onFail'>): CheckDeclaration[] {
  const { quantiles, value_ranges: ranges } = kwargs['quantile_ranges'] as QuantileRanges;
  if (quantiles.length !== ranges.length) throw new Error('there is not one range for each quantile');
  return quantiles.map((quantile, i) => ({
    ...check,
    id: `${check.id}-${i}`,
    measure: { metric: 'approx-quantile', column: String(kwargs['column']), quantile },
    fail: rangeBand({ min_value: ranges[i]?.[0], max_value: ranges[i]?.[1] }),
  }));
}
