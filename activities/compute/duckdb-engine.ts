import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { confineSql } from '../../pipelines/confine-sql';
import type { Child } from './child';
import { childIdentity, isAlive } from './child-identity';
import { ChildPool, keptSeat, type Seat } from './child-pool';
import type { Engine, EngineSession, SessionLimits, SessionUsage, StatementLabel } from './engine';
import { engineFailure, kernelMemoryKills } from './engine-failures';
import { Places, reason, type Side } from './places';

/** An interrupted statement that has not ended after this time is killed with its process. */
const KILL_AFTER_MS = 5_000;
const DEFAULT_ROW_LIMIT = 10_000;
const OWNED_DIRECTORY = /^duckdb-(\d+)-(\d*)-/;

export interface DuckDbEngineOptions {
  /** Directory for what sessions spill; folders of dead engines in it are removed. */
  readonly scratch: string;
  /** Sessions at one time; more wait their turn. */
  readonly maxChildren: number;
  /** Children started at once instead of at the first lease. Default 0. */
  readonly warm?: number;
}

/** DuckDB in child processes: a statement that runs out of memory or must be killed takes no worker with it. */
export function createDuckDbEngine({ scratch, maxChildren, warm = 0 }: DuckDbEngineOptions): Engine {
  return createDuckDbEngines(scratch, { live: maxChildren, backfill: 0 }, Math.min(warm, maxChildren)).live;
}

/** One for live stages and one for those of backfills, over the same children; closing either closes both. */
export function createDuckDbEngines(scratch: string, places: Readonly<Record<Side, number>>, warm = 0): Readonly<Record<Side, Engine>> {
  const directory = ownDirectory(scratch);
  const pool = new ChildPool(new Places(places), warm);
  let sessions = 0;

  async function session<T>(
    seat: Seat,
    limits: SessionLimits,
    signal: AbortSignal,
    body: (session: EngineSession) => Promise<T>,
  ): Promise<T> {
    const killsBefore = kernelMemoryKills();
    const fail = (error: unknown, label?: StatementLabel): unknown =>
      signal.aborted
        ? reason(signal)
        : engineFailure(error, { limits, ...(label && { label }), kernelKilled: kernelMemoryKills() > killsBefore });
    const failed = (error: unknown): never => {
      throw fail(error);
    };
    const leave = await seat(signal).catch(failed);
    try {
      const child = await pool.acquire(signal).catch(failed);
      const sessionDirectory = path.join(directory, `session-${++sessions}`);
      const stopWatching = interruptOnAbort(child, signal);
      try {
        await child.request({ do: 'begin', limits, directory: sessionDirectory }).catch(failed);
        return await body(sessionOn(child, signal, fail));
      } finally {
        await pool.release(child);
        stopWatching();
        // The child removes it at the end of a lease; a killed one could not.
        rmSync(sessionDirectory, { recursive: true, force: true });
      }
    } finally {
      leave();
    }
  }

  async function close(): Promise<void> {
    await pool.close();
    rmSync(directory, { recursive: true, force: true });
  }

  const engine = (seat: Seat): Engine => ({
    session: (limits, signal, body) => session(seat, limits, signal, body),
    async place(signal, body) {
      const leave = await seat(signal);
      try {
        return await body(engine(keptSeat(seat)));
      } finally {
        leave();
      }
    },
    close,
  });
  return { live: engine(pool.seat('live')), backfill: engine(pool.seat('backfill')) };
}

function sessionOn(child: Child, signal: AbortSignal, fail: (error: unknown, label?: StatementLabel) => unknown): EngineSession {
  const ask = async (request: Parameters<Child['request']>[0], label?: StatementLabel): Promise<unknown> => {
    if (signal.aborted) throw reason(signal);
    try {
      return await child.request(request);
    } catch (error) {
      throw fail(error, label);
    }
  };
  return {
    child: child.identity,
    async confine(access) {
      await ask({ do: 'exec', sql: confineSql(access) });
    },
    async exec(sql, label) {
      await ask({ do: 'exec', sql }, label);
    },
    async rows<T extends Record<string, unknown>>(sql: string, limit = DEFAULT_ROW_LIMIT, label?: StatementLabel) {
      return (await ask({ do: 'rows', sql, limit }, label)) as T[];
    },
    async usage() {
      return (await ask({ do: 'usage' })) as SessionUsage;
    },
  };
}

/** Interrupts the running statement when `signal` aborts, kills the child when that does not help; returns how to stop watching. */
function interruptOnAbort(child: Child, signal: AbortSignal): () => void {
  let timer: NodeJS.Timeout | undefined;
  const onAbort = (): void => {
    timer = setTimeout(() => void child.kill(), KILL_AFTER_MS);
    // A child that ended instead of answering is what the abort wants.
    child.request({ do: 'interrupt' }).catch(() => undefined);
  };
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  return () => {
    signal.removeEventListener('abort', onAbort);
    clearTimeout(timer);
  };
}

/** A folder named after this process; those of processes that are gone are swept, they held spills of killed children. */
function ownDirectory(scratch: string): string {
  mkdirSync(scratch, { recursive: true });
  for (const name of readdirSync(scratch)) {
    const owner = OWNED_DIRECTORY.exec(name);
    if (!owner || isAlive({ pid: Number(owner[1]), startTicks: owner[2] ?? '' })) continue;
    rmSync(path.join(scratch, name), { recursive: true, force: true });
  }
  const self = childIdentity(process.pid);
  return mkdtempSync(path.join(scratch, `duckdb-${self.pid}-${self.startTicks}-`));
}
