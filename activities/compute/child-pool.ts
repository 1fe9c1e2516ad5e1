import { Child } from './child';
import { reason, type Places, type Side } from './places';

/** Ends of leases wait this long for a child to clean up before it is killed. */
const RETURN_MS = 5_000;

/** Hands out a process for each place, in the order they were asked for, and keeps idle ones warm for either side. */
export class ChildPool {
  readonly #places: Places;
  readonly #all = new Set<Child>();
  readonly #idle: Child[] = [];
  readonly #closing = new AbortController();

  constructor(places: Places, warm: number) {
    this.#places = places;
    for (let i = 0; i < warm; i++) this.#idle.push(this.#start());
  }

  /** A child that serves nobody else until it is returned; waits for a place until `signal` aborts. */
  async acquire(side: Side, signal: AbortSignal): Promise<Child> {
    if (signal.aborted) throw reason(signal);
    if (this.#closing.signal.aborted) throw new Error('the engine is closed');
    await this.#places.acquire(side, AbortSignal.any([signal, this.#closing.signal]));
    return this.#take(side);
  }

  /** Ends the lease: the child cleans up and idles, or is killed when it does not answer. */
  async release(side: Side, child: Child): Promise<void> {
    const timer = setTimeout(() => void child.kill(), RETURN_MS);
    try {
      await child.request({ do: 'end' });
      if (this.#closing.signal.aborted) await child.kill();
      else this.#idle.push(child);
    } catch {
      // It ended or cannot clean up: either way a fresh one takes its place.
      await child.kill();
    } finally {
      clearTimeout(timer);
      this.#places.release(side);
    }
  }

  /** Kills every child, leased ones too, and waits until all are gone. */
  async close(): Promise<void> {
    this.#closing.abort(new Error('the engine was closed'));
    await Promise.all([...this.#all].map((child) => child.kill()));
  }

  async #take(side: Side): Promise<Child> {
    let child = this.#idle.pop();
    while (child && !child.alive) child = this.#idle.pop();
    child ??= this.#start();
    try {
      await child.ready;
      return child;
    } catch (error) {
      await child.kill();
      this.#places.release(side);
      throw error;
    }
  }

  #start(): Child {
    const child = new Child();
    this.#all.add(child);
    void child.ended.then(() => this.#all.delete(child));
    return child;
  }
}
