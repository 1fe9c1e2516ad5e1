import { AlmanacError } from '../pipelines/failures';

export interface Bounds {
  readonly minimum?: number;
  readonly maximum?: number;
  /** Default: an example of the option. */
  readonly next?: string;
}

const LARGEST = 999_999_999;

/** The value of an option or argument that is a count; throws `run.usage`, naming it and its bounds. */
export function wholeNumber(option: string, text: string, bounds: Bounds = {}): number {
  const { minimum = 0, maximum = LARGEST, next = `Give a number, like ${option} ${Math.max(minimum, 10)}` } = bounds;
  const value = /^\d{1,9}$/.test(text) ? Number(text) : NaN;
  if (value >= minimum && value <= maximum) return value;
  const range = maximum === LARGEST ? (minimum === 0 ? '' : ` from ${minimum}`) : ` from ${minimum} to ${maximum}`;
  throw new AlmanacError('run.usage', `${option} ${JSON.stringify(text)} is not a whole number${range}`, { next });
}
