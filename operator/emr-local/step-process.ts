import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { deliver, identityOf, isRunning, type ProcessIdentity } from '../stack/process-identity';
import type { LocalCommand } from './command';

/**
 * Runs the step only once its server has written down which process it is: a server that is killed before leaves a pipe that ends, and no
 * process that nobody knows of.
 */
const GATE = 'read -r word && [ "$word" = go ] && exec "$@" </dev/null';

/** EMR tells every step its id so; here it is also how processes that left the group are known. */
const MARKER = 'EMR_STEP_ID';

const GONE_WITHIN_MS = 10_000;

export interface StepProcessOptions {
  readonly cluster: string;
  readonly step: string;
  readonly command: LocalCommand;
  /** Its working directory, where its stdout and stderr go. */
  readonly directory: string;
  readonly environment: NodeJS.ProcessEnv;
}

/** The process group of one step. It does nothing before `release()`. */
export class StepProcess {
  readonly identity: ProcessIdentity;
  /** The exit code, the signal or the error of the start, once nothing of the step runs any more; never rejects. */
  readonly ended: Promise<number | NodeJS.Signals | Error>;
  readonly #child: ChildProcess;
  #over = false;

  /** Throws when the process cannot be started at all. */
  constructor({ cluster, step, command, directory, environment }: StepProcessOptions) {
    const [out, err] = [openSync(path.join(directory, 'stdout'), 'a'), openSync(path.join(directory, 'stderr'), 'a')];
    try {
      this.#child = spawn('/bin/sh', ['-c', GATE, 'step', command.file, ...command.args], {
        cwd: directory,
        env: { ...environment, [MARKER]: step, EMR_CLUSTER_ID: cluster },
        detached: true,
        stdio: ['pipe', out, err],
      });
    } finally {
      closeSync(out);
      closeSync(err);
    }
    this.ended = new Promise((resolve) => {
      this.#child.once('error', (error) => this.#child.pid === undefined && resolve(error));
      this.#child.once('exit', (code, signal) => {
        this.#over = true;
        // What it started must not outlive it.
        resolve(endStepProcesses(step, this.identity).then(() => code ?? signal ?? 'SIGKILL'));
      });
    });
    // A step that ends before it reads its word closes the pipe; its exit tells.
    this.#child.stdin?.on('error', () => undefined);
    this.identity = identityOf(this.#child.pid ?? 0);
  }

  release(): void {
    this.#child.stdin?.end('go\n');
  }

  /** Asks the process, and it alone, to end; what it makes of that is its own. */
  interrupt(): void {
    if (!this.#over) this.#child.kill('SIGTERM');
  }

  kill(): void {
    if (!this.#over && this.#child.pid !== undefined) deliver(-this.#child.pid, 'SIGKILL');
  }
}

/**
 * Ends whatever is left of a step: its group, if its leader is the process that was written down, and every process that has its id. Throws
 * when one of them outlives SIGKILL.
 */
export async function endStepProcesses(step: string, leader: ProcessIdentity | undefined): Promise<void> {
  const deadline = Date.now() + GONE_WITHIN_MS;
  for (;;) {
    // While a group has members its number is given to no new process.
    const led = leader !== undefined && isRunning(leader);
    if (led) deliver(-leader.pid, 'SIGKILL');
    const marked = processesOf(step);
    for (const pid of marked) deliver(pid, 'SIGKILL');
    if (!led && marked.length === 0) return;
    if (Date.now() > deadline) throw new Error(`processes of step ${step} outlive SIGKILL: ${marked.join(', ')}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Pids of processes that were started for the step, as far as the system tells. */
function processesOf(step: string): readonly number[] {
  const entry = `${MARKER}=${step}`;
  return processNumbers().filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(entry);
    } catch {
      // Gone meanwhile, or of another user and so not ours.
      return false;
    }
  });
}

function processNumbers(): readonly number[] {
  try {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number);
  } catch {
    // A system without /proc: the group is all there is to go by.
    return [];
  }
}
