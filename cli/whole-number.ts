import { AlmanacError } from '../pipelines/failures';

/** The value of an option that is a count; throws `run.usage`, naming the option. */
export function wholeNumber(option: string, text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new AlmanacError('run.usage', `${option} ${JSON.stringify(text)} is not a whole number`, { next: `Give a number, like ${option} 10` });
}
