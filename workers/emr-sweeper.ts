import { sweepEmr, type SweepOptions } from '../activities/compute/emr-sweep';
import type { RoundServices } from '../activities/compute/emr-rounds';
import type { Logger } from '../lib/log';
import { periodically } from './periodic';

const EVERY_MS = 60_000;

/** Ends steps and clusters on EMR that nobody wants any more, at once and every minute, until `signal` aborts. Several workers may. */
export function sweepEffects(
  services: RoundServices,
  { cluster }: Pick<SweepOptions, 'cluster'>,
  log: Logger,
  signal: AbortSignal,
  everyMs = EVERY_MS,
): Promise<void> {
  const failed = (error: unknown): void =>
    log.warn({ error: String(error) }, 'what nobody wants on EMR could not be ended; it is tried again');
  return periodically(
    everyMs,
    signal,
    async () => {
      const { rounds, steps, clusters } = await sweepEmr(services, { cluster, failed }, signal);
      if (rounds + steps.length + clusters.length > 0)
        log.info({ rounds, steps, clusters }, 'steps and clusters that nobody wants were ended');
    },
    failed,
  );
}
