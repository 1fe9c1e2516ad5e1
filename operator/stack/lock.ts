import { linkSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { writeFileAtomically } from '../../lib/atomic-file';
import { identityOf, isRunning, type ProcessIdentity } from './process-identity';

/**
 * One supervisor a home. The lock is a row of numbered claims, each created if absent; the highest rules, and holds while its process
 * lives. A claim is never reused and the highest never deleted, so of two that find a dead holder one wins.
 */
interface Claim {
  readonly number: number;
  /** Undefined once released. */
  readonly holder: ProcessIdentity | undefined;
}

export interface StackLock {
  release(): void;
}

function lockDirectory(home: string): string {
  return path.join(home, 'stack.lock');
}

/** Takes the lock for this process; else says who holds it. */
export function acquireLock(home: string): StackLock | { readonly holder: ProcessIdentity } {
  const directory = lockDirectory(home);
  mkdirSync(directory, { recursive: true });
  const self = identityOf(process.pid);
  for (;;) {
    const highest = highestClaim(home);
    if (highest?.holder && isRunning(highest.holder)) return { holder: highest.holder };
    const number = (highest?.number ?? 0) + 1;
    if (!createClaim(directory, number, self)) continue;
    // Whoever read an older state may have created a number since passed.
    if (highestClaim(home)?.number !== number) {
      rmSync(claimFile(directory, number), { force: true });
      continue;
    }
    forgetBelow(directory, number);
    return { release: () => writeFileAtomically(claimFile(directory, number), 'released\n') };
  }
}

/** The living holder, if any. */
export function lockHolder(home: string): ProcessIdentity | undefined {
  const holder = highestClaim(home)?.holder;
  return holder && isRunning(holder) ? holder : undefined;
}

function claimFile(directory: string, number: number): string {
  return path.join(directory, String(number).padStart(9, '0'));
}

function claimNumbers(directory: string): readonly number[] {
  try {
    return readdirSync(directory)
      .filter((name) => /^\d{9}$/.test(name))
      .map(Number)
      .sort((a, b) => a - b);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

function highestClaim(home: string): Claim | undefined {
  const directory = lockDirectory(home);
  for (;;) {
    const number = claimNumbers(directory).at(-1);
    if (number === undefined) return undefined;
    try {
      return { number, holder: parseHolder(readFileSync(claimFile(directory, number), 'utf8')) };
    } catch (error) {
      // Removed by a loser that came too late; look again.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
}

/** Anything but a claim, such as what a broken disk left, counts as released. */
function parseHolder(text: string): ProcessIdentity | undefined {
  try {
    const value = JSON.parse(text) as Partial<ProcessIdentity> | null;
    if (typeof value?.pid !== 'number' || typeof value.startTicks !== 'string' || typeof value.bootId !== 'string') return undefined;
    return { pid: value.pid, startTicks: value.startTicks, bootId: value.bootId };
  } catch {
    return undefined;
  }
}

/** Linked when complete: nobody reads half a claim. */
function createClaim(directory: string, number: number, self: ProcessIdentity): boolean {
  const temporary = path.join(directory, `${process.pid}.tmp`);
  writeFileSync(temporary, `${JSON.stringify(self)}\n`);
  try {
    linkSync(temporary, claimFile(directory, number));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(temporary, { force: true });
  }
}

function forgetBelow(directory: string, number: number): void {
  for (const older of claimNumbers(directory)) if (older < number) rmSync(claimFile(directory, older), { force: true });
}
