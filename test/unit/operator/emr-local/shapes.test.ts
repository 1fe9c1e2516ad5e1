import * as sdk from '@aws-sdk/client-emr';
import { perform, type World } from '../../../../operator/emr-local/operations';
import { elapse, stepEnded } from '../../../../operator/emr-local/machine';
import { REQUESTS, type Operation } from '../../../../operator/emr-local/requests';
import type { Cluster } from '../../../../operator/emr-local/cluster';

/** The SDK's own model of a shape, as its serde reads it: a kind first, then what that kind has. */
type Schema = number | 'unit' | readonly unknown[] | (() => Schema);

const [LIST, MAP, STRUCTURE, OPERATION] = [1, 2, 3, 9];
const [TEXT, NUMBER, BOOLEAN, TIME] = [0, 1, 2, 4];
/** Beside the kind of its members. */
const [LIST_OF, MAP_OF] = [64, 128];

function resolved(schema: Schema): number | 'unit' | readonly unknown[] {
  return typeof schema === 'function' ? resolved(schema()) : schema;
}

/** Where `value` is not of the schema, and into `seen` every member it has. */
function strangers(value: unknown, schema: Schema, place: string, seen: Set<string>): readonly string[] {
  const kind = resolved(schema);
  if (value === undefined) return [];
  if (kind === 'unit') return [`${place} is told where nothing is`];
  if (typeof kind === 'number') return fits(value, kind) ? [] : [`${place} is ${JSON.stringify(value)}, not of kind ${kind}`];
  if (kind[0] === LIST)
    return Array.isArray(value) ? value.flatMap((item) => strangers(item, kind[4] as Schema, `${place}[]`, seen)) : [`${place} is no list`];
  if (typeof value !== 'object' || value === null) return [`${place} is no object`];
  if (kind[0] === MAP) return Object.values(value).flatMap((item) => strangers(item, kind[5] as Schema, `${place}{}`, seen));
  if (kind[0] !== STRUCTURE) return [`${place} is of an unknown kind ${String(kind[0])}`];
  const [names, kinds] = [kind[4] as readonly string[], kind[5] as readonly Schema[]];
  return Object.entries(value).flatMap(([name, member]) => {
    const at = names.indexOf(name);
    if (at < 0) return [`${place}.${name} is not in the model`];
    if (member !== undefined) seen.add(`${place}.${name}`);
    const expected = kinds[at];
    return expected === undefined ? [`${place}.${name} has no kind`] : strangers(member, expected, `${place}.${name}`, seen);
  });
}

function fits(value: unknown, kind: number): boolean {
  if (kind & LIST_OF) return Array.isArray(value) && value.every((item) => fits(item, kind - LIST_OF));
  if (kind & MAP_OF) return typeof value === 'object' && value !== null && Object.values(value).every((item) => fits(item, kind - MAP_OF));
  if (kind === TEXT) return typeof value === 'string';
  if (kind === BOOLEAN) return typeof value === 'boolean';
  return (kind === NUMBER || kind === TIME) && typeof value === 'number' && Number.isFinite(value);
}

function model(operation: Operation): { readonly input: Schema; readonly output: Schema } {
  const found = (sdk as unknown as Readonly<Record<string, readonly unknown[] | undefined>>)[`${operation}$`];
  if (found?.[0] !== OPERATION) throw new Error(`the SDK has no model of ${operation}`);
  return { input: found[4] as Schema, output: found[5] as Schema };
}

function members(schema: Schema, place: string): readonly string[] {
  const kind = resolved(schema);
  return typeof kind !== 'object' ? [] : (kind[4] as readonly string[]).map((name) => `${place}.${name}`);
}

const FLEETS = [
  {
    Name: 'master',
    InstanceFleetType: 'MASTER',
    TargetOnDemandCapacity: 1,
    TargetSpotCapacity: 0,
    InstanceTypeConfigs: [
      {
        InstanceType: 'm6g.xlarge',
        WeightedCapacity: 1,
        BidPriceAsPercentageOfOnDemandPrice: 90,
        CustomAmiId: 'ami-1',
        Priority: 1,
        EbsConfiguration: {
          EbsOptimized: true,
          EbsBlockDeviceConfigs: [
            { VolumesPerInstance: 2, VolumeSpecification: { VolumeType: 'gp3', SizeInGB: 100, Iops: 3000, Throughput: 125 } },
          ],
        },
      },
    ],
    LaunchSpecifications: {
      SpotSpecification: {
        TimeoutDurationMinutes: 5,
        TimeoutAction: 'TERMINATE_CLUSTER',
        BlockDurationMinutes: 60,
        AllocationStrategy: 'diversified',
      },
      OnDemandSpecification: { AllocationStrategy: 'lowest-price' },
    },
  },
];

/** Every member that is told back by DescribeCluster. */
const REQUEST = {
  Name: 'all',
  LogUri: 's3://logs/emr/',
  LogEncryptionKmsKeyId: 'key',
  ReleaseLabel: 'emr-7.1.0',
  Instances: {
    InstanceFleets: FLEETS,
    Ec2KeyName: 'pair',
    Placement: { AvailabilityZone: 'us-east-1b', AvailabilityZones: ['us-east-1b'] },
    KeepJobFlowAliveWhenNoSteps: true,
    TerminationProtected: false,
    UnhealthyNodeReplacement: true,
    Ec2SubnetIds: ['subnet-1'],
    EmrManagedMasterSecurityGroup: 'sg-1',
    EmrManagedSlaveSecurityGroup: 'sg-2',
    ServiceAccessSecurityGroup: 'sg-3',
    AdditionalMasterSecurityGroups: ['sg-4'],
    AdditionalSlaveSecurityGroups: ['sg-5'],
  },
  Steps: [
    {
      Name: 'one',
      ActionOnFailure: 'CONTINUE',
      HadoopJarStep: { Jar: 'command-runner.jar', MainClass: 'a.B', Args: ['spark-submit'], Properties: [{ Key: 'k', Value: 'v' }] },
    },
  ],
  BootstrapActions: [{ Name: 'b', ScriptBootstrapAction: { Path: 's3://b/x.sh', Args: ['1'] } }],
  Applications: [{ Name: 'Spark', Version: '3.5', Args: ['a'], AdditionalInfo: { x: 'y' } }],
  Configurations: [{ Classification: 'spark', Properties: { a: 'b' }, Configurations: [{ Classification: 'export', Properties: {} }] }],
  VisibleToAllUsers: true,
  JobFlowRole: 'profile',
  ServiceRole: 'service',
  Tags: [{ Key: 'run', Value: 'x' }],
  SecurityConfiguration: 'sec',
  AutoScalingRole: 'scaling',
  ScaleDownBehavior: 'TERMINATE_AT_TASK_COMPLETION',
  CustomAmiId: 'ami-2',
  EbsRootVolumeSize: 20,
  EbsRootVolumeIops: 3000,
  EbsRootVolumeThroughput: 125,
  RepoUpgradeOnBoot: 'SECURITY',
  StepConcurrencyLevel: 2,
  PlacementGroupConfigs: [{ InstanceRole: 'MASTER', PlacementStrategy: 'SPREAD' }],
  AutoTerminationPolicy: { IdleTimeout: 600 },
  OSReleaseLabel: '2023.1',
};

/** Clusters in which everything has happened that is told of. */
function world(request: Readonly<Record<string, unknown>>): World {
  let count = 0;
  const clusters = new Map<string, Cluster>();
  const base = { clusters, region: 'us-east-1', now: 1500, newId: (kind: 'j' | 's') => `${kind}-${(count += 1)}`, pageSize: 50 };
  const [change] = perform('RunJobFlow', request, base).changes;
  if (change === undefined) throw new Error('no cluster');
  const timing = { provisionMs: 0, bootstrapMs: 0, shutdownMs: 0 };
  const failure = { reason: 'Unknown Error.', message: 'Exception', logFile: 's3://logs/x' };
  const ready = elapse(change.cluster, 2500, timing).cluster;
  const over = ready.steps.reduce((cluster, { id }) => stepEnded(cluster, id, { succeeded: false, failure }, 3500).cluster, ready);
  const ended = { ...over, reason: { code: 'STEP_FAILURE' as const, message: 'why' }, endedAt: 4500 };
  clusters.set(ended.id, ended);
  return base;
}

const GROUPS = { ...REQUEST, Instances: { InstanceCount: 3, MasterInstanceType: 'm5.xlarge', KeepJobFlowAliveWhenNoSteps: true } };

const CASES: readonly (readonly [Operation, Readonly<Record<string, unknown>>, Readonly<Record<string, unknown>>])[] = [
  ['RunJobFlow', REQUEST, REQUEST],
  ['AddJobFlowSteps', { JobFlowId: 'j-1', Steps: REQUEST.Steps }, REQUEST],
  ['DescribeStep', { ClusterId: 'j-1', StepId: 's-2' }, REQUEST],
  ['ListSteps', { ClusterId: 'j-1', StepStates: ['FAILED'] }, REQUEST],
  ['CancelSteps', { ClusterId: 'j-1', StepIds: ['s-2'], StepCancellationOption: 'SEND_INTERRUPT' }, REQUEST],
  ['DescribeCluster', { ClusterId: 'j-1' }, REQUEST],
  ['ListClusters', { CreatedAfter: 0, CreatedBefore: 1e9, ClusterStates: ['WAITING'] }, REQUEST],
  ['TerminateJobFlows', { JobFlowIds: ['j-1'] }, REQUEST],
  ['ModifyCluster', { ClusterId: 'j-1', StepConcurrencyLevel: 3 }, REQUEST],
  ['SetTerminationProtection', { JobFlowIds: ['j-1'], TerminationProtected: true }, REQUEST],
  ['SetKeepJobFlowAliveWhenNoSteps', { JobFlowIds: ['j-1'], KeepJobFlowAliveWhenNoSteps: false }, REQUEST],
  ['PutAutoTerminationPolicy', { ClusterId: 'j-1', AutoTerminationPolicy: { IdleTimeout: 60 } }, REQUEST],
  ['GetAutoTerminationPolicy', { ClusterId: 'j-1' }, REQUEST],
  ['RemoveAutoTerminationPolicy', { ClusterId: 'j-1' }, REQUEST],
  ['AddTags', { ResourceId: 'j-1', Tags: [{ Key: 'a', Value: 'b' }] }, REQUEST],
  ['RemoveTags', { ResourceId: 'j-1', TagKeys: ['a'] }, REQUEST],
  ['ListInstanceFleets', { ClusterId: 'j-1' }, REQUEST],
  ['ListInstanceGroups', { ClusterId: 'j-1' }, GROUPS],
  ['ListBootstrapActions', { ClusterId: 'j-1' }, REQUEST],
];

it('every operation that is served is compared with the SDK', () => {
  expect(CASES.map(([operation]) => operation).sort()).toEqual(Object.keys(REQUESTS).sort());
});

it.each(CASES)('what %s takes and answers is in the model of the SDK, member by member', (operation, request, cluster) => {
  const { input, output } = model(operation);
  expect(strangers(request, input, '', new Set())).toEqual([]);
  expect(Object.keys(REQUESTS[operation].shape).filter((name) => !members(input, '').includes(`.${name}`))).toEqual([]);
  const { response } = perform(operation, request, world(cluster));
  if (response === undefined) expect(resolved(output)).toBe('unit');
  else expect(strangers(response, output, '', new Set())).toEqual([]);
});

it('every documented member of a cluster and of a step is told, but those of services that are not here', () => {
  const seen = new Set<string>();
  const told = (operation: Operation, request: unknown): void => {
    const { response } = perform(operation, request, world(REQUEST));
    expect(strangers(response, model(operation).output, '', seen)).toEqual([]);
  };
  told('DescribeCluster', { ClusterId: 'j-1' });
  told('DescribeStep', { ClusterId: 'j-1', StepId: 's-2' });
  const untold = [
    ...members(sdk.Cluster$ as Schema, '.Cluster'),
    ...members(sdk.Step$ as Schema, '.Step'),
    ...members(sdk.StepStatus$ as Schema, '.Step.Status'),
  ].filter((member) => !seen.has(member));
  expect(untold).toEqual([
    '.Cluster.RequestedAmiVersion',
    '.Cluster.RunningAmiVersion',
    '.Cluster.KerberosAttributes',
    '.Cluster.OutpostArn',
    '.Cluster.ExtendedSupport',
    '.Cluster.MonitoringConfiguration',
    '.Cluster.SessionEnabled',
    '.Step.ExecutionRoleArn',
    '.Step.LogUri',
    '.Step.EncryptionKeyArn',
  ]);
});
