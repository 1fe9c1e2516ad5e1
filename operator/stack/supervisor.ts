import { readFileSync } from 'node:fs';
import { AlmanacError } from '../../pipelines/failures';
import { identityOf } from './process-identity';
import type { ProcessSpec } from './process-spec';
import { nextRestart, restartPauseMs } from './restart-policy';
import { writeStackState, type ProcessRecord, type StackState } from './stack-state';
import { SupervisedProcess } from './supervised-process';

/** Starts of a process that never once worked before the whole stack is given up. */
const HOPELESS_STARTS = 4;
const LOG_TAIL_BYTES = 1500;

export interface SupervisorOptions {
  readonly home: string;
  readonly specs: readonly ProcessSpec[];
  /** Services used but not started, listed for `status`. */
  readonly external: readonly ProcessRecord[];
  readonly databaseUrl?: string;
  readonly temporalAddress?: string;
  /** The external Postgres without its password. */
  readonly externalDatabase?: string;
  /** Hears every change of a process. */
  readonly changed?: (record: ProcessRecord) => void;
}

/** Keeps the processes of a stack alive and writes down how they are. The caller holds the lock of `home`. */
export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #records = new Map<string, ProcessRecord>();
  readonly #living = new Map<string, SupervisedProcess>();
  readonly #stop = new AbortController();
  readonly #waiting = new Set<() => void>();
  #phase: StackState['phase'] = 'starting';
  #keepers: readonly Promise<void>[] = [];
  #stopped: Promise<void> | undefined;
  #hopeless: AlmanacError | undefined;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    for (const spec of options.specs) {
      this.#records.set(spec.name, {
        name: spec.name,
        state: 'starting',
        restarts: 0,
        ...(spec.address === undefined ? {} : { address: spec.address }),
      });
    }
  }

  /** Resolves when everything runs. Throws `stack.failed` when a process never does, or the stack is stopped meanwhile. */
  async start(): Promise<void> {
    this.#write();
    this.#keepers = this.#options.specs.map((spec) => this.#keep(spec));
    await this.#until(() => this.#allRunning() || this.#hopeless !== undefined || this.#stop.signal.aborted);
    if (this.#hopeless) throw this.#hopeless;
    if (this.#stop.signal.aborted)
      throw new AlmanacError('stack.failed', 'the stack was stopped while it started', { next: 'almanac up --detach' });
    this.#phase = 'up';
    this.#write();
  }

  /** Ends everything, those that depend on others first; resolves when nothing is left. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stopAll();
    return this.#stopped;
  }

  /** Kills what is left without waiting for its order; for the second Ctrl-C. */
  kill(): void {
    for (const child of this.#living.values()) child.kill();
  }

  async #stopAll(): Promise<void> {
    this.#phase = 'stopping';
    this.#stop.abort(new Error('the stack is being stopped'));
    this.#write();
    this.#wake();
    const remaining = new Map(this.#options.specs.map((spec) => [spec.name, spec]));
    while (remaining.size > 0) {
      const needed = new Set([...remaining.values()].flatMap((spec) => spec.after));
      const last = [...remaining.keys()].filter((name) => !needed.has(name));
      await Promise.all(last.map((name) => this.#stopOne(name)));
      for (const name of last) remaining.delete(name);
    }
    await Promise.all(this.#keepers);
  }

  async #stopOne(name: string): Promise<void> {
    const child = this.#living.get(name);
    if (child) {
      this.#change(name, { state: 'stopping' });
      await child.stop();
    }
    this.#change(name, { state: 'stopped' });
  }

  async #keep(spec: ProcessSpec): Promise<void> {
    let restart = 0;
    let worked = false;
    while (!this.#stop.signal.aborted) {
      await this.#until(() => this.#stop.signal.aborted || spec.after.every((name) => this.#isRunning(name)));
      if (this.#stop.signal.aborted) return;
      const { reason, healthyMs } = await this.#runOnce(spec);
      if (this.#stop.signal.aborted) return;
      worked ||= healthyMs > 0;
      restart = nextRestart(restart, healthyMs);
      const hopeless = !worked && restart >= HOPELESS_STARTS;
      const restarts = (this.#records.get(spec.name)?.restarts ?? 0) + 1;
      this.#change(spec.name, { state: hopeless ? 'failed' : 'restarting', lastExit: reason, restarts });
      if (hopeless) {
        this.#hopeless ??= hopelessError(spec, reason);
        this.#wake();
        return;
      }
      await this.#pause(restartPauseMs(restart));
    }
  }

  /** From one start to its end; `healthyMs` is 0 when it never worked. */
  async #runOnce(spec: ProcessSpec): Promise<{ reason: string; healthyMs: number }> {
    let child: SupervisedProcess;
    try {
      await spec.prepare?.();
      if (this.#stop.signal.aborted) return { reason: 'stopped', healthyMs: 0 };
      child = new SupervisedProcess(spec);
    } catch (error) {
      return { reason: error instanceof Error ? error.message : String(error), healthyMs: 0 };
    }
    this.#living.set(spec.name, child);
    // Written in the same tick as the start: should we be killed, the next `up` knows whom to end.
    this.#change(spec.name, { state: 'starting', ...(child.pid === undefined ? {} : { identity: identityOf(child.pid) }) });
    try {
      await child.ready(this.#stop.signal);
    } catch (error) {
      // A stop ends the child in its own order.
      if (!this.#stop.signal.aborted) await child.stop();
      await child.ended;
      this.#living.delete(spec.name);
      return { reason: error instanceof Error ? error.message : String(error), healthyMs: 0 };
    }
    const since = Date.now();
    this.#change(spec.name, { state: 'running' });
    const reason = await child.ended;
    this.#living.delete(spec.name);
    return { reason, healthyMs: Math.max(1, Date.now() - since) };
  }

  #isRunning(name: string): boolean {
    const known = this.#records.get(name);
    return known === undefined || known.state === 'running';
  }

  #allRunning(): boolean {
    return this.#options.specs.every((spec) => this.#isRunning(spec.name));
  }

  #change(name: string, change: Partial<ProcessRecord>): void {
    const before = this.#records.get(name);
    if (!before) return;
    const record = { ...before, ...change };
    this.#records.set(name, record);
    this.#write();
    this.#options.changed?.(record);
    this.#wake();
  }

  #write(): void {
    const { home, external, databaseUrl, temporalAddress, externalDatabase } = this.#options;
    writeStackState(home, {
      supervisor: identityOf(process.pid),
      phase: this.#phase,
      processes: [...this.#records.values(), ...external],
      ...(databaseUrl === undefined ? {} : { databaseUrl }),
      ...(temporalAddress === undefined ? {} : { temporalAddress }),
      ...(externalDatabase === undefined ? {} : { externalDatabase }),
    });
  }

  async #until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiting.add(resolve));
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }

  async #pause(ms: number): Promise<void> {
    if (ms === 0 || this.#stop.signal.aborted) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#stop.signal.addEventListener('abort', () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}

function hopelessError(spec: ProcessSpec, reason: string): AlmanacError {
  const tail = spec.logFile === undefined ? '' : logTail(spec.logFile);
  return new AlmanacError('stack.failed', `${spec.name} does not start: ${reason}${tail === '' ? '' : `\n${tail}`}`, {
    next: spec.logFile === undefined ? 'almanac doctor' : `almanac doctor; its log is ${spec.logFile}`,
    details: { process: spec.name },
  });
}

function logTail(file: string): string {
  try {
    return readFileSync(file, 'utf8').slice(-LOG_TAIL_BYTES).split('\n').slice(-8).join('\n').trim();
  } catch {
    return '';
  }
}
