import { z } from 'zod';
import { AwsError, validation } from './aws-error';
import { CLUSTER_STATES, STEP_STATES } from './states';

/** What the operations take. Members that are not here are ignored, as the service ignores what it does not know. */

const text = z.string();
const texts = z.array(text);
const textMap = z.record(text, text);
const whole = z.number().int();

/** EMR's own limit on the strings of a step. */
const STEP_TEXT_LIMIT = 10_240;

const KEY_VALUE = z.object({ Key: text.optional(), Value: text.optional() });

export const ACTIONS_ON_FAILURE = ['TERMINATE_JOB_FLOW', 'TERMINATE_CLUSTER', 'CANCEL_AND_WAIT', 'CONTINUE'] as const;

const step = z.object({
  Name: text.max(256),
  ActionOnFailure: z.enum(ACTIONS_ON_FAILURE).optional(),
  HadoopJarStep: z
    .object({
      Jar: text,
      MainClass: text.optional(),
      Args: texts.optional(),
      Properties: z.array(KEY_VALUE).optional(),
    })
    .refine(
      (jar) => [jar.Jar, jar.MainClass ?? '', ...(jar.Args ?? [])].join('').length <= STEP_TEXT_LIMIT,
      `The string values passed into HadoopJarStep cannot exceed a total of ${STEP_TEXT_LIMIT} characters`,
    ),
});

const INSTANCE_ROLES = ['MASTER', 'CORE', 'TASK'] as const;

const ebs = z.object({
  EbsBlockDeviceConfigs: z
    .array(
      z.object({
        VolumeSpecification: z.object({ VolumeType: text, SizeInGB: whole, Iops: whole.optional(), Throughput: whole.optional() }),
        VolumesPerInstance: whole.optional(),
      }),
    )
    .optional(),
  EbsOptimized: z.boolean().optional(),
});

const instanceType = z.object({
  InstanceType: text,
  WeightedCapacity: whole.optional(),
  BidPrice: text.optional(),
  BidPriceAsPercentageOfOnDemandPrice: z.number().optional(),
  EbsConfiguration: ebs.optional(),
  CustomAmiId: text.optional(),
  Priority: z.number().optional(),
});

const instanceFleet = z.object({
  Name: text.max(256).optional(),
  InstanceFleetType: z.enum(INSTANCE_ROLES),
  TargetOnDemandCapacity: whole.min(0).optional(),
  TargetSpotCapacity: whole.min(0).optional(),
  InstanceTypeConfigs: z.array(instanceType).optional(),
  LaunchSpecifications: z
    .object({
      SpotSpecification: z
        .object({
          TimeoutDurationMinutes: whole.optional(),
          TimeoutAction: z.enum(['SWITCH_TO_ON_DEMAND', 'TERMINATE_CLUSTER']).optional(),
          BlockDurationMinutes: whole.optional(),
          AllocationStrategy: text.optional(),
        })
        .optional(),
      OnDemandSpecification: z.object({ AllocationStrategy: text.optional() }).optional(),
    })
    .optional(),
});

const instanceGroup = z.object({
  Name: text.max(256).optional(),
  Market: z.enum(['ON_DEMAND', 'SPOT']).optional(),
  InstanceRole: z.enum(INSTANCE_ROLES),
  BidPrice: text.optional(),
  InstanceType: text,
  InstanceCount: whole.min(1),
  EbsConfiguration: ebs.optional(),
  CustomAmiId: text.optional(),
});

const instances = z.object({
  MasterInstanceType: text.optional(),
  SlaveInstanceType: text.optional(),
  InstanceCount: whole.optional(),
  InstanceGroups: z.array(instanceGroup).optional(),
  InstanceFleets: z.array(instanceFleet).optional(),
  Ec2KeyName: text.optional(),
  Placement: z.object({ AvailabilityZone: text.optional(), AvailabilityZones: texts.optional() }).optional(),
  KeepJobFlowAliveWhenNoSteps: z.boolean().optional(),
  TerminationProtected: z.boolean().optional(),
  UnhealthyNodeReplacement: z.boolean().optional(),
  Ec2SubnetId: text.optional(),
  Ec2SubnetIds: texts.optional(),
  EmrManagedMasterSecurityGroup: text.optional(),
  EmrManagedSlaveSecurityGroup: text.optional(),
  ServiceAccessSecurityGroup: text.optional(),
  AdditionalMasterSecurityGroups: texts.optional(),
  AdditionalSlaveSecurityGroups: texts.optional(),
});

/** A configuration may hold others, to any depth. */
interface Configuration {
  readonly Classification?: string | undefined;
  readonly Properties?: Readonly<Record<string, string>> | undefined;
  readonly Configurations?: readonly Configuration[] | undefined;
}

const configuration: z.ZodType<Configuration> = z.lazy(() =>
  z.object({ Classification: text.optional(), Properties: textMap.optional(), Configurations: z.array(configuration).optional() }),
);

const bootstrapAction = z.object({
  Name: text.max(256),
  ScriptBootstrapAction: z.object({ Path: text, Args: texts.optional() }),
});

const idleTimeout = whole.min(60).max(604_800);
const autoTermination = z.object({ IdleTimeout: idleTimeout.optional() });
const concurrency = whole.min(1).max(256);

const runJobFlow = z.object({
  Name: text.min(1).max(256),
  LogUri: text.optional(),
  LogEncryptionKmsKeyId: text.optional(),
  ReleaseLabel: text.optional(),
  Instances: instances,
  Steps: z.array(step).max(256).optional(),
  BootstrapActions: z.array(bootstrapAction).max(16).optional(),
  Applications: z
    .array(z.object({ Name: text.optional(), Version: text.optional(), Args: texts.optional(), AdditionalInfo: textMap.optional() }))
    .optional(),
  Configurations: z.array(configuration).optional(),
  VisibleToAllUsers: z.boolean().optional(),
  JobFlowRole: text.optional(),
  ServiceRole: text.optional(),
  Tags: z.array(KEY_VALUE).optional(),
  SecurityConfiguration: text.optional(),
  AutoScalingRole: text.optional(),
  ScaleDownBehavior: z.enum(['TERMINATE_AT_INSTANCE_HOUR', 'TERMINATE_AT_TASK_COMPLETION']).optional(),
  CustomAmiId: text.optional(),
  EbsRootVolumeSize: whole.optional(),
  EbsRootVolumeIops: whole.optional(),
  EbsRootVolumeThroughput: whole.optional(),
  RepoUpgradeOnBoot: z.enum(['SECURITY', 'NONE']).optional(),
  StepConcurrencyLevel: concurrency.optional(),
  PlacementGroupConfigs: z.array(z.object({ InstanceRole: z.enum(INSTANCE_ROLES), PlacementStrategy: text.optional() })).optional(),
  AutoTerminationPolicy: autoTermination.optional(),
  OSReleaseLabel: text.optional(),
});

const ofCluster = z.object({ ClusterId: text });
const ofJobFlows = z.object({ JobFlowIds: texts });
const ofResource = z.object({ ResourceId: text });

/** By operation. Times are seconds since 1970, as AWS JSON 1.1 has them. */
export const REQUESTS = {
  RunJobFlow: runJobFlow,
  AddJobFlowSteps: z.object({ JobFlowId: text, Steps: z.array(step).max(256) }),
  DescribeStep: ofCluster.extend({ StepId: text }),
  ListSteps: ofCluster.extend({ StepStates: z.array(z.enum(STEP_STATES)).optional(), StepIds: texts.optional(), Marker: text.optional() }),
  CancelSteps: ofCluster.extend({
    StepIds: texts.max(256),
    StepCancellationOption: z.enum(['SEND_INTERRUPT', 'TERMINATE_PROCESS']).optional(),
  }),
  DescribeCluster: ofCluster,
  ListClusters: z.object({
    CreatedAfter: z.number().optional(),
    CreatedBefore: z.number().optional(),
    ClusterStates: z.array(z.enum(CLUSTER_STATES)).optional(),
    Marker: text.optional(),
  }),
  TerminateJobFlows: ofJobFlows,
  ModifyCluster: ofCluster.extend({ StepConcurrencyLevel: concurrency.optional() }),
  SetTerminationProtection: ofJobFlows.extend({ TerminationProtected: z.boolean() }),
  SetKeepJobFlowAliveWhenNoSteps: ofJobFlows.extend({ KeepJobFlowAliveWhenNoSteps: z.boolean() }),
  PutAutoTerminationPolicy: ofCluster.extend({ AutoTerminationPolicy: autoTermination.optional() }),
  GetAutoTerminationPolicy: ofCluster,
  RemoveAutoTerminationPolicy: ofCluster,
  AddTags: ofResource.extend({ Tags: z.array(KEY_VALUE) }),
  RemoveTags: ofResource.extend({ TagKeys: texts }),
  ListInstanceFleets: ofCluster.extend({ Marker: text.optional() }),
  ListInstanceGroups: ofCluster.extend({ Marker: text.optional() }),
  ListBootstrapActions: ofCluster.extend({ Marker: text.optional() }),
} as const;

export type Operation = keyof typeof REQUESTS;
export type RequestOf<O extends Operation> = z.infer<(typeof REQUESTS)[O]>;
export type RunJobFlowRequest = RequestOf<'RunJobFlow'>;
export type StepRequest = z.infer<typeof step>;
export type InstanceFleetRequest = z.infer<typeof instanceFleet>;
export type InstanceGroupRequest = z.infer<typeof instanceGroup>;

export function isOperation(name: string): name is Operation {
  return Object.hasOwn(REQUESTS, name);
}

/** The body of a request, checked. Throws AwsError as the service refuses bodies of another shape. */
export function parseRequest<O extends Operation>(operation: O, body: unknown): RequestOf<O> {
  const parsed = REQUESTS[operation].safeParse(body);
  if (parsed.success) return parsed.data as RequestOf<O>;
  const issue = parsed.error.issues[0];
  const place = issue?.path ?? [];
  const value = valueAt(body, place);
  if (issue?.code === 'invalid_type' && value !== undefined && value !== null)
    throw new AwsError('SerializationException', `${memberName(place)} is not of the type ${issue.expected}`);
  throw validation(
    `1 validation error detected: Value ${shown(value)} at '${memberName(place)}' failed to satisfy constraint: ${constraint(issue)}`,
  );
}

type Issue = z.core.$ZodIssue;

function constraint(issue: Issue | undefined): string {
  switch (issue?.code) {
    case 'invalid_type':
      return 'Member must not be null';
    case 'invalid_value':
      return `Member must satisfy enum value set: [${issue.values.map(String).join(', ')}]`;
    case 'too_big':
      return issue.origin === 'number' || issue.origin === 'int'
        ? `Member must have value less than or equal to ${String(issue.maximum)}`
        : `Member must have length less than or equal to ${String(issue.maximum)}`;
    case 'too_small':
      return issue.origin === 'number' || issue.origin === 'int'
        ? `Member must have value greater than or equal to ${String(issue.minimum)}`
        : `Member must have length greater than or equal to ${String(issue.minimum)}`;
    default:
      return issue?.message ?? 'Member is not valid';
  }
}

/** `['Steps', 0, 'Name']` as the service says it: `steps.1.member.name`. */
function memberName(place: readonly PropertyKey[]): string {
  return place
    .map((part) => (typeof part === 'number' ? `${part + 1}.member` : String(part).charAt(0).toLowerCase() + String(part).slice(1)))
    .join('.');
}

function valueAt(body: unknown, place: readonly PropertyKey[]): unknown {
  return place.reduce<unknown>(
    (value, part) => (typeof value === 'object' && value !== null ? (value as Record<PropertyKey, unknown>)[part] : undefined),
    body,
  );
}

function shown(value: unknown): string {
  return value === undefined || value === null ? 'null' : `'${typeof value === 'object' ? JSON.stringify(value) : String(value)}'`;
}
