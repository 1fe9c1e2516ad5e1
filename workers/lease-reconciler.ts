import os from 'node:os';
import type { Client } from '@temporalio/client';
import type pg from 'pg';
import { isAlive } from '../activities/compute/child-identity';
import { listAttempts, type AttemptRow } from '../activities/ledger/attempts';
import { freePermits, listHolders, type Holder } from '../activities/ledger/pools';
import type { Clock } from '../lib/clock';
import { isForgotten } from '../lib/forgotten-execution';
import type { Logger } from '../lib/log';
import { parseWorker } from '../lib/worker-name';
import { formatRun } from '../pipelines/run-id';
import { periodically } from './periodic';

const EVERY_MS = 60_000;
/** Temporal is not asked about younger ones: most are given back by then. */
const GRACE_MS = 60_000;

export interface LeaseReconciler {
  readonly database: pg.Pool;
  readonly client: Client;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Gives back permits that nobody else will: those of runs that are over, at once and every minute. Time alone gives nothing back. What
 * cannot be proven stays out until `almanac reconcile` declares the run lost, which fences it.
 */
export function reconcileLeases(resources: LeaseReconciler, signal: AbortSignal): Promise<void> {
  return periodically(
    EVERY_MS,
    signal,
    () => freeOrphanedLeases(resources),
    (error) => resources.log.warn({ error: String(error) }, 'the permits of pools could not be looked at'),
  );
}

/** One look; how many leases it gave back. */
export async function freeOrphanedLeases({ database, client, clock, log }: LeaseReconciler): Promise<number> {
  let freed = 0;
  for (const holder of await listHolders(database, new Date(clock.now().getTime() - GRACE_MS))) {
    if (!(await isOver(database, client, holder))) continue;
    if (!(await freePermits(database, holder))) continue;
    freed += 1;
    log.info({ run: formatRun(holder.run), stage: holder.stage, pool: holder.pool }, 'permits of a run that is over were given back');
  }
  return freed;
}

/** The ledger closed the run, which it does when nothing of it goes on; or Temporal did, and the worker of the attempt is gone as well. */
async function isOver(database: pg.Pool, client: Client, holder: Holder): Promise<boolean> {
  if (holder.ended) return true;
  if (await executes(client, holder)) return false;
  const attempt = (await listAttempts(database, holder.run)).find((one) => one.stage === holder.stage && one.attempt === holder.attempt);
  return attempt !== undefined && isTerminal(attempt);
}

async function executes(client: Client, { run, claim }: Holder): Promise<boolean> {
  try {
    const { status, memo } = await client.workflow.getHandle(formatRun(run)).describe();
    return status.name === 'RUNNING' && memo?.claim === claim;
  } catch (error) {
    if (isForgotten(error)) return false;
    throw error;
  }
}

/** Nothing of the attempt goes on: it reported its end, or it waits, or its worker and its child are dead, which only their own host can tell. */
function isTerminal({ state, worker, child }: AttemptRow): boolean {
  if (state !== 'running' && state !== 'lost') return true;
  const at = parseWorker(worker);
  return at?.host === os.hostname() && isGone(at.pid) && (child === null || !isAlive(child));
}

/** A pid that was given to another process since counts as alive: it gives nothing back. */
function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}
