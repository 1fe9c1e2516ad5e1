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
/** What Temporal does not answer within this is asked again in the next look. */
const DESCRIBE_MS = 5_000;
/** Of runs in one line of the log. */
const NAMED = 10;

export interface LeaseReconciler {
  readonly database: pg.Pool;
  readonly client: Client;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Gives back permits that nobody else will: those of runs that are over and of stages that a newer plan of their run has not, at once and every minute. Time alone gives nothing back. What
 * cannot be proven stays out until `almanac reconcile` declares the run lost, which fences it.
 */
export function reconcileLeases(resources: LeaseReconciler, signal: AbortSignal): Promise<void> {
  return periodically(
    EVERY_MS,
    signal,
    () => freeOrphanedLeases(resources, signal),
    (error) => resources.log.warn({ error: String(error) }, 'the permits of pools could not be looked at'),
  );
}

/**
 * One look; how many leases it gave back. What the ledger knows to be over comes first and needs no Temporal; a run that Temporal
 * cannot tell of keeps its permits, is named in the log and stops nobody else.
 */
export async function freeOrphanedLeases({ database, client, clock, log }: LeaseReconciler, signal?: AbortSignal): Promise<number> {
  const holders = await listHolders(database, new Date(clock.now().getTime() - GRACE_MS));
  const unknown: { readonly run: string; readonly error: string }[] = [];
  let freed = 0;
  for (const holder of [...holders.filter(({ ended }) => ended), ...holders.filter(({ ended }) => !ended)]) {
    if (signal?.aborted === true) break;
    const goesOn =
      !holder.ended &&
      holder.planned &&
      (await executes(client, holder).catch((error: unknown) => {
        unknown.push({ run: formatRun(holder.run), error: String(error) });
        return true;
      }));
    if (goesOn || !(holder.ended || (await isProvenOver(database, holder)))) continue;
    if (!(await freePermits(database, holder))) continue;
    freed += 1;
    log.info({ run: formatRun(holder.run), stage: holder.stage, pool: holder.pool }, 'permits that nobody uses any more were given back');
  }
  if (unknown.length > 0)
    log.warn(
      { runs: unknown.slice(0, NAMED).map(({ run }) => run), count: unknown.length, error: unknown[0]?.error },
      'Temporal does not say whether runs that hold permits go on: they keep them until it does',
    );
  return freed;
}

/** Of a run that Temporal says is over, or of a stage that its plan has no longer: the worker of the attempt is gone as well. */
async function isProvenOver(database: pg.Pool, holder: Holder): Promise<boolean> {
  const attempt = (await listAttempts(database, holder.run)).find((one) => one.stage === holder.stage && one.attempt === holder.attempt);
  return attempt !== undefined && isTerminal(attempt);
}

async function executes(client: Client, { run, claim }: Holder): Promise<boolean> {
  try {
    const { status, memo } = await client.withDeadline(Date.now() + DESCRIBE_MS, () =>
      client.workflow.getHandle(formatRun(run)).describe(),
    );
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
