import type { Cluster, Reason, Step, StepFailure } from './cluster';
import type { ProcessIdentity } from '../stack/process-identity';
import { isActive, isEnded, isOpen } from './states';

/** What the shell is to do after a change, in this order. */
export interface Command {
  readonly do: 'start' | 'interrupt' | 'kill' | 'keep-logs';
  readonly step: string;
}

export interface Change {
  readonly cluster: Cluster;
  readonly commands: readonly Command[];
}

/** How long the machines of a cluster take, in milliseconds. */
export interface Timing {
  readonly provisionMs: number;
  readonly bootstrapMs: number;
  readonly shutdownMs: number;
}

/** How the process of a step ended. */
export interface StepExit {
  readonly succeeded: boolean;
  readonly failure: StepFailure;
}

/** Why a cluster is ended; `lost` is the loss of its machines, which its steps feel as failures. */
export interface Termination {
  readonly reason: Reason;
  readonly outcome: 'TERMINATED' | 'TERMINATED_WITH_ERRORS';
  readonly lost?: true;
}

export const USER_REQUEST: Termination = {
  reason: { code: 'USER_REQUEST', message: 'Terminated by user request' },
  outcome: 'TERMINATED',
};

/** The message is EMR's own, with the blank at its end. */
export const MASTER_LOST: Termination = {
  reason: { code: 'INSTANCE_FAILURE', message: 'The master node was terminated. ' },
  outcome: 'TERMINATED_WITH_ERRORS',
  lost: true,
};

/** What happens by itself up to `now`: machines come and go, idle clusters end. */
export function elapse(cluster: Cluster, now: number, timing: Timing): Change {
  const change = elapseOnce(cluster, now, timing);
  if (change.cluster === cluster) return change;
  const rest = elapse(change.cluster, now, timing);
  return { cluster: rest.cluster, commands: [...change.commands, ...rest.commands] };
}

function elapseOnce(cluster: Cluster, now: number, timing: Timing): Change {
  const sinceMs = now - cluster.since;
  if (cluster.state === 'STARTING' && sinceMs >= timing.provisionMs) return unchanged(enter(cluster, 'BOOTSTRAPPING', {}, now));
  if (cluster.state === 'BOOTSTRAPPING' && sinceMs >= timing.bootstrapMs)
    return settle({ ...enter(cluster, 'WAITING', { message: 'Cluster ready to run steps.' }, now), readyAt: now }, now);
  if (cluster.state === 'WAITING' && cluster.idleTimeout !== undefined && !cluster.terminationProtected)
    return sinceMs >= cluster.idleTimeout * 1000 ? terminate(cluster, idleTermination(cluster.idleTimeout), now) : unchanged(cluster);
  if (cluster.state === 'TERMINATING' && sinceMs >= timing.shutdownMs && !cluster.steps.some(({ state }) => isActive(state)))
    return unchanged({ ...enter(cluster, cluster.outcome ?? 'TERMINATED', cluster.reason, now), endedAt: now });
  return unchanged(cluster);
}

function idleTermination(seconds: number): Termination {
  return { reason: { code: 'ALL_STEPS_COMPLETED', message: `Terminated after ${seconds} seconds idle` }, outcome: 'TERMINATED' };
}

export function addSteps(cluster: Cluster, steps: readonly Step[], now: number): Change {
  return settle({ ...cluster, steps: [...cluster.steps, ...steps] }, now);
}

/** A running step's process, as soon as it is known. */
export function stepStarted(cluster: Cluster, step: string, process: ProcessIdentity): Change {
  return unchanged(withStep(cluster, step, (found) => ({ ...found, process })));
}

/** The process of a step is gone, or never was. Changes nothing for a step that has ended already. */
export function stepEnded(cluster: Cluster, id: string, exit: StepExit, now: number): Change {
  const step = cluster.steps.find((candidate) => candidate.id === id);
  if (step === undefined || !isActive(step.state)) return unchanged(cluster);
  const state = endState(cluster, step, exit);
  const ended = withStep(cluster, id, (found) => ({
    ...found,
    state,
    endedAt: now,
    ...(state === 'FAILED' ? { failure: exit.failure } : {}),
  }));
  const logs: Command = { do: 'keep-logs', step: id };
  const { cluster: next, commands } = state === 'FAILED' ? afterFailure(ended, step, now) : settle(ended, now);
  return { cluster: next, commands: [logs, ...commands] };
}

/** Only a process that came to its own good end completes a step, whatever was asked of it meanwhile. */
function endState(cluster: Cluster, step: Step, exit: StepExit): 'COMPLETED' | 'CANCELLED' | 'FAILED' | 'INTERRUPTED' {
  if (exit.succeeded) return 'COMPLETED';
  if (step.state === 'CANCEL_PENDING') return 'CANCELLED';
  return cluster.state === 'TERMINATING' && cluster.reason.code !== 'INSTANCE_FAILURE' ? 'INTERRUPTED' : 'FAILED';
}

/** With steps side by side EMR leaves the others alone; a protected cluster is not ended by a step. */
function afterFailure(cluster: Cluster, { actionOnFailure }: Step, now: number): Change {
  if (!isOpen(cluster.state) || cluster.stepConcurrency > 1 || actionOnFailure === 'CONTINUE') return settle(cluster, now);
  if (actionOnFailure === 'CANCEL_AND_WAIT' || cluster.terminationProtected) return settle(cancelPending(cluster, now), now);
  return terminate(
    cluster,
    { reason: { code: 'STEP_FAILURE', message: 'Shut down as step failed' }, outcome: 'TERMINATED_WITH_ERRORS' },
    now,
  );
}

export type CancelOption = 'SEND_INTERRUPT' | 'TERMINATE_PROCESS';

/** Cancels one step. A pending one is cancelled at once; a running one when its process is gone. */
export function cancelStep(cluster: Cluster, id: string, option: CancelOption, now: number): Change {
  const step = cluster.steps.find((candidate) => candidate.id === id);
  if (step?.state === 'PENDING')
    return settle(
      withStep(cluster, id, (found) => ({ ...found, state: 'CANCELLED', endedAt: now })),
      now,
    );
  if (step === undefined || !isActive(step.state)) return unchanged(cluster);
  return {
    cluster: step.state === 'RUNNING' ? withStep(cluster, id, (found) => ({ ...found, state: 'CANCEL_PENDING' })) : cluster,
    commands: [{ do: option === 'TERMINATE_PROCESS' ? 'kill' : 'interrupt', step: id }],
  };
}

/** Begins the end of a cluster; one that is ending already goes on as it was. Its machines take their processes along. */
export function terminate(cluster: Cluster, termination: Termination, now: number): Change {
  if (!isOpen(cluster.state)) return unchanged(cluster);
  const ending = enter(cancelPending(cluster, now), 'TERMINATING', termination.reason, now);
  return {
    cluster: { ...ending, outcome: termination.outcome },
    commands: ending.steps.filter(({ state }) => isActive(state)).map(({ id }) => ({ do: 'kill', step: id })),
  };
}

/**
 * What a server finds that was away: its clusters had their machines in it. Those with a step under way are lost, as by the loss of the
 * master node; the others are as they were. The processes of the steps must be ended before.
 */
export function lostMeanwhile(cluster: Cluster, logFileOf: (step: Step) => string | undefined, now: number): Change {
  const active = cluster.steps.filter(({ state }) => isActive(state));
  if (isEnded(cluster.state) || active.length === 0) return unchanged(cluster);
  const ending = isOpen(cluster.state) ? terminate(cluster, MASTER_LOST, now).cluster : cluster;
  return active.reduce<Change>(
    ({ cluster: before, commands }, step) => {
      const logFile = logFileOf(step);
      const failure: StepFailure = {
        reason: 'Unknown Error.',
        message: 'The cluster was lost while the step ran',
        ...(logFile === undefined ? {} : { logFile }),
      };
      const ended = stepEnded(before, step.id, { succeeded: false, failure }, now);
      return { cluster: ended.cluster, commands: [...commands, ...ended.commands] };
    },
    { cluster: ending, commands: [] },
  );
}

/** Starts what may start; a cluster with nothing left to do waits or ends. */
export function settle(cluster: Cluster, now: number): Change {
  if (cluster.state !== 'RUNNING' && cluster.state !== 'WAITING') return unchanged(cluster);
  const free = cluster.stepConcurrency - cluster.steps.filter(({ state }) => isActive(state)).length;
  const starting = new Set(
    cluster.steps
      .filter(({ state }) => state === 'PENDING')
      .slice(0, Math.max(0, free))
      .map(({ id }) => id),
  );
  const steps = cluster.steps.map((step): Step => (starting.has(step.id) ? { ...step, state: 'RUNNING', startedAt: now } : step));
  const commands = [...starting].map((step): Command => ({ do: 'start', step }));
  const next = { ...cluster, steps };
  if (steps.some(({ state }) => isActive(state)))
    return { cluster: cluster.state === 'RUNNING' ? next : enter(next, 'RUNNING', { message: 'Running step' }, now), commands };
  if (!cluster.keepAlive) return terminate(next, completed(next), now);
  return unchanged(cluster.state === 'WAITING' ? next : enter(next, 'WAITING', { message: readyMessage(steps) }, now));
}

function completed({ steps }: Cluster): Termination {
  const errors = steps.some(({ state }) => state === 'FAILED');
  return {
    reason: { code: 'ALL_STEPS_COMPLETED', message: errors ? 'Steps completed with errors' : 'Steps completed' },
    outcome: 'TERMINATED',
  };
}

function readyMessage(steps: readonly Step[]): string {
  const last = steps
    .filter(({ endedAt }) => endedAt !== undefined)
    .reduce<Step | undefined>((latest, step) => ((step.endedAt ?? 0) >= (latest?.endedAt ?? 0) ? step : latest), undefined);
  return `Cluster ready after last step ${last?.state.toLowerCase() ?? 'completed'}.`;
}

function cancelPending(cluster: Cluster, now: number): Cluster {
  return {
    ...cluster,
    steps: cluster.steps.map((step): Step => (step.state === 'PENDING' ? { ...step, state: 'CANCELLED', endedAt: now } : step)),
  };
}

function enter(cluster: Cluster, state: Cluster['state'], reason: Reason, now: number): Cluster {
  return { ...cluster, state, reason, since: now };
}

function withStep(cluster: Cluster, id: string, change: (step: Step) => Step): Cluster {
  return { ...cluster, steps: cluster.steps.map((step) => (step.id === id ? change(step) : step)) };
}

function unchanged(cluster: Cluster): Change {
  return { cluster, commands: [] };
}
