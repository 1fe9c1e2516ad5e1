/**
 * When a table must be published, whether it will be, and which stage decides that. Pure: instants are arguments, what happened is data.
 * A deadline is met by a publication of its window only, or closed by that of a later one, which shows newer rows.
 */
import { slotsBetween } from './calendar';
import { DAY_MS, formatDay, localDay, zoneOf } from './local-day';
import type { StageOutline } from './types';

export const DEADLINE_STATES = ['pending', 'at-risk', 'met', 'superseded', 'missed'] as const;
export type DeadlineState = (typeof DEADLINE_STATES)[number];

/** An estimate this close to the deadline, in seconds, is a risk: who is told must be told before the miss. */
export const RISK_MARGIN_SECONDS = 120;

/**
 * The deadline of a slot: a local time, `HH:MM`, of the day on which it fires, ISO. A time the clocks jump over is the instant they
 * have passed it, one that comes twice the first. Undefined for a slot that fires at that time or later.
 */
export function deadlineOf(timezone: string, published: string, slot: { readonly at: string }): string | undefined {
  const at = Date.parse(slot.at);
  const day = formatDay(localDay(zoneOf(timezone), at));
  const [hour, minute] = published.split(':').map(Number);
  const timetable = { cron: `${minute} ${hour} * * *`, timezone, gap: 'shift', fold: 'first' } as const;
  const times = slotsBetween(timetable, new Date(at - 2 * DAY_MS), new Date(at + 2 * DAY_MS));
  const due = times.find(({ nominal }) => nominal.startsWith(day))?.at;
  return due !== undefined && Date.parse(due) > at ? due : undefined;
}

/** How long a stage takes, in seconds: as usual (the median), and in the worst tenth of its runs (the 90th percentile). */
export interface StageDuration {
  readonly usual: number;
  readonly late: number;
}

/** How far a stage is; one that is neither done nor running has not begun, or waits for data. */
export type StageProgress = { readonly state: 'done' } | { readonly state: 'running'; readonly since: number };

export interface Estimate {
  /** When the last publish stage ends, in milliseconds of unix time. */
  readonly eta: number;
  /** Unfinished stages of the longest way there, in order: the first is where it is now. */
  readonly path: readonly string[];
  /** Those of the path that never ran, and count nothing. */
  readonly unknown: readonly string[];
}

/**
 * When a run will have published, were it to go on at `now` (milliseconds of unix time), and by which way. Publish stages begin when all
 * others are done. A stage that runs longer than it ever did is expected to end now.
 */
export function estimate(
  stages: readonly Pick<StageOutline, 'id' | 'kind' | 'needs'>[],
  progress: ReadonlyMap<string, StageProgress>,
  seconds: (stage: string) => number | undefined,
  now: number,
): Estimate {
  const byId = new Map(stages.map((stage) => [stage.id, stage]));
  const before = stages.filter(({ kind }) => kind !== 'publish').map(({ id }) => id);
  const ends = new Map<string, { end: number; after: string | undefined }>();
  const endOf = (id: string): { end: number; after: string | undefined } => {
    const known = ends.get(id);
    if (known !== undefined) return known;
    const stage = byId.get(id);
    const at = progress.get(id);
    const took = (seconds(id) ?? 0) * 1000;
    let result: { end: number; after: string | undefined } = { end: now, after: undefined };
    if (at?.state === 'running') result.end = Math.max(now, at.since + took);
    else if (at?.state !== 'done' && stage !== undefined) {
      for (const need of new Set([...stage.needs, ...(stage.kind === 'publish' ? before : [])])) {
        if (progress.get(need)?.state === 'done') continue;
        const { end } = endOf(need);
        if (result.after === undefined || end > result.end) result = { end, after: need };
      }
      result = { end: Math.max(now, result.end) + took, after: result.after };
    }
    ends.set(id, result);
    return result;
  };
  const targets = stages.filter(({ id, kind }) => kind === 'publish' && progress.get(id)?.state !== 'done').map(({ id }) => id);
  const [last] = targets.sort((a, b) => endOf(b).end - endOf(a).end);
  const path: string[] = [];
  for (let id = last; id !== undefined; id = endOf(id).after) path.unshift(id);
  return { eta: last === undefined ? now : endOf(last).end, path, unknown: path.filter((id) => seconds(id) === undefined) };
}

/** What is known of one deadline. Instants are milliseconds of unix time. */
export interface DeadlineFacts {
  readonly due: number;
  /** First publication of its window. */
  readonly publishedAt?: number | undefined;
  /** First publication of a later window. */
  readonly laterAt?: number | undefined;
  /** Why its run cannot go on by itself: it is held, or ended without a publication. */
  readonly stuck?: string | undefined;
  /** The estimate by the worst tenth of durations, when there is one. */
  readonly late?: Estimate | undefined;
}

export interface DeadlineVerdict {
  readonly state: DeadlineState;
  readonly reason: string;
  /** When it came to be, for states that end a deadline. */
  readonly settledAt?: number;
}

/** The state of a deadline at an instant. */
export function judgeDeadline(facts: DeadlineFacts, now: number): DeadlineVerdict {
  const { due, publishedAt, laterAt, stuck, late } = facts;
  if (publishedAt !== undefined && publishedAt <= due) return { state: 'met', reason: 'published', settledAt: publishedAt };
  if (laterAt !== undefined && laterAt <= due) return { state: 'superseded', reason: 'a later window was published', settledAt: laterAt };
  const at = late?.path[0];
  const where = stuck ?? (at === undefined ? 'nothing was left to do' : `stage ${at} was not done`);
  if (now >= due) return { state: 'missed', reason: publishedAt === undefined ? where : 'published too late', settledAt: due };
  if (stuck !== undefined) return { state: 'at-risk', reason: stuck };
  const eta = Math.max(late?.eta ?? now, now);
  if (eta + RISK_MARGIN_SECONDS * 1000 > due)
    return { state: 'at-risk', reason: `${at === undefined ? 'its run' : `stage ${at}`} may end too late` };
  return { state: 'pending', reason: at === undefined ? 'expected in time' : `expected in time; at stage ${at}` };
}
