import fc from 'fast-check';
import { nextSlot, slotsBetween, windowOfSlot, type Timetable } from '../../../pipelines/calendar';
import { enumerate, windowOf } from '../../../pipelines/window';
import { clockOf, daysNearChanges, expectedSlots, firstDifference, readClock, type Policies } from '../../support/calendar-reference';

/** The whole of 2020 to 2040 takes half an hour; `npm run test:calendar` takes it. */
const WHOLE = process.env.ALMANAC_TEST_CALENDAR === 'whole';
const FROM_YEAR = 2020;
const TO_YEAR = 2041;
const DAY = 86_400_000;
const ZONES = Intl.supportedValuesOf('timeZone');

const newYork: Timetable = { cron: '30 2 * * *', timezone: 'America/New_York', gap: 'shift', fold: 'first' };
const at = (timetable: Timetable, from: string, to: string): string[] =>
  slotsBetween(timetable, new Date(from), new Date(to)).map((slot) => slot.at);

describe('a daily slot', () => {
  it('keeps its wall-clock time when the clocks change', () => {
    expect(at(newYork, '2026-03-07T00:00Z', '2026-03-10T00:00Z')).toEqual([
      '2026-03-07T07:30:00.000Z',
      // 02:30 does not exist: the clock passes it at 03:00, which is 07:00 UTC.
      '2026-03-08T07:00:00.000Z',
      '2026-03-09T06:30:00.000Z',
    ]);
  });

  it('is left out in a gap on request', () => {
    expect(at({ ...newYork, gap: 'skip' }, '2026-03-08T00:00Z', '2026-03-09T00:00Z')).toEqual([]);
  });

  it.each([
    ['first', '2026-11-01T05:30:00.000Z'],
    ['last', '2026-11-01T06:30:00.000Z'],
  ] as const)('that comes twice fires the %s time only', (fold, instant) => {
    expect(slotsBetween({ ...newYork, cron: '30 1 * * *', fold }, new Date('2026-11-01T00:00Z'), new Date('2026-11-02T00:00Z'))).toEqual([
      { nominal: '2026-11-01T01:30', at: instant, shifted: 'fold' },
    ]);
  });

  it('is not on a holiday, which is a local date', () => {
    const slots = slotsBetween(
      { ...newYork, cron: '0 23 * * *', holidays: ['2026-12-25'] },
      new Date('2026-12-24T12:00Z'),
      new Date('2026-12-27T12:00Z'),
    );
    expect(slots.map(({ nominal }) => nominal)).toEqual(['2026-12-24T23:00', '2026-12-26T23:00']);
  });
});

describe('nextSlot', () => {
  it('is strictly after the instant', () => {
    expect(nextSlot(newYork, new Date('2026-11-20T07:29:59.999Z'))?.at).toBe('2026-11-20T07:30:00.000Z');
    expect(nextSlot(newYork, new Date('2026-11-20T07:30:00.000Z'))?.at).toBe('2026-11-21T07:30:00.000Z');
  });

  it('finds the next leap day, and nothing for a date that never comes', () => {
    expect(nextSlot({ ...newYork, cron: '0 12 29 2 *', timezone: 'UTC' }, new Date('2026-03-01T00:00Z'))?.nominal).toBe('2028-02-29T12:00');
    expect(nextSlot({ ...newYork, cron: '0 12 30 2 *', timezone: 'UTC' }, new Date('2026-03-01T00:00Z'))).toBeUndefined();
  });

  it('continues a stretch without losing or doubling a slot, wherever it is cut', () => {
    const timetable = fc.record({
      cron: fc.constantFrom('*/20 * * * *', '30 2 * * *', '5,35 0-4 * * *', '0 0 * * *'),
      timezone: fc.constantFrom(
        'America/New_York',
        'Australia/Lord_Howe',
        'America/Havana',
        'Antarctica/Troll',
        'UTC',
        'Africa/Casablanca',
      ),
      gap: fc.constantFrom('shift' as const, 'skip' as const),
      fold: fc.constantFrom('first' as const, 'last' as const),
    });
    const start = fc.integer({ min: Date.UTC(2026, 2, 25) / 60_000, max: Date.UTC(2026, 3, 8) / 60_000 }).map((minute) => minute * 60_000);
    fc.assert(
      fc.property(timetable, start, fc.array(fc.integer({ min: 1, max: 900 }), { minLength: 1, maxLength: 12 }), (table, from, steps) => {
        const cuts = [from];
        for (const step of steps) cuts.push((cuts.at(-1) ?? from) + step * 60_000);
        const pieces = cuts.slice(1).flatMap((to, index) => slotsBetween(table, new Date(cuts[index] ?? from), new Date(to)));
        expect(pieces).toEqual(slotsBetween(table, new Date(from), new Date(cuts.at(-1) ?? from)));
        const walked: string[] = [];
        let instant = from - 1;
        for (
          let slot = nextSlot(table, new Date(instant));
          slot !== undefined && Date.parse(slot.at) < (cuts.at(-1) ?? from);
          slot = nextSlot(table, new Date(instant))
        ) {
          instant = Date.parse(slot.at);
          walked.push(slot.at);
        }
        expect(walked).toEqual([...new Set(pieces.map((slot) => slot.at))]);
      }),
      { numRuns: 60 },
    );
  });
});

describe('windowOfSlot', () => {
  it('is the newest window that is over', () => {
    expect(windowOfSlot({ every: 'day', timezone: 'UTC' }, { at: '2026-11-20T07:30:00.000Z' }).key).toBe('2026-11-19');
    expect(windowOfSlot({ every: 'minutes', minutes: 10 }, { at: '2026-11-20T10:50:00.000Z' }).key).toBe('20261120T1040Z-PT10M');
    expect(windowOfSlot({ every: 'week', timezone: 'UTC' }, { at: '2026-11-23T06:00:00.000Z' }).key).toBe('2026-W47');
  });
});

/** Every half hour of the day: midnight, the usual hour of changes, and what is beside them. */
const CRON = '*/30 * * * *';
const MINUTES = Array.from({ length: 48 }, (_, index) => index * 30);
/** What becomes of gaps and what of folds are apart: two pairs show all four. */
const POLICIES: readonly Policies[] = [
  { gap: 'shift', fold: 'first' },
  { gap: 'skip', fold: 'last' },
];

/** Every nominal slot of the days once, at the instant the wall clock says. */
function checkSlots(timezone: string, from: string, to: string): void {
  const shown = readClock(timezone, from, to, MINUTES);
  for (const policies of POLICIES) {
    const expected = expectedSlots(shown, MINUTES, policies);
    const begin = new Date(Date.parse(from) - 1.2 * DAY);
    const end = new Date(Date.parse(to) + 2.2 * DAY);
    const found = slotsBetween({ cron: CRON, timezone, ...policies }, begin, end).filter(
      ({ nominal }) => nominal >= from && nominal < `${to}T99`,
    );
    const got = new Map(found.map((slot) => [slot.nominal, Date.parse(slot.at)]));
    if (got.size !== found.length) throw new Error(`${timezone} ${from}: a nominal time fires twice`);
    // Half a million slots a zone: only what differs is laid out to be read.
    if (got.size === expected.size && [...expected].every(([nominal, at]) => got.get(nominal) === at)) continue;
    const [slots, wanted] = [Object.fromEntries(got), Object.fromEntries(expected)];
    expect({ timezone, ...policies, slots }).toEqual({ timezone, ...policies, slots: wanted });
  }
}

/** Windows of local days touch and never overlap, and every instant lies in the one that holds it. */
function checkTiles(timezone: string, fromYear: number, toYear: number): void {
  const spec = { every: 'day', timezone } as const;
  const windows = enumerate(
    spec,
    windowOf(spec, new Date(Date.UTC(fromYear, 0, 2))).key,
    windowOf(spec, new Date(Date.UTC(toYear, 0, 2))).key,
  );
  for (const [index, window] of windows.entries()) {
    if (index > 0 && window.start !== windows[index - 1]?.end)
      throw new Error(`${timezone}: ${window.key} does not start where the day before ends`);
    if (window.start >= window.end) throw new Error(`${timezone}: ${window.key} is empty`);
  }
}

describe(`in every zone, ${FROM_YEAR} to ${TO_YEAR - 1}${WHOLE ? '' : ', within two days of a change of clocks and on 1 % of the rest'}`, () => {
  const groups = new Map<string, { zone: string; changes: string[]; others: string[] }>();
  for (const zone of ZONES) {
    const clock = clockOf(zone, FROM_YEAR, TO_YEAR);
    const group = groups.get(clock);
    if (group === undefined) groups.set(clock, { zone, changes: daysNearChanges(zone, FROM_YEAR, TO_YEAR), others: [] });
    else group.others.push(zone);
  }
  const zones = [...groups.values()];

  it.each(zones.map(({ zone, changes }) => [zone, changes] as const))('%s: every nominal slot once, days tile', (zone, changes) => {
    for (const run of stretches(WHOLE ? everyDay() : sample(changes, zone))) checkSlots(zone, run.from, run.to);
    const random = hash(zone);
    if (WHOLE) checkTiles(zone, FROM_YEAR, TO_YEAR);
    else checkTiles(zone, FROM_YEAR + (random % 20), FROM_YEAR + (random % 20) + 1);
  });

  // What differs between zones of one clock is the name: they are told to be so, not computed again.
  const twins = WHOLE ? zones.flatMap(({ zone, others }) => others.map((other) => [other, zone] as const)) : [];
  if (WHOLE)
    it.each(twins)('%s shows the clock of %s at all times, and fires with it', (other, zone) => {
      expect(firstDifference(other, zone, FROM_YEAR, TO_YEAR)).toBeUndefined();
      const slots = (timezone: string): unknown =>
        slotsBetween({ ...newYork, cron: '0 */6 * * *', timezone }, new Date(Date.UTC(FROM_YEAR, 0, 1)), new Date(Date.UTC(TO_YEAR, 0, 1)));
      expect(JSON.stringify(slots(other)) === JSON.stringify(slots(zone))).toBe(true);
    });
});

function everyDay(): string[] {
  const days: string[] = [];
  for (let day = Date.UTC(FROM_YEAR, 0, 1); day < Date.UTC(TO_YEAR, 0, 1); day += DAY) days.push(new Date(day).toISOString().slice(0, 10));
  return days;
}

/** All days near changes, and one in a hundred of the others, a week at a time. */
function sample(changes: readonly string[], zone: string): string[] {
  const others = everyDay().filter((_, index) => (Math.floor(index / 7) + hash(zone)) % 100 === 0);
  return [...new Set([...changes, ...others])].sort();
}

function stretches(days: readonly string[]): { from: string; to: string }[] {
  const runs: { from: string; to: string }[] = [];
  for (const day of days) {
    const last = runs.at(-1);
    const next = last === undefined ? '' : new Date(Date.parse(last.to) + DAY).toISOString().slice(0, 10);
    if (last !== undefined && next === day && Date.parse(day) - Date.parse(last.from) < 40 * DAY) last.to = day;
    else runs.push({ from: day, to: day });
  }
  return runs;
}

function hash(text: string): number {
  let value = 7;
  for (const character of text) value = (value * 31 + (character.codePointAt(0) ?? 0)) % 1_000_003;
  return value;
}
