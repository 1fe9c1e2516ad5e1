import type { ChildProcess } from 'node:child_process';

/** One process the supervisor keeps alive. */
export interface ProcessSpec {
  readonly name: string;
  /** Names of those that must be running before it starts; it is stopped before them. */
  readonly after: readonly string[];
  /** `HOST:PORT` it will serve. */
  readonly address?: string;
  /** Its log, quoted when it does not come up. */
  readonly logFile?: string;
  /** What must be done before each start. */
  prepare?(): Promise<void>;
  /** Starts it as leader of a process group of its own (`detached`), so that a Ctrl-C reaches the supervisor only. */
  launch(): ChildProcess;
  /** Resolves when it works; rejects after a deadline of its own or when `signal` aborts. */
  ready(signal: AbortSignal): Promise<void>;
  /** Asks it to end in order; after `stopGraceMs` its group is killed. */
  readonly stopSignal: NodeJS.Signals;
  readonly stopGraceMs: number;
}
