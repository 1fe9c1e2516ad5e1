import type { Queryable } from '../../lib/postgres';
import type { SlotOutcome } from '../../pipelines/slot-policy';
import type { PipelineSpec, ScheduleSpec, WindowSpec } from '../../pipelines/types';

/** A schedule as it is installed. Instants are ISO. */
export interface ScheduleRow {
  readonly pipeline: string;
  readonly spec: ScheduleSpec;
  readonly window: WindowSpec;
  readonly deadline: PipelineSpec['deadline'] | undefined;
  readonly planHash: string;
  readonly paused: boolean;
  readonly reason: string;
  readonly who: string;
  readonly changedAt: string;
  /** Slots before it are in the ledger. */
  readonly seenUntil: string;
}

export type SlotState = 'due' | 'queued' | 'paused' | 'starting' | 'settled';

export interface SlotRow {
  readonly pipeline: string;
  readonly nominal: string;
  readonly at: string;
  readonly window: string;
  readonly state: SlotState;
  readonly outcome: SlotOutcome | null;
  readonly reason: string | null;
  readonly wasPaused: boolean;
  readonly manual: 'obey' | 'ignore' | null;
  readonly who: string | null;
  readonly generation: number | null;
  readonly seenAt: string;
  readonly startingAt: string | null;
  readonly settledAt: string | null;
}

interface RawSchedule {
  pipeline: string;
  spec: ScheduleSpec;
  window_spec: WindowSpec;
  deadline: PipelineSpec['deadline'] | null;
  plan_hash: string;
  paused: boolean;
  reason: string;
  who: string;
  changed_at: Date;
  seen_until: Date;
}

interface RawSlot {
  pipeline: string;
  nominal: string;
  at: Date;
  window_key: string;
  state: SlotState;
  outcome: SlotOutcome | null;
  reason: string | null;
  was_paused: boolean;
  manual: 'obey' | 'ignore' | null;
  who: string | null;
  generation: number | null;
  seen_at: Date;
  starting_at: Date | null;
  settled_at: Date | null;
}

export async function listSchedules(database: Queryable): Promise<ScheduleRow[]> {
  const { rows } = await database.query<RawSchedule>('select * from almanac.schedule order by pipeline');
  return rows.map((row) => ({
    pipeline: row.pipeline,
    spec: row.spec,
    window: row.window_spec,
    deadline: row.deadline ?? undefined,
    planHash: row.plan_hash,
    paused: row.paused,
    reason: row.reason,
    who: row.who,
    changedAt: row.changed_at.toISOString(),
    seenUntil: row.seen_until.toISOString(),
  }));
}

/** Installs a schedule, or changes what is installed; a pause and how far its slots are seen stay unless `row` is new. */
export async function putSchedule(database: Queryable, row: ScheduleRow): Promise<void> {
  await database.query(
    `insert into almanac.schedule (pipeline, spec, window_spec, deadline, plan_hash, paused, reason, who, changed_at, seen_until)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
     on conflict (pipeline) do update set spec = excluded.spec, window_spec = excluded.window_spec, deadline = excluded.deadline, plan_hash = excluded.plan_hash`,
    [
      row.pipeline,
      JSON.stringify(row.spec),
      JSON.stringify(row.window),
      row.deadline === undefined ? null : JSON.stringify(row.deadline),
      row.planHash,
      row.paused,
      row.reason,
      row.who,
      row.changedAt,
      row.seenUntil,
    ],
  );
}

/** Takes a schedule away with its slots; runs stay. */
export async function removeSchedule(database: Queryable, pipeline: string): Promise<void> {
  await database.query('delete from almanac.schedule where pipeline = $1', [pipeline]);
}

/** `reason`: a pause that lasts has another reason from now on; since when it is paused stays. `unchanged`: it fired already. */
export type PauseChange = 'changed' | 'reason' | 'unchanged';

export async function setPaused(
  database: Queryable,
  pipeline: string,
  paused: boolean,
  why: { readonly who: string; readonly reason: string; readonly now: Date },
): Promise<PauseChange> {
  const { rows } = await database.query<{ was: boolean }>(
    `with before as (
       select pipeline, paused from almanac.schedule where pipeline = $1 for update
     ), changed as (
       update almanac.schedule s set paused = $2, reason = $3, who = $4, changed_at = case when before.paused = $2 then s.changed_at else $5 end
       from before where s.pipeline = before.pipeline and ($2 or before.paused) returning before.paused as was
     ), noted as (
       insert into almanac.action (pipeline, at, who, verb, reason)
       select $1, $5, $4, case when $2 then 'schedule pause' else 'schedule unpause' end, $3 from changed
     )
     select was from changed`,
    [pipeline, paused, why.reason, why.who, why.now],
  );
  const [changed] = rows;
  if (changed === undefined) return 'unchanged';
  return changed.was === paused ? 'reason' : 'changed';
}

/** Puts on record that somebody installed, changed or removed a schedule. */
export async function recordApplied(
  database: Queryable,
  pipeline: string,
  by: { readonly who: string; readonly now: Date },
  detail: { readonly change: string; readonly differences: readonly string[] },
): Promise<void> {
  await database.query(`insert into almanac.action (pipeline, at, who, verb, detail) values ($1, $2, $3, 'schedule apply', $4)`, [
    pipeline,
    by.now,
    by.who,
    JSON.stringify(detail),
  ]);
}

export interface DueSlots {
  readonly pipeline: string;
  /** Slots before it are in the ledger from now on. */
  readonly seenUntil: Date;
  readonly slots: readonly {
    readonly nominal: string;
    readonly at: string;
    readonly window: string;
    /** When its window must be published, and where that ends. */
    readonly deadline?: { readonly due: string; readonly windowEnd: string } | undefined;
  }[];
}

/** Writes what came due, of many schedules in one statement; what is there already stays as it is. */
export async function insertDueSlots(database: Queryable, due: readonly DueSlots[], now: Date): Promise<void> {
  const slots = due.flatMap(({ pipeline, slots: list }) => list.map((slot) => ({ pipeline, ...slot })));
  await database.query(
    `with seen as (
       update almanac.schedule s set seen_until = greatest(s.seen_until, d.until)
       from unnest($6::text[], $7::timestamptz[]) as d (pipeline, until) where s.pipeline = d.pipeline)
     insert into almanac.slot (pipeline, nominal, at, window_key, state, seen_at, publish_by, window_end)
     select d.pipeline, d.nominal, d.at, d.window_key, 'due', $5, d.publish_by, d.window_end
     from unnest($1::text[], $2::text[], $3::timestamptz[], $4::text[], $8::timestamptz[], $9::timestamptz[])
       as d (pipeline, nominal, at, window_key, publish_by, window_end)
     on conflict do nothing`,
    [
      slots.map(({ pipeline }) => pipeline),
      slots.map(({ nominal }) => nominal),
      slots.map(({ at }) => at),
      slots.map(({ window }) => window),
      now,
      due.map(({ pipeline }) => pipeline),
      due.map(({ seenUntil }) => seenUntil),
      slots.map(({ deadline }) => deadline?.due ?? null),
      slots.map(({ deadline }) => deadline?.windowEnd ?? null),
    ],
  );
}

/** A firing an operator asked for; false when there is one of the same instant. */
export async function insertManualSlot(
  database: Queryable,
  slot: {
    readonly pipeline: string;
    readonly window: string;
    readonly manual: 'obey' | 'ignore';
    readonly who: string;
    readonly reason: string;
  },
  now: Date,
): Promise<boolean> {
  const { rowCount } = await database.query(
    `with fired as (
       insert into almanac.slot (pipeline, nominal, at, window_key, state, manual, who, reason, seen_at)
       values ($1, $2, $3, $4, 'due', $5, $6, $7, $3) on conflict do nothing returning *
     )
     insert into almanac.action (pipeline, at, who, verb, reason, detail)
     select pipeline, at, who, 'schedule trigger', reason, jsonb_build_object('slot', nominal, 'window', window_key, 'overlap', manual) from fired`,
    [slot.pipeline, now.toISOString(), now, slot.window, slot.manual, slot.who, slot.reason],
  );
  return rowCount === 1;
}

/** Slots without an outcome, oldest first, with the run their window has had since they were being started. */
export async function openSlots(database: Queryable): Promise<(SlotRow & { readonly startedGeneration: number | null })[]> {
  const { rows } = await database.query<RawSlot & { started_generation: number | null }>(
    `select s.*, (select max(generation) from almanac.run r where r.pipeline = s.pipeline and r.window_key = s.window_key and r.branch = 'main'
       and s.state = 'starting' and r.claimed_at >= s.starting_at) as started_generation
     from almanac.slot s where outcome is null order by pipeline, at, nominal`,
  );
  return rows.map((row) => ({ ...fromRaw(row), startedGeneration: row.started_generation }));
}

/** Windows with an open run of the main branch, by pipeline. */
export async function openWindows(database: Queryable, pipelines: readonly string[]): Promise<Map<string, string[]>> {
  const { rows } = await database.query<{ pipeline: string; window_key: string }>(
    "select pipeline, window_key from almanac.run where ended_at is null and branch = 'main' and pipeline = any($1)",
    [pipelines],
  );
  const windows = new Map<string, string[]>();
  for (const row of rows) windows.set(row.pipeline, [...(windows.get(row.pipeline) ?? []), row.window_key]);
  return windows;
}

export interface SlotChange {
  readonly pipeline: string;
  readonly nominal: string;
  readonly state: SlotState;
  readonly outcome?: SlotOutcome | undefined;
  readonly reason: string;
  readonly generation?: number | undefined;
}

/** Moves slots on, many in one statement; a slot that has its outcome keeps it. */
export async function changeSlots(database: Queryable, changes: readonly SlotChange[], now: Date): Promise<void> {
  if (changes.length === 0) return;
  await database.query(
    `update almanac.slot s set state = c.state, outcome = c.outcome, reason = c.reason, generation = coalesce(c.generation, s.generation),
       was_paused = s.was_paused or c.state = 'paused',
       starting_at = case when c.state = 'starting' then $7 else s.starting_at end,
       settled_at = case when c.state = 'settled' then $7 end
     from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::int[]) as c (pipeline, nominal, state, outcome, reason, generation)
     where s.pipeline = c.pipeline and s.nominal = c.nominal and s.outcome is null`,
    [
      changes.map(({ pipeline }) => pipeline),
      changes.map(({ nominal }) => nominal),
      changes.map(({ state }) => state),
      changes.map(({ outcome }) => outcome ?? null),
      changes.map(({ reason }) => reason),
      changes.map(({ generation }) => generation ?? null),
      now,
    ],
  );
}

export interface SlotFilter {
  readonly pipeline?: string | undefined;
  readonly outcome?: SlotOutcome | undefined;
  /** Only those without an outcome. */
  readonly open?: boolean | undefined;
  readonly limit: number;
}

/** Newest first. */
export async function listSlots(database: Queryable, filter: SlotFilter): Promise<SlotRow[]> {
  const { rows } = await database.query<RawSlot>(
    `select * from almanac.slot where ($1::text is null or pipeline = $1) and ($2::text is null or outcome = $2) and (not $3 or outcome is null)
     order by at desc, pipeline, nominal desc limit $4`,
    [filter.pipeline ?? null, filter.outcome ?? null, filter.open === true, filter.limit],
  );
  return rows.map(fromRaw);
}

export async function readSlot(database: Queryable, pipeline: string, nominal: string): Promise<SlotRow | undefined> {
  const { rows } = await database.query<RawSlot>('select * from almanac.slot where pipeline = $1 and nominal = $2', [pipeline, nominal]);
  return rows[0] === undefined ? undefined : fromRaw(rows[0]);
}

function fromRaw(row: RawSlot): SlotRow {
  return {
    pipeline: row.pipeline,
    nominal: row.nominal,
    at: row.at.toISOString(),
    window: row.window_key,
    state: row.state,
    outcome: row.outcome,
    reason: row.reason,
    wasPaused: row.was_paused,
    manual: row.manual,
    who: row.who,
    generation: row.generation,
    seenAt: row.seen_at.toISOString(),
    startingAt: row.starting_at?.toISOString() ?? null,
    settledAt: row.settled_at?.toISOString() ?? null,
  };
}
