import { setTimeout as sleep } from 'node:timers/promises';
import { AlmanacError } from '../../pipelines/failures';
import { errorCode, LOCK_NOT_AVAILABLE, LOCK_TIMEOUT_MS, type PublishSession } from './publish-session';

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 2_000;

/** Milliseconds before try `attempt` + 1 (from 0): doubling, at most 2 s, spread over its upper half by `random` in [0, 1). */
export function lockPauseMs(attempt: number, random: number): number {
  const full = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(attempt, 10));
  return full * (0.5 + random / 2);
}

/**
 * Runs `body` until no statement of it meets the lock timeout. Gives up at the session's lock deadline with
 * `publish.locked`, naming who stands in the way; adds what it waited to the session's lock wait.
 */
export async function withLockRetries<T>(session: PublishSession, what: string, body: () => Promise<T>): Promise<T> {
  const begun = performance.now();
  for (let attempt = 0; ; attempt++) {
    const tryBegun = performance.now();
    const last = tryBegun - begun > session.lockDeadlineMs;
    const blockers = last ? watchBlockers(session) : undefined;
    try {
      const result = await body();
      if (attempt > 0) session.lockWaitSeconds += (tryBegun - begun) / 1000;
      return result;
    } catch (error) {
      if (errorCode(error) !== LOCK_NOT_AVAILABLE) throw error;
      if (blockers !== undefined) {
        session.lockWaitSeconds += (performance.now() - begun) / 1000;
        throw locked(what, session.lockDeadlineMs, await blockers, error);
      }
    } finally {
      await blockers;
    }
    await sleep(lockPauseMs(attempt, Math.random()), undefined, { signal: session.signal });
  }
}

interface Blocker {
  readonly pid: number;
  readonly description: string;
}

/** Asks, while the last try waits, who it waits for: afterwards Postgres cannot tell. */
async function watchBlockers(session: PublishSession): Promise<Blocker[]> {
  await sleep(LOCK_TIMEOUT_MS / 2);
  try {
    const { rows } = await session.pool.query<Blocker>(
      `select pid, format('pid %s (%s, %s since %s)', pid, coalesce(nullif(application_name, ''), usename, backend_type), coalesce(state, 'running'), coalesce(xact_start, backend_start)) as description
       from pg_stat_activity where pid = any (pg_blocking_pids($1)) order by pid`,
      [session.pid],
    );
    return rows;
  } catch (error) {
    return [{ pid: 0, description: `sessions that could not be read: ${error instanceof Error ? error.message : String(error)}` }];
  }
}

function locked(what: string, deadlineMs: number, blockers: readonly Blocker[], cause: unknown): AlmanacError {
  const pids = blockers.map(({ pid }) => pid).filter((pid) => pid > 0);
  const who = blockers.length === 0 ? 'sessions that have ended since' : blockers.map(({ description }) => description).join(', ');
  return new AlmanacError('publish.locked', `${what} found no lock in ${deadlineMs / 1000} s; in the way: ${who}`, {
    next:
      pids.length === 0
        ? 'nothing: the stage retries by itself'
        : `end them, for instance select pg_terminate_backend(${pids[0]}); the stage retries by itself`,
    details: { blockingPids: pids },
    cause,
  });
}
