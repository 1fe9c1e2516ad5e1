import { Child } from './child';

/** Ends of leases wait this long for a child to clean up before it is killed. */
const RETURN_MS = 5_000;

interface Waiting {
  give(child: Promise<Child>): void;
  fail(error: Error): void;
}

/** Hands out at most `maxChildren` processes, in the order they were asked for, and keeps idle ones warm. */
export class ChildPool {
  readonly #maxChildren: number;
  readonly #all = new Set<Child>();
  readonly #idle: Child[] = [];
  readonly #waiting: Waiting[] = [];
  /** Places taken: leased children and those being started for a lease. */
  #leased = 0;
  #closed = false;

  constructor(maxChildren: number, warm: number) {
    this.#maxChildren = maxChildren;
    for (let i = 0; i < Math.min(warm, maxChildren); i++) this.#idle.push(this.#start());
  }

  /** A child that serves nobody else until it is returned; waits for a place until `signal` aborts. */
  acquire(signal: AbortSignal): Promise<Child> {
    if (signal.aborted) return Promise.reject(reason(signal));
    if (this.#closed) return Promise.reject(new Error('the engine is closed'));
    if (this.#leased < this.#maxChildren) return this.#take();
    return new Promise((resolve, reject) => {
      const waiting: Waiting = { give: resolve, fail: reject };
      const onAbort = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        reject(reason(signal));
      };
      waiting.give = (child) => {
        signal.removeEventListener('abort', onAbort);
        resolve(child);
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiting.push(waiting);
    });
  }

  /** Ends the lease: the child cleans up and idles, or is killed when it does not answer. */
  async release(child: Child): Promise<void> {
    const timer = setTimeout(() => void child.kill(), RETURN_MS);
    try {
      await child.request({ do: 'end' });
      if (this.#closed) await child.kill();
      else this.#idle.push(child);
    } catch {
      // It ended or cannot clean up: either way a fresh one takes its place.
      await child.kill();
    } finally {
      clearTimeout(timer);
      this.#freePlace();
    }
  }

  /** Kills every child, leased ones too, and waits until all are gone. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const waiting of this.#waiting.splice(0)) waiting.fail(new Error('the engine was closed'));
    await Promise.all([...this.#all].map((child) => child.kill()));
  }

  async #take(): Promise<Child> {
    this.#leased++;
    let child = this.#idle.pop();
    while (child && !child.alive) child = this.#idle.pop();
    child ??= this.#start();
    try {
      await child.ready;
      return child;
    } catch (error) {
      await child.kill();
      this.#freePlace();
      throw error;
    }
  }

  #freePlace(): void {
    this.#leased--;
    const next = this.#waiting.shift();
    if (next) next.give(this.#take());
  }

  #start(): Child {
    const child = new Child();
    this.#all.add(child);
    void child.ended.then(() => this.#all.delete(child));
    return child;
  }
}

/** What an aborted wait throws: the reason the caller gave. */
export function reason(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new Error(`aborted: ${String(signal.reason)}`);
}
