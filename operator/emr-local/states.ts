/** The states EMR documents for clusters and steps, and which may follow which. */

export const CLUSTER_STATES = [
  'STARTING',
  'BOOTSTRAPPING',
  'RUNNING',
  'WAITING',
  'TERMINATING',
  'TERMINATED',
  'TERMINATED_WITH_ERRORS',
] as const;
export type ClusterState = (typeof CLUSTER_STATES)[number];

export const STEP_STATES = ['PENDING', 'CANCEL_PENDING', 'RUNNING', 'COMPLETED', 'CANCELLED', 'FAILED', 'INTERRUPTED'] as const;
export type StepState = (typeof STEP_STATES)[number];

/** A cluster whose machines are lost ends at once; one that is asked to end is `TERMINATING` first. */
export const CLUSTER_TRANSITIONS = {
  STARTING: ['BOOTSTRAPPING', 'TERMINATING'],
  BOOTSTRAPPING: ['RUNNING', 'WAITING', 'TERMINATING'],
  RUNNING: ['WAITING', 'TERMINATING'],
  WAITING: ['RUNNING', 'TERMINATING'],
  TERMINATING: ['TERMINATED', 'TERMINATED_WITH_ERRORS'],
  TERMINATED: [],
  TERMINATED_WITH_ERRORS: [],
} as const satisfies Record<ClusterState, readonly ClusterState[]>;

/** A cancelled step whose process came to its end before the signal did is `COMPLETED`. */
export const STEP_TRANSITIONS = {
  PENDING: ['RUNNING', 'CANCELLED'],
  RUNNING: ['COMPLETED', 'FAILED', 'CANCEL_PENDING', 'INTERRUPTED'],
  CANCEL_PENDING: ['CANCELLED', 'COMPLETED'],
  COMPLETED: [],
  CANCELLED: [],
  FAILED: [],
  INTERRUPTED: [],
} as const satisfies Record<StepState, readonly StepState[]>;

/** Whether the cluster still takes steps. */
export function isOpen(state: ClusterState): boolean {
  return state === 'STARTING' || state === 'BOOTSTRAPPING' || state === 'RUNNING' || state === 'WAITING';
}

export function isEnded(state: ClusterState): boolean {
  return CLUSTER_TRANSITIONS[state].length === 0;
}

/** Whether the step has, or may have, a process. */
export function isActive(state: StepState): boolean {
  return state === 'RUNNING' || state === 'CANCEL_PENDING';
}
