import { detachSql, LIVE_SCHEMA, parsePartitionName, partitionOf } from '../../pipelines/publish-sql';
import { readHorizon, type SnapshotHorizon } from './horizon';
import { withLockRetries } from './lock-retry';
import { recordEvent } from './publication-ledger';
import { inTransaction, type PublishSession } from './publish-session';

/** The live one, the one to restore when it is wrong, and the one to compare both with. */
const KEPT_PUBLICATIONS = 3;
/** A standby does not tell us its snapshots; its queries on retired rows get this long before a drop may cancel them. */
const STANDBY_GRACE_MS = 60 * 60 * 1000;
/** A live table's lock is given up sooner here than while publishing: the next collection tries again. */
const COLLECT_LOCK_DEADLINE_MS = 500;

export interface CollectReport {
  readonly collected: readonly number[];
  /** Publications left for a later collection and why. */
  readonly kept: readonly { readonly publication: number; readonly why: string }[];
  readonly droppedTables: readonly string[];
}

export interface CollectRequest {
  readonly pipeline: string;
  readonly point: (name: string) => Promise<void>;
  readonly now: () => Date;
}

interface Candidate {
  readonly id: number;
  readonly retired_at: Date;
  readonly retired_xid: string;
}

/**
 * Drops the partitions nobody can need: of publications beyond the newest {@link KEPT_PUBLICATIONS} whose retirement
 * every snapshot sees, and of publishers that died. A publication is marked before its first table goes, so a restore
 * never finds half of it, and whoever comes next drops what is left.
 */
export async function collectPublications(publisher: PublishSession, request: CollectRequest): Promise<CollectReport> {
  const session: PublishSession = { ...publisher, lockDeadlineMs: Math.min(publisher.lockDeadlineMs, COLLECT_LOCK_DEADLINE_MS) };
  await failAbandoned(session, request);
  await request.point('collect-begun');
  const collected: number[] = [];
  const kept: { publication: number; why: string }[] = [];
  const candidates = await retiredBeyondKept(session, request.pipeline);
  const horizon = candidates.length === 0 ? undefined : await readHorizon(session);
  for (const candidate of candidates) {
    const why = horizon && neededBy(candidate, horizon, request.now());
    if (why !== undefined) kept.push({ publication: candidate.id, why });
    else if (await markCollected(session, candidate, request.now())) collected.push(candidate.id);
    await request.point('collect-marked');
  }
  return { collected, kept, droppedTables: await dropDead(session, request) };
}

/** Why a retired publication may still be read, or undefined. Pure. */
export function neededBy(retired: Candidate, horizon: SnapshotHorizon, now: Date): string | undefined {
  if (horizon.hiddenSessions) return 'the snapshots of other sessions are hidden from this role; grant it pg_read_all_stats';
  if (BigInt(retired.retired_xid) >= horizon.oldest) return `${horizon.holder} began before its retirement`;
  if (horizon.standbys > 0 && now.getTime() - retired.retired_at.getTime() < STANDBY_GRACE_MS) return 'a standby may still read it';
  return undefined;
}

async function retiredBeyondKept({ client }: PublishSession, pipeline: string): Promise<Candidate[]> {
  const { rows } = await client.query<Candidate & { state: string }>(
    `select id, state, retired_at, retired_xid::text from almanac.publication
     where pipeline = $1 and state in ('live', 'retired', 'withdrawn') order by id desc offset $2`,
    [pipeline, KEPT_PUBLICATIONS],
  );
  return rows.filter(({ state }) => state !== 'live');
}

/** False when a restore was faster. */
async function markCollected(session: PublishSession, { id, retired_xid: retiredXid }: Candidate, now: Date): Promise<boolean> {
  return withLockRetries(session, `collecting publication ${id}`, () =>
    inTransaction(session, async () => {
      const { rowCount } = await session.client.query(
        `update almanac.publication set state = 'collected', collected_at = $3 where id = $1 and state in ('retired', 'withdrawn') and retired_xid = $2::xid8`,
        [id, retiredXid, now],
      );
      if (rowCount === 1) await recordEvent(session, id, 'collected', now);
      return rowCount === 1;
    }),
  );
}

/** Unfinished publications that nobody works on and nobody will finish: something newer is live, or their run has ended. */
async function failAbandoned(session: PublishSession, { pipeline, now }: CollectRequest): Promise<void> {
  await withLockRetries(session, `sweeping unfinished publications of ${pipeline}`, () =>
    inTransaction(session, async () => {
      const { rows } = await session.client.query<{ id: number }>(
        `update almanac.publication p set state = 'failed'
         where pipeline = $1 and state in ('loading', 'loaded', 'attached')
           and not exists (select from pg_stat_activity a where a.pid = p.backend_pid and a.backend_start = p.backend_start)
           and (id < (select publication from almanac.live where pipeline = $1)
                or not exists (select from almanac.run r where (r.pipeline, r.window_key, r.branch) = (p.pipeline, p.window_key, p.branch)
                               and r.generation = p.generation and r.state in ('claimed', 'running', 'held'))
                or exists (select from almanac.run r where (r.pipeline, r.window_key, r.branch) = (p.pipeline, p.window_key, p.branch)
                           and r.generation > p.generation))
         returning id`,
        [pipeline],
      );
      for (const { id } of rows) await recordEvent(session, id, 'failed', now(), { why: 'its publisher is gone' });
    }),
  );
}

interface DeadPartition {
  readonly table: string;
  readonly publication: number;
  readonly attached: boolean;
  readonly pending: boolean;
}

async function dropDead(session: PublishSession, request: CollectRequest): Promise<string[]> {
  const dropped: string[] = [];
  for (const dead of await deadPartitions(session, request.pipeline)) {
    const name = partitionOf(dead.table, dead.publication);
    if (dead.attached) {
      await detach(session, dead);
      await request.point('collect-detached');
    }
    await withLockRetries(session, `dropping ${name}`, () => session.client.query(`drop table if exists ${name}`));
    await request.point('collect-dropped');
    dropped.push(name);
  }
  return dropped;
}

/** Partitions of publications that ended without or after their life; those half detached come first, they block others. */
async function deadPartitions({ client }: PublishSession, pipeline: string): Promise<DeadPartition[]> {
  const { rows } = await client.query<{ name: string; attached: boolean; pending: boolean }>(
    `select c.relname as name, i.inhrelid is not null as attached, coalesce(i.inhdetachpending, false) as pending
     from pg_class c join pg_namespace n on n.oid = c.relnamespace left join pg_inherits i on i.inhrelid = c.oid
     where n.nspname = $1 and c.relkind = 'r' order by pending desc, c.oid`,
    [LIVE_SCHEMA],
  );
  const dead = await client.query<{ id: number }>(
    `select id from almanac.publication where pipeline = $1 and state in ('superseded', 'collected', 'failed')`,
    [pipeline],
  );
  const ids = new Set(dead.rows.map(({ id }) => id));
  return rows.flatMap(({ name, attached, pending }) => {
    const parsed = parsePartitionName(name);
    return parsed !== undefined && ids.has(parsed.publication) ? [{ ...parsed, attached, pending }] : [];
  });
}

/**
 * Detaches without an exclusive lock on the parent. Interrupted between its two halves (a lock timeout, a kill) it
 * leaves the partition half detached: invisible to new plans, and finished by the next try.
 */
async function detach(session: PublishSession, dead: DeadPartition): Promise<void> {
  let pending = dead.pending;
  await withLockRetries(session, `detaching ${partitionOf(dead.table, dead.publication)}`, async () => {
    try {
      await session.client.query(detachSql(dead.table, dead.publication, pending ? 'finalize' : 'concurrently'));
    } catch (error) {
      pending = await isPending(session, dead);
      throw error;
    }
  });
}

async function isPending({ client }: PublishSession, { table, publication }: DeadPartition): Promise<boolean> {
  const { rowCount } = await client.query('select from pg_inherits where inhrelid = to_regclass($1) and inhdetachpending', [
    partitionOf(table, publication),
  ]);
  return rowCount === 1;
}
