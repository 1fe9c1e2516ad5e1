import { Child } from './child';
import { reason, type Places, type Side } from './places';

/** Ends of leases wait this long for a child to clean up before it is killed. */
const RETURN_MS = 5_000;

/** Takes a place; returns how to give it back. */
export type Seat = (signal: AbortSignal) => Promise<() => void>;

/** The seat of whoever has a place already: one at a time sits there, the others elsewhere. */
export function keptSeat(elsewhere: Seat): Seat {
  let free = true;
  return (signal) => {
    if (!free) return elsewhere(signal);
    free = false;
    return Promise.resolve(() => {
      free = true;
    });
  };
}

/** Hands out places in the order they were asked for, a process to each that has one, and keeps idle ones warm for either side. */
export class ChildPool {
  readonly #places: Places;
  readonly #all = new Set<Child>();
  readonly #idle: Child[] = [];
  readonly #closing = new AbortController();

  constructor(places: Places, warm: number) {
    this.#places = places;
    for (let i = 0; i < warm; i++) this.#idle.push(this.#start());
  }

  /** Waits for a place until `signal` aborts. */
  seat(side: Side): Seat {
    return async (signal) => {
      this.#requireOpen(signal);
      await this.#places.acquire(side, AbortSignal.any([signal, this.#closing.signal]));
      return () => this.#places.release(side);
    };
  }

  /** A child that serves nobody else until it is returned; for those who have a place. */
  async acquire(signal: AbortSignal): Promise<Child> {
    this.#requireOpen(signal);
    let child = this.#idle.pop();
    while (child && !child.alive) child = this.#idle.pop();
    child ??= this.#start();
    try {
      await child.ready;
      return child;
    } catch (error) {
      await child.kill();
      throw error;
    }
  }

  /** Ends the lease: the child cleans up and idles, or is killed when it does not answer. */
  async release(child: Child): Promise<void> {
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
    }
  }

  /** Kills every child, leased ones too, and waits until all are gone. */
  async close(): Promise<void> {
    this.#closing.abort(new Error('the engine was closed'));
    await Promise.all([...this.#all].map((child) => child.kill()));
  }

  #requireOpen(signal: AbortSignal): void {
    if (signal.aborted) throw reason(signal);
    if (this.#closing.signal.aborted) throw new Error('the engine is closed');
  }

  #start(): Child {
    const child = new Child();
    this.#all.add(child);
    void child.ended.then(() => this.#all.delete(child));
    return child;
  }
}
