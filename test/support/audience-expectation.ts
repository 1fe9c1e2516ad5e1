import { audienceIndex, byKey, membershipsAt, named, type AudienceEvent, type AudienceRow, type Membership } from './audience-reference';
import type { LandedDay, RandomLanding } from './random-landing';

/** What the end of one day must look like, by the reference, from all rows accepted until then. */
export interface DayExpectation {
  /** As {@link memberText} writes them. */
  readonly memberships: string;
  readonly visits: string;
  readonly rows: readonly AudienceRow[];
  readonly segments: ReadonlyMap<number, readonly [string, string]>;
  readonly pixels: ReadonlyMap<number, readonly [string, string]>;
}

export function expectation(
  landing: RandomLanding,
  day: LandedDay,
  adds: readonly AudienceEvent[],
  fires: readonly AudienceEvent[],
): DayExpectation {
  const memberships = membershipsAt(day.end, byKey(adds));
  const visits = membershipsAt(day.end, byKey(fires));
  const groupOf = new Map([...landing.segments].map(([id, [, group]]) => [id, group]));
  return {
    memberships: memberText(memberships),
    visits: memberText(visits),
    rows: audienceIndex(memberships, visits, groupOf),
    segments: named(landing.segments, memberships),
    pixels: named(landing.pixels, visits),
  };
}

/** One line a membership: comparing thousands of rows as one text is what keeps this test short. */
export function memberText(members: readonly Membership[]): string {
  return members
    .map(({ user, id, first, last }) => JSON.stringify([user, id, first, last]))
    .sort()
    .join('\n');
}

export function sorted<V>(map: ReadonlyMap<number, V>): [number, V][] {
  return [...map].sort(([a], [b]) => a - b);
}

/** Fails unless both are the same rows: counts exactly, floats to 1e-9. */
export function expectRows(actual: readonly (AudienceRow & { asOf: string })[], expected: readonly AudienceRow[], date: string): void {
  const order = (a: AudienceRow, b: AudienceRow): number => a.pixel - b.pixel || a.segment - b.segment;
  const exact = (rows: readonly AudienceRow[]): string =>
    rows
      .map((row) =>
        [row.pixel, row.segment, row.group, row.usersSegmentPixel, row.usersGroupPixel, row.usersSegment, row.usersGroup].join(),
      )
      .join('\n');
  const left = actual.toSorted(order);
  const right = expected.toSorted(order);
  expect(exact(left)).toBe(exact(right));
  expect(left.every((row) => row.asOf === date)).toBe(true);
  const apart = left.filter((row, n) => {
    const same = right[n];
    return same === undefined || !close(row.index, same.index) || !close(row.low, same.low) || !close(row.high, same.high);
  });
  expect(apart).toEqual([]);
}

function close(a: number, b: number): boolean {
  return Math.abs(a - b) <= 1e-9 * Math.max(Math.abs(a), Math.abs(b));
}
