/** Whose stages compute in a place. */
export type Side = 'live' | 'backfill';

interface Waiting {
  readonly give: () => void;
}

/**
 * The places of one worker, each for one stage that computes. Live stages and those of backfills have their own. Idle places of backfills
 * are lent to live stages; idle live places are lent to nobody, since a live stage that comes would have to wait until a stage of a
 * backfill ends. What is lent counts as lent only while live stages are more than their own places, and a place
 * that is freed goes to a waiting backfill before it is lent again, so that neither side starves the other.
 */
export class Places {
  readonly #own: Readonly<Record<Side, number>>;
  readonly #used: Record<Side, number> = { live: 0, backfill: 0 };
  readonly #waiting: Record<Side, Waiting[]> = { live: [], backfill: [] };

  constructor(own: Readonly<Record<Side, number>>) {
    this.#own = own;
  }

  /** Stages that compute now. */
  get used(): Readonly<Record<Side, number>> {
    return { ...this.#used };
  }

  /** Takes a place, in the order they are asked for; waits for one until `signal` aborts, then throws its reason. */
  acquire(side: Side, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.reject(reason(signal));
    if (this.#waiting[side].length === 0 && this.#isFree(side)) {
      this.#used[side]++;
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#waiting[side].splice(this.#waiting[side].indexOf(waiting), 1);
        reject(reason(signal));
        // It may have been what others stood behind.
        this.#serve();
      };
      const waiting: Waiting = {
        give: () => {
          signal.removeEventListener('abort', onAbort);
          resolve();
        },
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiting[side].push(waiting);
    });
  }

  release(side: Side): void {
    this.#used[side]--;
    this.#serve();
  }

  #isFree(side: Side): boolean {
    const { live, backfill } = this.#used;
    const lent = Math.max(0, live - this.#own.live);
    const idle = this.#own.backfill - backfill - lent > 0;
    return side === 'backfill' ? idle : live < this.#own.live || (idle && this.#waiting.backfill.length === 0);
  }

  #serve(): void {
    for (const side of ['backfill', 'live'] as const) {
      while (this.#waiting[side].length > 0 && this.#isFree(side)) {
        this.#used[side]++;
        this.#waiting[side].shift()?.give();
      }
    }
  }
}

/** What an aborted wait throws: the reason the caller gave. */
export function reason(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new Error(`aborted: ${String(signal.reason)}`);
}
