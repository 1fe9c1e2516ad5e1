import { ListClustersCommand, ListStepsCommand, RunJobFlowCommand } from '@aws-sdk/client-emr';
import {
  addSteps,
  clusterRequest,
  describeStep,
  emrClient,
  scriptStep,
  startCluster,
  testEmr,
  untilCluster,
  untilStep,
  type TestEmr,
} from '../../support/emr-local';
import { processesNaming } from '../../support/processes';

describe('with --faults', () => {
  let emr: TestEmr;
  beforeAll(async () => {
    emr = await testEmr({ faults: true });
  });
  afterAll(() => emr[Symbol.asyncDispose]());

  async function order(
    fault: Readonly<Record<string, unknown>>,
    method = 'POST',
  ): Promise<{ status: number; body: { befallen?: Record<string, number> } }> {
    const response = await fetch(`${emr.endpoint}/faults`, {
      method,
      headers: { 'content-type': 'application/json' },
      ...(method === 'POST' ? { body: JSON.stringify(fault) } : {}),
    });
    return { status: response.status, body: (await response.json()) as { befallen?: Record<string, number> } };
  }
  afterEach(() => order({}, 'DELETE'));

  const list = (): Promise<unknown> => emr.client.send(new ListClustersCommand({}));

  it('the next requests are throttled, as many as were ordered, and the SDK gets through by trying again', async () => {
    await order({ fault: 'throttle', count: 2 });
    await expect(list()).rejects.toMatchObject({ name: 'ThrottlingException', message: 'Rate exceeded' });
    const patient = emrClient(emr.endpoint, { maxAttempts: 3 });
    await expect(patient.send(new ListClustersCommand({}))).resolves.toMatchObject({ $metadata: { attempts: 2 } });
    patient.destroy();
    expect((await order({}, 'GET')).body.befallen).toEqual({ throttle: 2 });
  });

  it('only the operation that was named is met', async () => {
    await order({ fault: 'fail', operation: 'RunJobFlow' });
    await list();
    await expect(startCluster(emr.client)).rejects.toMatchObject({ name: 'InternalServerException', $metadata: { httpStatusCode: 500 } });
    await startCluster(emr.client);
  });

  it('a lost response leaves what was asked for done, a lost request does not', async () => {
    await order({ fault: 'lose-request', operation: 'RunJobFlow' });
    await expect(emr.client.send(new RunJobFlowCommand(clusterRequest({ Name: 'never' })))).rejects.toMatchObject({
      message: expect.stringContaining('socket hang up'),
    });
    await order({ fault: 'lose-response', operation: 'RunJobFlow' });
    await expect(emr.client.send(new RunJobFlowCommand(clusterRequest({ Name: 'unheard' })))).rejects.toMatchObject({
      message: expect.stringContaining('socket hang up'),
    });
    const { Clusters = [] } = await emr.client.send(new ListClustersCommand({}));
    const names = Clusters.map(({ Name }) => Name);
    expect(names).toContain('unheard');
    expect(names).not.toContain('never');
  });

  it('a response comes late, after the deed is done', async () => {
    const cluster = await startCluster(emr.client);
    await order({ fault: 'delay-response', operation: 'AddJobFlowSteps', milliseconds: 600_000 });
    const late = emrClient(emr.endpoint);
    const asked = addSteps(late, cluster, scriptStep('true')).catch((error: unknown) => error);
    try {
      let seen = 0;
      while (seen === 0) seen = (await emr.client.send(new ListStepsCommand({ ClusterId: cluster }))).Steps?.length ?? 0;
      expect(seen).toBe(1);
    } finally {
      late.destroy();
    }
    expect(await asked).toBeInstanceOf(Error);
  });

  it('a cluster is lost with its machines: its step fails, its process is gone', async () => {
    const cluster = await startCluster(emr.client);
    const [running = '', waiting = ''] = await addSteps(emr.client, cluster, scriptStep('sleep 600'), scriptStep('true'));
    await untilStep(emr.client, cluster, running, 'RUNNING');
    await order({ fault: 'lose-cluster', cluster });
    const ended = await untilCluster(emr.client, cluster, 'TERMINATED_WITH_ERRORS');
    expect(ended.Status?.StateChangeReason).toEqual({ Code: 'INSTANCE_FAILURE', Message: 'The master node was terminated. ' });
    expect((await describeStep(emr.client, cluster, running)).Status).toMatchObject({
      State: 'FAILED',
      FailureDetails: { Reason: 'Unknown Error.' },
    });
    expect((await describeStep(emr.client, cluster, waiting)).Status?.State).toBe('CANCELLED');
    expect(processesNaming(running)).toEqual([]);
  });

  it.each([[{ fault: 'earthquake' }], [{ fault: 'throttle', count: 0 }], [{ fault: 'throttle', operation: 'Explode' }]])(
    '%j is no fault',
    async (fault) => {
      expect(await order(fault)).toMatchObject({ status: 400, body: { __type: 'ValidationException' } });
    },
  );

  it('a page that posts text is refused', async () => {
    const response = await fetch(`${emr.endpoint}/faults`, { method: 'POST', body: '{"fault":"throttle"}' });
    expect(response.status).toBe(400);
  });
});

it('without --faults nobody orders any', async () => {
  await using emr = await testEmr();
  const response = await fetch(`${emr.endpoint}/faults`, { method: 'DELETE' });
  expect(response.status).toBe(400);
});

it('a rate throttles each operation by itself', async () => {
  await using emr = await testEmr({ throttle: { perSecond: 0.001, burst: 2 } });
  const list = (): Promise<unknown> => emr.client.send(new ListClustersCommand({}));
  await list();
  await list();
  await expect(list()).rejects.toMatchObject({ name: 'ThrottlingException' });
  await expect(startCluster(emr.client)).resolves.toMatch(/^j-/);
});
