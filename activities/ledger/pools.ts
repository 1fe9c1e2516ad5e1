import type pg from 'pg';
import { transaction, type Queryable } from '../../lib/postgres';
import { granted, servingOrder, type Lane, type PermitRequest, type Turn } from '../../pipelines/pools';
import type { PoolUse, RunRef } from '../../pipelines/types';
import { runKey } from './runs';

/** A pool as the ledger knows it. Instants are ISO. */
export interface PoolRow {
  readonly name: string;
  readonly declared: number;
  /** What there is: as declared, or as an operator set it. */
  readonly permits: number;
  readonly reason: string | null;
  readonly who: string | null;
  readonly changedAt: string;
}

/** Who holds permits of a pool, or waits for them. */
export interface Lease extends PermitRequest {
  readonly pool: string;
  readonly run: RunRef;
  readonly stage: string;
  readonly epoch: number;
  readonly attempt: number;
  readonly state: 'waiting' | 'held';
  /** Milliseconds since 1970: when it last looked, or took its permits. */
  readonly seenAt: number;
  /** ISO instant since which it is held; null while it waits. */
  readonly since: string | null;
  /** ISO instant since which its turn has come and it waits for a place of its worker; null otherwise. */
  readonly placeSince: string | null;
}

/** A waiting stage that did not look for so long is passed over until it does: its worker may be gone. */
const ABSENT_MS = 30_000;

interface RawLease {
  pipeline: string;
  window_key: string;
  branch: string;
  generation: number;
  stage: string;
  pool: string;
  permits: number;
  lane: Lane;
  epoch: number;
  attempt: number;
  state: 'waiting' | 'held';
  asked_at: Date;
  seen_at: Date;
  since: Date | null;
  place_since: Date | null;
}

/** One a stage of a run. */
function leaseId(run: RunRef, stage: string): string {
  return `${runKey(run).join(' ')} ${stage}`;
}

function leaseOf(row: RawLease, now: Date): Lease {
  const run = { pipeline: row.pipeline, window: row.window_key, branch: row.branch, generation: row.generation };
  return {
    id: leaseId(run, row.stage),
    pool: row.pool,
    run,
    pipeline: row.pipeline,
    stage: row.stage,
    permits: row.permits,
    lane: row.lane,
    epoch: row.epoch,
    attempt: row.attempt,
    state: row.state,
    askedAt: row.asked_at.getTime(),
    seenAt: row.seen_at.getTime(),
    present: now.getTime() - row.seen_at.getTime() < ABSENT_MS,
    since: row.since?.toISOString() ?? null,
    placeSince: row.place_since?.toISOString() ?? null,
  };
}

/** Makes pools known as a project declares them; what operators set stays. */
export async function installPools(database: Queryable, pools: Readonly<Record<string, number>>, now: Date): Promise<void> {
  if (Object.keys(pools).length === 0) return;
  await database.query(
    `insert into almanac.pool as p (name, declared, changed_at) select name, declared, $3 from unnest($1::text[], $2::int[]) as d (name, declared) order by name
     on conflict (name) do update set declared = excluded.declared where p.declared <> excluded.declared`,
    [Object.keys(pools), Object.values(pools), now],
  );
}

/** Sets the permits of a pool, null: as declared, and puts on record who did. False when there is no such pool. */
export async function setPermits(
  database: Queryable,
  name: string,
  permits: number | null,
  by: { readonly who: string; readonly reason: string; readonly now: Date },
): Promise<boolean> {
  const { rowCount } = await database.query(
    `with before as (
       select name, coalesce(permits, declared) as size from almanac.pool where name = $1 for update
     ), changed as (
       update almanac.pool p set permits = $2, who = $3, reason = $4, changed_at = $5 from before where p.name = before.name
       returning p.name, coalesce(p.permits, p.declared) as permits, before.size
     )
     insert into almanac.action (pool, at, who, verb, reason, detail)
     select name, $5, $3, 'pool set', $4, jsonb_build_object('permits', permits, 'before', size) from changed`,
    [name, permits, by.who, by.reason, by.now],
  );
  return rowCount === 1;
}

export async function listPools(database: Queryable): Promise<PoolRow[]> {
  const { rows } = await database.query<Omit<PoolRow, 'changedAt'> & { changed_at: Date }>(
    'select name, declared, coalesce(permits, declared) as permits, reason, who, changed_at from almanac.pool order by name',
  );
  return rows.map(({ changed_at, ...row }) => ({ ...row, changedAt: changed_at.toISOString() }));
}

export interface PoolLeases {
  /** Longest held first. */
  readonly held: readonly Lease[];
  /** In the order in which they would be served. */
  readonly waiting: readonly Lease[];
}

export async function readLeases(database: Queryable, pool: string, now: Date): Promise<PoolLeases & { readonly turns: readonly Turn[] }> {
  const { rows } = await database.query<RawLease>(
    'select * from almanac.lease where pool = $1 order by since, pipeline, window_key, stage',
    [pool],
  );
  const { rows: turns } = await database.query<Turn>('select pipeline, lane, turn from almanac.pool_turn where pool = $1', [pool]);
  const leases = rows.map((row) => leaseOf(row, now));
  return {
    held: leases.filter(({ state }) => state === 'held'),
    waiting: servingOrder(
      leases.filter(({ state }) => state === 'waiting'),
      turns,
    ),
    turns,
  };
}

/** An attempt that wants the permits of its stage. */
export interface PermitAsk {
  readonly run: RunRef;
  readonly claim: string;
  readonly stage: string;
  readonly epoch: number;
  readonly attempt: number;
  readonly pool: PoolUse;
  readonly now: Date;
}

export type PermitAnswer =
  | {
      /** `turn`: they would be held, had it taken them. */
      readonly state: 'held' | 'turn';
      /** Since it looked before this. */
      readonly waitedMs: number;
    }
  | {
      readonly state: 'waiting';
      readonly position: number;
      readonly of: number;
      readonly size: number;
      /** Why it has that size, when an operator set it. */
      readonly reason: string | null;
      readonly waitedMs: number;
    }
  /** The run is over, or a newer attempt has the stage: the caller is a zombie. */
  | { readonly state: 'fenced' }
  | { readonly state: 'unknown-pool' }
  /** Not all permits of the pool would do; a closed one, of none, is waited for. */
  | { readonly state: 'too-small'; readonly size: number; readonly declared: number; readonly reason: string | null };

/**
 * Takes the permits of a stage when it is its turn and they are free, takes over those that an earlier attempt of the stage left, else
 * notes that it waits. One pool is decided about at a time, so that never more than its size is out; the run is kept from ending
 * meanwhile, so that nothing is taken for a run that is over. A stage has one lease: the pool of its newest order.
 */
export function takePermits(database: pg.Pool, ask: PermitAsk): Promise<PermitAnswer> {
  return askForPermits(database, ask, true);
}

/**
 * Says whether it is the turn of a stage, which takes nothing yet: those behind it wait for it while it is present, which is as long as
 * after any look. Its position in the line is kept, and what an earlier attempt left it takes over.
 */
export function lookForPermits(database: pg.Pool, ask: PermitAsk): Promise<PermitAnswer> {
  return askForPermits(database, ask, false);
}

async function askForPermits(database: pg.Pool, ask: PermitAsk, take: boolean): Promise<PermitAnswer> {
  const { run, stage, pool, now } = ask;
  return transaction(database, async (client) => {
    const { rows: runs } = await client.query<{ lane: Lane }>(
      `select case matrix ->> 'queue' when 'backfill' then 'backfill' else 'live' end as lane from almanac.run
       where pipeline = $1 and window_key = $2 and branch = $3 and generation = $4 and claim = $5 and ended_at is null for share`,
      [...runKey(run), ask.claim],
    );
    const lane = runs[0]?.lane;
    if (lane === undefined) return { state: 'fenced' };
    const { rows: pools } = await client.query<{ size: number; declared: number; reason: string | null }>(
      `select coalesce(permits, declared) as size, declared, case when permits is not null then reason end as reason
       from almanac.pool where name = $1 for update`,
      [pool.name],
    );
    if (pools[0] === undefined) return { state: 'unknown-pool' };
    const { size, declared, reason } = pools[0];
    // Under the lock: a zombie that waited for it must not take what its successor gave back meanwhile.
    const mine = await client.query(
      `select from almanac.attempt where pipeline = $1 and window_key = $2 and branch = $3 and generation = $4 and stage = $5 and attempt = $6
         and epoch = $7 and state = 'running'`,
      [...runKey(run), stage, ask.attempt, ask.epoch],
    );
    if (mine.rowCount === 0) return { state: 'fenced' };
    const own = await ownLease(client, ask);
    if (own?.state === 'held') {
      await takeOver(client, ask);
      await noteGranted(client, ask);
      return { state: 'held', waitedMs: 0 };
    }
    if (size > 0 && pool.permits > size) return { state: 'too-small', size, declared, reason };
    const waitedMs = own === undefined ? 0 : Math.max(0, now.getTime() - own.seenAt);
    if (waitedMs > 0) await noteWait(client, ask, waitedMs);
    const { held, waiting, turns } = await readLeases(client, pool.name, now);
    const id = leaseId(run, stage);
    const others = waiting.filter((lease) => lease.id !== id);
    const askedAt = own?.askedAt ?? now.getTime();
    const request: PermitRequest = { id, pipeline: run.pipeline, lane, permits: pool.permits, askedAt, present: true };
    const order = servingOrder<PermitRequest>([...others, request], turns);
    const out = held.reduce((sum, lease) => sum + lease.permits, 0);
    const mayTake = granted(size, out, order).includes(request);
    await putLease(client, ask, lane, !mayTake ? 'waiting' : take ? 'held' : 'turn');
    if (mayTake && !take) return { state: 'turn', waitedMs };
    if (!mayTake) return { state: 'waiting', position: order.indexOf(request) + 1, of: order.length, size, reason, waitedMs };
    await client.query(
      `insert into almanac.pool_turn (pool, pipeline, lane, turn)
       select $1, $2, $3, coalesce(max(turn), 0) + 1 from almanac.pool_turn where pool = $1
       on conflict (pool, pipeline, lane) do update set turn = excluded.turn`,
      [pool.name, run.pipeline, lane],
    );
    await noteGranted(client, ask);
    return { state: 'held', waitedMs };
  });
}

/** The lease of the stage, if it is for what is asked; one for other permits, of an older plan, is given back first. */
async function ownLease(client: Queryable, ask: PermitAsk): Promise<Lease | undefined> {
  await client.query(
    `delete from almanac.lease where pipeline = $1 and window_key = $2 and branch = $3 and generation = $4 and stage = $5 and (pool, permits) <> ($6, $7)`,
    [...runKey(ask.run), ask.stage, ask.pool.name, ask.pool.permits],
  );
  const { rows } = await client.query<RawLease>(
    'select * from almanac.lease where pipeline = $1 and window_key = $2 and branch = $3 and generation = $4 and stage = $5',
    [...runKey(ask.run), ask.stage],
  );
  return rows[0] === undefined ? undefined : leaseOf(rows[0], ask.now);
}

async function takeOver(client: Queryable, ask: PermitAsk): Promise<void> {
  await client.query(
    `update almanac.lease set epoch = $6, attempt = $7, seen_at = $8
     where pipeline = $1 and window_key = $2 and branch = $3 and generation = $4 and stage = $5`,
    [...runKey(ask.run), ask.stage, ask.epoch, ask.attempt, ask.now],
  );
}

async function putLease(client: Queryable, ask: PermitAsk, lane: Lane, state: 'waiting' | 'turn' | 'held'): Promise<void> {
  await client.query(
    `insert into almanac.lease (pipeline, window_key, branch, generation, stage, pool, permits, lane, epoch, attempt, state, asked_at, seen_at, since, place_since)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, case $11 when 'held' then 'held' else 'waiting' end, $12, $12,
       case $11 when 'held' then $12::timestamptz end, case $11 when 'turn' then $12::timestamptz end)
     on conflict (pipeline, window_key, branch, generation, stage) do update set
       epoch = excluded.epoch, attempt = excluded.attempt, state = excluded.state, seen_at = excluded.seen_at, since = excluded.since,
       place_since = excluded.place_since`,
    [...runKey(ask.run), ask.stage, ask.pool.name, ask.pool.permits, lane, ask.epoch, ask.attempt, state, ask.now],
  );
}

/** What an order waits for permits counts neither against its patience nor against its tries. */
async function noteWait(client: Queryable, { run, stage, attempt }: PermitAsk, ms: number): Promise<void> {
  await client.query(
    `update almanac.attempt set permit_wait_ms = permit_wait_ms + $7
     where pipeline = $1 and window_key = $2 and branch = $3 and generation = $4 and stage = $5 and attempt = $6`,
    [...runKey(run), stage, attempt, ms],
  );
}

/** What an attempt took before this it waited. */
async function noteGranted(client: Queryable, { run, stage, attempt, now }: PermitAsk): Promise<void> {
  await client.query(
    'update almanac.attempt set permits_at = $7 where pipeline = $1 and window_key = $2 and branch = $3 and generation = $4 and stage = $5 and attempt = $6',
    [...runKey(run), stage, attempt, now],
  );
}

/** Gives back what this attempt has; what another attempt of the stage took over stays. */
export async function freePermits(
  database: Queryable,
  { run, stage, epoch, attempt }: Pick<PermitAsk, 'run' | 'stage' | 'epoch' | 'attempt'>,
): Promise<boolean> {
  const { rowCount } = await database.query(
    'delete from almanac.lease where pipeline = $1 and window_key = $2 and branch = $3 and generation = $4 and stage = $5 and epoch = $6 and attempt = $7',
    [...runKey(run), stage, epoch, attempt],
  );
  return rowCount === 1;
}

/** Gives back what older attempts of a stage left that needs no permits any more: its plan is another. */
export async function freeOlderPermits(
  database: Queryable,
  { run, stage, attempt }: Pick<PermitAsk, 'run' | 'stage' | 'attempt'>,
): Promise<void> {
  await database.query(
    'delete from almanac.lease where pipeline = $1 and window_key = $2 and branch = $3 and generation = $4 and stage = $5 and attempt < $6',
    [...runKey(run), stage, attempt],
  );
}

/** A lease, whether it is held or waits, with what is known of its run. */
export interface Holder extends Pick<Lease, 'run' | 'stage' | 'epoch' | 'attempt' | 'pool'> {
  readonly claim: string;
  /** The ledger says the run is over. */
  readonly ended: boolean;
  /** The plan the run follows now has the stage, and it needs the pool. */
  readonly planned: boolean;
}

/** Leases of runs that are over, and of others those that nobody touched since. */
export async function listHolders(database: Queryable, before: Date): Promise<Holder[]> {
  const { rows } = await database.query<RawLease & { claim: string; ended: boolean; planned: boolean }>(
    `select l.*, r.claim, r.ended_at is not null as ended, exists (
       select from almanac.plan p where p.hash = r.plan_hash
         and (p.body -> 'stages')::jsonb @> jsonb_build_array(jsonb_build_object('id', l.stage, 'pool', jsonb_build_object('name', l.pool)))) as planned
     from almanac.lease l join almanac.run r using (pipeline, window_key, branch, generation)
     where r.ended_at is not null or coalesce(l.since, l.seen_at) < $1 order by l.asked_at`,
    [before],
  );
  return rows.map(({ stage, epoch, attempt, pool, claim, ended, planned, ...row }) => ({
    run: { pipeline: row.pipeline, window: row.window_key, branch: row.branch, generation: row.generation },
    ...{ stage, epoch, attempt, pool, claim, ended, planned },
  }));
}
