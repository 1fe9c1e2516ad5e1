/**
 * Windows: the half-open intervals of data runs are for. A local day starts at its first instant, so days tile time
 * without gap or overlap in every zone: 23 to 25 hours long, starting at 01:00 where there is no midnight, absent where
 * the zone skipped a date.
 */
import { AlmanacError } from './failures';
import type { Window, WindowSpec } from './types';
import { gridOf } from './window-grid';

/** The window of a key. Throws `window.invalid` naming the form expected. */
export function parseWindow(spec: WindowSpec, key: string): Window {
  const { parse, holding, form, example } = gridOf(spec);
  const window = parse(key);
  if (window === undefined) throw invalid(`"${key}" is not the key of ${form} such as ${example}.`, key, example);
  if (window === 'skipped') throw invalid(`The zone ${zoneName(spec)} skipped the day ${key}: there is no such window.`, key, example);
  if (FIRST_OR_LAST_YEARS.test(key) && !hasNeighbours(window, holding)) {
    throw invalid(`"${key}" lies at the edge of the years 0001 to 9999: the window before or after it cannot be written.`, key, example);
  }
  return window;
}

/** Runs need the windows beside theirs, and keys have four digits for the year. */
const FIRST_OR_LAST_YEARS = /^(000[01]|9999)/;

function hasNeighbours({ start, end }: Window, holding: (at: number) => Window): boolean {
  const around = [holding(Date.parse(start) - 1).key, start, end, holding(Date.parse(end)).key];
  return around.every((text) => /^\d{4}/.test(text) && !text.startsWith('0000'));
}

/** The window that holds an instant. */
export function windowOf(spec: WindowSpec, instant: Date): Window {
  return gridOf(spec).holding(instant.getTime());
}

/** The newest window that is over at an instant. */
export function lastOver(spec: WindowSpec, now: Date): Window {
  return windowOf(spec, new Date(Date.parse(windowOf(spec, now).start) - 1));
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
  requireForward(current, last);
  const windows = [current];
  while (current.start < last.start) {
    current = windowOf(spec, new Date(Date.parse(current.end)));
    windows.push(current);
  }
  return windows;
}

/** Throws `window.invalid` for a range that ends before it starts. */
export function requireForward(from: Window, to: Window): void {
  if (from.start <= to.start) return;
  throw new AlmanacError('window.invalid', `The range from ${from.key} to ${to.key} is empty: it ends before it starts.`, {
    next: `name the earlier window first: --from ${to.key} --to ${from.key}`,
    details: { window: from.key },
  });
}

/** Whether a window's data can be complete: its end has come. */
export function isOver(window: Window, now: Date): boolean {
  return Date.parse(window.end) <= now.getTime();
}

/** The zone whose days or weeks the windows are; windows of minutes are of UTC. */
export function zoneName(spec: WindowSpec): string {
  return spec.every === 'minutes' ? 'UTC' : spec.timezone;
}

function invalid(message: string, key: string, example: string): AlmanacError {
  return new AlmanacError('window.invalid', message, { next: `Use a key like ${example}.`, details: { window: key } });
}
