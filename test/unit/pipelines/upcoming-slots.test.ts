import fc from 'fast-check';
import { nextSlot, type Timetable } from '../../../pipelines/calendar';
import { UpcomingSlots } from '../../../pipelines/upcoming-slots';

const MINUTE = 60_000;
const CHANGE = Date.UTC(2026, 2, 29, 1);
const daily = (cron: string, timezone = 'Europe/Berlin'): Timetable => ({ cron, timezone, gap: 'shift', fold: 'first' });

test('what is remembered is what the calendar says, in whatever order instants and timetables are asked', () => {
  const timetables = [
    daily('30 2 * * *'),
    daily('*/7 * * * *'),
    daily('30 2 * * *', 'UTC'),
    { ...daily('30 2 * * *'), holidays: ['2026-03-29'] },
  ];
  const asked = fc.array(fc.tuple(fc.constantFrom(...timetables), fc.integer({ min: -2 * 1440 * 60, max: 2 * 1440 * 60 })), {
    minLength: 1,
    maxLength: 12,
  });
  fc.assert(
    fc.property(asked, (questions) => {
      const upcoming = new UpcomingSlots();
      for (const [timetable, seconds] of questions) {
        const after = new Date(CHANGE + seconds * 1000);
        expect(upcoming.next(timetable, after)).toEqual(nextSlot(timetable, after));
      }
    }),
    { numRuns: 50 },
  );
});

test('at the very instant of a slot the next one is asked for', () => {
  const upcoming = new UpcomingSlots();
  const every = daily('* * * * *', 'UTC');
  const first = upcoming.next(every, new Date(CHANGE));
  expect(first?.at).toBe(new Date(CHANGE + MINUTE).toISOString());
  expect(upcoming.next(every, new Date(CHANGE + MINUTE - 1))).toBe(first);
  expect(upcoming.next(every, new Date(CHANGE + MINUTE))?.at).toBe(new Date(CHANGE + 2 * MINUTE).toISOString());
});

test('times that never come are asked for once', () => {
  const upcoming = new UpcomingSlots();
  const never = daily('0 0 30 2 *', 'UTC');
  expect(upcoming.next(never, new Date(CHANGE))).toBeUndefined();
  expect(upcoming.next(never, new Date(CHANGE + MINUTE))).toBeUndefined();
});
