import type pg from 'pg';
import { readRun, type RunRow } from '../../activities/ledger/runs';
import type { RunRef } from '../../pipelines/types';

const POLL_MS = 30;

/** Looks at the ledger until `settled` holds; undefined when the deadline passes first. No deadline waits for ever. */
export async function pollRun(
  database: pg.Pool,
  run: RunRef,
  settled: (row: RunRow) => boolean,
  deadlineMs?: number,
): Promise<RunRow | undefined> {
  const deadline = deadlineMs === undefined ? Infinity : Date.now() + deadlineMs;
  for (;;) {
    const row = await readRun(database, run).catch((error: unknown) => {
      // A database that restarts under a waiting command is no reason to give up before the deadline.
      if (Date.now() > deadline || deadlineMs === undefined) throw error;
      return undefined;
    });
    if (row !== undefined && settled(row)) return row;
    if (Date.now() > deadline) return undefined;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** Waits for the end or a hold, whichever comes first. */
export async function waitForRun(database: pg.Pool, run: RunRef): Promise<RunRow> {
  const row = await pollRun(database, run, ({ state, endedAt }) => endedAt !== null || state === 'held');
  if (row === undefined) throw new Error('unreachable: no deadline was given');
  return row;
}
