import type { ChildProcess } from 'node:child_process';
import { deliver } from './process-identity';
import type { ProcessSpec } from './process-spec';

/** One start of one process: what it is asked, and how it ended. */
export class SupervisedProcess {
  readonly pid: number | undefined;
  /** Resolves with the reason once the process is gone; never rejects. */
  readonly ended: Promise<string>;
  readonly #spec: ProcessSpec;
  readonly #child: ChildProcess;
  #gone = false;

  constructor(spec: ProcessSpec) {
    this.#spec = spec;
    this.#child = spec.launch();
    this.pid = this.#child.pid;
    this.ended = new Promise((resolve) => {
      const settle = (reason: string): void => {
        if (this.#gone) return;
        this.#gone = true;
        // What it started (DuckDB children) must not outlive it.
        this.#killGroup();
        resolve(reason);
      };
      this.#child.once('error', (error) => this.pid === undefined && settle(`could not be started: ${error.message}`));
      this.#child.once('exit', (code, signal) =>
        settle(signal === null ? `ended with exit code ${String(code)}` : `was ended by ${signal}`),
      );
    });
  }

  /** Resolves when it works, rejects with the reason when it ends before or is never ready. */
  async ready(stop: AbortSignal): Promise<void> {
    const over = new AbortController();
    const ended = this.ended.then((reason) => {
      throw new Error(reason);
    });
    try {
      await Promise.race([this.#spec.ready(AbortSignal.any([stop, over.signal])), ended]);
    } finally {
      over.abort(new Error('no longer waited for'));
      ended.catch(() => undefined);
    }
  }

  /** Ends it in order, or by force after its grace; resolves when it is gone. */
  async stop(): Promise<void> {
    this.#signal(this.#spec.stopSignal);
    const timer = setTimeout(() => this.kill(), this.#spec.stopGraceMs);
    await this.ended;
    clearTimeout(timer);
  }

  kill(): void {
    this.#signal('SIGKILL');
    this.#killGroup();
  }

  #signal(signal: NodeJS.Signals): void {
    if (!this.#gone) this.#child.kill(signal);
  }

  #killGroup(): void {
    if (this.pid !== undefined) deliver(-this.pid, 'SIGKILL');
  }
}
