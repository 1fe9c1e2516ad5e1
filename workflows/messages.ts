import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { FrontierState, Outcome } from '../pipelines/frontier';
import type { RunRef, StageOutline } from '../pipelines/types';

/** Input of `runPipeline`; the plan itself is in the control schema under its hash. */
export interface RunInput {
  readonly run: RunRef;
  /** Token of the ledger row that claimed this generation. */
  readonly claim: string;
  readonly planHash: string;
  readonly outline: readonly StageOutline[];
  /** Stages whose outputs an earlier generation left usable. */
  readonly carried: readonly string[];
  /** How long a stage may wait for what is not there yet, in seconds; 0 refuses at once. */
  readonly patienceSeconds: number;
  /** A stage that declares its own patience waits that long instead: the run is a scheduled one. */
  readonly declaredPatience?: true;
  /** Task queue of stages; control activities use the workflow's own. */
  readonly stageQueue: string;
}

export interface RunResult {
  readonly outcome: Outcome;
}

export interface Asked {
  /** Claim of the generation the operator saw: the id of a run is also that of its next generation. */
  readonly claim: string;
  readonly who: string;
  readonly reason: string;
  /** Id of the ledger row that intends the verb; the next order settles it. Absent from an older sender. */
  readonly action?: number;
}

export interface RetryRequest extends Asked {
  readonly stage: string;
  /** The epoch of the stage the operator saw; another one means somebody was faster. */
  readonly expectedEpoch: number;
  /** Further stages asked for, with the epochs the operator saw. */
  readonly others?: Readonly<Record<string, number>>;
  /** Stages to run again, the retried one among them. */
  readonly reset: readonly string[];
  /** The plan to go on with when the latest code was asked for. */
  readonly plan?: { readonly hash: string; readonly outline: readonly StageOutline[] };
}

export interface SkipRequest extends Asked {
  readonly stage: string;
  readonly expectedEpoch: number;
}

/** What an accepted verb answers: the state it led to. */
export interface VerbAnswer extends Pick<FrontierState, 'held' | 'closed'> {
  /** Number of the newest hold that is over. */
  readonly woken: number;
  /** How many times a verb changed the plan, this one among them. */
  readonly plans: number;
}

export const retryUpdate = defineUpdate<VerbAnswer, [RetryRequest]>('retry');
export const skipUpdate = defineUpdate<VerbAnswer, [SkipRequest]>('skip');
export const abandonUpdate = defineUpdate<VerbAnswer, [Asked]>('abandon');
export const cancelUpdate = defineUpdate<VerbAnswer, [Asked]>('cancel');
/** The state, and whose it is. */
export type StateAnswer = FrontierState & { readonly claim: string };

export const stateQuery = defineQuery<StateAnswer>('state');

/** Something changed that the clock, or the controller of a backfill, should look at now. */
export const lookSignal = defineSignal('look');
