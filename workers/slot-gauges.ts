import { Counter, Gauge, type Registry } from 'prom-client';
import { slotsBetween } from '../pipelines/calendar';
import { DEADLINE_STATES } from '../pipelines/deadline';
import { LATE_SECONDS, SLOT_OUTCOMES } from '../pipelines/slot-policy';
import type { ScheduleSpec } from '../pipelines/types';

/** What the ledger says of slots, read with its other figures. Instants are unix seconds. */
export interface SlotFigures {
  readonly schedules: readonly {
    readonly pipeline: string;
    readonly paused: boolean;
    readonly spec: ScheduleSpec;
    readonly seenUntil: number;
    readonly deadline: boolean;
  }[];
  readonly slots: readonly { readonly pipeline: string; readonly outcome: string; readonly slots: number }[];
  readonly overdue: readonly { readonly pipeline: string; readonly slots: number }[];
  readonly deadlines: readonly { readonly pipeline: string; readonly state: string; readonly deadlines: number; readonly next: number }[];
}

/**
 * Fields of the one reading; `$2` is now. A slot is released by the end of the pause it waited for, and a queued one by the end of the
 * run it waited for; while such a run is open it waits by right.
 */
export const SLOT_FIGURES = `
  (select coalesce(json_agg(f), '[]') from (
     select pipeline, paused, spec, extract(epoch from seen_until) as "seenUntil", deadline is not null as deadline from almanac.schedule) f) as schedules,
  (select coalesce(json_agg(f), '[]') from (select pipeline, outcome, slots from almanac.slot_count) f) as slots,
  (select coalesce(json_agg(f), '[]') from (
     select s.pipeline, count(*) as slots
     from almanac.slot s join almanac.schedule c using (pipeline)
     where s.outcome is null and s.state <> 'paused' and (s.manual is not null or not c.paused)
       and greatest(s.at, case when s.was_paused then c.changed_at end, case when s.state = 'queued' then (
             select max(r.ended_at) from almanac.run r where r.pipeline = s.pipeline and r.ended_at is not null) end)
           < $2::timestamptz - make_interval(secs => ${LATE_SECONDS})
       and not (s.state = 'queued' and exists (
             select from open r where r.pipeline = s.pipeline and r.window_key <> s.window_key and r.branch = 'main'))
     group by 1) f) as overdue,
  (select coalesce(json_agg(f), '[]') from (
     select pipeline, state, count(*) as deadlines, extract(epoch from min(due)) as next from almanac.deadline
     where state in ('pending', 'at-risk') or (due > $2::timestamptz - interval '35 days' and state = 'missed' and published_at is null)
       or (due > $2::timestamptz - interval '1 day' and state in ('met', 'superseded'))
     group by 1, 2) f) as deadlines`;

/** A clock that stopped leaves slots that nobody wrote down: so many of one schedule are counted. */
const UNSEEN_COUNTED = 1000;

/** Slots by outcome, those that are overdue, and schedules that are paused. */
export class SlotGauges {
  private readonly settled: Counter<'pipeline' | 'outcome'>;
  private readonly overdue: Gauge<'pipeline'>;
  private readonly paused: Gauge<'pipeline'>;
  private readonly deadlines: Gauge<'pipeline' | 'state'>;
  private readonly left: Gauge<'pipeline'>;

  constructor(registry: Registry) {
    const registers = [registry];
    this.settled = new Counter({
      ...{ name: 'almanac_slots_total', help: 'Slots that have their outcome.', labelNames: ['pipeline', 'outcome'], registers },
    });
    this.overdue = new Gauge({
      ...{ name: 'almanac_slots_overdue', labelNames: ['pipeline'], registers },
      help: `Slots without an outcome more than ${LATE_SECONDS} seconds after they were due or released; paused ones do not count.`,
    });
    this.paused = new Gauge({
      ...{ name: 'almanac_schedule_paused', labelNames: ['pipeline'], registers },
      help: 'Whether the schedule is paused: 1, or 0 and it fires.',
    });
    this.deadlines = new Gauge({
      ...{ name: 'almanac_deadline_state', labelNames: ['pipeline', 'state'], registers },
      help: 'Deadlines by state: those to come, those missed and not published yet, and those met or superseded within a day.',
    });
    this.left = new Gauge({
      ...{ name: 'almanac_deadline_left_seconds', labelNames: ['pipeline'], registers },
      help: 'Time until the next deadline of a slot that fired; -1 when there is none.',
    });
  }

  /** Shows one reading; none is left of the one before. */
  show(figures: SlotFigures | undefined, now: Date): void {
    for (const metric of [this.settled, this.overdue, this.paused, this.deadlines, this.left]) metric.reset();
    if (figures === undefined) return;
    for (const { pipeline, paused, spec, seenUntil, deadline } of figures.schedules) {
      for (const outcome of SLOT_OUTCOMES) this.settled.inc({ pipeline, outcome }, 0);
      this.paused.set({ pipeline }, paused ? 1 : 0);
      this.overdue.set({ pipeline }, paused ? 0 : unseen(spec, seenUntil, now));
      if (!deadline) continue;
      for (const state of DEADLINE_STATES) this.deadlines.set({ pipeline, state }, 0);
      this.left.set({ pipeline }, -1);
    }
    for (const { pipeline, outcome, slots } of figures.slots) this.settled.inc({ pipeline, outcome }, slots);
    for (const { pipeline, slots } of figures.overdue) this.overdue.inc({ pipeline }, slots);
    const nearest = new Map<string, number>();
    for (const { pipeline, state, deadlines, next } of figures.deadlines) {
      this.deadlines.set({ pipeline, state }, deadlines);
      if (state === 'pending' || state === 'at-risk') nearest.set(pipeline, Math.min(next, nearest.get(pipeline) ?? Infinity));
    }
    for (const [pipeline, due] of nearest) this.left.set({ pipeline }, Math.max(0, due - now.getTime() / 1000));
  }
}

/** Overdue slots that are not in the ledger: whoever looks at the schedules does not. */
function unseen(spec: ScheduleSpec, seenUntil: number, now: Date): number {
  return slotsBetween(spec, new Date(seenUntil * 1000), new Date(now.getTime() - LATE_SECONDS * 1000), UNSEEN_COUNTED).length;
}
