import type pg from 'pg';
import { toAlmanacError } from '../../activities/failure';
import { readRun, type RunRow } from '../../activities/ledger/runs';
import type { RunRef } from '../../pipelines/types';

const POLL_MS = 30;
/** A database may be away this long, as when it restarts, before a waiting command gives up. */
const OUTAGE_MS = 60_000;

/**
 * Looks at the ledger until `settled` holds; undefined when the deadline passes first. No deadline waits for ever, but for a lost database.
 * Throws the signal's reason.
 */
export async function pollRun(
  database: pg.Pool,
  run: RunRef,
  settled: (row: RunRow) => boolean,
  deadlineMs?: number,
  signal?: AbortSignal,
): Promise<RunRow | undefined> {
  const deadline = deadlineMs === undefined ? Infinity : Date.now() + deadlineMs;
  let answered = Date.now();
  for (;;) {
    signal?.throwIfAborted();
    let row: RunRow | undefined;
    try {
      row = await readRun(database, run);
      answered = Date.now();
    } catch (error) {
      const failure = toAlmanacError(error);
      if (failure.code !== 'service.unavailable' || Date.now() > Math.min(deadline, answered + OUTAGE_MS)) throw failure;
    }
    if (row !== undefined && settled(row)) return row;
    if (Date.now() > deadline) return undefined;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** Waits for the end or a hold, whichever comes first. Throws the signal's reason. */
export async function waitForRun(database: pg.Pool, run: RunRef, signal?: AbortSignal): Promise<RunRow> {
  const row = await pollRun(database, run, ({ state, endedAt }) => endedAt !== null || state === 'held', undefined, signal);
  if (row === undefined) throw new Error('unreachable: no deadline was given');
  return row;
}
