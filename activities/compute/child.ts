import { spawn, type ChildProcess } from 'node:child_process';
import path from 'node:path';
import { childIdentity, isAlive } from './child-identity';
import type { ChildReply, ChildRequest } from './child-protocol';
import type { ChildIdentity } from './engine';

const STDERR_KEPT = 4096;

/** How a child ended. */
export interface ChildEnd {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  /** The end of what it wrote to stderr. */
  readonly stderr: string;
  /** True when the engine killed it. */
  readonly killed: boolean;
}

/** The child ended before it answered. */
export class ChildEnded extends Error {
  override readonly name = 'ChildEnded';
  constructor(readonly end: ChildEnd) {
    super(`the child ended (${end.signal ?? `exit code ${end.exitCode}`})`);
  }
}

/** DuckDB's own message for a statement that failed. */
export class StatementFailed extends Error {
  override readonly name = 'StatementFailed';
}

type Request = ChildRequest extends infer R ? (R extends ChildRequest ? Omit<R, 'id'> : never) : never;
type ReplyValue = Extract<ChildReply, { value?: unknown }>['value'];

interface Pending {
  resolve(value: ReplyValue): void;
  reject(error: Error): void;
}

/** The arguments that start the child's program: compiled as it is, from sources (tests) through jiti. */
function program(): string[] {
  if (!__filename.endsWith('.ts')) return [path.join(__dirname, 'duckdb-child.js')];
  const source = path.join(__dirname, 'duckdb-child.ts');
  return [
    '-e',
    `require(${JSON.stringify(require.resolve('jiti'))}).createJiti(${JSON.stringify(source)}).import(${JSON.stringify(source)})`,
  ];
}

/** One DuckDB process and the conversation with it. */
export class Child {
  readonly identity: ChildIdentity;
  /** Resolves once it can serve; rejects when it ends before. */
  readonly ready: Promise<unknown>;
  /** Resolves when the process has ended; never rejects. */
  readonly ended: Promise<ChildEnd>;
  #end: ChildEnd | undefined;
  #killed = false;
  #nextId = 1;
  #stderr = '';
  readonly #process: ChildProcess;
  readonly #pending = new Map<number, Pending>();

  constructor() {
    this.#process = spawn(process.execPath, program(), {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      // Debugger and loader flags of the parent are not the child's.
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    this.identity = childIdentity(this.#process.pid ?? 0);
    this.#process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_KEPT);
    });
    this.#process.on('message', (reply: ChildReply) => this.#answer(reply));
    this.ended = new Promise((resolve) => {
      const ended = (exitCode: number | null, signal: NodeJS.Signals | null): void => {
        this.#end = { exitCode, signal, stderr: this.#stderr, killed: this.#killed };
        for (const pending of this.#pending.values()) pending.reject(new ChildEnded(this.#end));
        this.#pending.clear();
        resolve(this.#end);
      };
      this.#process.once('close', ended);
      this.#process.on('error', (error) => {
        this.#stderr += error.message;
        // A process that never started emits no `close`.
        if (this.#process.pid === undefined) ended(null, null);
      });
    });
    this.ready = new Promise((resolve, reject) => this.#pending.set(0, { resolve, reject }));
    // A child that dies while nobody waits for it is noticed at the next lease.
    this.ready.catch(() => undefined);
  }

  /** Asks the system too, which knows of a death before its event arrives. */
  get alive(): boolean {
    return this.#end === undefined && this.#process.connected && (this.identity.startTicks === '' || isAlive(this.identity));
  }

  /** Sends a request; rejects with {@link StatementFailed} or {@link ChildEnded}. */
  request(request: Request): Promise<ReplyValue> {
    return new Promise((resolve, reject) => {
      if (this.#end) return reject(new ChildEnded(this.#end));
      const id = this.#nextId++;
      this.#pending.set(id, { resolve, reject });
      // A failed send means the channel is closed: `close` follows and rejects what is pending.
      this.#process.send({ ...request, id } as ChildRequest, () => undefined);
    });
  }

  /** Kills it, frozen or not, and waits until this process is gone. */
  async kill(): Promise<ChildEnd> {
    if (!this.#end) {
      this.#killed = true;
      if (isAlive(this.identity) || this.identity.startTicks === '') this.#process.kill('SIGKILL');
    }
    return this.ended;
  }

  #answer(reply: ChildReply): void {
    const pending = this.#pending.get(reply.id);
    this.#pending.delete(reply.id);
    if ('error' in reply) pending?.reject(new StatementFailed(reply.error));
    else pending?.resolve(reply.value);
  }
}
