import type pg from 'pg';
import { EmrFault } from '../../../activities/compute/emr-fault';
import { finishRound, type RoundServices } from '../../../activities/compute/emr-rounds';
import type { EffectChange, EffectRow } from '../../../activities/ledger/effects';
import { systemClock } from '../../../lib/clock';

const unused = (): Promise<never> => Promise.reject(new Error('a submission does not ask for it'));

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

test('what a cluster refuses is on no cluster: who names another one is not held to the first', async () => {
  const alive = { id: 'j-1', name: 'shared', state: 'WAITING', ended: false, createdAt: undefined, reason: undefined, logs: undefined };
  const services: RoundServices = {
    database: { query: unused } as unknown as pg.Pool,
    client: {
      addStep: () => Promise.reject(new EmrFault('refused', 'AddJobFlowSteps', 'ValidationException', 'too many pending steps')),
      ...{ listSteps: unused, cancelSteps: unused, describeCluster: unused, runCluster: unused, listClusters: unused, terminate: unused },
      close: () => undefined,
    },
    poller: { look: () => Promise.resolve({ at: new Date(), steps: [], cluster: alive }) },
    clock: systemClock,
    store: {} as RoundServices['store'],
    ...{ settleMs: 1, pollMs: 1, pricePerHour: undefined, logTail: unused },
  };
  let row = INTENDED;
  const write = (change: EffectChange): Promise<EffectRow> => Promise.resolve((row = { ...row, ...(change as Partial<EffectRow>) }));
  const round = { row, cluster: 'j-1', args: () => [], maskValues: false, write, log: () => undefined, point: () => Promise.resolve() };
  await expect(finishRound(services, round, new AbortController().signal)).rejects.toMatchObject({ kind: 'refused' });
  expect(row).toMatchObject({ cluster: null, sentAt: null, step: null, state: 'intended' });
});
