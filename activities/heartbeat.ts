import { Context } from '@temporalio/activity';

/** Often enough that a cancel arrives within a second and a lost worker is seen within ten. */
export const HEARTBEAT_MS = 500;

/** Heartbeats while `work` runs, however long a store or a process it waits for takes: only a lost worker is taken for one. */
export async function heartbeating<T>(work: () => Promise<T>): Promise<T> {
  const activity = Context.current();
  const beat = setInterval(() => activity.heartbeat(), HEARTBEAT_MS);
  try {
    return await work();
  } finally {
    clearInterval(beat);
  }
}
