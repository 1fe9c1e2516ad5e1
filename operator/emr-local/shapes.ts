import type { Cluster, Step } from './cluster';
import type { InstanceFleetRequest, InstanceGroupRequest } from './requests';
import { isEnded, type ClusterState } from './states';

/** What the service tells of its clusters and steps, in the shapes of its model. Undefined members are left out of the JSON. */
type Json = Readonly<Record<string, unknown>>;

/** The account of ARNs; there is none here. */
const ACCOUNT = '000000000000';

export function clusterArn(id: string, region: string): string {
  return `arn:aws:elasticmapreduce:${region}:${ACCOUNT}:cluster/${id}`;
}

function seconds(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : ms / 1000;
}

function clusterStatus(cluster: Cluster): Json {
  return {
    State: cluster.state,
    StateChangeReason: { Code: cluster.reason.code, Message: cluster.reason.message },
    Timeline: {
      CreationDateTime: seconds(cluster.createdAt),
      ReadyDateTime: seconds(cluster.readyAt),
      EndDateTime: seconds(cluster.endedAt),
    },
  };
}

export function clusterSummary(cluster: Cluster, region: string): Json {
  return {
    Id: cluster.id,
    Name: cluster.request.Name,
    Status: clusterStatus(cluster),
    NormalizedInstanceHours: 0,
    ClusterArn: clusterArn(cluster.id, region),
  };
}

export function clusterDescription(cluster: Cluster, region: string): Json {
  const { request } = cluster;
  const { Instances: instances } = request;
  return {
    ...clusterSummary(cluster, region),
    Ec2InstanceAttributes: {
      Ec2KeyName: instances.Ec2KeyName,
      Ec2SubnetId: instances.Ec2SubnetId ?? instances.Ec2SubnetIds?.[0],
      RequestedEc2SubnetIds: instances.Ec2SubnetIds ?? (instances.Ec2SubnetId === undefined ? [] : [instances.Ec2SubnetId]),
      Ec2AvailabilityZone: instances.Placement?.AvailabilityZone ?? `${region}a`,
      RequestedEc2AvailabilityZones: instances.Placement?.AvailabilityZones ?? [],
      IamInstanceProfile: request.JobFlowRole,
      EmrManagedMasterSecurityGroup: instances.EmrManagedMasterSecurityGroup,
      EmrManagedSlaveSecurityGroup: instances.EmrManagedSlaveSecurityGroup,
      ServiceAccessSecurityGroup: instances.ServiceAccessSecurityGroup,
      AdditionalMasterSecurityGroups: instances.AdditionalMasterSecurityGroups,
      AdditionalSlaveSecurityGroups: instances.AdditionalSlaveSecurityGroups,
    },
    InstanceCollectionType: usesFleets(cluster) ? 'INSTANCE_FLEET' : 'INSTANCE_GROUP',
    LogUri: describedLogUri(request.LogUri),
    LogEncryptionKmsKeyId: request.LogEncryptionKmsKeyId,
    ReleaseLabel: request.ReleaseLabel,
    AutoTerminate: !cluster.keepAlive,
    TerminationProtected: cluster.terminationProtected,
    UnhealthyNodeReplacement: instances.UnhealthyNodeReplacement,
    VisibleToAllUsers: request.VisibleToAllUsers ?? true,
    Applications: (request.Applications ?? []).map((application) => ({ Args: [], AdditionalInfo: {}, ...application })),
    Tags: Object.entries(cluster.tags).map(([Key, Value]) => ({ Key, Value })),
    ServiceRole: request.ServiceRole,
    MasterPublicDnsName: cluster.readyAt === undefined ? undefined : 'localhost',
    Configurations: request.Configurations ?? [],
    SecurityConfiguration: request.SecurityConfiguration,
    AutoScalingRole: request.AutoScalingRole,
    ScaleDownBehavior: request.ScaleDownBehavior ?? 'TERMINATE_AT_TASK_COMPLETION',
    CustomAmiId: request.CustomAmiId,
    EbsRootVolumeSize: request.EbsRootVolumeSize,
    EbsRootVolumeIops: request.EbsRootVolumeIops,
    EbsRootVolumeThroughput: request.EbsRootVolumeThroughput,
    RepoUpgradeOnBoot: request.RepoUpgradeOnBoot,
    StepConcurrencyLevel: cluster.stepConcurrency,
    PlacementGroups: request.PlacementGroupConfigs ?? [],
    OSReleaseLabel: request.OSReleaseLabel,
  };
}

/** EMR tells a log URI of S3 by the scheme of its first file system, and with a slash at its end. */
function describedLogUri(uri: string | undefined): string | undefined {
  return uri?.replace(/^s3a?:/, 's3n:').replace(/\/*$/, '/');
}

export function stepDescription(step: Step): Json {
  return {
    Id: step.id,
    Name: step.name,
    Config: {
      Jar: step.jar.Jar,
      Properties: Object.fromEntries((step.jar.Properties ?? []).map(({ Key, Value }) => [Key ?? '', Value ?? ''])),
      MainClass: step.jar.MainClass,
      Args: step.jar.Args ?? [],
    },
    ActionOnFailure: step.actionOnFailure,
    Status: {
      State: step.state,
      StateChangeReason: {},
      FailureDetails: step.failure && { Reason: step.failure.reason, Message: step.failure.message, LogFile: step.failure.logFile },
      Timeline: {
        CreationDateTime: seconds(step.createdAt),
        StartDateTime: seconds(step.startedAt),
        EndDateTime: seconds(step.endedAt),
      },
    },
  };
}

export function usesFleets(cluster: Cluster): boolean {
  return cluster.request.Instances.InstanceFleets !== undefined;
}

export function instanceFleets(cluster: Cluster): readonly Json[] {
  return (cluster.request.Instances.InstanceFleets ?? []).map((fleet) => describeFleet(fleet, cluster));
}

function describeFleet(fleet: InstanceFleetRequest, cluster: Cluster): Json {
  const provisioned = hasMachines(cluster.state);
  return {
    Id: `if-${fleet.InstanceFleetType}${cluster.id.slice(1)}`,
    Name: fleet.Name,
    Status: machineStatus(cluster),
    InstanceFleetType: fleet.InstanceFleetType,
    TargetOnDemandCapacity: fleet.TargetOnDemandCapacity ?? 0,
    TargetSpotCapacity: fleet.TargetSpotCapacity ?? 0,
    ProvisionedOnDemandCapacity: provisioned ? (fleet.TargetOnDemandCapacity ?? 0) : 0,
    ProvisionedSpotCapacity: provisioned ? (fleet.TargetSpotCapacity ?? 0) : 0,
    InstanceTypeSpecifications: (fleet.InstanceTypeConfigs ?? []).map((type) => ({
      InstanceType: type.InstanceType,
      WeightedCapacity: type.WeightedCapacity ?? 1,
      BidPrice: type.BidPrice,
      BidPriceAsPercentageOfOnDemandPrice: type.BidPriceAsPercentageOfOnDemandPrice ?? (type.BidPrice === undefined ? 100 : undefined),
      Configurations: [],
      EbsBlockDevices: blockDevices(type.EbsConfiguration),
      EbsOptimized: type.EbsConfiguration?.EbsOptimized,
      CustomAmiId: type.CustomAmiId,
      Priority: type.Priority,
    })),
    LaunchSpecifications: fleet.LaunchSpecifications,
  };
}

type Ebs = InstanceGroupRequest['EbsConfiguration'];

function blockDevices(ebs: Ebs): readonly Json[] {
  const volumes = (ebs?.EbsBlockDeviceConfigs ?? []).flatMap((config) =>
    Array.from({ length: config.VolumesPerInstance ?? 1 }, () => config.VolumeSpecification),
  );
  return volumes.map((VolumeSpecification, index) => ({
    VolumeSpecification,
    Device: `/dev/sd${String.fromCharCode('c'.charCodeAt(0) + index)}`,
  }));
}

export function instanceGroups(cluster: Cluster): readonly Json[] {
  const { InstanceGroups: groups, MasterInstanceType: master, SlaveInstanceType: slave, InstanceCount: count } = cluster.request.Instances;
  const core = (count ?? 1) - 1;
  const plain: readonly InstanceGroupRequest[] = [
    { InstanceRole: 'MASTER', InstanceType: master ?? slave ?? 'm5.xlarge', InstanceCount: 1 },
    ...(core > 0 ? [{ InstanceRole: 'CORE' as const, InstanceType: slave ?? master ?? 'm5.xlarge', InstanceCount: core }] : []),
  ];
  return (groups ?? plain).map((group) => ({
    Id: `ig-${group.InstanceRole}${cluster.id.slice(1)}`,
    Name: group.Name,
    Market: group.Market ?? 'ON_DEMAND',
    InstanceGroupType: group.InstanceRole,
    BidPrice: group.BidPrice,
    InstanceType: group.InstanceType,
    RequestedInstanceCount: group.InstanceCount,
    RunningInstanceCount: hasMachines(cluster.state) ? group.InstanceCount : 0,
    Status: machineStatus(cluster),
    Configurations: [],
    EbsBlockDevices: blockDevices(group.EbsConfiguration),
    EbsOptimized: group.EbsConfiguration?.EbsOptimized,
    ShrinkPolicy: {},
    CustomAmiId: group.CustomAmiId,
  }));
}

const MACHINE_STATES = {
  STARTING: 'PROVISIONING',
  BOOTSTRAPPING: 'BOOTSTRAPPING',
  RUNNING: 'RUNNING',
  WAITING: 'RUNNING',
  TERMINATING: 'TERMINATING',
  TERMINATED: 'TERMINATED',
  TERMINATED_WITH_ERRORS: 'TERMINATED',
} as const satisfies Record<ClusterState, string>;

function machineStatus(cluster: Cluster): Json {
  return {
    State: MACHINE_STATES[cluster.state],
    StateChangeReason: isEnded(cluster.state) ? { Code: 'CLUSTER_TERMINATED', Message: 'Job flow terminated' } : {},
    Timeline: {
      CreationDateTime: seconds(cluster.createdAt),
      ReadyDateTime: seconds(cluster.readyAt),
      EndDateTime: seconds(cluster.endedAt),
    },
  };
}

function hasMachines(state: ClusterState): boolean {
  return state === 'BOOTSTRAPPING' || state === 'RUNNING' || state === 'WAITING';
}

export function bootstrapActions(cluster: Cluster): readonly Json[] {
  return (cluster.request.BootstrapActions ?? []).map(({ Name, ScriptBootstrapAction: { Path, Args } }) => ({
    Name,
    ScriptPath: Path,
    Args: Args ?? [],
  }));
}
