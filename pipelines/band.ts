import type { Band } from './types';

/** Whether a value lies in a band. Written so that a bound or a value that is no number is outside. */
export function isInBand(value: number, { min = -Infinity, max = Infinity, above, below }: Band): boolean {
  return value >= min && value <= max && (above === undefined || value > above) && (below === undefined || value < below);
}
