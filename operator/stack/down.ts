import { existsSync } from 'node:fs';
import { AlmanacError } from '../../pipelines/failures';
import { acquireLock, lockHolder } from './lock';
import { endOrphans } from './orphans';
import { endProcess, isRunning } from './process-identity';
import { inspectStackState } from './stack-state';

/** A supervisor ends workers and servers one after the other, each with its own grace; longer, and it hangs. */
const SUPERVISOR_GRACE_MS = 60_000;

export interface DownResult {
  /** Names of the processes that were running. */
  readonly ended: readonly string[];
}

/** Ends the stack of `home`, whatever is left of it; resolves when no process remains. Doing it twice is no error. */
export async function down(home: string): Promise<DownResult> {
  if (!existsSync(home)) return { ended: [] };
  const holder = lockHolder(home);
  const before = (inspectStackState(home).state?.processes ?? []).flatMap(({ name, identity }) =>
    identity && isRunning(identity) ? [name] : [],
  );
  if (holder) await endProcess(holder, 'SIGTERM', SUPERVISOR_GRACE_MS);
  const lock = acquireLock(home);
  if ('holder' in lock) {
    throw new AlmanacError('stack.busy', `process ${lock.holder.pid} started the stack again meanwhile`, { next: 'almanac status' });
  }
  try {
    // A supervisor that ended in order left none.
    const orphans = await endOrphans(home);
    return { ended: [...new Set([...before, ...orphans, ...(holder ? ['supervisor'] : [])])] };
  } finally {
    lock.release();
  }
}
