import type pg from 'pg';
import type { Clock } from '../lib/clock';
import type { EngineName, Plan, PlanStage, RunRef, StageOutput, VersionRef, Window } from '../pipelines/types';
import type { ChildIdentity, Engine, SessionLimits } from './compute/engine';
import type { DatasetStore } from './storage/dataset-store';
import type { ObjectStore } from './storage/object-store';

/** Services a stage body works with, one of each per worker process. */
export interface StageServices {
  readonly store: ObjectStore;
  readonly datasets: DatasetStore;
  readonly engine: Engine;
  readonly database: pg.Pool;
  readonly clock: Clock;
  /** The text a plan refers to by hash. */
  text(hash: string): Promise<string>;
}

/** One attempt of one stage. Everything it may use is here; a body keeps nothing between attempts. */
export interface StageContext extends StageServices {
  readonly run: RunRef;
  readonly plan: Plan;
  readonly stage: PlanStage;
  readonly window: Window;
  /** Number of this attempt in the run's ledger, from 1. */
  readonly attempt: number;
  /** Versions by dataset for what this run wrote, and by `previous:DATASET` for pinned predecessors. */
  readonly inputs: Readonly<Record<string, VersionRef>>;
  /** Outputs of the stages that are done, by stage id; check stages read quarantine counts from here. */
  readonly outputs: Readonly<Record<string, StageOutput>>;
  readonly bootstrap: boolean;
  readonly limits: SessionLimits;
  readonly signal: AbortSignal;
  /** Tells the ledger and the next heartbeat which child computes this attempt. */
  computing(child: ChildIdentity): void;
  /** Tells the metrics which engine computes this attempt. */
  chose(engine: EngineName): void;
  /** One line of the stage's log, kept in the ledger. */
  log(line: string): void;
  /** A named point where a kill test may stop the process; does nothing otherwise. */
  point(name: string): Promise<void>;
}

/** Does the work of one kind of stage. Runs twice, may be killed anywhere, may be a zombie: commits are create-if-absent or fenced. */
export type StageBody = (context: StageContext) => Promise<StageOutput>;
