const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 5000;
/** A process that was healthy this long has earned a restart at once. */
export const FORGET_AFTER_MS = 30_000;

/** How many restarts in a row the coming one is, given the last count and how long the process was healthy. */
export function nextRestart(previous: number, healthyMs: number): number {
  return healthyMs >= FORGET_AFTER_MS ? 1 : previous + 1;
}

/** Milliseconds to wait before the n-th restart in a row: none, 0.5 s, doubling to 5 s. */
export function restartPauseMs(restart: number): number {
  return restart <= 1 ? 0 : Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(restart - 2, 20));
}
