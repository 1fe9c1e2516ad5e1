import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { writeFileAtomically } from '../../lib/atomic-file';
import { AlmanacError } from '../../pipelines/failures';
import { lockHolder } from './lock';
import type { ProcessIdentity } from './process-identity';

/** `external`: used, not started by us. `failed`: ended, and the supervisor has given it up. */
export type ProcessState = 'starting' | 'running' | 'restarting' | 'stopping' | 'stopped' | 'failed' | 'external';

export interface ProcessRecord {
  readonly name: string;
  readonly state: ProcessState;
  /** The process as last started; undefined when none was, or it is not ours. */
  readonly identity?: ProcessIdentity;
  /** `HOST:PORT`, where it serves something. */
  readonly address?: string;
  /** Starts after the first, since `up`. */
  readonly restarts: number;
  /** Why it last ended. */
  readonly lastExit?: string;
}

/** What the supervisor writes at every change; holds no secrets. */
export interface StackState {
  readonly supervisor: ProcessIdentity;
  readonly phase: 'starting' | 'up' | 'stopping';
  readonly processes: readonly ProcessRecord[];
  /** Of the embedded server; undefined when Postgres is external. */
  readonly databaseUrl?: string;
  /** Of the embedded server; undefined when Temporal is external. */
  readonly temporalAddress?: string;
  /** The external Postgres without its password; undefined when it is embedded. */
  readonly externalDatabase?: string;
}

/** What is written down about a stack, and whether it can be read. */
export interface WrittenState {
  /** Undefined when nothing is written, or nothing of it is readable. */
  readonly state?: StackState;
  /** What is wrong with `stack.json`; its copy may still have told. */
  readonly damage?: string;
}

function stackFile(home: string): string {
  return path.join(home, 'stack.json');
}

/** The same, for whoever finds the first one damaged: it alone knows which processes are ours. */
function copyFile(home: string): string {
  return path.join(home, 'stack.json.copy');
}

export function writeStackState(home: string, state: StackState): void {
  const text = `${JSON.stringify(state, undefined, 2)}\n`;
  writeFileAtomically(copyFile(home), text);
  writeFileAtomically(stackFile(home), text);
}

export function removeStackState(home: string): void {
  rmSync(stackFile(home), { force: true });
  rmSync(copyFile(home), { force: true });
}

/** The state last written, or its copy; for those who go on with whatever can be read. */
export function inspectStackState(home: string): WrittenState {
  const written = parseState(stackFile(home));
  if (typeof written === 'object') return { state: written };
  const copy = parseState(copyFile(home));
  return {
    ...(typeof copy === 'object' ? { state: copy } : {}),
    ...(written === 'damaged' ? { damage: `${stackFile(home)} is damaged` } : {}),
  };
}

/**
 * The state last written; undefined when no stack was started since the last orderly `down`. Throws `stack.failed` when neither it
 * nor its copy can be read.
 */
export function readStackState(home: string): StackState | undefined {
  const { state, damage } = inspectStackState(home);
  if (state !== undefined || damage === undefined) return state;
  // Who asks may hold the lock itself, to start or to stop what is left.
  const holder = lockHolder(home);
  const supervised = holder !== undefined && holder.pid !== process.pid;
  throw new AlmanacError('stack.failed', `${damage}, and so is its copy: which processes belong to the stack is not known`, {
    next: supervised
      ? 'almanac down && almanac up --detach'
      : `end what is left of the stack (ps shows processes of ${home}), then: rm ${stackFile(home)} ${copyFile(home)}`,
  });
}

function parseState(file: string): StackState | 'absent' | 'damaged' {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'absent';
    throw error;
  }
  try {
    const value = JSON.parse(text) as Partial<StackState> | null;
    const whole = typeof value?.supervisor?.pid === 'number' && typeof value.phase === 'string' && Array.isArray(value.processes);
    return whole ? (value as StackState) : 'damaged';
  } catch {
    return 'damaged';
  }
}
