import { groupBy, MEMBERSHIP, type AudienceEvent } from './audience-reference';
import { Random } from './random';

const SECOND = 1_000_000;
const DAY = 86_400 * SECOND;
const FIRST_DAY = Date.parse('2026-01-20T00:00:00Z') * 1000;

/** Ids beyond 32 bits and at the edge of exact doubles; texts that CSV must quote and tools like to trim or round. */
const SEGMENTS = [101, 102, 103, 104, 201, 202, 203, 301, 302, 3_000_000_001, 9_007_199_254_740_991, 77];
const PIXELS = [1, 2, 3, 4, 5, 6, 7, 8, 2_147_483_648, 10, 99];
const ODD_USERS = ['007', 'Zoë, "the 2nd"', 'true', ' padded ', '1e5', '用户'];

/** What one source landed for one day, in the order of its rows. */
export interface LandedSource {
  /** Rows whose instant lies in the day: the accepted ones. */
  readonly accepted: readonly AudienceEvent[];
  /** Rows of an earlier or later day: quarantine. */
  readonly outside: readonly AudienceEvent[];
  /** Rows that cannot be read, of the text formats only. */
  readonly malformed: number;
}

export interface LandedDay {
  /** `2026-01-20`. */
  readonly date: string;
  /** Microseconds since 1970. */
  readonly end: number;
  readonly adds: LandedSource;
  readonly fires: LandedSource;
}

export interface RandomLanding {
  readonly seed: number;
  readonly days: readonly LandedDay[];
  /** segment id → name and group; one segment in use is missing, and two are not in use. */
  readonly segments: ReadonlyMap<number, readonly [string, string]>;
  /** pixel id → name and advertiser; one pixel in use is missing. */
  readonly pixels: ReadonlyMap<number, readonly [string, string]>;
}

/**
 * Landing data of so many days, the same for the same seed: busy users; rare users whose adds lie exactly 30 days, or a
 * second or a microsecond more or less, apart; visits at the very instant of an add; duplicates; days without rows; rows
 * outside their day, few enough (under 5 % late, under 20 % other) that no gate fails.
 */
export function randomLanding(seed: number, days: number): RandomLanding {
  const random = new Random(seed);
  const end = FIRST_DAY + days * DAY;
  const users = [...ODD_USERS, ...Array.from({ length: 30 }, (_, n) => `busy-${n}`)];
  const adds: AudienceEvent[] = [];
  const fires: AudienceEvent[] = [];
  for (let n = 0; n < days * 16; n++) adds.push({ user: random.pick(users), id: random.pick(SEGMENTS), at: instant(random, days) });
  for (let n = 0; n < days * 12; n++) fires.push({ user: random.pick(users), id: random.pick(PIXELS), at: instant(random, days) });
  for (let n = 0; n < 90; n++) {
    const user = `rare-${n}`;
    const segment = random.pick(SEGMENTS);
    // Early enough that a gap of 30 days fits into the landing, if any does.
    const chain = gaps(random, instant(random, Math.max(1, days - 31)), end).map((at) => ({
      user,
      id: random.chance(0.9) ? segment : random.pick(SEGMENTS),
      at,
    }));
    adds.push(...chain);
    const near = random.pick(chain.slice(0, 2)).at + random.pick([-SECOND, -1, 0, 1, SECOND, DAY]);
    const pixel = random.pick(PIXELS);
    fires.push(...gaps(random, near, end).map((at) => ({ user, id: pixel, at })));
  }
  for (const events of [adds, fires]) for (let n = events.length / 12; n > 0; n--) events.push(random.pick(events));
  const dated = [bucketByDay(adds), bucketByDay(fires)] as const;
  return {
    seed,
    days: Array.from({ length: days }, (_, n) => {
      const start = FIRST_DAY + n * DAY;
      const idle = random.chance(0.1);
      const source = (events: ReadonlyMap<number, AudienceEvent[]>, ids: readonly number[]): LandedSource =>
        idle || random.chance(0.04)
          ? { accepted: [], outside: [], malformed: 0 }
          : landed(random, random.shuffled(events.get(start) ?? []), start, (at) => ({
              user: random.pick(users),
              id: random.pick(ids),
              at,
            }));
      return {
        date: new Date(start / 1000).toISOString().slice(0, 10),
        end: start + DAY,
        adds: source(dated[0], SEGMENTS),
        fires: source(dated[1], PIXELS),
      };
    }),
    segments: new Map([
      ...SEGMENTS.filter((id) => id !== 77).map((id): [number, [string, string]] => [
        id,
        [`segment ${id}`, `group ${Math.floor(id / 100)}`],
      ]),
      [8888, ['not in use', 'group 1']],
      [8889, ['not in use, alone', 'group, "empty"']],
    ]),
    pixels: new Map(
      PIXELS.filter((id) => id !== 99).map((id): [number, [string, string]] => [id, [`pixel ${id}`, `advertiser ${id % 3}`]]),
    ),
  };
}

/** Any microsecond of the days, often a whole second or the first or last instant of a day. */
function instant(random: Random, days: number): number {
  const start = FIRST_DAY + random.below(days) * DAY;
  if (random.chance(0.1)) return start;
  if (random.chance(0.1)) return start + DAY - 1;
  return start + (random.chance(0.5) ? random.below(86_400) * SECOND : random.below(DAY));
}

/** Instants from `at` on, whose distances try the rule of 30 days. */
function gaps(random: Random, at: number, end: number): number[] {
  const exact = [MEMBERSHIP, MEMBERSHIP + SECOND, MEMBERSHIP - SECOND, MEMBERSHIP + 1, MEMBERSHIP - 1];
  const instants = [];
  for (let next = at; next < end; next += random.chance(0.85) ? random.pick(exact) : random.below(45 * DAY)) instants.push(next);
  return instants.length === 0 ? [at] : instants;
}

function bucketByDay(events: readonly AudienceEvent[]): Map<number, AudienceEvent[]> {
  return groupBy(events, (event) => event.at - (event.at % DAY));
}

function landed(random: Random, accepted: readonly AudienceEvent[], start: number, row: (at: number) => AudienceEvent): LandedSource {
  const outside: AudienceEvent[] = [];
  for (let n = Math.floor(accepted.length * 0.04); n > 0; n--) {
    outside.push(row(random.chance(0.3) ? start - 1 : start - 1 - random.below(40 * DAY)));
  }
  for (let n = random.below(1 + Math.floor(accepted.length * 0.1)); n > 0; n--) {
    outside.push(row(random.chance(0.3) ? start + DAY : start + DAY + random.below(40 * DAY)));
  }
  return { accepted, outside, malformed: random.below(1 + Math.floor(accepted.length * 0.05)) };
}
