import { readFileSync } from 'node:fs';
import path from 'node:path';
import { writeFileAtomically } from '../../lib/atomic-file';
import { AlmanacError } from '../../pipelines/failures';
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
}

export function stackFile(home: string): string {
  return path.join(home, 'stack.json');
}

export function writeStackState(home: string, state: StackState): void {
  writeFileAtomically(stackFile(home), `${JSON.stringify(state, undefined, 2)}\n`);
}

/** The state last written; undefined when no stack was started since the last orderly `down`. */
export function readStackState(home: string): StackState | undefined {
  let text: string;
  try {
    text = readFileSync(stackFile(home), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    return JSON.parse(text) as StackState;
  } catch (error) {
    throw new AlmanacError('stack.failed', `${stackFile(home)} is not readable JSON`, { next: `rm ${stackFile(home)}`, cause: error });
  }
}
