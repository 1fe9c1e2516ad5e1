/**
 * When a schedule fires. A slot is one nominal firing: a wall-clock time of the schedule's zone that its cron text names. Each has one
 * instant, also where clocks change: a time that does not exist fires as soon as the clock has passed it (`gap: 'shift'`) or not at all
 * (`skip`), a time that comes twice fires the `first` or the `last` time. Everything is a function of its arguments.
 */
import type { IANAZone } from 'luxon';
import { nominalTimes } from './cron-times';
import { DAY_MS, offsetAt, zoneOf } from './local-day';
import type { ScheduleSpec, Window, WindowSpec } from './types';
import { gridOf } from './window-grid';

/** The part of a schedule that says when. */
export type Timetable = Pick<ScheduleSpec, 'cron' | 'timezone' | 'gap' | 'fold' | 'holidays'>;

export interface Slot {
  /** The wall-clock time, `YYYY-MM-DDTHH:MM`: with the pipeline, the name of the slot. */
  readonly nominal: string;
  /** The instant it fires, ISO. */
  readonly at: string;
  /** What the clocks did to it. */
  readonly shifted?: 'gap' | 'fold';
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** Clocks have never been moved further at once, the date line included. */
const FAR = 26 * HOUR;

/**
 * Slots that fire in [from, to), in order of their instants, then of their nominal times. Slots on `holidays` are left out.
 * @param limit at most so many, the earliest
 */
export function slotsBetween(timetable: Timetable, from: Date, to: Date, limit = Infinity): Slot[] {
  const zone = zoneOf(timetable.timezone);
  const [start, end] = [from.getTime(), to.getTime()];
  if (!(start < end)) return [];
  const [first, last] = nominalRange(zone, start, end);
  const slots: Slot[] = [];
  // Where clocks go back, later nominal times fire earlier: a limit cuts off only after the last that could still come before.
  let settledBefore = Infinity;
  for (const nominal of nominalTimes(timetable.cron, first, last)) {
    if (nominal > settledBefore) break;
    const slot = fire(zone, timetable, nominal);
    if (slot === undefined || slot.at < start || slot.at >= end) continue;
    slots.push({
      nominal: new Date(nominal).toISOString().slice(0, 16),
      at: new Date(slot.at).toISOString(),
      ...(slot.shifted === undefined ? {} : { shifted: slot.shifted }),
    });
    if (slots.length === limit) settledBefore = nominal + FAR;
  }
  return slots
    .sort((a, b) => (a.at === b.at ? compare(a.nominal, b.nominal) : compare(a.at, b.at)))
    .slice(0, Math.min(limit, slots.length));
}

/** The first slot after an instant; undefined for a cron text that names no more times. */
export function nextSlot(timetable: Timetable, after: Date): Slot | undefined {
  const from = new Date(after.getTime() + 1);
  // A schedule fires within a day, a week, a year, or at all (29 February): look no further than needed.
  for (const days of [1 / 24, 1, 8, 366, 9 * 366]) {
    const [slot] = slotsBetween(timetable, from, new Date(from.getTime() + days * DAY_MS), 1);
    if (slot !== undefined) return slot;
  }
  return undefined;
}

/** The window a slot is for: the newest that is over when it fires. */
export function windowOfSlot(spec: WindowSpec, slot: Pick<Slot, 'at'>): Window {
  const grid = gridOf(spec);
  return grid.holding(Date.parse(grid.holding(Date.parse(slot.at)).start) - 1);
}

/** Where one nominal time fires, in milliseconds of unix time; undefined when it does not. */
function fire(zone: IANAZone, timetable: Timetable, nominal: number): { at: number; shifted?: 'gap' | 'fold' } | undefined {
  if (timetable.holidays?.includes(new Date(nominal).toISOString().slice(0, 10)) === true) return undefined;
  const offsets = offsetsNear(zone, nominal);
  const [only = 0] = offsets;
  if (offsets.length === 1) return { at: nominal - only };
  const instants = offsets.map((offset) => nominal - offset).filter((at) => at + offsetAt(zone, at) === nominal);
  const [earliest] = instants;
  if (earliest === undefined) return timetable.gap === 'skip' ? undefined : { at: passing(zone, nominal), shifted: 'gap' };
  if (instants.length === 1) return { at: earliest };
  return { at: timetable.fold === 'first' ? Math.min(...instants) : Math.max(...instants), shifted: 'fold' };
}

const offsetsByDay = new Map<string, readonly number[]>();
const REMEMBERED_DAYS = 5000;

/** The offsets a zone has around the day of a nominal time, each once; remembered, since asking the platform is what costs. */
function offsetsNear(zone: IANAZone, nominal: number): readonly number[] {
  const day = Math.floor(nominal / DAY_MS) * DAY_MS;
  const name = `${zone.name} ${day}`;
  const known = offsetsByDay.get(name);
  if (known !== undefined) return known;
  const [before, after] = [day - FAR, day + DAY_MS + FAR];
  const offsets = new Set([offsetAt(zone, before), offsetAt(zone, after)]);
  // Between two changes close together the zone has a third one.
  if (offsets.size > 1) for (let at = before; at < after; at += HOUR) offsets.add(offsetAt(zone, at));
  if (offsetsByDay.size >= REMEMBERED_DAYS) offsetsByDay.clear();
  offsetsByDay.set(name, [...offsets]);
  return [...offsets];
}

/** The first instant at which the clock shows more than a nominal time that it never shows. */
function passing(zone: IANAZone, nominal: number): number {
  let low = nominal - FAR;
  let high = nominal + FAR;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (middle + offsetAt(zone, middle) < nominal) low = middle;
    else high = middle;
  }
  return high;
}

/** Nominal times outside of this range cannot fire in [start, end). */
function nominalRange(zone: IANAZone, start: number, end: number): [number, number] {
  const offsets = [offsetAt(zone, start - 1), offsetAt(zone, start), offsetAt(zone, end)];
  if (end - start > HOUR) offsets.push(offsetAt(zone, start) - FAR, offsetAt(zone, end) + FAR);
  return [start + Math.min(...offsets), end + Math.max(...offsets)];
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
