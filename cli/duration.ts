import { durationMs } from '../pipelines/duration';
import { AlmanacError } from '../pipelines/failures';

/** The value of an option that is a length of time, in milliseconds; throws `run.usage`, naming the option. */
export function duration(option: string, text: string): number {
  const milliseconds = durationMs(text);
  if (milliseconds !== undefined) return milliseconds;
  throw new AlmanacError('run.usage', `${option} ${JSON.stringify(text)} is not a length of time`, {
    next: `Give one in s, m, h or d, like ${option} 12h`,
  });
}
