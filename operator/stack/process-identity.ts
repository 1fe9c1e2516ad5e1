import { readFileSync } from 'node:fs';
import { childIdentity, isAlive } from '../../activities/compute/child-identity';

/** Which process, beyond doubt: pids are reused, start times repeat after a reboot. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startTicks: string;
  /** The kernel's id of this boot; empty where the system has none. */
  readonly bootId: string;
}

export function identityOf(pid: number): ProcessIdentity {
  return { ...childIdentity(pid), bootId: bootId() };
}

/** True while exactly this process exists, frozen or not. */
export function isRunning(identity: ProcessIdentity): boolean {
  return identity.bootId === bootId() && identity.startTicks !== '' && isAlive(identity);
}

/**
 * Asks the process to end by `signal`, kills it and its group after `graceMs`, resolves when it is gone. Touches nothing when the pid is
 * another process by now. Throws when the process outlives SIGKILL by `graceMs`, as one in an uninterruptible wait does.
 */
export async function endProcess(identity: ProcessIdentity, signal: NodeJS.Signals, graceMs: number): Promise<void> {
  if (!isRunning(identity)) return;
  deliver(identity.pid, signal);
  // A stopped process takes no signal but SIGKILL until it is continued.
  deliver(identity.pid, 'SIGCONT');
  if (await gone(identity, graceMs)) return;
  deliver(-identity.pid, 'SIGKILL');
  deliver(identity.pid, 'SIGKILL');
  if (!(await gone(identity, graceMs))) throw new Error(`process ${identity.pid} outlives SIGKILL`);
}

/** Sends a signal; a process that ended meanwhile is no error. */
export function deliver(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

async function gone(identity: ProcessIdentity, withinMs: number): Promise<boolean> {
  const deadline = Date.now() + withinMs;
  while (isRunning(identity)) {
    if (Date.now() > deadline) return false;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return true;
}

let knownBootId: string | undefined;

function bootId(): string {
  if (knownBootId === undefined) {
    try {
      knownBootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    } catch {
      knownBootId = '';
    }
  }
  return knownBootId;
}
