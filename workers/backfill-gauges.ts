import { Gauge, type Registry } from 'prom-client';
import { BACKFILL_STATES, phaseOf, type WindowPhase } from '../pipelines/backfill-steps';
import type { RunState } from '../pipelines/status';

/** So many backfills are told of at most: every one costs series that no later one takes over. */
export const BACKFILLS_TOLD = 20;
/** One that is over is told of for so long, so that its end is seen by whoever scrapes. */
const ENDED_HOURS = 24;

/** What the ledger says of backfills that were started, read with its other figures. */
export interface BackfillFigures {
  readonly backfills: readonly {
    readonly backfill: string;
    readonly pipeline: string;
    readonly state: string;
    /** By whether the window was begun, and the state of its newest run. */
    readonly windows: readonly { readonly begun: boolean; readonly run: RunState | null; readonly windows: number }[];
  }[];
}

/** States in which a backfill is told of: one that is merely planned says nothing yet. */
const TOLD = Object.keys(BACKFILL_STATES).filter((state) => state !== 'planned');
const OVER = Object.entries(BACKFILL_STATES).flatMap(([state, { over }]) => (over ? [state] : []));
const quoted = (states: readonly string[]): string => states.map((state) => `'${state}'`).join(', ');

/** A field of the one reading; `$2` is now. Open ones come first, then those that ended last. */
export const BACKFILL_FIGURES = `
  (select coalesce(json_agg(f), '[]') from (
     select b.hash as backfill, b.pipeline, b.state,
       (select coalesce(json_agg(w), '[]') from (
          select w.begun_at is not null as begun, r.state as run, count(*) as windows
          from almanac.backfill_window w
          left join lateral (select state from almanac.run r where r.pipeline = b.pipeline and r.branch = coalesce(b.branch, 'main') and r.window_key = w.window_key
            and r.generation > w.after_generation order by r.generation desc limit 1) r on true
          where w.hash = b.hash group by 1, 2) w) as windows
     from (
       select * from almanac.backfill
       where state in (${quoted(TOLD)}) and (state not in (${quoted(OVER)}) or ended_at > $2::timestamptz - interval '${ENDED_HOURS} hours')
       order by state in (${quoted(OVER)}), changed_at desc limit ${BACKFILLS_TOLD}) b) f) as backfills`;

/** Where a window of a backfill is, as dashboards count it. */
const WINDOW_PROGRESS = ['done', 'running', 'failed', 'remaining'] as const;
type Progress = (typeof WINDOW_PROGRESS)[number];

const PROGRESS = {
  pending: 'remaining',
  starting: 'running',
  claimed: 'running',
  running: 'running',
  held: 'failed',
  ended: 'failed',
  done: 'done',
} as const satisfies Record<WindowPhase, Progress>;

/** Progress and state of backfills that are open or ended within a day. */
export class BackfillGauges {
  private readonly windows: Gauge<'backfill' | 'pipeline' | 'state'>;
  private readonly state: Gauge<'backfill' | 'pipeline' | 'state'>;

  constructor(registry: Registry) {
    const labelNames = ['backfill', 'pipeline', 'state'] as const;
    const registers = [registry];
    this.windows = new Gauge({
      ...{ name: 'almanac_backfill_windows', labelNames, registers },
      help: 'Windows of a backfill by how far they are; those that are held or ended unaccepted are failed.',
    });
    this.state = new Gauge({
      ...{ name: 'almanac_backfill_state', labelNames, registers },
      help: 'Whether a backfill is in the state: 1 for one of them, 0 for the others.',
    });
  }

  /** Shows one reading; none is left of the one before. */
  show(figures: BackfillFigures | undefined): void {
    for (const metric of [this.windows, this.state]) metric.reset();
    for (const { backfill, pipeline, state: current, windows } of figures?.backfills ?? []) {
      for (const state of TOLD) this.state.set({ backfill, pipeline, state }, state === current ? 1 : 0);
      for (const state of WINDOW_PROGRESS) this.windows.set({ backfill, pipeline, state }, 0);
      for (const { begun, run, windows: count } of windows) {
        const state = PROGRESS[phaseOf({ window: '', begun, run: run ?? undefined })];
        this.windows.inc({ backfill, pipeline, state }, count);
      }
    }
  }
}
