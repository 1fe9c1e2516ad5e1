import type pg from 'pg';
import type { EmrClient, EmrCluster } from '../../../activities/compute/emr-client';
import { EmrFault } from '../../../activities/compute/emr-fault';
import type { RoundServices } from '../../../activities/compute/emr-rounds';
import { sweepEmr } from '../../../activities/compute/emr-sweep';
import { systemClock } from '../../../lib/clock';

const unused = (): Promise<never> => Promise.reject(new Error('a sweep does not ask for it'));

/** A ledger that knows of nothing, so that nobody wants anything. */
const query = (sql: string): Promise<unknown> => Promise.resolve({ rows: sql.includes('from almanac.ledger') ? [{ id: 'l' }] : [] });

function cluster(id: string): EmrCluster {
  const unknown = { createdAt: undefined, reason: undefined, logs: undefined };
  return { id, name: `almanac l ${id}`, state: 'WAITING', ended: false, ...unknown };
}

function servicesOf(client: Partial<EmrClient>): RoundServices {
  const rest = { addStep: unused, cancelSteps: unused, runCluster: unused, describeCluster: unused, listSteps: unused, terminate: unused };
  return {
    database: { query } as unknown as pg.Pool,
    client: { ...rest, listClusters: unused, close: () => undefined, ...client },
    poller: { look: unused },
    clock: systemClock,
    store: {} as RoundServices['store'],
    ...{ settleMs: 1, pollMs: 1, pricePerHour: undefined, logTail: unused },
  };
}

test('what EMR refuses to end or to list is told, and keeps no other cluster alive', async () => {
  const asked: string[] = [];
  const failures: unknown[] = [];
  const services = servicesOf({
    listSteps: () => Promise.reject(new EmrFault('refused', 'ListSteps', 'InvalidRequestException', 'Cluster id is not valid')),
    listClusters: () => Promise.resolve(['j-1', 'j-2', 'j-3'].map(cluster)),
    terminate(id) {
      asked.push(id);
      const isProtected = new EmrFault('refused', 'TerminateJobFlows', 'ValidationException', 'termination protected');
      return id === 'j-1' ? Promise.reject(isProtected) : Promise.resolve();
    },
  });
  const options = { cluster: 'j-gone', failed: (error: unknown) => void failures.push(error) };
  const swept = await sweepEmr(services, options, new AbortController().signal);
  expect(swept).toEqual({ rounds: 0, steps: [], clusters: ['j-2', 'j-3'] });
  expect(asked).toEqual(['j-1', 'j-2', 'j-3']);
  expect(failures).toMatchObject([{ operation: 'ListSteps' }, { operation: 'TerminateJobFlows' }]);
});

test('a sweep that is told to end ends', async () => {
  const stop = new AbortController();
  const services = servicesOf({
    listClusters: () => Promise.resolve(['j-1', 'j-2'].map(cluster)),
    terminate() {
      stop.abort();
      return Promise.reject(new EmrFault('doubt', 'TerminateJobFlows', 'AbortError', 'aborted'));
    },
  });
  await expect(sweepEmr(services, { failed: () => undefined }, stop.signal)).rejects.toMatchObject({ operation: 'TerminateJobFlows' });
});
