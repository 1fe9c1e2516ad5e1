/** Local dates of an IANA zone as numbers of days since 1970-01-01, and the instants they begin at. */
import { IANAZone } from 'luxon';
import { AlmanacError } from './failures';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
export const DAY_MS = 24 * HOUR;

/** Whether an IANA name is one this platform knows. */
export function isTimezone(name: string): boolean {
  return IANAZone.isValidZone(name);
}

/** Throws `pipeline.invalid` for a name no platform knows. */
export function zoneOf(timezone: string): IANAZone {
  const zone = IANAZone.create(timezone);
  if (!zone.isValid) {
    throw new AlmanacError('pipeline.invalid', `"${timezone}" is not an IANA time zone.`, {
      next: 'Use a name such as America/New_York in `daily({ timezone })`.',
    });
  }
  return zone;
}

/** Milliseconds the zone's clock is ahead of UTC at an instant. */
export function offsetAt(zone: IANAZone, at: number): number {
  return zone.offset(at) * MINUTE;
}

/** The local date at an instant. */
export function localDay(zone: IANAZone, at: number): number {
  return Math.floor((at + offsetAt(zone, at)) / DAY_MS);
}

/** The first instant whose local date is `day`, or a later one when the zone skipped it. */
export function firstInstant(zone: IANAZone, day: number): number {
  const utc = day * DAY_MS;
  const before = utc - offsetAt(zone, utc - 2 * DAY_MS);
  const after = utc - offsetAt(zone, utc + 2 * DAY_MS);
  if (before === after && localDay(zone, before) === day && localDay(zone, before - 1) < day) return before;
  // A transition is near: scan hourly for the first step onto the date (a return to it later is not its start), then bisect.
  let low = Math.min(before, after) - 2 * HOUR;
  while (localDay(zone, low + HOUR) < day) low += HOUR;
  let high = low + HOUR;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (localDay(zone, middle) < day) low = middle;
    else high = middle;
  }
  return high;
}

/** The day whose stretch from its first instant to the next day's holds the instant; not always the local date at it. */
export function dayHolding(zone: IANAZone, at: number): number {
  // Where clocks go back over midnight the local date returns to the day before; the stretch does not.
  let day = localDay(zone, at) + 1;
  while (firstInstant(zone, day) > at) day -= 1;
  return localDay(zone, firstInstant(zone, day));
}

/** `YYYY-MM-DD`. */
export function formatDay(day: number): string {
  return new Date(day * DAY_MS).toISOString().slice(0, 10);
}

/** Undefined for what is no date of the calendar in the form `YYYY-MM-DD`. */
export function parseDay(text: string): number | undefined {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return undefined;
  const day = Date.parse(`${text}T00:00:00Z`) / DAY_MS;
  return Number.isInteger(day) && formatDay(day) === text ? day : undefined;
}
