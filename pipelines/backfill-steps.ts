/**
 * What the controller of a backfill does next. Pure: its state and the newest run of each window go in; what to start and to stop
 * and the next state come out. Deciding again after any part of a decision was carried out gives the rest of it.
 */
import type { RunState } from './status';

export type BackfillState =
  'planned' | 'running' | 'pausing' | 'paused' | 'halted' | 'built' | 'publishing' | 'cancelling' | 'quiesced' | 'discarded' | 'done';

export interface BackfillStateFacts {
  /** The controller has something to do. */
  readonly driven: boolean;
  /** It will never do anything again. */
  readonly over: boolean;
}

export const BACKFILL_STATES = {
  planned: { driven: false, over: false },
  running: { driven: true, over: false },
  pausing: { driven: true, over: false },
  paused: { driven: false, over: false },
  halted: { driven: false, over: false },
  /** Its branch has all that `main` has; it is for an operator to promote or discard it. */
  built: { driven: false, over: false },
  /** Its branch is the head; what the live tables show is brought to it. */
  publishing: { driven: true, over: false },
  cancelling: { driven: true, over: false },
  quiesced: { driven: false, over: true },
  discarded: { driven: false, over: true },
  done: { driven: false, over: true },
} as const satisfies Record<BackfillState, BackfillStateFacts>;

/** A window as the ledger has it, in the order to run them. */
export interface WindowProgress {
  readonly window: string;
  /** The controller set out to start its run. */
  readonly begun: boolean;
  /** Its newest run since. */
  readonly run: RunState | undefined;
}

export type WindowPhase = 'pending' | 'starting' | 'claimed' | 'running' | 'held' | 'done' | 'ended';

export interface BackfillDecision {
  readonly state: BackfillState;
  /** Windows whose runs are to be started, or started to the end where that was cut off. */
  readonly start: readonly string[];
  /** Windows whose open runs are to be cancelled. */
  readonly stop: readonly string[];
  /** Why it halts. */
  readonly why?: string;
}

/** Where a window is. `ended`: its run closed without being accepted. */
export function phaseOf({ begun, run }: WindowProgress): WindowPhase {
  if (run === undefined) return begun ? 'starting' : 'pending';
  if (run === 'succeeded') return 'done';
  if (run === 'claimed' || run === 'running' || run === 'held') return run;
  return 'ended';
}

export interface BackfillControl {
  readonly state: BackfillState;
  readonly ordered: boolean;
  readonly concurrency: number;
  /** Windows outside the backfill whose runs are under way: of an ordered chain only one window runs at a time, whoever runs it. */
  readonly elsewhere?: readonly string[];
  /** It builds on a branch, which is not done with being built. */
  readonly branched?: boolean;
}

export function decideBackfill(
  { state, ordered, concurrency, elsewhere = [], branched = false }: BackfillControl,
  windows: readonly WindowProgress[],
): BackfillDecision {
  const inPhase = (...phases: readonly WindowPhase[]): string[] =>
    windows.filter((window) => phases.includes(phaseOf(window))).map(({ window }) => window);
  const nothing = { state, start: [], stop: [] };
  if (!BACKFILL_STATES[state].driven || state === 'publishing') return nothing;
  if (state === 'cancelling') {
    const stop = begunOnly(windows, inPhase('claimed', 'running', 'held'));
    return { state: stop.length === 0 ? 'quiesced' : state, start: [], stop };
  }
  // A run that was claimed and never begun ends only if somebody begins it.
  const cutOff = begunOnly(windows, inPhase('claimed'));
  const busy = inPhase('claimed', 'running');
  if (state === 'pausing') return { state: busy.length === 0 ? 'paused' : state, start: cutOff, stop: [] };
  const failed = inPhase('held', 'ended');
  const starting = inPhase('starting');
  const halt = (): BackfillDecision => ({ state: 'halted', start: [], stop: [], why: whyHalted(windows) });
  if (ordered && failed.length > 0 && busy.length === 0) return halt();
  const free = Math.max(0, (ordered ? 1 : concurrency) - busy.length);
  const waits = ordered && (failed.length > 0 || elsewhere.length > 0);
  const next = waits ? [] : [...starting, ...inPhase('pending')].slice(0, free);
  const start = [...cutOff, ...next];
  if (start.length > 0 || busy.length > 0) return { state, start, stop: [] };
  if (starting.length > 0 || inPhase('pending').length > 0) return nothing;
  return failed.length > 0 ? halt() : { ...nothing, state: branched ? 'built' : 'done' };
}

/** A window that somebody else runs is not the backfill's to stop. */
function begunOnly(windows: readonly WindowProgress[], names: readonly string[]): string[] {
  return windows.filter(({ begun, window }) => begun && names.includes(window)).map(({ window }) => window);
}

function whyHalted(windows: readonly WindowProgress[]): string {
  return windows
    .flatMap((window) => {
      const phase = phaseOf(window);
      return phase === 'held' ? [`${window.window} is held`] : phase === 'ended' ? [`${window.window} ended as ${window.run}`] : [];
    })
    .join(', ');
}
