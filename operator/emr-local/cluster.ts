import type { ProcessIdentity } from '../stack/process-identity';
import type { ACTIONS_ON_FAILURE, RunJobFlowRequest, StepRequest } from './requests';
import type { ClusterState, StepState } from './states';

/** Codes of EMR for why a cluster is where it is. */
export type ReasonCode =
  | 'INTERNAL_ERROR'
  | 'VALIDATION_ERROR'
  | 'INSTANCE_FAILURE'
  | 'INSTANCE_FLEET_TIMEOUT'
  | 'BOOTSTRAP_FAILURE'
  | 'USER_REQUEST'
  | 'STEP_FAILURE'
  | 'ALL_STEPS_COMPLETED';

export interface Reason {
  readonly code?: ReasonCode;
  readonly message?: string;
}

/** What is told of a step that failed. */
export interface StepFailure {
  readonly reason: string;
  /** The line of its stderr that names the exception, where there is one. */
  readonly message?: string;
  /** Where its stderr is kept, when the cluster has a log URI. */
  readonly logFile?: string;
}

/** A step; instants are milliseconds since 1970. */
export interface Step {
  readonly id: string;
  readonly name: string;
  readonly actionOnFailure: (typeof ACTIONS_ON_FAILURE)[number];
  readonly jar: StepRequest['HadoopJarStep'];
  readonly state: StepState;
  readonly failure?: StepFailure;
  readonly createdAt: number;
  readonly startedAt?: number;
  readonly endedAt?: number;
  /** The leader of its process group, from its start on; what a restarted server ends. */
  readonly process?: ProcessIdentity;
}

/** A cluster with its steps, in the order in which they were added: all that is known of it, and what is written down. */
export interface Cluster {
  readonly id: string;
  readonly request: Omit<RunJobFlowRequest, 'Steps'>;
  readonly state: ClusterState;
  readonly reason: Reason;
  /** What a terminating cluster ends as. */
  readonly outcome?: 'TERMINATED' | 'TERMINATED_WITH_ERRORS';
  readonly createdAt: number;
  readonly readyAt?: number;
  readonly endedAt?: number;
  /** When it came into its state. */
  readonly since: number;
  readonly stepConcurrency: number;
  readonly keepAlive: boolean;
  readonly terminationProtected: boolean;
  /** Seconds without a step after which it ends by itself. */
  readonly idleTimeout?: number;
  readonly tags: Readonly<Record<string, string>>;
  readonly steps: readonly Step[];
}
