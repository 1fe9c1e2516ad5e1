/** Whether the slots of a schedule and the windows of its pipeline fit together. */
import { slotsBetween, windowOfSlot, type Slot } from './calendar';
import { deadlineOf } from './deadline';
import { AlmanacError } from './failures';
import { DAY_MS, offsetAt, zoneOf } from './local-day';
import type { PipelineSpec } from './types';
import { nextKey } from './window';

const YEARS_MS = 2 * 366 * DAY_MS;
/** Slots that are looked at one after the other: more than two years of hours have. */
const MOST = 20_000;
/** Around a change of clocks: the slots of a minutely schedule are still few. */
const NEAR_MS = 2 * DAY_MS;
/** Slots among which one has to come before its deadline. */
const MOST_WITH_DEADLINE = 5000;

/**
 * An ordered chain needs each window once: one slot for each, none skipped. Looks two years ahead, of a schedule that fires more than
 * hourly at the next days and at each change of clocks, and throws `schedule.windows` naming the first slots that leave a hole or meet
 * on one window.
 */
export function requireTiling(spec: PipelineSpec, from: Date): void {
  const { id, chain, schedule } = spec;
  if (schedule === undefined || chain !== 'ordered') return;
  const end = new Date(from.getTime() + YEARS_MS);
  const slots = slotsBetween(schedule, from, end, MOST);
  if (slots.length === 0) {
    throw new AlmanacError('schedule.windows', `The schedule of ${id}, "${schedule.cron}", names no time in the next two years.`, {
      next: 'Correct schedule.cron in the declaration, then almanac schedule apply.',
    });
  }
  requireOneEach(spec, slots);
  if (slots.length < MOST) return;
  for (const change of clockChanges(schedule.timezone, from, end))
    requireOneEach(spec, slotsBetween(schedule, new Date(change - NEAR_MS), new Date(change + NEAR_MS)));
}

/** Days at which the clocks of a zone show another offset than the day before. */
function clockChanges(timezone: string, from: Date, to: Date): number[] {
  const zone = zoneOf(timezone);
  const changes: number[] = [];
  for (let at = from.getTime(); at < to.getTime(); at += DAY_MS)
    if (offsetAt(zone, at) !== offsetAt(zone, at + DAY_MS)) changes.push(at + DAY_MS);
  return changes;
}

function requireOneEach({ id, window }: PipelineSpec, slots: readonly Slot[]): void {
  let before: { nominal: string; key: string } | undefined;
  for (const slot of slots) {
    const { key } = windowOfSlot(window, slot);
    if (before !== undefined && nextKey(window, before.key) !== key) {
      const what = before.key === key ? `both are for ${key}` : `are for ${before.key} and ${key}`;
      throw new AlmanacError(
        'schedule.windows',
        `An ordered chain needs each window once; the slots ${before.nominal} and ${slot.nominal} of ${id} ${what}.`,
        {
          next: 'Let the schedule fire once a window, at a time of day that a change of clocks does not move over its end.',
          details: { pipeline: id, slots: [before.nominal, slot.nominal] },
        },
      );
    }
    before = { nominal: slot.nominal, key };
  }
}

/** A deadline is of the day its slot fires: throws `schedule.deadline` when the next slots all fire at that time or later. */
export function requireDeadline({ id, schedule, deadline }: PipelineSpec, from: Date): void {
  if (schedule === undefined || deadline === undefined) return;
  const slots = slotsBetween(schedule, from, new Date(from.getTime() + YEARS_MS), MOST_WITH_DEADLINE);
  const [first] = slots;
  if (first === undefined || slots.some((slot) => deadlineOf(schedule.timezone, deadline.published, slot) !== undefined)) return;
  throw new AlmanacError(
    'schedule.deadline',
    `Every slot of ${id} fires after its deadline of that day, ${deadline.published}: ${first.nominal} is the next.`,
    {
      next: 'Let the schedule fire before deadline.published, or choose a later time.',
      details: { pipeline: id, slot: first.nominal },
    },
  );
}
