/** The states of runs and attempts as tables: code asks the table, never a list of names. */

export type RunState = 'claimed' | 'running' | 'held' | 'succeeded' | 'abandoned' | 'cancelled' | 'lost';

export interface RunStateFacts {
  /** An execution exists or is about to: verbs go to it as Updates. */
  readonly open: boolean;
  /** `retry` makes sense: something is left to do. */
  readonly retryable: boolean;
}

export const RUN_STATES = {
  claimed: { open: true, retryable: false },
  running: { open: true, retryable: true },
  held: { open: true, retryable: true },
  succeeded: { open: false, retryable: true },
  abandoned: { open: false, retryable: true },
  cancelled: { open: false, retryable: true },
  lost: { open: false, retryable: true },
} as const satisfies Record<RunState, RunStateFacts>;

export type AttemptState = 'running' | 'succeeded' | 'failed' | 'cancelled' | 'lost' | 'skipped' | 'carried';

export interface AttemptStateFacts {
  /** Its output stands for the stage. */
  readonly stands: boolean;
}

export const ATTEMPT_STATES = {
  running: { stands: false },
  succeeded: { stands: true },
  failed: { stands: false },
  cancelled: { stands: false },
  lost: { stands: false },
  skipped: { stands: true },
  carried: { stands: true },
} as const satisfies Record<AttemptState, AttemptStateFacts>;
