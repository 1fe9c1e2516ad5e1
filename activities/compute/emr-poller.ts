import type { Clock } from '../../lib/clock';
import type { EmrClient, EmrCluster, EmrStep } from './emr-client';
import { EmrFault } from './emr-fault';

/** What a poll saw of one name. */
export interface Look {
  /** When it was begun. */
  readonly at: Date;
  /** Asked for before the list. */
  readonly cluster: EmrCluster;
  readonly steps: readonly EmrStep[];
}

export interface LookRequest {
  readonly cluster: string;
  readonly name: string;
  /** Steps of that name are no older. */
  readonly since: Date;
  /** The poll is not begun earlier. */
  readonly notBefore?: Date | undefined;
}

/** One poller a process: whoever follows a step of a cluster shares its polls. */
export interface EmrPoller {
  /** The next poll of a cluster. Throws the {@link EmrFault} of a request that is refused, or that nobody answered for minutes, and the signal's reason. */
  look(request: LookRequest, signal: AbortSignal): Promise<Look>;
}

interface Waiter {
  readonly request: LookRequest;
  readonly resolve: (look: Look) => void;
  readonly reject: (error: unknown) => void;
}

/** Clocks of EMR and of ours may differ so much. */
const SKEW_MS = 3_600_000;
const SLOWEST_MS = 300_000;
/** A service that does not answer for so long is told of; throttled requests are answers. */
const SILENCE_MS = 300_000;

export function createEmrPoller(client: EmrClient, clock: Clock, everyMs: number, silenceMs = SILENCE_MS): EmrPoller {
  const clusters = new Map<string, ClusterPoll>();
  return {
    look(request, signal) {
      return new Promise((resolve, reject) => {
        if (signal.aborted) return reject(signal.reason);
        const poll = clusters.get(request.cluster) ?? new ClusterPoll(client, clock, request.cluster, { everyMs, silenceMs });
        clusters.set(request.cluster, poll);
        const aborted = (): void => {
          poll.leave(waiter);
          reject(signal.reason);
        };
        const settled = (): void => signal.removeEventListener('abort', aborted);
        const waiter: Waiter = {
          request,
          resolve: (look) => {
            settled();
            resolve(look);
          },
          reject: (error) => {
            settled();
            reject(error);
          },
        };
        signal.addEventListener('abort', aborted);
        poll.join(waiter);
      });
    },
  };
}

/** The polls of one cluster: none while nobody waits, one for all who do, slower while the service throttles. */
class ClusterPoll {
  readonly #waiting = new Set<Waiter>();
  #delayMs: number;
  #lastAt = 0;
  #silentSince: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #polling = false;

  constructor(
    private readonly client: EmrClient,
    private readonly clock: Clock,
    private readonly cluster: string,
    private readonly pace: { readonly everyMs: number; readonly silenceMs: number },
  ) {
    this.#delayMs = pace.everyMs;
  }

  join(waiter: Waiter): void {
    this.#waiting.add(waiter);
    this.#schedule();
  }

  leave(waiter: Waiter): void {
    this.#waiting.delete(waiter);
    this.#schedule();
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    if (this.#polling || this.#waiting.size === 0) return;
    const now = this.clock.now().getTime();
    const wanted = Math.min(...[...this.#waiting].map(({ request }) => request.notBefore?.getTime() ?? 0));
    // Those who wait for one cluster in many processes do not ask at once.
    const jitter = this.#delayMs > this.pace.everyMs ? 1 + Math.random() / 4 : 1;
    const at = Math.max(wanted, this.#lastAt + this.#delayMs * jitter);
    this.#timer = setTimeout(() => void this.#poll(), Math.max(0, at - now));
  }

  async #poll(): Promise<void> {
    const at = this.clock.now();
    const served = [...this.#waiting].filter(({ request }) => request.notBefore === undefined || request.notBefore <= at);
    // A timer may ring before its time, by the clock.
    if (served.length === 0) return this.#schedule();
    this.#polling = true;
    this.#lastAt = at.getTime();
    try {
      const cluster = await this.client.describeCluster(this.cluster);
      const since = Math.min(...served.map(({ request }) => request.since.getTime()));
      const steps = await this.client.listSteps(this.cluster, new Date(since - SKEW_MS));
      this.#silentSince = undefined;
      this.#delayMs = Math.max(this.pace.everyMs, this.#delayMs / 2);
      for (const waiter of served) {
        this.#waiting.delete(waiter);
        waiter.resolve({ at, cluster, steps: steps.filter(({ name }) => name === waiter.request.name) });
      }
    } catch (error) {
      this.#failed(error);
    } finally {
      this.#polling = false;
      this.#schedule();
    }
  }

  #failed(error: unknown): void {
    const now = this.clock.now().getTime();
    const kind = error instanceof EmrFault ? error.kind : 'doubt';
    this.#silentSince = kind === 'throttled' ? undefined : (this.#silentSince ?? now);
    this.#delayMs = Math.min(SLOWEST_MS, this.#delayMs * 2);
    if (kind !== 'refused' && (this.#silentSince === undefined || now - this.#silentSince < this.pace.silenceMs)) return;
    for (const waiter of this.#waiting) waiter.reject(error);
    this.#waiting.clear();
  }
}
