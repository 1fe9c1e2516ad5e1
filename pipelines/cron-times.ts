/**
 * The nominal times of a cron text, as if its zone were UTC: there they are a plain sequence. Which dates it names is the
 * library's business (months and weekdays by name, `L`, `W`, `#`); which minutes of such a date are lists of two fields.
 */
import { Cron } from 'croner';
import { DAY_MS } from './local-day';

const MINUTE = 60_000;

interface Parsed {
  /** Fires at 00:00 of the dates the text names. */
  readonly dates: Cron;
  /** Minutes of the day, ascending. */
  readonly minutes: readonly number[];
}

const parsed = new Map<string, Parsed>();

/** What is wrong with a cron text of five fields; undefined for a good one. */
export function cronProblem(text: string): string | undefined {
  try {
    parse(text);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Nominal times in [from, to) in order, in milliseconds of unix time. Throws for a text {@link cronProblem} objects to. */
export function* nominalTimes(text: string, from: number, to: number): Generator<number> {
  const { dates, minutes } = parse(text);
  const firstDay = Math.floor(from / DAY_MS) * DAY_MS;
  for (let date = dates.nextRun(new Date(firstDay - 1)); date !== null && date.getTime() < to; date = dates.nextRun(date)) {
    for (const minute of minutes) {
      const time = date.getTime() + minute * MINUTE;
      if (time >= from && time < to) yield time;
    }
  }
}

/** Parsing costs more than what follows, and a schedule is asked every minute. */
function parse(text: string): Parsed {
  const known = parsed.get(text);
  if (known !== undefined) return known;
  // The library judges the text as a whole first: its messages name the field.
  new Cron(text, { paused: true, mode: '5-part' });
  const [minute = '', hour = '', ...date] = text.trim().split(/\s+/);
  if (date.length !== 3) throw new Error('expected five fields');
  const dates = new Cron(`0 0 ${date.join(' ')}`, { paused: true, mode: '5-part', timezone: 'UTC' });
  const minutes = values(hour, 23).flatMap((h) => values(minute, 59).map((m) => h * 60 + m));
  const fresh = { dates, minutes };
  parsed.set(text, fresh);
  return fresh;
}

/** The values of one field: lists of `*`, `n`, `a-b`, each with `/step`. */
function values(field: string, max: number): number[] {
  const found = new Set<number>();
  for (const part of field.split(',')) {
    const [, range = '', step] = /^(\*|\?|\d+(?:-\d+)?)(?:\/(\d+))?$/.exec(part) ?? [];
    if (range === '') throw new Error(`"${part}" is no value, range or step`);
    const [low, high] = range === '*' || range === '?' ? [0, max] : range.split('-').map(Number);
    const last = high ?? (step === undefined ? (low ?? 0) : max);
    for (let value = low ?? 0; value <= last; value += Number(step ?? 1)) found.add(value);
  }
  return [...found].sort((a, b) => a - b);
}
