import type pg from 'pg';
import { AlmanacError } from '../../pipelines/failures';
import type { LiveTable } from '../../pipelines/publish-sql';
import type { RunRef, VersionRef } from '../../pipelines/types';
import { withLockRetries } from './lock-retry';
import { errorCode, inTransaction, LOCK_NOT_AVAILABLE, type PublishSession } from './publish-session';

export type PublicationState = 'loading' | 'loaded' | 'attached' | 'live' | 'retired' | 'withdrawn' | 'superseded' | 'collected' | 'failed';

export interface TableAudit {
  readonly rows: number;
  readonly checksum: string;
}

/** What is to go live, before anything is written. */
export interface PublicationRequest {
  readonly run: RunRef;
  readonly stage: string;
  readonly attempt: number;
  readonly windowEnd: string;
  readonly acceptedSequence: number;
  /** Hash of tables and versions. */
  readonly content: string;
  readonly gates: Readonly<Record<string, unknown>>;
  readonly versions: Readonly<Record<string, VersionRef>>;
  readonly tables: readonly LiveTable[];
  /** Of this attempt; whoever writes another one in its place refuses it. */
  readonly fence: string;
  readonly now: Date;
}

/** A publication this session may go on with; every later change of it names the fence. */
export interface OpenPublication {
  readonly id: number;
  readonly pipeline: string;
  readonly fence: string;
  readonly state: PublicationState;
  readonly adopted: boolean;
  readonly audit: Readonly<Record<string, TableAudit>> | null;
}

interface Row {
  id: number;
  state: PublicationState;
  attempt: number;
  fence: string;
  backend_pid: number;
  /** As text: a Date would lose the microseconds. */
  backend_start: string;
  audit: Record<string, TableAudit> | null;
}

const ROW = 'id, state, attempt, fence, backend_pid, backend_start::text, audit';

/** States from which a publisher goes on; all others are final answers for this accepted set. */
const UNFINISHED: ReadonlySet<PublicationState> = new Set(['loading', 'loaded', 'attached']);

/**
 * Finds the publication of this accepted set and takes it over, or records a new one. Taking over ends the session of
 * the publisher before, so that no statement of it runs on. Throws `publish.fenced` when this attempt is the late one.
 */
export async function openPublication(session: PublishSession, request: PublicationRequest): Promise<OpenPublication> {
  const { client } = session;
  const { fence } = request;
  const { pipeline } = request.run;
  // Only when it is missing: ON CONFLICT would wait for a flip in progress, which may be that of a frozen publisher.
  await client.query(
    `insert into almanac.live (pipeline, changed_at) select $1, $2 where not exists (select from almanac.live where pipeline = $1) on conflict do nothing`,
    [pipeline, request.now],
  );
  for (;;) {
    const found = await find(client, request);
    if (found === undefined) {
      const inserted = await inTransaction(session, () => insert(session, request));
      if (inserted === undefined) continue;
      return { id: inserted, pipeline, fence, state: 'loading', adopted: false, audit: null };
    }
    const open = { id: found.id, pipeline, fence, state: found.state, adopted: true, audit: found.audit };
    if (!UNFINISHED.has(found.state)) return open;
    if (found.attempt > request.attempt)
      throw lateAttempt(found.id, `attempt ${found.attempt} took it over from attempt ${request.attempt}`);
    const row = await takeOver(session, request, found);
    if (row === undefined) continue;
    await recordEvent(session, row.id, 'adopted', request.now, { attempt: request.attempt, state: row.state });
    return { ...open, state: row.state, audit: row.audit };
  }
}

/** Undefined when somebody else recorded it meanwhile. */
async function insert(session: PublishSession, request: PublicationRequest): Promise<number | undefined> {
  const { pipeline, branch, window, generation } = request.run;
  const { rows } = await session.client.query<{ id: number }>(
    `insert into almanac.publication (pipeline, branch, window_key, window_end, generation, stage, accepted_sequence, content, gates, versions, tables, state,
                                      attempt, fence, backend_pid, backend_start, opened_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'loading', $12, $13, $14, $15, $16) on conflict do nothing returning id`,
    [
      ...[pipeline, branch, window, request.windowEnd, generation, request.stage, request.acceptedSequence, request.content],
      ...[JSON.stringify(request.gates), JSON.stringify(request.versions), JSON.stringify(byName(request.tables))],
      ...[request.attempt, request.fence, session.pid, session.backendStart, request.now],
    ],
  );
  const id = rows[0]?.id;
  if (id !== undefined) await recordEvent(session, id, 'opened', request.now, { attempt: request.attempt });
  return id;
}

/**
 * What a lost session means: `publish.fenced` when another publisher took this accepted set over and ended it, else
 * the error itself.
 */
export async function explainLoss(session: PublishSession, request: PublicationRequest, error: unknown): Promise<unknown> {
  try {
    const row = await find(session.pool, request);
    return row === undefined || row.fence === request.fence || row.attempt < request.attempt
      ? error
      : lateAttempt(row.id, 'another publisher took it over and ended this session', error);
  } catch {
    // The database is gone altogether: the first error says so.
    return error;
  }
}

/**
 * Writes the new fence first, so that the publisher before learns why its session ends, then ends that session: frozen
 * or lost it may still hold locks and tables in an open transaction. Undefined when somebody else was faster.
 */
async function takeOver(session: PublishSession, request: PublicationRequest, found: Row): Promise<Row | undefined> {
  try {
    const { rows } = await session.client.query<Row>(
      `update almanac.publication set fence = $2, attempt = $3, backend_pid = $4, backend_start = $5
       where id = $1 and state in ('loading', 'loaded', 'attached') and fence = $6 returning ${ROW}`,
      [found.id, request.fence, request.attempt, session.pid, session.backendStart, found.fence],
    );
    if (rows[0] !== undefined) await endSession(session, found);
    return rows[0];
  } catch (error) {
    // It stands within its flip: a live one commits by now, a frozen one never does.
    if (errorCode(error) === LOCK_NOT_AVAILABLE) await endSession(session, found);
    throw error;
  }
}

async function endSession(session: PublishSession, { backend_pid: pid, backend_start: start }: Row): Promise<void> {
  await session.client.query(
    `select pg_terminate_backend(pid, 5000) from pg_stat_activity where pid = $1 and backend_start = $2::timestamptz and pid <> pg_backend_pid()`,
    [pid, start],
  );
}

async function find(
  database: Pick<pg.Pool, 'query'> | Pick<pg.PoolClient, 'query'>,
  { run, stage, content }: PublicationRequest,
): Promise<Row | undefined> {
  const { rows } = await database.query<Row>(
    `select ${ROW} from almanac.publication
     where pipeline = $1 and branch = $2 and window_key = $3 and generation = $4 and stage = $5 and content = $6 and state <> 'failed'`,
    [run.pipeline, run.branch, run.window, run.generation, stage, content],
  );
  return rows[0];
}

function byName(tables: readonly LiveTable[]): Record<string, Omit<LiveTable, 'name'>> {
  return Object.fromEntries(tables.map(({ name, ...table }) => [name, table]));
}

function lateAttempt(publication: number, why: string, cause?: unknown): AlmanacError {
  return new AlmanacError('publish.fenced', `publication ${publication} is not this publisher's any more: ${why}`, {
    next: 'almanac publish list shows what is live',
    details: { publication },
    cause,
  });
}

/** Throws `publish.fenced` unless the publication is still this session's; call inside the transaction that relies on it. */
export async function holdFence(session: PublishSession, open: OpenPublication): Promise<void> {
  const { rowCount } = await session.client.query('select from almanac.publication where id = $1 and fence = $2 for update', [
    open.id,
    open.fence,
  ]);
  if (rowCount !== 1) throw lateAttempt(open.id, 'its fence was taken');
}

/** Moves the publication on, under the fence; `set` names further columns. */
export async function advance(
  session: PublishSession,
  open: OpenPublication,
  to: Exclude<PublicationState, 'loading'>,
  now: Date,
  set: { readonly audit?: Readonly<Record<string, TableAudit>>; readonly detail?: Readonly<Record<string, unknown>> } = {},
): Promise<void> {
  await withLockRetries(session, `recording publication ${open.id} as ${to}`, () =>
    inTransaction(session, async () => {
      await holdFence(session, open);
      await session.client.query(
        `update almanac.publication set state = $2, audit = coalesce($3, audit),
                loaded_at = case when $2 = 'loaded' then $4 else loaded_at end, attached_at = case when $2 = 'attached' then $4 else attached_at end
         where id = $1`,
        [open.id, to, set.audit === undefined ? null : JSON.stringify(set.audit), now],
      );
      await recordEvent(session, open.id, to, now, set.detail);
    }),
  );
}

export async function recordEvent(
  session: Pick<PublishSession, 'client'>,
  publication: number,
  event: string,
  now: Date,
  detail: Readonly<Record<string, unknown>> = {},
  by: { readonly who: string; readonly reason?: string } = { who: 'almanac' },
): Promise<void> {
  await session.client.query(
    'insert into almanac.publication_event (at, publication, event, who, reason, detail) values ($1, $2, $3, $4, $5, $6)',
    [now, publication, event, by.who, by.reason ?? null, JSON.stringify(detail)],
  );
}
