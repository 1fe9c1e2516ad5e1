import {
  insertManualSlot,
  listSchedules,
  listSlots,
  openSlots,
  openWindows,
  readSlot,
  setPaused,
  type PauseChange,
  type ScheduleRow,
  type SlotFilter,
  type SlotRow,
} from '../../activities/ledger/schedules';
import type { Queryable } from '../../lib/postgres';
import { queueNames } from '../../lib/queues';
import { nextSlot, slotsBetween, windowOfSlot, type Slot } from '../../pipelines/calendar';
import { AlmanacError } from '../../pipelines/failures';
import { decideSlots, type PendingSlot, type SlotDecision } from '../../pipelines/slot-policy';
import { isOver, lastOver, parseWindow } from '../../pipelines/window';
import { requireReason } from '../reason';
import type { OperatorSession } from '../session';
import { wakeClock } from './clock-workflow';

/** Throws `schedule.unknown`, listing what is installed. */
export async function installedSchedule(session: OperatorSession, pipeline: string): Promise<ScheduleRow> {
  const schedules = await listSchedules(session.database);
  const found = schedules.find((row) => row.pipeline === pipeline);
  if (found !== undefined) return found;
  const names = schedules.map((row) => row.pipeline);
  throw new AlmanacError(
    'schedule.unknown',
    `no schedule of "${pipeline}" is installed${names.length === 0 ? '' : `; installed: ${names.join(', ')}`}`,
    {
      next: 'almanac schedule apply installs what the project declares',
    },
  );
}

/** Installed schedules with their next slot, and how many slots wait. */
export async function schedulesWithNext(
  session: OperatorSession,
): Promise<(ScheduleRow & { readonly next: Slot | null; readonly waiting: number })[]> {
  const schedules = await listSchedules(session.database);
  const open = await openSlots(session.database);
  const now = session.clock.now();
  return schedules.map((row) => ({
    ...row,
    next: nextSlot(row.spec, now) ?? null,
    waiting: open.filter(({ pipeline }) => pipeline === row.pipeline).length,
  }));
}

/** The ledger of slots, newest first. Throws `schedule.unknown` for a pipeline without a schedule. */
export async function slotsOf(session: OperatorSession, filter: SlotFilter): Promise<SlotRow[]> {
  if (filter.pipeline !== undefined) await installedSchedule(session, filter.pipeline);
  return listSlots(session.database, filter);
}

/** Stops or lets on the firing of a schedule. Open runs go on. Pausing what is paused gives the pause another reason. */
export async function pauseSchedule(session: OperatorSession, pipeline: string, paused: boolean, reason: string): Promise<PauseChange> {
  const { database, config, clock } = session;
  const said = requireReason(reason, paused ? 'schedule pause' : 'schedule unpause');
  await installedSchedule(session, pipeline);
  const changed = await setPaused(database, pipeline, paused, { who: config.actor, reason: said, now: clock.now() });
  await wakeClock(await session.temporal(), queueNames(config).control);
  return changed;
}

export interface TriggerRequest {
  readonly pipeline: string;
  /** Default: the newest window that is over. */
  readonly window?: string | undefined;
  readonly overlap: 'obey' | 'ignore';
  readonly reason: string;
}

const TRIGGER_DEADLINE_MS = 10_000;

/** Fires a slot by hand; answers once the clock decided about it, or `due` when it did not yet. */
export async function triggerSchedule(session: OperatorSession, request: TriggerRequest): Promise<SlotRow> {
  const { database, config, clock } = session;
  const reason = requireReason(request.reason, 'schedule trigger');
  const schedule = await installedSchedule(session, request.pipeline);
  const now = clock.now();
  const window = request.window === undefined ? lastOver(schedule.window, now) : parseWindow(schedule.window, request.window);
  if (!isOver(window, now)) {
    throw new AlmanacError('window.open', `${request.pipeline}/${window.key} ends at ${window.end}; its data are not complete`, {
      next: `trigger it after ${window.end}`,
    });
  }
  const slot = { pipeline: request.pipeline, window: window.key, manual: request.overlap, who: config.actor, reason };
  const nominal = await insertFrom(database, slot, now);
  await wakeClock(await session.temporal(), queueNames(config).control);
  const deadline = Date.now() + TRIGGER_DEADLINE_MS;
  for (;;) {
    const found = await readSlot(database, request.pipeline, nominal.toISOString());
    if (found === undefined)
      throw new AlmanacError('internal', 'the slot that was triggered is not in the ledger', { next: 'almanac schedule slots' });
    if ((found.state !== 'due' && found.state !== 'starting') || Date.now() > deadline) return found;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** A slot is named by its instant: of two that are triggered at the same one, the later is a millisecond later. */
async function insertFrom(database: Queryable, slot: Parameters<typeof insertManualSlot>[1], from: Date): Promise<Date> {
  for (let at = from; ; at = new Date(at.getTime() + 1)) if (await insertManualSlot(database, slot, at)) return at;
}

export interface Preview {
  readonly schedule: ScheduleRow;
  /** Slots to come, with their windows. */
  readonly slots: readonly (Slot & { readonly window: string })[];
  /** What un-pausing now would do with slots that are due; empty for a schedule that is not paused. */
  readonly onUnpause: readonly (SlotDecision & { readonly window: string })[];
}

/** The year ahead (or so many days), and what the end of a pause would start. Changes nothing. */
export async function previewSchedule(session: OperatorSession, pipeline: string, days: number): Promise<Preview> {
  const { database, clock } = session;
  const now = clock.now();
  const schedule = await installedSchedule(session, pipeline);
  const ahead = slotsBetween(schedule.spec, now, new Date(now.getTime() + days * 86_400_000));
  const slots = ahead.map((slot) => ({ ...slot, window: windowOfSlot(schedule.window, slot).key }));
  if (!schedule.paused) return { schedule, slots, onUnpause: [] };
  const open = (await openSlots(database)).filter((slot) => slot.pipeline === pipeline);
  const seen = new Set(open.map(({ nominal }) => nominal));
  const unseen = slotsBetween(schedule.spec, new Date(schedule.seenUntil), now).filter(({ nominal }) => !seen.has(nominal));
  const pending: PendingSlot[] = [
    ...open.map((slot) => ({ ...slot, manual: slot.manual ?? undefined, started: false })),
    ...unseen.map(({ nominal, at }) => ({
      nominal,
      at,
      window: windowOfSlot(schedule.window, { at }).key,
      seenAt: at,
      wasPaused: true,
      started: false,
    })),
  ];
  const state = { policies: schedule.spec, paused: false, openWindows: (await openWindows(database, [pipeline])).get(pipeline) ?? [] };
  const windows = new Map(pending.map(({ nominal, window }) => [nominal, window]));
  const onUnpause = decideSlots(state, pending).map((decision) => ({ ...decision, window: windows.get(decision.nominal) ?? '' }));
  return { schedule, slots, onUnpause };
}
