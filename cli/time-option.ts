import { AlmanacError } from '../pipelines/failures';

const UNITS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/**
 * An instant of an option: ISO 8601, in UTC without an offset, a date alone as its first instant; or a length like `90m`, `24h`,
 * `3d` from now, back or ahead. Throws `run.usage`.
 */
export function timeOption(option: string, text: string, now: Date, direction: 'ago' | 'ahead'): Date {
  const [, count, unit = ''] = /^(\d{1,5})([mhd])$/.exec(text) ?? [];
  if (count !== undefined) return new Date(now.getTime() + Number(count) * (UNITS[unit] ?? 0) * (direction === 'ago' ? -1 : 1));
  const iso = /^\d{4}-\d{2}-\d{2}$/.test(text) ? `${text}T00:00Z` : /^\d{4}-\d{2}-\d{2}T[\d:.]+$/.test(text) ? `${text}Z` : text;
  const at = /^\d{4}-\d{2}-\d{2}T[\d:.]+(Z|[+-]\d{2}:\d{2})$/.test(iso) ? new Date(iso) : undefined;
  if (at !== undefined && !Number.isNaN(at.getTime())) return at;
  throw new AlmanacError('run.usage', `${option} ${JSON.stringify(text)} is no time`, {
    next: `write it like ${option} 2026-11-21T18:00Z, ${option} 2026-11-21 or ${option} 24h`,
  });
}
