import fc from 'fast-check';
import type { Cluster, Step } from '../../../../operator/emr-local/cluster';
import {
  addSteps,
  cancelStep,
  elapse,
  lostMeanwhile,
  MASTER_LOST,
  stepEnded,
  stepStarted,
  terminate,
  USER_REQUEST,
  type Change,
} from '../../../../operator/emr-local/machine';
import { newCluster } from '../../../../operator/emr-local/new-cluster';
import { ACTIONS_ON_FAILURE } from '../../../../operator/emr-local/requests';
import { CLUSTER_TRANSITIONS, isActive, isEnded, isOpen, STEP_TRANSITIONS } from '../../../../operator/emr-local/states';

const TIMING = { provisionMs: 100, bootstrapMs: 100, shutdownMs: 100 };
const FAILURE = { reason: 'Unknown Error.' };

function cluster(keepAlive: boolean, stepConcurrency = 1): Cluster {
  return newCluster(
    'j-1',
    {
      Name: 'c',
      ReleaseLabel: 'emr-7.1.0',
      StepConcurrencyLevel: stepConcurrency,
      Instances: { InstanceCount: 1, KeepJobFlowAliveWhenNoSteps: keepAlive },
    },
    0,
  );
}

function pending(id: string, actionOnFailure: Step['actionOnFailure'] = 'CONTINUE'): Step {
  return { id, name: id, actionOnFailure, jar: { Jar: 'command-runner.jar' }, state: 'PENDING', createdAt: 0 };
}

/** After its machines came and were made ready, at 2000. */
function ready(starting: Cluster): Cluster {
  return elapse(elapse(starting, 1000, TIMING).cluster, 2000, TIMING).cluster;
}

type Deed =
  | { readonly kind: 'add'; readonly action: Step['actionOnFailure'] }
  | { readonly kind: 'end'; readonly pick: number; readonly succeeded: boolean }
  | { readonly kind: 'cancel'; readonly pick: number; readonly kill: boolean }
  | { readonly kind: 'pass'; readonly ms: number }
  | { readonly kind: 'terminate' | 'lose' | 'restart' };

const deed: fc.Arbitrary<Deed> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('add' as const), action: fc.constantFrom(...ACTIONS_ON_FAILURE) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('end' as const), pick: fc.nat(20), succeeded: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('cancel' as const), pick: fc.nat(20), kill: fc.boolean() }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 0, max: 300 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('terminate' as const, 'lose' as const, 'restart' as const) }) },
);

/** Plays deeds as the shell would: only processes that were started can end. */
function play(start: Cluster, deeds: readonly Deed[], seen: (before: Cluster, change: Change) => void): Cluster {
  let now = 0;
  let current = start;
  const apply = (change: Change): void => {
    seen(current, change);
    current = change.cluster;
  };
  for (const next of deeds) {
    const active = current.steps.filter(({ state }) => isActive(state));
    if (next.kind === 'pass') now += next.ms;
    else if (next.kind === 'add' && isOpen(current.state))
      apply(addSteps(current, [pending(`s-${current.steps.length}`, next.action)], now));
    else if (next.kind === 'cancel' && current.steps.length > 0)
      apply(cancelStep(current, `s-${next.pick % current.steps.length}`, next.kill ? 'TERMINATE_PROCESS' : 'SEND_INTERRUPT', now));
    else if (next.kind === 'end' && active.length > 0)
      apply(stepEnded(current, active[next.pick % active.length]?.id ?? '', { succeeded: next.succeeded, failure: FAILURE }, now));
    else if (next.kind === 'terminate') apply(terminate(current, USER_REQUEST, now));
    else if (next.kind === 'lose') apply(terminate(current, MASTER_LOST, now));
    else if (next.kind === 'restart') apply(lostMeanwhile(current, () => undefined, now));
    apply(elapse(current, now, TIMING));
  }
  return current;
}

/** Every state that can be reached from `from`, itself included. */
function reachable(table: Readonly<Record<string, readonly string[]>>, from: string): ReadonlySet<string> {
  const found = new Set([from]);
  for (const state of found) for (const next of table[state] ?? []) found.add(next);
  return found;
}

const history = fc.record({
  keepAlive: fc.boolean(),
  concurrency: fc.integer({ min: 1, max: 3 }),
  deeds: fc.array(deed, { maxLength: 40 }),
});

it('whatever happens, clusters and steps only go where their tables lead, and what has ended stays as it is', () => {
  fc.assert(
    fc.property(history, ({ keepAlive, concurrency, deeds }) => {
      play(cluster(keepAlive, concurrency), deeds, (before, { cluster: after }) => {
        expect(reachable(CLUSTER_TRANSITIONS, before.state)).toContain(after.state);
        if (isEnded(before.state)) expect(after).toEqual(before);
        for (const step of before.steps) {
          const now = after.steps.find(({ id }) => id === step.id);
          expect(reachable(STEP_TRANSITIONS, step.state)).toContain(now?.state);
          if (STEP_TRANSITIONS[step.state].length === 0) expect(now).toEqual(step);
        }
      });
    }),
  );
});

it('no more steps run than the cluster lets run, they start in their order and once, and each start has its command', () => {
  fc.assert(
    fc.property(history, ({ keepAlive, concurrency, deeds }) => {
      const started: string[] = [];
      play(cluster(keepAlive, concurrency), deeds, (before, { cluster: after, commands }) => {
        expect(after.steps.filter(({ state }) => isActive(state)).length).toBeLessThanOrEqual(concurrency);
        const running = after.steps.filter(
          ({ id, startedAt }) => startedAt !== undefined && !before.steps.some((b) => b.id === id && b.startedAt !== undefined),
        );
        const starts = commands.filter((command) => command.do === 'start').map(({ step }) => step);
        expect(starts).toEqual(running.map(({ id }) => id));
        started.push(...starts);
      });
      expect(started).toEqual([...started].sort((a, b) => Number(a.slice(2)) - Number(b.slice(2))));
      expect(new Set(started).size).toBe(started.length);
    }),
  );
});

it('a cluster that has ended has no step that has not, and ends once everything its steps ran is over', () => {
  fc.assert(
    fc.property(history, ({ keepAlive, concurrency, deeds }) => {
      const last = play(cluster(keepAlive, concurrency), deeds, () => undefined);
      const ending = terminate(last, USER_REQUEST, 1e6);
      for (const step of ending.cluster.steps.filter(({ state }) => isActive(state)))
        if (isOpen(last.state)) expect(ending.commands).toContainEqual({ do: 'kill', step: step.id });
      const over = ending.cluster.steps.reduce(
        (current, { id }) => stepEnded(current, id, { succeeded: false, failure: FAILURE }, 1e6).cluster,
        ending.cluster,
      );
      const ended = elapse(over, 2e6, TIMING).cluster;
      expect(isEnded(ended.state)).toBe(true);
      expect(ended.steps.filter(({ state }) => STEP_TRANSITIONS[state].length > 0)).toEqual([]);
    }),
  );
});

it('a cluster that nobody ends goes on until nothing is pending', () => {
  fc.assert(
    fc.property(fc.boolean(), fc.integer({ min: 1, max: 3 }), fc.array(fc.boolean(), { maxLength: 12 }), (keepAlive, concurrency, ends) => {
      let current = addSteps(
        cluster(keepAlive, concurrency),
        ends.map((_, index) => pending(`s-${index}`)),
        0,
      ).cluster;
      current = ready(current);
      for (const [index, succeeded] of ends.entries())
        current = stepEnded(current, `s-${index}`, { succeeded, failure: FAILURE }, 2000).cluster;
      expect(current.steps.map(({ state }) => state)).toEqual(ends.map((succeeded) => (succeeded ? 'COMPLETED' : 'FAILED')));
      expect(current.state).toBe(keepAlive ? 'WAITING' : 'TERMINATING');
    }),
  );
});

it('only a process that ended well completes a step, also one that was to be cancelled or lost', () => {
  let current = ready(addSteps(cluster(true, 2), [pending('s-0'), pending('s-1')], 0).cluster);
  current = stepStarted(current, 's-0', { pid: 1, startTicks: '1', bootId: '' }).cluster;
  current = cancelStep(current, 's-1', 'SEND_INTERRUPT', 2000).cluster;
  current = terminate(current, MASTER_LOST, 2000).cluster;
  const ended = (id: string, succeeded: boolean): string | undefined =>
    stepEnded(current, id, { succeeded, failure: FAILURE }, 2000).cluster.steps.find((step) => step.id === id)?.state;
  expect([ended('s-0', true), ended('s-0', false), ended('s-1', true), ended('s-1', false)]).toEqual([
    'COMPLETED',
    'FAILED',
    'COMPLETED',
    'CANCELLED',
  ]);
});

it('a protected cluster is neither ended by a step nor by its idleness', () => {
  const protectedOne: Cluster = { ...cluster(true), terminationProtected: true, idleTimeout: 60 };
  const running = ready(addSteps(protectedOne, [pending('s-0', 'TERMINATE_CLUSTER'), pending('s-1')], 0).cluster);
  const failed = stepEnded(running, 's-0', { succeeded: false, failure: FAILURE }, 2000).cluster;
  expect([failed.state, ...failed.steps.map(({ state }) => state)]).toEqual(['WAITING', 'FAILED', 'CANCELLED']);
  expect(elapse(failed, 1e9, TIMING).cluster.state).toBe('WAITING');
});
