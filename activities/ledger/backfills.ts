import { transaction, type Queryable } from '../../lib/postgres';
import type { StageHistory } from '../../pipelines/backfill-estimate';
import type { BackfillPlan } from '../../pipelines/backfill-plan';
import { BACKFILL_STATES, type BackfillState } from '../../pipelines/backfill-steps';
import type { FailureInfo } from '../../pipelines/failures';
import { MAIN_BRANCH } from '../../pipelines/run-id';
import { RUN_STATES, type RunState } from '../../pipelines/status';
import { forgetPublishing } from './backfill-publishing';
import type pg from 'pg';

/** A backfill as the ledger has it. Instants are ISO. */
export interface BackfillRow {
  readonly hash: string;
  readonly pipeline: string;
  readonly planHash: string;
  readonly plan: BackfillPlan;
  /** The branch it builds on: `main` for one that builds in place. */
  readonly branch: string;
  readonly state: BackfillState;
  readonly concurrency: number;
  readonly reason: string | null;
  readonly who: string;
  /** What refused the start of a window. */
  readonly failure: FailureInfo | null;
  readonly proof: unknown;
  readonly plannedAt: string;
  readonly startedAt: string | null;
  readonly changedAt: string;
  readonly endedAt: string | null;
}

/** A window of a backfill, with its newest run since. */
export interface BackfillWindowRow {
  readonly position: number;
  readonly window: string;
  readonly after: number;
  readonly begunAt: string | null;
  readonly run: {
    readonly generation: number;
    readonly state: RunState;
    readonly failure: Readonly<Record<string, FailureInfo>> | null;
    readonly claimedAt: string;
    readonly endedAt: string | null;
  } | null;
}

export interface BackfillEvent {
  readonly at: string;
  readonly who: string;
  readonly verb: string;
  readonly reason: string | null;
  readonly detail: unknown;
}

interface RawBackfill {
  hash: string;
  pipeline: string;
  plan_hash: string;
  body: BackfillPlan;
  branch: string | null;
  state: BackfillState;
  concurrency: number;
  reason: string | null;
  who: string;
  failure: FailureInfo | null;
  proof: unknown;
  planned_at: Date;
  started_at: Date | null;
  changed_at: Date;
  ended_at: Date | null;
}

const DRIVEN = statesThat(({ driven }) => driven);
const OVER = statesThat(({ over }) => over);

function statesThat(holds: (facts: (typeof BACKFILL_STATES)[BackfillState]) => boolean): BackfillState[] {
  return (Object.keys(BACKFILL_STATES) as BackfillState[]).filter((state) => holds(BACKFILL_STATES[state]));
}

/** Notes a plan under its hash. One that is there and not over stays as it is; one that is over may be started anew. */
export async function storeBackfill(
  database: pg.Pool,
  backfill: Pick<BackfillRow, 'hash' | 'pipeline' | 'plan' | 'concurrency' | 'who'>,
  now: Date,
): Promise<void> {
  const { hash, pipeline, plan, concurrency, who } = backfill;
  await transaction(database, async (client) => {
    const { rowCount } = await client.query(
      `insert into almanac.backfill (hash, pipeline, plan_hash, body, state, concurrency, who, planned_at, changed_at, branch)
       values ($1, $2, $3, $4, 'planned', $5, $6, $7, $7, $9)
       on conflict (hash) do update set state = 'planned', body = excluded.body, concurrency = excluded.concurrency, who = excluded.who, reason = null,
         failure = null, proof = null, planned_at = $7, changed_at = $7, started_at = null, ended_at = null
       where backfill.state = 'planned' or backfill.state = any($8)`,
      [hash, pipeline, plan.planHash, JSON.stringify(plan), concurrency, who, now, OVER, plan.branch?.name ?? null],
    );
    if (rowCount === 0) return;
    await client.query('delete from almanac.backfill_window where hash = $1', [hash]);
    await forgetPublishing(client, hash);
    await client.query(
      `insert into almanac.backfill_window (hash, position, window_key, after_generation)
       select $1, position, window_key, after_generation from unnest($2::text[], $3::int[]) with ordinality as w (window_key, after_generation, position)`,
      [hash, plan.windows.map(({ window }) => window), plan.windows.map(({ after }) => after)],
    );
  });
}

export async function readBackfill(database: Queryable, hash: string): Promise<BackfillRow | undefined> {
  const { rows } = await database.query<RawBackfill>('select * from almanac.backfill where hash = $1', [hash]);
  return rows[0] === undefined ? undefined : fromRaw(rows[0]);
}

/** Newest change first. */
export async function listBackfills(database: Queryable, pipeline: string | undefined, limit: number): Promise<BackfillRow[]> {
  const { rows } = await database.query<RawBackfill>(
    'select * from almanac.backfill where $1::text is null or pipeline = $1 order by changed_at desc limit $2',
    [pipeline ?? null, limit],
  );
  return rows.map(fromRaw);
}

/** Hashes of those whose controller has something to do, or would have if somebody who promotes or discards died over it; then runs of a discarded branch may be open. */
export async function drivenBackfills(database: Queryable): Promise<string[]> {
  const { rows } = await database.query<{ hash: string }>(
    `select b.hash from almanac.backfill b where state = any($1)
       or exists (select from almanac.chain_branch c where (c.pipeline, c.branch) = (b.pipeline, b.branch) and c.state = 'open' and b.state <> 'planned')
       or (state = 'discarded' and exists (select from almanac.run r where (r.pipeline, r.branch) = (b.pipeline, b.branch) and r.ended_at is null))`,
    [DRIVEN],
  );
  return rows.map(({ hash }) => hash);
}

/** The newest backfill of each branch of a pipeline. */
export async function branchBackfills(database: Queryable, pipeline: string): Promise<Map<string, string>> {
  const { rows } = await database.query<{ branch: string; hash: string }>(
    "select branch, hash from almanac.backfill where pipeline = $1 and branch is not null and state <> 'planned' order by started_at",
    [pipeline],
  );
  return new Map(rows.map(({ branch, hash }) => [branch, hash]));
}

export interface BackfillChange {
  readonly hash: string;
  readonly from: readonly BackfillState[];
  readonly to: BackfillState;
  /** `controller` for what it came to by itself. */
  readonly who: string;
  readonly verb: string;
  readonly reason: string | null;
  readonly failure?: FailureInfo | undefined;
  readonly proof?: unknown;
}

/** Moves a backfill from one of the states named, with who, when and why; false when it is in another one. */
export async function changeBackfill(database: Queryable, change: BackfillChange, now: Date): Promise<boolean> {
  const { hash, from, to, who, verb, reason, failure, proof } = change;
  const { rows } = await database.query<{ changed: boolean }>(
    `with changed as (
       update almanac.backfill set state = $3, reason = $6, who = case when $4 = 'controller' then who else $4 end, failure = $7, changed_at = $9,
         proof = coalesce($8, proof), started_at = case when $5 = 'start' then $9 else started_at end, ended_at = case when $3 = any($10) then $9::timestamptz end
       where hash = $1 and state = any($2) returning 1
     ), noted as (
       insert into almanac.backfill_event (hash, at, who, verb, reason, detail)
       select $1, $9, $4, $5, $6, jsonb_build_object('state', $3::text) from changed
     )
     select exists (select from changed) as changed`,
    [
      hash,
      from,
      to,
      who,
      verb,
      reason,
      failure === undefined ? null : JSON.stringify(failure),
      proof === undefined ? null : JSON.stringify(proof),
      now,
      OVER,
    ],
  );
  return rows[0]?.changed === true;
}

/** False when the backfill is over. */
export async function setConcurrency(
  database: Queryable,
  hash: string,
  concurrency: number,
  by: { readonly who: string; readonly reason: string | null; readonly now: Date },
): Promise<boolean> {
  const { rows } = await database.query<{ changed: boolean }>(
    `with changed as (update almanac.backfill set concurrency = $2, changed_at = $5 where hash = $1 and state <> all($6) returning 1),
     noted as (insert into almanac.backfill_event (hash, at, who, verb, reason, detail)
       select $1, $5, $3, 'set', $4, jsonb_build_object('concurrency', $2::int) from changed)
     select exists (select from changed) as changed`,
    [hash, concurrency, by.who, by.reason, by.now, OVER],
  );
  return rows[0]?.changed === true;
}

/** In the order to run them. */
export async function backfillWindows(database: Queryable, hash: string): Promise<BackfillWindowRow[]> {
  const { rows } = await database.query<{
    position: number;
    window_key: string;
    after_generation: number;
    begun_at: Date | null;
    generation: number | null;
    state: RunState;
    failure: Readonly<Record<string, FailureInfo>> | null;
    claimed_at: Date;
    ended_at: Date | null;
  }>(
    `select w.position, w.window_key, w.after_generation, w.begun_at, r.generation, r.state, r.failure, r.claimed_at, r.ended_at
     from almanac.backfill_window w join almanac.backfill b on b.hash = w.hash
     left join lateral (select * from almanac.run r where r.pipeline = b.pipeline and r.branch = coalesce(b.branch, 'main') and r.window_key = w.window_key
       and r.generation > w.after_generation order by r.generation desc limit 1) r on true
     where w.hash = $1 order by w.position`,
    [hash],
  );
  return rows.map((row) => ({
    position: row.position,
    window: row.window_key,
    after: row.after_generation,
    begunAt: row.begun_at?.toISOString() ?? null,
    run:
      row.generation === null
        ? null
        : {
            generation: row.generation,
            state: row.state,
            failure: row.failure,
            claimedAt: row.claimed_at.toISOString(),
            endedAt: row.ended_at?.toISOString() ?? null,
          },
  }));
}

/** Windows of the branch, but those of the backfill, whose runs are under way; a held one is not. */
export async function openElsewhere(
  database: Queryable,
  { hash, pipeline, branch }: Pick<BackfillRow, 'hash' | 'pipeline' | 'branch'>,
): Promise<string[]> {
  const { rows } = await database.query<{ window_key: string }>(
    `select window_key from almanac.run r where pipeline = $2 and branch = $3 and ended_at is null and state <> 'held'
       and not exists (select from almanac.backfill_window w where w.hash = $1 and w.window_key = r.window_key)`,
    [hash, pipeline, branch],
  );
  return rows.map((row) => row.window_key);
}

/** Notes that the run of a window is being started; false when the backfill is no longer to start anything. */
export async function beginWindow(database: Queryable, hash: string, window: string, now: Date): Promise<boolean> {
  const { rowCount } = await database.query(
    `update almanac.backfill_window w set begun_at = coalesce(w.begun_at, $3) from almanac.backfill b
     where w.hash = $1 and w.window_key = $2 and b.hash = w.hash and b.state in ('running', 'pausing')`,
    [hash, window, now],
  );
  return rowCount === 1;
}

/**
 * Moves a backfill, and lets windows whose newest run ended without being accepted run once more: they follow that run from now on. Both or
 * neither, so that who was too late to move it takes no window back that runs again by now. False when it is in another state.
 */
export async function resumeWindows(
  database: pg.Pool,
  change: BackfillChange,
  windows: readonly BackfillWindowRow[],
  now: Date,
): Promise<boolean> {
  return transaction(database, async (client) => {
    const moved = await changeBackfill(client, change, now);
    if (moved) await rewindWindows(client, change.hash, windows);
    return moved;
  });
}

async function rewindWindows(database: Queryable, hash: string, windows: readonly BackfillWindowRow[]): Promise<void> {
  const ended = windows.flatMap(({ window, run }) =>
    run !== null && run.state !== 'succeeded' && !RUN_STATES[run.state].open ? [{ window, generation: run.generation }] : [],
  );
  await database.query(
    `update almanac.backfill_window w set after_generation = e.generation, begun_at = null
     from unnest($2::text[], $3::int[]) as e (window_key, generation) where w.hash = $1 and w.window_key = e.window_key`,
    [hash, ended.map(({ window }) => window), ended.map(({ generation }) => generation)],
  );
}

/** Adds windows to a branch, after those it has; those it has run once more, following their newest run. */
export async function addWindows(database: pg.Pool, { hash, pipeline, branch }: BackfillRow, windows: readonly string[]): Promise<void> {
  await transaction(database, async (client) => {
    await client.query(
      `update almanac.backfill_window w set begun_at = null, after_generation = coalesce(
         (select max(generation) from almanac.run r where r.pipeline = $3 and r.branch = $4 and r.window_key = w.window_key), w.after_generation)
       where hash = $1 and window_key = any($2)`,
      [hash, windows, pipeline, branch],
    );
    await client.query(
      `insert into almanac.backfill_window (hash, position, window_key, after_generation)
       select $1, (select coalesce(max(position), 0) from almanac.backfill_window where hash = $1) + row_number() over (order by window_key collate "C"), window_key, 0
       from unnest($2::text[]) as n (window_key)
       where not exists (select from almanac.backfill_window w where w.hash = $1 and w.window_key = n.window_key)`,
      [hash, windows],
    );
  });
}

/** Verbs and what the controller came to, oldest first. */
export async function backfillEvents(database: Queryable, hash: string): Promise<BackfillEvent[]> {
  const { rows } = await database.query<Omit<BackfillEvent, 'at'> & { at: Date }>(
    'select at, who, verb, reason, detail from almanac.backfill_event where hash = $1 order by id',
    [hash],
  );
  return rows.map(({ at, ...rest }) => ({ ...rest, at: at.toISOString() }));
}

/** So many of the newest attempts of a stage say how long it takes. */
const HISTORY_ATTEMPTS = 100;

/** Medians by stage over the newest attempts of a pipeline that succeeded; stage after stage is found in the index. */
export async function stageHistory(database: Queryable, pipeline: string): Promise<Record<string, StageHistory>> {
  const { rows } = await database.query<{ stage: string; seconds: number; bytes: number }>(
    `with recursive known as (
       (select stage from almanac.attempt where pipeline = $1 and state = 'succeeded' and attempt > 0 order by stage limit 1)
       union all
       select (select a.stage from almanac.attempt a where a.pipeline = $1 and a.state = 'succeeded' and a.attempt > 0 and a.stage > known.stage
               order by a.stage limit 1)
       from known where known.stage is not null)
     select known.stage, medians.* from known, lateral (
       select percentile_cont(0.5) within group (order by extract(epoch from ended_at - coalesce(permits_at, started_at))::float8) as seconds,
         percentile_cont(0.5) within group (order by coalesce((output ->> 'bytesOut')::float8, 0)) as bytes
       from (select permits_at, started_at, ended_at, output from almanac.attempt a
             where a.pipeline = $1 and a.stage = known.stage and a.state = 'succeeded' and a.attempt > 0 order by ended_at desc limit ${HISTORY_ATTEMPTS}) newest
     ) medians where known.stage is not null`,
    [pipeline],
  );
  return Object.fromEntries(rows.map(({ stage, seconds, bytes }) => [stage, { seconds, bytes }]));
}

function fromRaw(row: RawBackfill): BackfillRow {
  return {
    hash: row.hash,
    pipeline: row.pipeline,
    planHash: row.plan_hash,
    plan: row.body,
    branch: row.branch ?? MAIN_BRANCH,
    state: row.state,
    concurrency: row.concurrency,
    reason: row.reason,
    who: row.who,
    failure: row.failure,
    proof: row.proof,
    plannedAt: row.planned_at.toISOString(),
    startedAt: row.started_at?.toISOString() ?? null,
    changedAt: row.changed_at.toISOString(),
    endedAt: row.ended_at?.toISOString() ?? null,
  };
}
