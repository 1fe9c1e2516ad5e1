import {
  AddTagsCommand,
  DescribeClusterCommand,
  GetAutoTerminationPolicyCommand,
  ListClustersCommand,
  ListInstanceFleetsCommand,
  ListInstanceGroupsCommand,
  ModifyClusterCommand,
  paginateListClusters,
  PutAutoTerminationPolicyCommand,
  RemoveTagsCommand,
  SetTerminationProtectionCommand,
  TerminateJobFlowsCommand,
  type RunJobFlowCommandInput,
} from '@aws-sdk/client-emr';
import type { Clock } from '../../../lib/clock';
import {
  addSteps,
  clusterRequest,
  describeCluster,
  scriptStep,
  startCluster,
  testEmr,
  untilCluster,
  type TestEmr,
} from '../../support/emr-local';

describe('a cluster of the local EMR', () => {
  let emr: TestEmr;
  beforeAll(async () => {
    emr = await testEmr({ pageSize: 3 });
  });
  afterAll(() => emr[Symbol.asyncDispose]());

  it('goes through its states and waits for steps', async () => {
    const id = await startCluster(emr.client);
    expect(id).toMatch(/^j-[0-9A-Z]{13}$/);
    const cluster = await untilCluster(emr.client, id, 'WAITING');
    expect(cluster.Status?.StateChangeReason?.Message).toBe('Cluster ready to run steps.');
    expect(cluster.Status?.Timeline?.ReadyDateTime).toBeInstanceOf(Date);
    expect(emr.told.filter((line) => line.startsWith(id)).map((line) => line.split(/[ :]/)[1])).toEqual([
      'STARTING',
      'BOOTSTRAPPING',
      'WAITING',
    ]);
  });

  it('that is not kept alive ends when its steps are done, and says that one failed', async () => {
    const Instances = { ...clusterRequest().Instances, KeepJobFlowAliveWhenNoSteps: false };
    const id = await startCluster(emr.client, { Instances, Steps: [scriptStep('exit 3'), scriptStep('true')] });
    const cluster = await untilCluster(emr.client, id, 'TERMINATED', 'TERMINATED_WITH_ERRORS');
    expect(cluster).toMatchObject({
      AutoTerminate: true,
      Status: { State: 'TERMINATED', StateChangeReason: { Code: 'ALL_STEPS_COMPLETED', Message: 'Steps completed with errors' } },
    });
    expect(cluster.Status?.Timeline?.EndDateTime).toBeInstanceOf(Date);
  });

  it('is terminated by its user, and takes no step afterwards', async () => {
    const id = await startCluster(emr.client);
    await emr.client.send(new TerminateJobFlowsCommand({ JobFlowIds: [id] }));
    const cluster = await untilCluster(emr.client, id, 'TERMINATED');
    expect(cluster.Status?.StateChangeReason).toEqual({ Code: 'USER_REQUEST', Message: 'Terminated by user request' });
    await expect(addSteps(emr.client, id, scriptStep('true'))).rejects.toMatchObject({
      name: 'ValidationException',
      message: 'A job flow that is shutting down, terminated, or finished may not be modified.',
    });
  });

  it('is not terminated while it is protected', async () => {
    const id = await startCluster(emr.client);
    await emr.client.send(new SetTerminationProtectionCommand({ JobFlowIds: [id], TerminationProtected: true }));
    const terminate = (): Promise<unknown> => emr.client.send(new TerminateJobFlowsCommand({ JobFlowIds: [id] }));
    await expect(terminate()).rejects.toMatchObject({
      name: 'ValidationException',
      message: expect.stringContaining('termination protected'),
    });
    expect((await describeCluster(emr.client, id)).Status?.State).not.toMatch(/^TERMINAT/);
    await emr.client.send(new SetTerminationProtectionCommand({ JobFlowIds: [id], TerminationProtected: false }));
    await terminate();
    await untilCluster(emr.client, id, 'TERMINATED');
  });

  it('describes its instance fleets, tags and settings as they were asked for', async () => {
    const fleets: RunJobFlowCommandInput = clusterRequest({
      LogUri: 's3://logs/emr',
      Tags: [{ Key: 'run', Value: 'audience-index' }],
      StepConcurrencyLevel: 4,
      AutoTerminationPolicy: { IdleTimeout: 3600 },
      Instances: {
        KeepJobFlowAliveWhenNoSteps: true,
        InstanceFleets: [
          { InstanceFleetType: 'MASTER', TargetOnDemandCapacity: 1, InstanceTypeConfigs: [{ InstanceType: 'm6g.xlarge' }] },
          { InstanceFleetType: 'CORE', TargetOnDemandCapacity: 2, InstanceTypeConfigs: [{ InstanceType: 'r6g.2xlarge' }] },
          {
            InstanceFleetType: 'TASK',
            Name: 'spot',
            TargetSpotCapacity: 8,
            InstanceTypeConfigs: [{ InstanceType: 'r6g.4xlarge', WeightedCapacity: 2, BidPriceAsPercentageOfOnDemandPrice: 80 }],
            LaunchSpecifications: {
              SpotSpecification: {
                TimeoutDurationMinutes: 10,
                TimeoutAction: 'SWITCH_TO_ON_DEMAND',
                AllocationStrategy: 'capacity-optimized',
              },
            },
          },
        ],
      },
    });
    const id = await startCluster(emr.client, fleets);
    const cluster = await untilCluster(emr.client, id, 'WAITING');
    expect(cluster).toMatchObject({
      InstanceCollectionType: 'INSTANCE_FLEET',
      LogUri: 's3n://logs/emr/',
      Tags: [{ Key: 'run', Value: 'audience-index' }],
      StepConcurrencyLevel: 4,
      AutoTerminate: false,
    });
    const { InstanceFleets = [] } = await emr.client.send(new ListInstanceFleetsCommand({ ClusterId: id }));
    expect(InstanceFleets).toMatchObject([
      { InstanceFleetType: 'MASTER', ProvisionedOnDemandCapacity: 1, Status: { State: 'RUNNING' } },
      { InstanceFleetType: 'CORE', TargetOnDemandCapacity: 2 },
      {
        InstanceFleetType: 'TASK',
        Name: 'spot',
        ProvisionedSpotCapacity: 8,
        InstanceTypeSpecifications: [{ InstanceType: 'r6g.4xlarge', WeightedCapacity: 2, BidPriceAsPercentageOfOnDemandPrice: 80 }],
        LaunchSpecifications: { SpotSpecification: { AllocationStrategy: 'capacity-optimized' } },
      },
    ]);
    await expect(emr.client.send(new ListInstanceGroupsCommand({ ClusterId: id }))).rejects.toMatchObject({
      name: 'InvalidRequestException',
    });
    const policy = await emr.client.send(new GetAutoTerminationPolicyCommand({ ClusterId: id }));
    expect(policy.AutoTerminationPolicy).toEqual({ IdleTimeout: 3600 });
  });

  it('changes its tags and its step concurrency', async () => {
    const id = await startCluster(emr.client, { Tags: [{ Key: 'a', Value: '1' }] });
    await emr.client.send(new AddTagsCommand({ ResourceId: id, Tags: [{ Key: 'b', Value: '2' }] }));
    await emr.client.send(new RemoveTagsCommand({ ResourceId: id, TagKeys: ['a'] }));
    expect(await emr.client.send(new ModifyClusterCommand({ ClusterId: id, StepConcurrencyLevel: 7 }))).toMatchObject({
      StepConcurrencyLevel: 7,
    });
    expect(await describeCluster(emr.client, id)).toMatchObject({ Tags: [{ Key: 'b', Value: '2' }], StepConcurrencyLevel: 7 });
  });

  it('is listed page by page, newest first, each once, by state and by time', async () => {
    const ids: string[] = [];
    for (let count = 0; count < 7; count += 1) ids.unshift(await startCluster(emr.client));
    const listed: (string | undefined)[] = [];
    let pages = 0;
    for await (const page of paginateListClusters({ client: emr.client }, {})) {
      pages += 1;
      listed.push(...(page.Clusters ?? []).map(({ Id }) => Id));
    }
    expect(pages).toBeGreaterThan(2);
    expect(new Set(listed).size).toBe(listed.length);
    expect(listed.filter((id) => ids.includes(id ?? ''))).toEqual(ids);
    await emr.client.send(new TerminateJobFlowsCommand({ JobFlowIds: [ids[0] ?? ''] }));
    await untilCluster(emr.client, ids[0] ?? '', 'TERMINATED');
    const ended = await emr.client.send(
      new ListClustersCommand({ ClusterStates: ['TERMINATED'], CreatedAfter: new Date(Date.now() - 60_000) }),
    );
    expect(ended.Clusters?.[0]).toMatchObject({ Id: ids[0], Status: { State: 'TERMINATED' } });
    const none = await emr.client.send(new ListClustersCommand({ CreatedBefore: new Date(Date.now() - 3_600_000) }));
    expect(none.Clusters).toEqual([]);
  });

  it.each([
    [
      'an id nobody has',
      () => new DescribeClusterCommand({ ClusterId: 'j-NOBODY' }),
      'InvalidRequestException',
      "Cluster id 'j-NOBODY' is not valid.",
    ],
    ['a marker nobody handed out', () => new ListClustersCommand({ Marker: 'x' }), 'InvalidRequestException', 'The marker is not valid.'],
    [
      'to terminate nothing',
      () => new TerminateJobFlowsCommand({ JobFlowIds: [] }),
      'ValidationException',
      'The JobFlowId list cannot be empty',
    ],
    [
      'to terminate an id nobody has',
      () => new TerminateJobFlowsCommand({ JobFlowIds: ['j-X'] }),
      'ValidationException',
      'Specified job flow ID not valid',
    ],
  ])('refuses %s', async (_what, command, name, message) => {
    await expect(emr.client.send(command() as DescribeClusterCommand)).rejects.toMatchObject({
      name,
      message,
      $metadata: { httpStatusCode: 400 },
    });
  });

  it.each([
    ['no release', { ReleaseLabel: undefined }, /release label/],
    ['no instances', { Instances: {} }, /must be specified/],
    ['two ways of instances', { Instances: { InstanceCount: 1, InstanceFleets: [] } }, /one and only one/],
    ['fleets without a master', { Instances: { InstanceFleets: [] } }, /exactly one master instance fleet/],
    ['a log URI of another kind', { LogUri: 'ftp://logs' }, /log URI/],
    [
      'too much concurrency',
      { StepConcurrencyLevel: 257 },
      /'stepConcurrencyLevel' failed to satisfy constraint: Member must have value less than or equal to 256/,
    ],
    ['no name', { Name: undefined }, /Value null at 'name' failed to satisfy constraint: Member must not be null/],
  ] as const)('is refused with %s', async (_what, wrong, message) => {
    const request = startCluster(emr.client, wrong as Partial<RunJobFlowCommandInput>);
    await expect(request).rejects.toMatchObject({ name: 'ValidationException', message: expect.stringMatching(message) });
  });
});

it('a cluster that is idle for as long as its policy says ends by itself', async () => {
  let aheadMs = 0;
  const clock: Clock = { now: () => new Date(Date.now() + aheadMs) };
  await using emr = await testEmr({ clock });
  const id = await startCluster(emr.client);
  await untilCluster(emr.client, id, 'WAITING');
  await emr.client.send(new PutAutoTerminationPolicyCommand({ ClusterId: id, AutoTerminationPolicy: { IdleTimeout: 120 } }));
  aheadMs = 100_000;
  expect((await describeCluster(emr.client, id)).Status?.State).toBe('WAITING');
  aheadMs = 121_000;
  expect((await untilCluster(emr.client, id, 'TERMINATED')).Status?.StateChangeReason?.Message).toContain('120 seconds idle');
});
