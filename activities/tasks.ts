import type { FailureInfo } from '../pipelines/failures';
import type { Outcome } from '../pipelines/frontier';
import type { RunRef } from '../pipelines/types';

/**
 * What a run took from operators so far. Every order carries it: the ledger learns it from the next one, should the sender of
 * a verb have died.
 */
export interface Taken {
  /** Number of the newest hold that is over; 0 before the first. */
  readonly woken: number;
  /** How many times a verb changed the plan: of two orders the one with more has the newer `planHash`. */
  readonly plans: number;
  /** Verbs taken, by their ids in the ledger, that no order has told it of yet. */
  readonly actions: readonly number[];
}

export interface RunTask {
  readonly run: RunRef;
  readonly claim: string;
  readonly planHash: string;
  /** Absent in an order that an older build gave. */
  readonly taken?: Taken;
}

/** One order of the workflow: run this stage of this run under this plan. */
export interface StageTask extends RunTask {
  readonly stage: string;
  readonly epoch: number;
  readonly patienceSeconds: number;
}

/** What a finished stage returns into history: enough to read it, nothing to decide by. */
export interface StageReceipt {
  readonly attempt: number;
  readonly adopted: boolean;
  readonly rows: number;
  readonly digests: readonly string[];
}

export interface HoldTask extends RunTask {
  /** Counts the holds of the run from 1. Absent in an order that an older build gave. */
  readonly hold?: number;
  /** Failures by stage; `accept` stands for the acceptance. */
  readonly failures: Readonly<Record<string, FailureInfo>>;
}

export interface CloseTask extends RunTask {
  readonly outcome: Outcome;
}

export interface AcceptTask extends RunTask {
  /** Nothing is left to do after it: the run is closed by the same order. */
  readonly closes?: boolean;
}

/** Activities on the stage queue. */
export interface StageActivities {
  runStage(task: StageTask): Promise<StageReceipt>;
}

/** Short activities on the control queue. */
export interface ControlActivities {
  /** `closed` says that the ledger knows the run has succeeded. */
  acceptWindow(task: AcceptTask): Promise<{ readonly sequence: number; readonly closed?: boolean }>;
  recordHold(task: HoldTask): Promise<void>;
  closeRun(task: CloseTask): Promise<void>;
}

/** What the clock's look says of the schedules. */
export interface Look {
  /** Milliseconds until the next slot of any schedule is due, 0 when one is, a second while somebody else looks; null without schedules. */
  readonly nextInMs: number | null;
  /** Slots that wait for an open run to end, a pause, or a predecessor. */
  readonly waiting: number;
}

/** What the clock workflow calls, on the control queue. */
export interface ClockActivities {
  /** Writes down the slots that came due, decides about them and starts their runs; may run twice, and be cut off anywhere. */
  lookAtSlots(): Promise<Look>;
}

/** What one step of a backfill's controller came to. */
export interface BackfillStep {
  /** There is nothing to do until an operator says something, or ever. */
  readonly idle: boolean;
  /** It started or stopped something. */
  readonly changed: boolean;
}

/** What the workflow of a backfill calls, on the control queue. */
export interface BackfillActivities {
  /** Looks at the runs of a backfill, starts and stops what is to be; may run twice, and be cut off anywhere. */
  stepBackfill(hash: string): Promise<BackfillStep>;
}

/** Activities that a control worker is given: they do what operators do. */
export type OperatorActivities = ClockActivities & BackfillActivities;
