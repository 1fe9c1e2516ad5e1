import type { Plan } from '../../pipelines/types';
import { AlmanacError } from '../../pipelines/failures';
import type { Queryable } from '../../lib/postgres';

/** Plans and texts are immutable under their hash, so a process reads each once; the oldest leave beyond this many. */
const CACHED = 500;

function cached<T>(read: (hash: string) => Promise<T>): (hash: string) => Promise<T> {
  const entries = new Map<string, Promise<T>>();
  return (hash) => {
    const known = entries.get(hash);
    if (known !== undefined) return known;
    const reading = read(hash);
    entries.set(hash, reading);
    reading.catch(() => entries.delete(hash));
    const oldest = entries.keys().next();
    if (entries.size > CACHED && oldest.done !== true) entries.delete(oldest.value);
    return reading;
  };
}

/** Reads plans by hash; a plan the ledger lost is `internal`. */
export function planReader(database: Queryable): (hash: string) => Promise<Plan> {
  return cached(async (hash) => {
    const { rows } = await database.query<{ body: Plan }>('select body from almanac.plan where hash = $1', [hash]);
    return rows[0]?.body ?? lost('plan', hash);
  });
}

/** Reads SQL texts by hash. */
export function textReader(database: Queryable): (hash: string) => Promise<string> {
  return cached(async (hash) => {
    const { rows } = await database.query<{ body: string }>('select body from almanac.text where hash = $1', [hash]);
    return rows[0]?.body ?? lost('text', hash);
  });
}

function lost(what: string, hash: string): never {
  throw new AlmanacError('internal', `the control schema has no ${what} ${hash}`, {
    next: 'restore the control schema, or start a new generation with almanac run --again',
  });
}
