/**
 * Windows: the half-open intervals of data runs are for. A local day starts at its first instant, so days tile time
 * without gap or overlap in every zone: 23 to 25 hours long, starting at 01:00 where there is no midnight, absent where
 * the zone skipped a date.
 */
import { IANAZone } from 'luxon';
import { AlmanacError } from './failures';
import type { Window, WindowSpec } from './types';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const FORM = /^(\d{4})-(\d{2})-(\d{2})$/;
const EXAMPLE = '2026-11-20';

/** Whether an IANA name is one this platform knows. */
export function isTimezone(name: string): boolean {
  return IANAZone.isValidZone(name);
}

/** The window of a key. Throws `window.invalid` naming the form expected. */
export function parseWindow(spec: WindowSpec, key: string): Window {
  const day = dayNumber(key);
  if (day === undefined) {
    throw invalid(`"${key}" is not the key of a daily window, which is a date such as ${EXAMPLE}.`, key);
  }
  const zone = zoneOf(spec);
  const start = firstInstant(zone, day);
  if (localDay(zone, start) !== day) {
    throw invalid(`The zone ${spec.timezone} skipped the day ${key}: there is no such window.`, key);
  }
  return window(zone, day, start);
}

/** The window that holds an instant. */
export function windowOf(spec: WindowSpec, instant: Date): Window {
  const zone = zoneOf(spec);
  const at = instant.getTime();
  // Where clocks go back over midnight the local date returns to the day before; the window does not.
  let day = localDay(zone, at) + 1;
  while (firstInstant(zone, day) > at) day -= 1;
  const start = firstInstant(zone, day);
  return window(zone, localDay(zone, start), start);
}

/** The key of the window that ends where this one starts. Throws `window.invalid`. */
export function previousKey(spec: WindowSpec, key: string): string {
  return windowOf(spec, new Date(Date.parse(parseWindow(spec, key).start) - 1)).key;
}

/** The key of the window that starts where this one ends. Throws `window.invalid`. */
export function nextKey(spec: WindowSpec, key: string): string {
  return windowOf(spec, new Date(Date.parse(parseWindow(spec, key).end))).key;
}

/** Every window from `from` to `to`, both included, oldest first. Throws `window.invalid`, also when `to` is before `from`. */
export function enumerate(spec: WindowSpec, from: string, to: string): Window[] {
  const last = parseWindow(spec, to);
  let current = parseWindow(spec, from);
  if (current.start > last.start) {
    throw invalid(`The range from ${from} to ${to} is empty: it ends before it starts.`, from);
  }
  const windows = [current];
  while (current.start < last.start) {
    current = windowOf(spec, new Date(Date.parse(current.end)));
    windows.push(current);
  }
  return windows;
}

/** Whether a window's data can be complete: its end has come. */
export function isOver(window: Window, now: Date): boolean {
  return Date.parse(window.end) <= now.getTime();
}

function window(zone: IANAZone, day: number, start: number): Window {
  let next = day + 1;
  while (localDay(zone, firstInstant(zone, next)) !== next) next += 1;
  return { key: dayKey(day), start: new Date(start).toISOString(), end: new Date(firstInstant(zone, next)).toISOString() };
}

/** Days since 1970-01-01 of a date that exists in the calendar. */
function dayNumber(key: string): number | undefined {
  if (!FORM.test(key)) return undefined;
  const day = Date.parse(`${key}T00:00:00Z`) / DAY;
  return Number.isInteger(day) && dayKey(day) === key ? day : undefined;
}

function dayKey(day: number): string {
  return new Date(day * DAY).toISOString().slice(0, 10);
}

/** The local date at an instant, in days since 1970-01-01. */
function localDay(zone: IANAZone, at: number): number {
  return Math.floor((at + zone.offset(at) * MINUTE) / DAY);
}

/** The first instant whose local date is `day`, or a later one when the zone skipped it. */
function firstInstant(zone: IANAZone, day: number): number {
  const utc = day * DAY;
  const before = utc - zone.offset(utc - 2 * DAY) * MINUTE;
  const after = utc - zone.offset(utc + 2 * DAY) * MINUTE;
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

function zoneOf(spec: WindowSpec): IANAZone {
  const zone = IANAZone.create(spec.timezone);
  if (!zone.isValid) {
    throw new AlmanacError('pipeline.invalid', `"${spec.timezone}" is not an IANA time zone.`, {
      next: 'Use a name such as America/New_York in `daily({ timezone })`.',
    });
  }
  return zone;
}

function invalid(message: string, key: string): AlmanacError {
  return new AlmanacError('window.invalid', message, { next: `Use a key like ${EXAMPLE}.`, details: { window: key } });
}
