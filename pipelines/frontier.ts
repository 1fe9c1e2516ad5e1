/**
 * The pure core of a run: (plan outline, state, event) → state and commands. The workflow executes commands and feeds
 * events back; it decides nothing. Events of an earlier epoch of a stage are ignored: a late result of a fenced order
 * changes nothing.
 */
import type { FailureInfo } from './failures';
import type { StageOutline } from './types';

export type StageStatus = 'waiting' | 'running' | 'done' | 'failed';

export interface StageProgress {
  readonly status: StageStatus;
  /** Counts the orders given for this stage; 0 before the first. An operator's verb states the epoch it saw. */
  readonly epoch: number;
  readonly failure?: FailureInfo;
}

export type Acceptance = 'waiting' | 'running' | 'done' | 'failed';
export type Outcome = 'succeeded' | 'abandoned' | 'cancelled';

export interface FrontierState {
  readonly stages: Readonly<Record<string, StageProgress>>;
  readonly acceptance: Acceptance;
  /** Counts orders to accept, as epochs of stages do. */
  readonly acceptanceEpoch: number;
  readonly acceptanceFailure?: FailureInfo;
  /** Set by the first event that ends the run; nothing starts after it. */
  readonly ending?: Outcome;
  readonly closed: boolean;
  /** Nothing runs and something failed: the run waits for an operator. */
  readonly held: boolean;
  /** Counts the holds, the present one among them. */
  readonly holds: number;
}

export type FrontierEvent =
  | { readonly type: 'begin' }
  | { readonly type: 'stage-done'; readonly stage: string; readonly epoch: number }
  | { readonly type: 'stage-failed'; readonly stage: string; readonly epoch: number; readonly failure: FailureInfo }
  | { readonly type: 'accepted'; readonly epoch: number }
  | { readonly type: 'accept-failed'; readonly epoch: number; readonly failure: FailureInfo }
  /** Stages to run again; each returns to waiting. Failed acceptance is retried by an empty list. */
  | { readonly type: 'retry'; readonly reset: readonly string[] }
  | { readonly type: 'skip'; readonly stage: string }
  | { readonly type: 'abandon' }
  | { readonly type: 'cancel' };

export type FrontierCommand =
  | { readonly type: 'start'; readonly stage: string; readonly epoch: number }
  | { readonly type: 'accept'; readonly epoch: number }
  | { readonly type: 'hold'; readonly number: number }
  | { readonly type: 'stop-running' }
  | { readonly type: 'close'; readonly outcome: Outcome };

export interface FrontierStep {
  readonly state: FrontierState;
  readonly commands: readonly FrontierCommand[];
}

/** The state before `begin`; `carried` names stages whose outputs an earlier generation left usable. */
export function initialState(outline: readonly StageOutline[], carried: readonly string[] = []): FrontierState {
  const done = new Set(carried);
  return {
    stages: Object.fromEntries(
      outline.map(({ id }) => [id, { status: done.has(id) ? 'done' : 'waiting', epoch: 0 } satisfies StageProgress]),
    ),
    acceptance: 'waiting',
    acceptanceEpoch: 0,
    closed: false,
    held: false,
    holds: 0,
  };
}

export function step(outline: readonly StageOutline[], state: FrontierState, event: FrontierEvent): FrontierStep {
  if (state.closed) return { state, commands: [] };
  const next = apply(outline, state, event);
  if (next === state) return { state, commands: [] };
  const commands: FrontierCommand[] = [];
  if (next.ending !== undefined && state.ending === undefined) commands.push({ type: 'stop-running' });
  return advance(outline, next, commands);
}

/** Number of the newest hold that is over; 0 before the first. */
export function wokenHold({ held, holds }: Pick<FrontierState, 'held' | 'holds'>): number {
  return held ? holds - 1 : holds;
}

/** Stages that run right now. */
export function running(state: FrontierState): string[] {
  return Object.keys(state.stages).filter((id) => state.stages[id]?.status === 'running');
}

/** Stages that failed and wait for an operator. */
export function failed(state: FrontierState): string[] {
  return Object.keys(state.stages).filter((id) => state.stages[id]?.status === 'failed');
}

function apply(outline: readonly StageOutline[], state: FrontierState, event: FrontierEvent): FrontierState {
  switch (event.type) {
    case 'begin':
      return { ...state };
    case 'stage-done':
    case 'stage-failed': {
      const current = state.stages[event.stage];
      if (current?.status !== 'running' || current.epoch !== event.epoch) return state;
      const settled: StageProgress =
        event.type === 'stage-done'
          ? { status: 'done', epoch: current.epoch }
          : { status: 'failed', epoch: current.epoch, failure: event.failure };
      return withStage(state, event.stage, settled);
    }
    case 'accepted':
      if (state.acceptance !== 'running' || state.acceptanceEpoch !== event.epoch) return state;
      return { ...state, acceptance: 'done' };
    case 'accept-failed':
      if (state.acceptance !== 'running' || state.acceptanceEpoch !== event.epoch) return state;
      return { ...state, acceptance: 'failed', acceptanceFailure: event.failure };
    case 'retry': {
      if (state.ending !== undefined) return state;
      let next: FrontierState = { ...state };
      for (const stage of event.reset) {
        const current = next.stages[stage];
        if (current === undefined) continue;
        // A running stage keeps running, its order is not older than the operator's word; unless what it reads is made anew: then it is
        // ordered again after that, and the answer to the order of before changes nothing any more.
        const reads = outline.find(({ id }) => id === stage)?.needs ?? [];
        if (current.status !== 'running' || reads.some((need) => event.reset.includes(need) && state.stages[need]?.status !== 'running'))
          next = withStage(next, stage, { status: 'waiting', epoch: current.epoch });
      }
      const judged = event.reset.some((stage) => outline.find(({ id }) => id === stage)?.kind !== 'publish');
      if (judged || state.acceptance === 'failed') {
        const { acceptanceFailure: _mended, ...rest } = next;
        next = { ...rest, acceptance: 'waiting' };
      }
      return next;
    }
    case 'skip': {
      const current = state.stages[event.stage];
      if (current === undefined || current.status === 'running' || current.status === 'done' || state.ending !== undefined) return state;
      return withStage(state, event.stage, { status: 'done', epoch: current.epoch });
    }
    case 'abandon':
    case 'cancel':
      if (state.ending !== undefined) return state;
      return { ...state, ending: event.type === 'abandon' ? 'abandoned' : 'cancelled' };
  }
}

function withStage(state: FrontierState, stage: string, progress: StageProgress): FrontierState {
  return { ...state, stages: { ...state.stages, [stage]: progress } };
}

/** Gives the orders the new state allows: starts, acceptance once all but publish stages are done, the hold, the close. */
function advance(outline: readonly StageOutline[], before: FrontierState, commands: FrontierCommand[]): FrontierStep {
  let state = before;
  const busy = (): boolean => running(state).length > 0 || state.acceptance === 'running';
  if (state.ending !== undefined) {
    if (busy()) return { state, commands };
    return { state: { ...state, closed: true, held: false }, commands: [...commands, { type: 'close', outcome: state.ending }] };
  }
  const isDone = (id: string): boolean => state.stages[id]?.status === 'done';
  const judgedStages = outline.filter(({ kind }) => kind !== 'publish');
  const mayAccept = judgedStages.every(({ id }) => isDone(id));
  if (mayAccept && state.acceptance === 'waiting') {
    const epoch = state.acceptanceEpoch + 1;
    state = { ...state, acceptance: 'running', acceptanceEpoch: epoch };
    commands.push({ type: 'accept', epoch });
  }
  for (const { id, kind, needs } of outline) {
    const progress = state.stages[id];
    if (progress?.status !== 'waiting' || !needs.every(isDone)) continue;
    if (kind === 'publish' && state.acceptance !== 'done') continue;
    const epoch = progress.epoch + 1;
    state = withStage(state, id, { status: 'running', epoch });
    commands.push({ type: 'start', stage: id, epoch });
  }
  if (state.acceptance === 'done' && outline.every(({ id }) => isDone(id))) {
    return {
      state: { ...state, ending: 'succeeded', closed: true, held: false },
      commands: [...commands, { type: 'close', outcome: 'succeeded' }],
    };
  }
  if (busy() || before.held) return { state: { ...state, held: !busy() }, commands };
  const number = before.holds + 1;
  return { state: { ...state, held: true, holds: number }, commands: [...commands, { type: 'hold', number }] };
}

/** The state under a newer plan: stages it no longer has are forgotten, stages it adds wait. */
export function adoptOutline(state: FrontierState, outline: readonly StageOutline[]): FrontierState {
  const fresh: StageProgress = { status: 'waiting', epoch: 0 };
  return { ...state, stages: Object.fromEntries(outline.map(({ id }) => [id, state.stages[id] ?? fresh])) };
}
