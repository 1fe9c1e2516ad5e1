/** How windows tile time: local days, local ISO weeks, or fixed minutes of UTC. */
import { DAY_MS, dayHolding, firstInstant, formatDay, localDay, parseDay, zoneOf } from './local-day';
import type { Window, WindowSpec } from './types';

/** One tiling: half-open windows that touch and never overlap. */
export interface WindowGrid {
  /** A key as the author would write it, for messages. */
  readonly example: string;
  /** What the key is, as in "is not the key of a daily window, which is a date". */
  readonly form: string;
  /** The window of a key; undefined when the text has not its form; `skipped` when the zone left that day out. */
  parse(key: string): Window | 'skipped' | undefined;
  /** The window that holds an instant, in milliseconds of unix time. */
  holding(at: number): Window;
}

const MINUTE = 60_000;
/** 1970-01-01 was a Thursday: the Monday before is day -3. */
const A_MONDAY = -3;

export function gridOf(spec: WindowSpec): WindowGrid {
  switch (spec.every) {
    case 'day':
      return dayGrid(spec.timezone);
    case 'week':
      return weekGrid(spec.timezone);
    case 'minutes':
      return minuteGrid(spec.minutes);
  }
}

/** The date a key of any grid stands for: the day itself, the Sunday of a week, the UTC date minutes begin on. */
export function dateOf(key: string): string {
  const [, year, week] = /^(\d{4})-W(\d{2})$/.exec(key) ?? [];
  if (year !== undefined) return formatDay(firstMonday(year) + (Number(week) - 1) * 7 + 6);
  return /^\d{8}T/.test(key) ? `${key.slice(0, 4)}-${key.slice(4, 6)}-${key.slice(6, 8)}` : key;
}

function window(key: string, start: number, end: number): Window {
  return { key, start: new Date(start).toISOString(), end: new Date(end).toISOString() };
}

function dayGrid(timezone: string): WindowGrid {
  const zone = zoneOf(timezone);
  const of = (day: number): Window => {
    let next = day + 1;
    while (localDay(zone, firstInstant(zone, next)) !== next) next += 1;
    return window(formatDay(day), firstInstant(zone, day), firstInstant(zone, next));
  };
  return {
    example: '2026-11-20',
    form: 'a daily window, which is a date',
    parse(key) {
      const day = parseDay(key);
      if (day === undefined) return undefined;
      return localDay(zone, firstInstant(zone, day)) === day ? of(day) : 'skipped';
    },
    holding: (at) => of(dayHolding(zone, at)),
  };
}

function weekGrid(timezone: string): WindowGrid {
  const zone = zoneOf(timezone);
  const of = (monday: number): Window => window(weekKey(monday), firstInstant(zone, monday), firstInstant(zone, monday + 7));
  return {
    example: '2026-W47',
    form: 'a weekly window, which is an ISO week',
    parse(key) {
      const [, year, week] = /^(\d{4})-W(\d{2})$/.exec(key) ?? [];
      if (year === undefined) return undefined;
      const monday = firstMonday(year) + (Number(week) - 1) * 7;
      return weekKey(monday) === key ? of(monday) : undefined;
    },
    holding: (at) => of(mondayOf(dayHolding(zone, at))),
  };
}

function mondayOf(day: number): number {
  return Math.floor((day - A_MONDAY) / 7) * 7 + A_MONDAY;
}

/** An ISO week belongs to the year of its Thursday; its number counts the Thursdays of that year. */
function weekKey(monday: number): string {
  const year = formatDay(monday + 3).slice(0, 4);
  return `${year}-W${String((monday - firstMonday(year)) / 7 + 1).padStart(2, '0')}`;
}

/** The 4th of January always lies in the first week. */
function firstMonday(year: string): number {
  return mondayOf(Date.parse(`${year}-01-04T00:00:00Z`) / DAY_MS);
}

/** Windows of so many minutes, counted from midnight UTC; their keys name the start and the length as ISO 8601 does, shortened. */
function minuteGrid(minutes: number): WindowGrid {
  const length = minutes * MINUTE;
  const suffix = minutes % 60 === 0 ? `PT${minutes / 60}H` : `PT${minutes}M`;
  const of = (start: number): Window => {
    const stamp = new Date(start).toISOString();
    return window(`${stamp.slice(0, 16).replace(/[-:]/g, '')}Z-${suffix}`, start, start + length);
  };
  const example = of(Math.floor(Date.UTC(2026, 10, 20, 10, 40) / length) * length).key;
  return {
    example,
    form: `a window of ${minutes} minutes, which is its start in UTC and its length`,
    parse(key) {
      const [, date, hour, minute] = /^(\d{8})T(\d{2})(\d{2})Z-PT\d+[HM]$/.exec(key) ?? [];
      if (date === undefined) return undefined;
      const start = Date.parse(`${date.slice(0, 4)}-${date.slice(4, 6)}-${date.slice(6)}T${hour}:${minute}:00Z`);
      // Only a start on the grid, spelled in the one way, is a key.
      return !Number.isNaN(start) && (start % DAY_MS) % length === 0 && of(start).key === key ? of(start) : undefined;
    },
    holding: (at) => of(Math.floor(at / length) * length),
  };
}
