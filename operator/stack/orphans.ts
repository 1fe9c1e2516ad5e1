import { rmSync } from 'node:fs';
import { endProcess, isRunning } from './process-identity';
import { readStackState, stackFile } from './stack-state';

const GRACE_MS = 10_000;

/**
 * Ends what a killed supervisor left running, by pid and start time, and removes its state. The caller holds the lock. Returns the names
 * of those that were still there.
 */
export async function endOrphans(home: string): Promise<readonly string[]> {
  const state = readStackState(home);
  const orphans = (state?.processes ?? []).flatMap(({ name, identity }) => (identity && isRunning(identity) ? [{ name, identity }] : []));
  // SIGINT is the fast shutdown of Postgres; its SIGTERM would wait for its clients.
  await Promise.all(orphans.map(({ name, identity }) => endProcess(identity, name === 'postgres' ? 'SIGINT' : 'SIGTERM', GRACE_MS)));
  rmSync(stackFile(home), { force: true });
  return orphans.map(({ name }) => name);
}
