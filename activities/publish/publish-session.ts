import type pg from 'pg';

/** Below Postgres' deadlock_timeout of 1 s, so that it is always the publisher who gives way, never a reader who dies. */
export const LOCK_TIMEOUT_MS = 100;
/** SQLSTATE of a statement that met it. */
export const LOCK_NOT_AVAILABLE = '55P03';
/** A publisher never pauses within a transaction; one that does is frozen or cut off, and Postgres rolls it back. */
const FROZEN_MS = 60_000;

/** One Postgres session of its own for one publisher: its settings and its pid are part of the protocol. */
export interface PublishSession {
  readonly client: pg.PoolClient;
  /** For looking at this session from outside it. */
  readonly pool: pg.Pool;
  readonly pid: number;
  /** As text with microseconds; with the pid it names this session and no later one. */
  readonly backendStart: string;
  readonly signal: AbortSignal;
  readonly lockDeadlineMs: number;
  /** Seconds from first tries that met the lock timeout to the tries that did not. */
  lockWaitSeconds: number;
}

/** Leases a connection, sets it up, runs `body`, and closes it; an abort cancels the statement in flight and throws the signal's reason. */
export async function withPublishSession<T>(
  pool: pg.Pool,
  signal: AbortSignal,
  lockDeadlineMs: number,
  body: (session: PublishSession) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  const client = await pool.connect();
  // A lost connection also fails the statement in flight, which reports it.
  client.on('error', () => undefined);
  let abort: (() => void) | undefined;
  try {
    await client.query(
      `set application_name = 'almanac publish'; set timezone = 'UTC'; set datestyle = 'ISO'; set lock_timeout = ${LOCK_TIMEOUT_MS};
       set statement_timeout = 0; set idle_in_transaction_session_timeout = ${FROZEN_MS}`,
    );
    const { rows } = await client.query<{ pid: number; backend_start: string }>(
      'select pid, backend_start::text from pg_stat_activity where pid = pg_backend_pid()',
    );
    const me = rows[0];
    if (me === undefined) throw new Error('this session is not in pg_stat_activity');
    abort = () => {
      // If the server cannot be asked, it will find the closed connection by itself.
      pool.query('select pg_cancel_backend($1)', [me.pid]).catch(() => undefined);
    };
    signal.addEventListener('abort', abort, { once: true });
    return await body({ client, pool, pid: me.pid, backendStart: me.backend_start, signal, lockDeadlineMs, lockWaitSeconds: 0 });
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    if (abort !== undefined) signal.removeEventListener('abort', abort);
    // Closed, not returned: the session's settings are not for others.
    client.release(true);
  }
}

/** Runs `body` in a transaction of the session; rolls back on any throw. */
export async function inTransaction<T>(session: PublishSession, body: () => Promise<T>): Promise<T> {
  await session.client.query('begin');
  try {
    const result = await body();
    await session.client.query('commit');
    return result;
  } catch (error) {
    // On a lost connection the server rolls back by itself, and the first error says more.
    await session.client.query('rollback').catch(() => undefined);
    throw error;
  }
}

/** SQLSTATE of a Postgres error, or undefined. */
export function errorCode(error: unknown): string | undefined {
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
