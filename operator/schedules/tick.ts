import {
  changeSlots,
  insertDueSlots,
  listSchedules,
  openSlots,
  openWindows,
  type DueSlots,
  type ScheduleRow,
  type SlotChange,
} from '../../activities/ledger/schedules';
import type { Look } from '../../activities/tasks';
import { eachOf } from '../../lib/each-of';
import { whileAlone, type Queryable } from '../../lib/postgres';
import { slotsBetween, windowOfSlot } from '../../pipelines/calendar';
import { deadlineOf } from '../../pipelines/deadline';
import { AlmanacError } from '../../pipelines/failures';
import { decideSlots, type PendingSlot, type SlotDecision } from '../../pipelines/slot-policy';
import { UpcomingSlots } from '../../pipelines/upcoming-slots';
import type { OperatorSession } from '../session';
import type { RunAnswer } from '../runs/start';
import { lookAtDeadlines } from './deadlines';

/** Slots of one schedule that one statement writes down at most. */
const SLOTS_AT_ONCE = 2000;
/** Runs started at a time. */
const STARTS_AT_ONCE = 16;
/** Spells "slot": one looks at a time, be it the clock or the reconciler. */
const LOOK_LOCK = 0x736c6f74;
/** Who looks at this moment may have begun before the slot that woke this one: it looks again so soon. */
const LOOK_AGAIN_MS = 1000;

const upcoming = new UpcomingSlots();

/** What the runs of slots are started and cancelled by. */
export interface SlotRuns {
  start(schedule: ScheduleRow, window: string, reason: string): Promise<RunAnswer>;
  /** Tells it to end; a look waits for the end of no run. */
  cancel(pipeline: string, window: string, reason: string): Promise<void>;
}

/**
 * One look at all schedules: writes down the slots that came due, decides about those without an outcome, and carries the decisions
 * out. May be cut off anywhere and run again; a second one beside it does nothing but say when to look again.
 */
export async function lookAtSlots(session: Pick<OperatorSession, 'database' | 'clock'>, runs: SlotRuns): Promise<Look> {
  const { database, clock } = session;
  const looked = await whileAlone(database, LOOK_LOCK, 'slots', async () => {
    const now = clock.now();
    const schedules = await seeDueSlots(database, now);
    const waiting = await settleOpenSlots(session, schedules, runs);
    await lookAtDeadlines(session);
    return { now, schedules, waiting };
  });
  if (looked === undefined) return { nextInMs: (await listSchedules(database)).length === 0 ? null : LOOK_AGAIN_MS, waiting: 0 };
  return { nextInMs: nextDue(looked.schedules, looked.now, clock.now()), waiting: looked.waiting };
}

/** Writes down all slots that came due, however many: which of them is the latest is known only then. Answers the schedules. */
async function seeDueSlots(database: Queryable, now: Date): Promise<ScheduleRow[]> {
  for (;;) {
    const schedules = await listSchedules(database);
    const due = schedules.map((schedule) => dueSlots(schedule, now));
    if (due.some(({ slots }) => slots.length > 0)) await insertDueSlots(database, due, now);
    if (due.every(({ slots }) => slots.length < SLOTS_AT_ONCE)) return schedules;
  }
}

function dueSlots(schedule: ScheduleRow, now: Date): DueSlots {
  const from = new Date(schedule.seenUntil);
  const until = new Date(now.getTime() + 1);
  const next = upcoming.next(schedule.spec, new Date(from.getTime() - 1));
  const slots = next === undefined || Date.parse(next.at) > now.getTime() ? [] : slotsBetween(schedule.spec, from, until, SLOTS_AT_ONCE);
  const last = slots.length < SLOTS_AT_ONCE ? undefined : slots.at(-1);
  return {
    pipeline: schedule.pipeline,
    // A slot at the very instant of the last one may have been cut off: it is found again from that instant on.
    seenUntil: last === undefined ? until : new Date(last.at),
    slots: slots.map((slot) => {
      const window = windowOfSlot(schedule.window, slot);
      const publishBy = schedule.deadline === undefined ? undefined : deadlineOf(schedule.spec.timezone, schedule.deadline.published, slot);
      const deadline = publishBy === undefined ? undefined : { due: publishBy, windowEnd: window.end };
      return { nominal: slot.nominal, at: slot.at, window: window.key, deadline };
    }),
  };
}

async function settleOpenSlots(
  session: Pick<OperatorSession, 'database' | 'clock'>,
  schedules: readonly ScheduleRow[],
  runs: SlotRuns,
): Promise<number> {
  const { database, clock } = session;
  const slots = await openSlots(database);
  if (slots.length === 0) return 0;
  const open = await openWindows(database, [...new Set(slots.map(({ pipeline }) => pipeline))]);
  const changes: SlotChange[] = [];
  const starts: { schedule: ScheduleRow; slot: (typeof slots)[number]; decision: Extract<SlotDecision, { do: 'start' }> }[] = [];
  const byPipeline = new Map<string, Map<string, (typeof slots)[number]>>();
  for (const slot of slots) {
    const own = byPipeline.get(slot.pipeline);
    if (own === undefined) byPipeline.set(slot.pipeline, new Map([[slot.nominal, slot]]));
    else own.set(slot.nominal, slot);
  }
  for (const schedule of schedules) {
    const own = byPipeline.get(schedule.pipeline);
    if (own === undefined) continue;
    const state = { policies: schedule.spec, paused: schedule.paused, openWindows: open.get(schedule.pipeline) ?? [] };
    const pending = [...own.values()].map((slot): PendingSlot => ({
      ...slot,
      manual: slot.manual ?? undefined,
      started: slot.startedGeneration !== null,
    }));
    for (const decision of decideSlots(state, pending)) {
      const slot = own.get(decision.nominal);
      if (slot === undefined) continue;
      const name = { pipeline: schedule.pipeline, nominal: slot.nominal };
      if (decision.do === 'start') starts.push({ schedule, slot, decision });
      else if (decision.do === 'settle')
        changes.push({
          ...name,
          state: 'settled',
          outcome: decision.outcome,
          reason: decision.reason,
          generation: slot.startedGeneration ?? undefined,
        });
      else if (slot.state !== decision.state || slot.reason !== decision.reason)
        changes.push({ ...name, state: decision.state, reason: decision.reason });
    }
  }
  // That a start was begun is on record before it is: if its end is lost, the run it made is found by it.
  for (const { schedule, slot, decision } of starts.filter((one) => one.decision.cancel.length === 0))
    changes.push({ pipeline: schedule.pipeline, nominal: slot.nominal, state: 'starting', reason: `starting (${decision.outcome})` });
  await changeSlots(database, changes, clock.now());
  const ends: SlotChange[] = [];
  await eachOf(starts, STARTS_AT_ONCE, async ({ schedule, slot, decision }) => {
    ends.push(await startSlot(runs, schedule, slot, decision));
  });
  await changeSlots(database, ends, clock.now());
  const settled = [...changes, ...ends].filter(({ state }) => state === 'settled').length;
  return slots.length - settled;
}

/** Starts the run of one slot, once those it is to cancel have ended; what refuses it for now leaves the slot queued with the reason. */
async function startSlot(
  runs: SlotRuns,
  schedule: ScheduleRow,
  slot: { readonly nominal: string; readonly window: string; readonly reason: string | null },
  decision: Extract<SlotDecision, { do: 'start' }>,
): Promise<SlotChange> {
  const name = { pipeline: schedule.pipeline, nominal: slot.nominal };
  try {
    if (decision.cancel.length > 0) {
      const reason = `cancelling ${decision.cancel.join(', ')}`;
      // Told once: an end may take a minute, and other schedules have slots meanwhile.
      for (const window of slot.reason === reason ? [] : decision.cancel)
        await runs.cancel(schedule.pipeline, window, `slot ${slot.nominal} is due, and overlap is cancel-running`);
      return { ...name, state: 'queued', reason };
    }
    const { did, run } = await runs.start(schedule, slot.window, `slot ${slot.nominal}`);
    if (did === 'accepted')
      return { ...name, state: 'settled', outcome: 'superseded', reason: `${slot.window} was accepted before`, generation: run.generation };
    return {
      ...name,
      state: 'settled',
      outcome: decision.outcome,
      reason: did === 'started' ? 'started' : 'its run was open already',
      generation: run.generation,
    };
  } catch (error) {
    if (error instanceof AlmanacError && error.code === 'run.closed')
      return { ...name, state: 'settled', outcome: 'superseded', reason: error.message };
    const reason =
      error instanceof AlmanacError
        ? `${error.code}: ${error.message}`
        : `internal: ${error instanceof Error ? error.message : String(error)}`;
    return { ...name, state: 'queued', reason };
  }
}

/** How long after `now` the first slot later than `looked` is due. */
function nextDue(schedules: readonly ScheduleRow[], looked: Date, now: Date): number | null {
  const instants = schedules.flatMap(({ spec }) => upcoming.next(spec, looked)?.at ?? []).map((at) => Date.parse(at));
  return instants.length === 0 ? null : Math.max(0, Math.min(...instants) - now.getTime());
}
