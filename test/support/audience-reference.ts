/**
 * The Audience Index Report by its definition, without SQL and without a state carried from day to day: everything is
 * computed anew from all accepted events. Written from the definition, not from the pipeline's texts, so that the two
 * can disagree. Instants are microseconds since 1970.
 */
const SECOND = 1_000_000;
const DAY = 86_400 * SECOND;
export const MEMBERSHIP = 30 * DAY;
const Z = 1.959964;

/** A user was added to segment `id`, or fired pixel `id`, at that instant. */
export interface AudienceEvent {
  readonly user: string;
  readonly id: number;
  readonly at: number;
}

/** The membership a user has at the end of the window. */
export interface Membership {
  readonly user: string;
  readonly id: number;
  readonly first: number;
  readonly last: number;
}

export interface AudienceRow {
  readonly pixel: number;
  readonly segment: number;
  readonly group: string;
  readonly usersSegmentPixel: number;
  readonly usersGroupPixel: number;
  readonly usersSegment: number;
  readonly usersGroup: number;
  readonly index: number;
  readonly low: number;
  readonly high: number;
}

/** The instants of each (user, id), ascending and without repetition. */
export type EventsByKey = ReadonlyMap<string, { readonly user: string; readonly id: number; readonly instants: readonly number[] }>;

export function byKey(events: readonly AudienceEvent[]): EventsByKey {
  const keys = new Map<string, { user: string; id: number; instants: Set<number> }>();
  for (const { user, id, at } of events) {
    const key = JSON.stringify([user, id]);
    const entry = keys.get(key) ?? { user, id, instants: new Set<number>() };
    entry.instants.add(at);
    keys.set(key, entry);
  }
  return new Map([...keys].map(([key, { user, id, instants }]) => [key, { user, id, instants: [...instants].sort((a, b) => a - b) }]));
}

/**
 * Who is a member at `end`: added at most 30 days before it. The membership began at the earliest add that is joined to
 * the last one by steps of at most 30 days, for as long as that the user never ceased to be in the segment.
 */
export function membershipsAt(end: number, events: EventsByKey): Membership[] {
  const members: Membership[] = [];
  for (const { user, id, instants } of events.values()) {
    const past = instants.filter((at) => at < end);
    const last = past.at(-1);
    if (last === undefined || end - last > MEMBERSHIP) continue;
    let first = last;
    for (const at of past.toReversed()) {
      if (first - at > MEMBERSHIP) break;
      first = at;
    }
    members.push({ user, id, first, last });
  }
  return members;
}

/** The report at the end of a window, from the memberships and visits at that instant. */
export function audienceIndex(
  members: readonly Membership[],
  visits: readonly Membership[],
  groupOf: ReadonlyMap<number, string>,
): AudienceRow[] {
  const group = (segment: number): string => groupOf.get(segment) ?? '(unknown)';
  const inSegment = new Users();
  const inGroup = new Users();
  const onPixelBySegment = new Users();
  const onPixelByGroup = new Users();
  const segmentsOf = groupBy(members, (member) => member.user);
  for (const { user, id } of members) {
    inSegment.add([id], user);
    inGroup.add([group(id)], user);
  }
  for (const visit of visits) {
    for (const member of segmentsOf.get(visit.user) ?? []) {
      if (member.first >= visit.first) continue;
      onPixelBySegment.add([visit.id, member.id], visit.user);
      onPixelByGroup.add([visit.id, group(member.id)], visit.user);
    }
  }
  return onPixelBySegment.keys().map(([pixel, segment]) => {
    const counts = {
      pixel: Number(pixel),
      segment: Number(segment),
      group: group(Number(segment)),
      usersSegmentPixel: onPixelBySegment.count([pixel, segment]),
      usersGroupPixel: onPixelByGroup.count([pixel, group(Number(segment))]),
      usersSegment: inSegment.count([segment]),
      usersGroup: inGroup.count([group(Number(segment))]),
    };
    const everywhere = counts.usersSegment / counts.usersGroup;
    const [low, high] = wilson(counts.usersSegmentPixel, counts.usersGroupPixel);
    const percent = (share: number): number => (100 * share) / everywhere;
    return { ...counts, index: percent(counts.usersSegmentPixel / counts.usersGroupPixel), low: percent(low), high: percent(high) };
  });
}

/** The shares a sample of k out of n does not contradict: the two roots of (k/n − p)² = z² p (1 − p) / n. */
function wilson(k: number, n: number): readonly [number, number] {
  const root = Z * Math.sqrt(Z * Z + 4 * k * (1 - k / n));
  return [(2 * k + Z * Z - root) / (2 * (n + Z * Z)), (2 * k + Z * Z + root) / (2 * (n + Z * Z))];
}

/** Name and group (or advertiser) of every id of the reference and of every id in use. */
export function named(
  reference: ReadonlyMap<number, readonly [string, string]>,
  used: readonly Membership[],
): Map<number, readonly [string, string]> {
  const names = new Map(reference);
  for (const { id } of used) if (!names.has(id)) names.set(id, [`(unknown ${id})`, '(unknown)']);
  return names;
}

export function groupBy<K, V>(items: readonly V[], key: (item: V) => K): Map<K, V[]> {
  const groups = new Map<K, V[]>();
  for (const item of items) {
    const group = groups.get(key(item));
    if (group) group.push(item);
    else groups.set(key(item), [item]);
  }
  return groups;
}

/** Sets of users by a key of several parts. */
class Users {
  readonly #sets = new Map<string, Set<string>>();

  add(key: readonly (number | string)[], user: string): void {
    const name = JSON.stringify(key);
    const users = this.#sets.get(name) ?? new Set<string>();
    users.add(user);
    this.#sets.set(name, users);
  }

  count(key: readonly (number | string)[]): number {
    return this.#sets.get(JSON.stringify(key))?.size ?? 0;
  }

  keys(): [number, number][] {
    return [...this.#sets.keys()].map((name) => JSON.parse(name) as [number, number]);
  }
}
