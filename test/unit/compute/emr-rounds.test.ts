import type pg from 'pg';
import type { EmrClient, EmrCluster, EmrStep } from '../../../activities/compute/emr-client';
import { EmrFault } from '../../../activities/compute/emr-fault';
import { endKnownStep, finishRound, type Round, type RoundServices } from '../../../activities/compute/emr-rounds';
import type { EffectChange, EffectRow } from '../../../activities/ledger/effects';
import type { ObjectStore } from '../../../activities/storage/object-store';
import { systemClock } from '../../../lib/clock';

const unused = (): Promise<never> => Promise.reject(new Error('a submission does not ask for it'));

const FOREVER = new AbortController().signal;

const INTENDED: EffectRow = {
  run: { pipeline: 'p', window: '2026-01-02', branch: 'main', generation: 1 },
  ...{ stage: 'compute', round: 1, candidate: 'c', attempt: 1, name: 'almanac l c r1', token: 'jobs/token', state: 'intended' },
  ...{
    cluster: null,
    step: null,
    intentAt: new Date(0),
    sentAt: null,
    endedAt: null,
    reason: null,
    logTail: null,
    seconds: null,
    cost: null,
  },
};

const SEEN: EmrCluster = {
  ...{ id: 'j-1', name: 'shared', state: 'WAITING', ended: false, createdAt: undefined, reason: undefined, logs: undefined },
};

/** EMR as each test needs it; what it does not name is not asked for. */
function services(client: Partial<EmrClient>, steps: readonly EmrStep[] = [], store: Partial<ObjectStore> = {}): RoundServices {
  return {
    database: { query: unused } as unknown as pg.Pool,
    client: {
      ...{ addStep: unused, listSteps: unused, cancelSteps: unused, describeCluster: unused, runCluster: unused, listClusters: unused },
      ...{ terminate: unused, close: () => undefined },
      ...client,
    },
    poller: { look: () => Promise.resolve({ at: new Date(), steps, cluster: SEEN }) },
    clock: systemClock,
    store: store as ObjectStore,
    ...{ settleMs: 1, pollMs: 1, pricePerHour: undefined, logTail: unused },
  };
}

function followed(row: EffectRow): { readonly round: Round; readonly now: () => EffectRow } {
  let current = row;
  const write = (change: EffectChange): Promise<EffectRow> =>
    Promise.resolve((current = { ...current, ...(change as Partial<EffectRow>) }));
  return {
    round: { row, cluster: 'j-1', args: () => [], maskValues: false, write, log: () => undefined, point: () => Promise.resolve() },
    now: () => current,
  };
}

test('what a cluster refuses is on no cluster: who names another one is not held to the first', async () => {
  const refusal = new EmrFault('refused', 'AddJobFlowSteps', 'ValidationException', 'too many pending steps');
  const { round, now } = followed(INTENDED);
  await expect(finishRound(services({ addStep: () => Promise.reject(refusal) }), round, FOREVER)).rejects.toMatchObject({
    kind: 'refused',
  });
  expect(now()).toMatchObject({ cluster: null, sentAt: null, step: null, state: 'intended' });
});

const CANCELLED: EmrStep = {
  ...{ id: 's-1', name: 'almanac l c r1', state: 'cancelled', submission: '1-a', reason: 'Cancelled' },
  ...{ createdAt: undefined, startedAt: undefined, endedAt: undefined },
};
const SUBMITTED: EffectRow = { ...INTENDED, state: 'submitted', cluster: 'j-1', step: 's-1', sentAt: new Date(0) };
/** Claimed by whoever asks first. */
const fenced: Partial<ObjectStore> = { putIfAbsent: () => Promise.resolve(true) };

test.each([
  ['is ending by now', { ...SEEN, state: 'TERMINATING', reason: 'BOOTSTRAP_FAILURE' }, 'cluster', 'BOOTSTRAP_FAILURE'],
  ['goes on', SEEN, 'cancelled', 'Cancelled'],
])('a step that was cancelled while its cluster, seen alive before, %s', async (_, cluster, why, reason) => {
  const { round, now } = followed(SUBMITTED);
  const database = { query: () => Promise.resolve({ rows: [] }) } as unknown as pg.Pool;
  const emr = { ...services({ describeCluster: () => Promise.resolve(cluster) }, [CANCELLED], fenced), database };
  expect(await finishRound(emr, round, FOREVER)).toMatchObject({ why });
  expect(now()).toMatchObject({ state: 'failed', reason });
});

test('a cluster that does not say what became of it leaves the end to its step', async () => {
  const silent = new EmrFault('throttled', 'DescribeCluster', 'ThrottlingException', 'slow down');
  const emr = services({ describeCluster: () => Promise.reject(silent) }, [CANCELLED], fenced);
  expect(await finishRound(emr, followed(SUBMITTED).round, FOREVER)).toMatchObject({ why: 'cancelled' });
});

test('a known step is fenced and told to end without a look; a service that is too busy for it is no failure', async () => {
  const done: string[] = [];
  const store: Partial<ObjectStore> = { putIfAbsent: (path) => (done.push(`claims ${path}`), Promise.resolve(true)) };
  const cancelSteps = (cluster: string, steps: readonly string[]): Promise<void> => {
    done.push(`cancels ${steps.join()} on ${cluster}`);
    return Promise.reject(new EmrFault('throttled', 'CancelSteps', 'ThrottlingException', 'slow down'));
  };
  await endKnownStep(services({ cancelSteps }, [], store), SUBMITTED);
  expect(done).toEqual(['claims jobs/token', 'cancels s-1 on j-1']);
  await endKnownStep(services({}), INTENDED);
});
