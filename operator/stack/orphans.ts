import { endProcess, isRunning } from './process-identity';
import { readStackState, removeStackState } from './stack-state';

const GRACE_MS = 10_000;

/**
 * Ends what a killed supervisor left running, by pid and start time, and removes its state. The caller holds the lock. Returns the names
 * of those that were still there. Throws `stack.failed` when the state cannot be read: then nobody knows whom to end.
 */
export async function endOrphans(home: string): Promise<readonly string[]> {
  const state = readStackState(home);
  const orphans = (state?.processes ?? []).flatMap(({ name, identity }) => (identity && isRunning(identity) ? [{ name, identity }] : []));
  // SIGINT is the fast shutdown of Postgres; its SIGTERM would wait for its clients.
  await Promise.all(orphans.map(({ name, identity }) => endProcess(identity, name === 'postgres' ? 'SIGINT' : 'SIGTERM', GRACE_MS)));
  removeStackState(home);
  return orphans.map(({ name }) => name);
}
