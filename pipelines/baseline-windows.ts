/** Which earlier windows a value may be compared with: short ones by their keys, since a day of them is more than a ledger should be asked for. */
import type { DriftSpec, WindowSpec } from './types';
import { parseWindow, windowOf } from './window';

const DAY_MS = 86_400_000;
const MINUTE_MS = 60_000;
/** Of each time of day 8 windows are wanted; three of four may be missing. */
const DAYS_BACK = 32;
/** Times of day whose spread is looked at: all of windows of ten minutes, and as many, evenly apart, of shorter ones. */
const TIMES_OF_DAY = 144;
/** Windows of one time of day that are looked at. */
export const SEASON_WINDOWS = 8;
/** A year of days: of each weekday more than 8, also when most windows are missing. */
const NEWEST_WINDOWS = 400;

export interface BaselineWindows {
  /** Keys of the windows; absent for any before the tested one. */
  readonly keys?: readonly string[];
  /** Of each time of day so many of the newest ones; absent where windows are told apart by days. */
  readonly each?: number;
  /** So many of the newest ones at most. */
  readonly limit: number;
  /** Whether their states are needed. */
  readonly states: boolean;
}

/**
 * The windows that a method of drift looks at: a rate at the newest one, a level at the same time of day or weekday and, for the spread, at the
 * others, all others at the same time of day or weekday.
 */
export function baselineWindows(spec: WindowSpec, window: string, method: DriftSpec['method']): BaselineWindows {
  const states = method === 'psi' || method === 'js';
  if (method === 'rate') return { limit: 1, states };
  if (spec.every !== 'minutes') return { limit: NEWEST_WINDOWS, states };
  const keys = [...earlierKeys(spec, window, method === 'level' ? TIMES_OF_DAY : 1)];
  return { keys, each: SEASON_WINDOWS, limit: keys.length, states };
}

/** Keys of the last days at so many times of day, the own one among them, newest first. */
function* earlierKeys(spec: Extract<WindowSpec, { every: 'minutes' }>, window: string, times: number): Generator<string> {
  const start = Date.parse(parseWindow(spec, window).start);
  const perDay = DAY_MS / MINUTE_MS / spec.minutes;
  const apart = Math.ceil(perDay / times);
  for (let day = 0; day < DAYS_BACK; day++) {
    for (let back = 0; back < perDay; back += apart) {
      const at = start - day * DAY_MS - back * spec.minutes * MINUTE_MS;
      if (at < start) yield windowOf(spec, new Date(at)).key;
    }
  }
}
