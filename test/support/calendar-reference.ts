/**
 * What a calendar must say, by brute force: the wall clock of a zone read at every minute of a stretch of days. Knows nothing of how the
 * calendar works; the zone's data come from the platform by another way (Intl) than there.
 */
export interface Policies {
  readonly gap: 'shift' | 'skip';
  readonly fold: 'first' | 'last';
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const WEEK = 7 * DAY;

/** The wall clock of a zone at whole minutes, as `YYYY-MM-DDTHH:MM`. */
function wallClock(timezone: string): (at: number) => string {
  const format = new Intl.DateTimeFormat('en-CA', {
    timeZone: timezone,
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  });
  return (at) => format.format(at).replace(', ', 'T');
}

/** Wall-clock times of a stretch of days with the instants that showed them. */
export interface Shown {
  readonly from: string;
  readonly to: string;
  readonly instants: ReadonlyMap<string, readonly number[]>;
  /** The times in order. */
  readonly times: readonly string[];
}

/** Reads the wall clock from a day and a half before the first local date to as much after the last; of plain hours what `minutes` of the day ask for. */
export function readClock(timezone: string, from: string, to: string, minutes: readonly number[]): Shown {
  const wall = wallClock(timezone);
  const instants = new Map<string, number[]>();
  const note = (instant: number, text: string): void => {
    const before = instants.get(text);
    if (before === undefined) instants.set(text, [instant]);
    else before.push(instant);
  };
  const begin = Date.parse(`${from}T00:00Z`) - DAY - DAY / 2;
  const end = Date.parse(`${to}T00:00Z`) + 2 * DAY + DAY / 2;
  const wanted = new Set(minutes);
  let text = wall(begin);
  for (let hour = begin; hour < end; hour += HOUR) {
    const next = wall(hour + HOUR);
    const shown = Date.parse(`${text}Z`);
    // Within an hour that shows plain sixty minutes nothing happened.
    const plain = Date.parse(`${next}Z`) - shown === HOUR;
    for (let minute = 0; minute < 60; minute++) {
      const [instant, time] = [hour + minute * MINUTE, shown + minute * MINUTE];
      if (!plain) note(instant, wall(instant));
      // The first minute may be the first after a gap.
      else if (minute === 0 || wanted.has((time % DAY) / MINUTE)) note(instant, new Date(time).toISOString().slice(0, 16));
    }
    text = next;
  }
  return { from, to, instants, times: [...instants.keys()].sort() };
}

/** All nominal times of the stretch with the instant each fires at; `minutes` are minutes of the day. */
export function expectedSlots({ from, to, instants, times }: Shown, minutes: readonly number[], policies: Policies): Map<string, number> {
  const slots = new Map<string, number>();
  for (let day = Date.parse(`${from}T00:00Z`); day <= Date.parse(`${to}T00:00Z`); day += DAY) {
    for (const minute of minutes) {
      const nominal = new Date(day + minute * MINUTE).toISOString().slice(0, 16);
      const seen = instants.get(nominal);
      if (seen !== undefined) slots.set(nominal, policies.fold === 'first' ? Math.min(...seen) : Math.max(...seen));
      else if (policies.gap === 'shift') slots.set(nominal, firstShown(instants, times, nominal));
    }
  }
  return slots;
}

/** The earliest instant whose wall clock is past a time that was never shown. */
function firstShown(shown: ReadonlyMap<string, readonly number[]>, times: readonly string[], nominal: string): number {
  const later = times.find((time) => time > nominal) ?? '';
  return Math.min(...(shown.get(later) ?? []));
}

/** The clock of a zone in a text: its first offset, and each change by its minute, with what it is from then on. Zones of one text show one time. */
export function clockOf(timezone: string, fromYear: number, toYear: number): string {
  const wall = wallClock(timezone);
  const offset = (at: number): number => Date.parse(`${wall(at)}Z`) - at;
  const [begin, end] = [Date.UTC(fromYear, 0, 1), Date.UTC(toYear, 0, 1)];
  const parts = [String(offset(begin))];
  for (let week = begin; week < end; week += WEEK) {
    if (offset(week) === offset(week + WEEK)) continue;
    for (let day = week; day < week + WEEK; day += DAY) {
      if (offset(day) === offset(day + DAY)) continue;
      let [before, after] = [day, day + DAY];
      while (after - before > MINUTE) {
        const middle = before + Math.floor((after - before) / 2 / MINUTE) * MINUTE;
        if (offset(middle) === offset(day)) before = middle;
        else after = middle;
      }
      parts.push(`${new Date(after).toISOString()} ${offset(after)}`);
    }
  }
  return parts.join();
}

/** The first instant of [fromYear, toYear) at which two zones show different times: every day is compared, and every minute where clocks change. */
export function firstDifference(one: string, other: string, fromYear: number, toYear: number): string | undefined {
  const [here, there] = [wallClock(one), wallClock(other)];
  const end = Date.UTC(toYear, 0, 1);
  let shown = here(Date.UTC(fromYear, 0, 1));
  for (let day = Date.UTC(fromYear, 0, 1); day < end; day += DAY) {
    const next = here(day + DAY);
    const step = Date.parse(`${next}Z`) - Date.parse(`${shown}Z`) === DAY ? DAY : MINUTE;
    for (let at = day; at < day + DAY; at += step) if (here(at) !== there(at)) return new Date(at).toISOString();
    shown = next;
  }
  return undefined;
}

/** Local dates within two days of a change of clocks in [fromYear, toYear). */
export function daysNearChanges(timezone: string, fromYear: number, toYear: number): string[] {
  const wall = wallClock(timezone);
  const offset = (at: number): number => Date.parse(`${wall(at)}Z`) - at;
  const days = new Set<string>();
  let before = offset(Date.UTC(fromYear, 0, 1));
  // No zone changes its clocks twice in a week.
  for (let week = Date.UTC(fromYear, 0, 1); week < Date.UTC(toYear, 0, 1); week += WEEK) {
    if (offset(week + WEEK) === before) continue;
    for (let at = week; at < week + WEEK; at += DAY) {
      const here = offset(at + DAY);
      if (here !== before) for (let near = -2; near <= 3; near++) days.add(new Date(at + near * DAY).toISOString().slice(0, 10));
      before = here;
    }
  }
  return [...days].sort();
}
