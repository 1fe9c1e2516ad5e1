import { AlmanacError } from '../pipelines/failures';

const UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** The value of an option that is a length of time, in milliseconds; throws `run.usage`, naming the option. */
export function duration(option: string, text: string): number {
  const [, count, unit = ''] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  const milliseconds = UNITS[unit];
  if (count !== undefined && milliseconds !== undefined) return Number(count) * milliseconds;
  throw new AlmanacError('run.usage', `${option} ${JSON.stringify(text)} is not a length of time`, {
    next: `Give one in s, m, h or d, like ${option} 12h`,
  });
}
