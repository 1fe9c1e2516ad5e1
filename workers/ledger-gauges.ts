import type pg from 'pg';
import { Gauge, Registry } from 'prom-client';
import type { Clock } from '../lib/clock';
import { connect } from '../lib/postgres';
import { FAILURE_CLASSES } from '../pipelines/failures';
import { RUN_STATES } from '../pipelines/status';
import { BACKFILL_FIGURES, BackfillGauges, type BackfillFigures } from './backfill-gauges';
import { CHECK_FIGURES, CheckGauges, type CheckFigures } from './check-gauges';
import { EMR_FIGURES, EmrGauges, type EmrFigures } from './emr-gauges';
import { POOL_FIGURES, PoolGauges, type PoolFigures } from './pool-gauges';
import { SLOT_FIGURES, SlotGauges, type SlotFigures } from './slot-gauges';

/** A scrape waits this long for a connection, then as long for the answer; a Prometheus gives up after 10 s by default. */
const DATABASE_TIMEOUT_MS = 2_000;
/** Servers that scrape together share one reading. */
const FRESH_MS = 1_000;

const OPEN_STATES = Object.entries(RUN_STATES)
  .filter(([, { open }]) => open)
  .map(([state]) => state);

/** One reading: one statement, so that all figures are of one snapshot. Instants are unix seconds. */
interface Figures extends SlotFigures, BackfillFigures, PoolFigures, CheckFigures, EmrFigures {
  readonly pipelines: readonly string[];
  readonly runs: readonly { readonly pipeline: string; readonly state: string; readonly runs: number }[];
  readonly held: readonly { readonly pipeline: string; readonly class: string; readonly runs: number }[];
  readonly holds: readonly { readonly pipeline: string; readonly since: number }[];
  readonly tables: readonly { readonly pipeline: string; readonly table: string; readonly published: number; readonly windowEnd: number }[];
}

const FIGURES = `
with open as (select * from almanac.run where state = any ($1))
select
  (select coalesce(json_agg(pipeline), '[]') from (select distinct pipeline from almanac.plan) known) as pipelines,
  (select coalesce(json_agg(f), '[]') from (select pipeline, state, count(*) as runs from open group by 1, 2) f) as runs,
  (select coalesce(json_agg(f), '[]') from (
     select pipeline, failed.value ->> 'class' as class, count(distinct (window_key, branch, generation)) as runs
     from open, jsonb_each(failure) failed where state = 'held' group by 1, 2) f) as held,
  (select coalesce(json_agg(f), '[]') from (
     select pipeline, extract(epoch from min(changed_at)) as since from open where state = 'held' group by 1) f) as holds,
  (select coalesce(json_agg(f), '[]') from (
     select l.pipeline, t.name as "table", extract(epoch from p.flipped_at) as published, extract(epoch from p.window_end) as "windowEnd"
     from almanac.live l join almanac.publication p on p.id = l.publication, jsonb_object_keys(p.tables) as t (name)) f) as tables,
${SLOT_FIGURES},
${BACKFILL_FIGURES},
${POOL_FIGURES},
${CHECK_FIGURES},
${EMR_FIGURES}`;

export interface LedgerGaugesOptions {
  readonly databaseUrl: string;
  readonly clock: Clock;
  /** Told once when readings begin to fail, not at every scrape. */
  readonly failed: (error: unknown) => void;
}

/**
 * What the ledger says now, the same from every control worker, so dashboards take the maximum over instances. While Postgres does not
 * answer there are no figures, rather than old ones, and `almanac_ledger_up` is 0.
 */
export class LedgerGauges implements AsyncDisposable {
  readonly registry = new Registry();

  private readonly up = this.gauge('almanac_ledger_up', 'Whether the ledger answered: 1, or 0 and the figures taken from it are left out.');
  private readonly runs = this.gauge('almanac_runs', 'Runs that are open, by state.', ['pipeline', 'state']);
  private readonly held = this.gauge(
    'almanac_held_runs',
    'Held runs with a failure of the class; a run whose stages failed in two classes counts in both.',
    ['pipeline', 'class'],
  );
  private readonly oldestHold = this.gauge(
    'almanac_oldest_hold_age_seconds',
    'For how long the longest hold has not changed; 0 when nothing is held.',
    ['pipeline'],
  );
  private readonly published = this.gauge('almanac_table_published_timestamp_seconds', 'When what the live table shows went live.', [
    'pipeline',
    'table',
  ]);
  private readonly windowEnd = this.gauge('almanac_table_window_end_timestamp_seconds', 'End of the window the live table shows.', [
    'pipeline',
    'table',
  ]);
  private readonly slots = new SlotGauges(this.registry);
  private readonly backfills = new BackfillGauges(this.registry);
  private readonly pools = new PoolGauges(this.registry);
  private readonly checks = new CheckGauges(this.registry);
  private readonly emr = new EmrGauges(this.registry);

  /** Of its own: a scrape neither waits for stages nor takes a connection from them. */
  private readonly database: pg.Pool;
  private reading: Promise<void> | undefined;
  private freshUntil = 0;
  private failing = false;

  constructor(private readonly options: LedgerGaugesOptions) {
    this.database = connect(options.databaseUrl, {
      application_name: 'almanac metrics',
      max: 1,
      idleTimeoutMillis: 60_000,
      connectionTimeoutMillis: DATABASE_TIMEOUT_MS,
      query_timeout: DATABASE_TIMEOUT_MS,
      statement_timeout: DATABASE_TIMEOUT_MS,
    });
  }

  /** Brings the gauges up to date unless they are; never rejects, and ends within two timeouts whatever the database does. */
  refresh(): Promise<void> {
    if (this.reading === undefined || performance.now() >= this.freshUntil) {
      this.freshUntil = Infinity;
      this.reading = this.read().finally(() => (this.freshUntil = performance.now() + FRESH_MS));
    }
    return this.reading;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.database.end();
  }

  private async read(): Promise<void> {
    const now = this.options.clock.now();
    try {
      const { rows } = await this.database.query<Figures>(FIGURES, [OPEN_STATES, now]);
      this.show(rows[0], now);
      this.failing = false;
    } catch (error) {
      this.show(undefined, now);
      if (!this.failing) this.options.failed(error);
      this.failing = true;
    }
  }

  /** All at once: a scrape that is being rendered meanwhile sees the old figures or the new. */
  private show(figures: Figures | undefined, at: Date): void {
    for (const gauge of [this.runs, this.held, this.oldestHold, this.published, this.windowEnd]) gauge.reset();
    this.slots.show(figures, at);
    this.backfills.show(figures);
    this.pools.show(figures, at);
    this.checks.show(figures);
    this.emr.show(figures);
    this.up.set(figures === undefined ? 0 : 1);
    if (figures === undefined) return;
    for (const pipeline of figures.pipelines) {
      for (const state of OPEN_STATES) this.runs.set({ pipeline, state }, 0);
      for (const name of Object.keys(FAILURE_CLASSES)) this.held.set({ pipeline, class: name }, 0);
      this.oldestHold.set({ pipeline }, 0);
    }
    for (const { pipeline, state, runs } of figures.runs) this.runs.set({ pipeline, state }, runs);
    for (const { pipeline, class: name, runs } of figures.held) this.held.set({ pipeline, class: name }, runs);
    const now = at.getTime() / 1000;
    for (const { pipeline, since } of figures.holds) this.oldestHold.set({ pipeline }, Math.max(0, now - since));
    for (const { pipeline, table, published, windowEnd } of figures.tables) {
      this.published.set({ pipeline, table }, published);
      this.windowEnd.set({ pipeline, table }, windowEnd);
    }
  }

  private gauge<L extends string>(name: string, help: string, labelNames: L[] = []): Gauge<L> {
    return new Gauge({ name, help, labelNames, registers: [this.registry] });
  }
}
