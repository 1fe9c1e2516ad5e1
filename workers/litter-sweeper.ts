import { sweepLitter, type CollectionServices } from '../activities/storage/collection';
import type { Logger } from '../lib/log';
import { periodically } from './periodic';

const HOUR_MS = 3_600_000;

/**
 * Sweeps what killed writers left in the store, at once and then hourly, until `signal` aborts. Many workers may sweep
 * one store. Nothing waits for a sweep, so a failed one is a line of the log.
 */
export function sweepStore(services: CollectionServices, log: Logger, signal: AbortSignal, everyMs = HOUR_MS): Promise<void> {
  return periodically(
    everyMs,
    signal,
    async () => {
      const { deleted, deletedBytes } = await sweepLitter(services);
      if (deleted.length > 0) log.info({ files: deleted.length, bytes: deletedBytes }, 'litter of killed writers was swept');
    },
    (error) => log.warn({ error: String(error) }, 'the store could not be swept; next try in an hour'),
  );
}
