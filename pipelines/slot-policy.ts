/**
 * What becomes of due slots. Pure: the schedule's policies, its unsettled slots, its open runs and `now` go in; for each slot a
 * decision comes out. Deciding again after any part of a decision was carried out gives the rest of it.
 */
import type { ScheduleSpec } from './types';

/** What a slot ends with; every slot ends with exactly one. */
export const SLOT_OUTCOMES = ['ran', 'caught-up', 'skipped-overlap', 'skipped-paused', 'missed', 'superseded'] as const;
export type SlotOutcome = (typeof SLOT_OUTCOMES)[number];

/** A slot later than this was due while nobody looked: its schedule's `catchUp` decides about it. */
export const LATE_SECONDS = 60;

/** A due slot without an outcome. */
export interface PendingSlot {
  readonly nominal: string;
  readonly at: string;
  readonly window: string;
  /** When it was first seen due. */
  readonly seenAt: string;
  /** It was due during a pause, and released by its end. */
  readonly wasPaused: boolean;
  /** An operator asked for it; `ignore` lets it start beside open runs. */
  readonly manual?: 'obey' | 'ignore' | undefined;
  /** The run its window has had since it fired, when there is one: a start whose settling was lost. */
  readonly started: boolean;
}

export interface ScheduleState {
  readonly policies: Pick<ScheduleSpec, 'catchUp' | 'overlap'>;
  readonly paused: boolean;
  /** Windows with an open run of the main branch, held ones among them. */
  readonly openWindows: readonly string[];
}

export type SlotDecision = {
  readonly nominal: string;
} &
  /** `cancel`: windows whose runs have to end first. */
  (
    | { readonly do: 'start'; readonly outcome: 'ran' | 'caught-up'; readonly cancel: readonly string[] }
    | { readonly do: 'settle'; readonly outcome: SlotOutcome; readonly reason: string }
    | { readonly do: 'wait'; readonly state: 'queued' | 'paused'; readonly reason: string }
  );

/** Decides about all due slots of one schedule, given oldest first. At most one slot that obeys the overlap policy starts at a time. */
export function decideSlots(schedule: ScheduleState, slots: readonly PendingSlot[]): SlotDecision[] {
  const decisions: SlotDecision[] = [];
  const ordered = [...slots].sort((a, b) => (a.at === b.at ? (a.nominal < b.nominal ? -1 : 1) : a.at < b.at ? -1 : 1));
  const newest = ordered.filter(({ manual, started }) => manual === undefined && !started).at(-1);
  let open = [...schedule.openWindows];
  let ahead: string | undefined;
  for (const slot of ordered) {
    const decision = decide(schedule, slot, slot === newest ? undefined : newest, open, ahead);
    decisions.push(decision);
    if (decision.do === 'settle') continue;
    if (decision.do === 'start' && decision.cancel.length === 0) open = [...open, slot.window];
    else if (decision.do === 'start' || decision.state === 'queued') ahead ??= slot.nominal;
  }
  return decisions;
}

/**
 * @param newer the newest unsettled slot, when it is another one
 * @param ahead an earlier slot that waits
 */
function decide(
  { policies, paused }: ScheduleState,
  slot: PendingSlot,
  newer: PendingSlot | undefined,
  open: readonly string[],
  ahead: string | undefined,
): SlotDecision {
  const { nominal } = slot;
  const late = isLate(slot);
  if (slot.started) return { nominal, do: 'settle', outcome: late ? 'caught-up' : 'ran', reason: 'its run was started' };
  if (paused && slot.manual === undefined) return whilePaused(policies.catchUp, slot, newer);
  if (late && slot.manual === undefined) {
    const asPaused = slot.wasPaused ? 'skipped-paused' : undefined;
    if (policies.catchUp === 'none')
      return {
        nominal,
        do: 'settle',
        outcome: asPaused ?? 'missed',
        reason: `it was due at ${slot.at}, first seen at ${slot.seenAt}, and catch-up is none`,
      };
    if (policies.catchUp === 'latest' && newer !== undefined)
      return { nominal, do: 'settle', outcome: asPaused ?? 'superseded', reason: `catch-up is latest, and ${newer.nominal} is later` };
  }
  const others = open.filter((window) => window !== slot.window);
  const [blocking] = others;
  const start = { nominal, do: 'start', outcome: late ? 'caught-up' : 'ran' } as const;
  if ((blocking === undefined && ahead === undefined) || slot.manual === 'ignore') return { ...start, cancel: [] };
  // What is caught up runs in order, one after the other: the policy is about slots that come while a run is open.
  if (policies.overlap === 'skip' && !late)
    return {
      nominal,
      do: 'settle',
      outcome: 'skipped-overlap',
      reason: blocking === undefined ? `the slot ${ahead} was waiting` : `the run of ${blocking} was open`,
    };
  if (policies.overlap === 'cancel-running' && !late && ahead === undefined) return { ...start, cancel: others };
  return {
    nominal,
    do: 'wait',
    state: 'queued',
    reason: blocking === undefined ? `the slot ${ahead} is waiting` : `the run of ${blocking} is open`,
  };
}

function whilePaused(catchUp: ScheduleSpec['catchUp'], slot: PendingSlot, newer: PendingSlot | undefined): SlotDecision {
  const { nominal } = slot;
  if (catchUp === 'none') return { nominal, do: 'settle', outcome: 'skipped-paused', reason: 'the schedule was paused' };
  if (catchUp === 'latest' && newer !== undefined)
    return { nominal, do: 'settle', outcome: 'skipped-paused', reason: `the schedule was paused, and ${newer.nominal} is later` };
  return { nominal, do: 'wait', state: 'paused', reason: 'the schedule is paused' };
}

function isLate({ at, seenAt, wasPaused }: PendingSlot): boolean {
  return wasPaused || Date.parse(seenAt) - Date.parse(at) > LATE_SECONDS * 1000;
}
