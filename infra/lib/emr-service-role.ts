import { Stack } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';
import { CLUSTER_TAG } from './cluster-tag';
import { KEY_USES } from './emr-security';
import { grant } from './grant';

export interface EmrServiceRoleProps {
  /** The deployment's name: value of the cluster tag. */
  readonly name: string;
  readonly instanceRole: iam.IRole;
  /** The key of the local disks. */
  readonly keyArn: string;
}

const NAMED_BY_EC2 = 'EC2 names what it makes for a cluster; the condition allows only what carries the tag of this deployment.';
const NOT_RESTRICTABLE =
  'These have names that others give, and no tags of ours: without the tagged subnet of the same call nothing starts.';
const ONLY_DESCRIBES = 'Reads descriptions only; EC2 knows no resource or condition for these actions.';

/**
 * What EMR itself may do: start, tag and end the instances of clusters that carry the deployment's tag, in subnets and security groups
 * that carry it. After AmazonEMRServicePolicy_v2, less what Almanac does not use: placement groups, default security groups, automatic scaling.
 */
export function emrServiceRole(scope: Construct, id: string, props: EmrServiceRoleProps): iam.Role {
  const { region, account, partition } = Stack.of(scope);
  const ec2 = (...kinds: string[]): string[] => kinds.map((kind) => `arn:${partition}:ec2:${region}:${account}:${kind}/*`);
  const carries = { StringEquals: { [`aws:ResourceTag/${CLUSTER_TAG}`]: props.name } };
  const gives = { StringEquals: { [`aws:RequestTag/${CLUSTER_TAG}`]: props.name } };
  const role = new iam.Role(scope, id, {
    description: `${props.name}: EMR itself`,
    assumedBy: new iam.ServicePrincipal('elasticmapreduce.amazonaws.com', {
      conditions: {
        StringEquals: { 'aws:SourceAccount': account },
        ArnLike: { 'aws:SourceArn': `arn:${partition}:elasticmapreduce:${region}:${account}:*` },
      },
    }),
  });
  grant(role, {
    sid: 'StartInTaggedNetwork',
    actions: [
      'ec2:CreateFleet',
      'ec2:CreateLaunchTemplate',
      'ec2:CreateLaunchTemplateVersion',
      'ec2:CreateNetworkInterface',
      'ec2:RunInstances',
    ],
    resources: ec2('subnet', 'security-group'),
    conditions: carries,
    because: NAMED_BY_EC2,
  });
  grant(role, {
    sid: 'StartFromTaggedTemplate',
    actions: ['ec2:CreateFleet', 'ec2:CreateLaunchTemplateVersion', 'ec2:RunInstances'],
    resources: ec2('launch-template'),
    conditions: carries,
    because: NAMED_BY_EC2,
  });
  grant(role, {
    sid: 'TagWhatItStarts',
    actions: ['ec2:CreateFleet', 'ec2:CreateLaunchTemplate', 'ec2:CreateNetworkInterface', 'ec2:RunInstances'],
    resources: ec2('instance', 'launch-template', 'network-interface', 'volume'),
    conditions: gives,
    because: NAMED_BY_EC2,
  });
  grant(role, {
    sid: 'StartWithOthersResources',
    actions: ['ec2:CreateFleet', 'ec2:CreateLaunchTemplate', 'ec2:CreateLaunchTemplateVersion', 'ec2:RunInstances'],
    resources: [...ec2('fleet', 'network-interface'), `arn:${partition}:ec2:${region}::image/ami-*`],
    because: NOT_RESTRICTABLE,
  });
  grant(role, {
    sid: 'TagOnCreate',
    actions: ['ec2:CreateTags'],
    resources: ec2('instance', 'launch-template', 'network-interface', 'volume'),
    conditions: {
      StringEquals: { 'ec2:CreateAction': ['CreateFleet', 'CreateLaunchTemplate', 'CreateNetworkInterface', 'RunInstances'] },
    },
    because: NAMED_BY_EC2,
  });
  grant(role, {
    sid: 'ManageTagged',
    actions: [
      'ec2:CreateTags',
      'ec2:DeleteLaunchTemplate',
      'ec2:DeleteNetworkInterface',
      'ec2:DeleteTags',
      'ec2:ModifyInstanceAttribute',
      'ec2:TerminateInstances',
    ],
    resources: ec2('instance', 'launch-template', 'network-interface', 'volume'),
    conditions: carries,
    because: NAMED_BY_EC2,
  });
  grant(role, {
    sid: 'OpenTaggedGroups',
    actions: [
      'ec2:AuthorizeSecurityGroupEgress',
      'ec2:AuthorizeSecurityGroupIngress',
      'ec2:RevokeSecurityGroupEgress',
      'ec2:RevokeSecurityGroupIngress',
    ],
    resources: ec2('security-group'),
    conditions: carries,
    because: NAMED_BY_EC2,
  });
  grant(role, { sid: 'Look', actions: DESCRIBES, resources: ['*'], because: ONLY_DESCRIBES });
  grant(role, {
    sid: 'EncryptDisks',
    actions: KEY_USES,
    resources: [props.keyArn],
  });
  grant(role, {
    sid: 'LendKeyToDisks',
    actions: ['kms:CreateGrant'],
    resources: [props.keyArn],
    conditions: { Bool: { 'kms:GrantIsForAWSResource': true } },
  });
  grant(role, {
    sid: 'PassInstanceRole',
    actions: ['iam:PassRole'],
    resources: [props.instanceRole.roleArn],
    conditions: { StringEquals: { 'iam:PassedToService': 'ec2.amazonaws.com' } },
  });
  return role;
}

const DESCRIBES = [
  'ec2:DescribeAccountAttributes',
  'ec2:DescribeCapacityReservations',
  'ec2:DescribeDhcpOptions',
  'ec2:DescribeImages',
  'ec2:DescribeInstanceTypeOfferings',
  'ec2:DescribeInstances',
  'ec2:DescribeLaunchTemplates',
  'ec2:DescribeNetworkAcls',
  'ec2:DescribeNetworkInterfaces',
  'ec2:DescribePlacementGroups',
  'ec2:DescribeRouteTables',
  'ec2:DescribeSecurityGroups',
  'ec2:DescribeSubnets',
  'ec2:DescribeVolumeStatus',
  'ec2:DescribeVolumes',
  'ec2:DescribeVpcAttribute',
  'ec2:DescribeVpcEndpoints',
  'ec2:DescribeVpcs',
];
