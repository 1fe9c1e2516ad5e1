/** The states of runs and attempts as tables: code asks the table, never a list of names. */

export type RunState = 'claimed' | 'running' | 'held' | 'succeeded' | 'abandoned' | 'cancelled' | 'lost';

export interface RunStateFacts {
  /** An execution exists or is about to: verbs go to it as Updates. */
  readonly open: boolean;
}

export const RUN_STATES = {
  claimed: { open: true },
  running: { open: true },
  held: { open: true },
  succeeded: { open: false },
  abandoned: { open: false },
  cancelled: { open: false },
  lost: { open: false },
} as const satisfies Record<RunState, RunStateFacts>;

export type AttemptState = 'running' | 'waiting' | 'succeeded' | 'failed' | 'cancelled' | 'lost' | 'skipped' | 'carried';

export interface AttemptStateFacts {
  /** Its output stands for the stage. */
  readonly stands: boolean;
}

export const ATTEMPT_STATES = {
  running: { stands: false },
  /** Data are not there yet and patience lasts; the next poll of the same order takes it up again. */
  waiting: { stands: false },
  succeeded: { stands: true },
  failed: { stands: false },
  cancelled: { stands: false },
  lost: { stands: false },
  skipped: { stands: true },
  carried: { stands: true },
} as const satisfies Record<AttemptState, AttemptStateFacts>;
