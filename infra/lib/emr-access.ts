import { Stack } from 'aws-cdk-lib';
import type * as iam from 'aws-cdk-lib/aws-iam';
import { CLUSTER_TAG } from './cluster-tag';
import { CLUSTER_LOGS, type EmrStack } from './emr-stack';
import { grant } from './grant';
import { grantJob } from './store-access';
import type { StorageStack } from './storage-stack';

/** What workers do with EMR: start clusters with the deployment's tag, work with those that carry it, read their logs. */
export function grantEmr(
  role: iam.Role,
  { name, emr, storage }: { readonly name: string; readonly emr: EmrStack; readonly storage: StorageStack },
): void {
  const { region, account, partition } = Stack.of(role);
  const clusters = [`arn:${partition}:elasticmapreduce:${region}:${account}:cluster/*`];
  const tagged = 'EMR gives clusters their ids; the condition allows only those that carry the tag of this deployment.';
  grant(role, {
    sid: 'StartClusters',
    actions: ['elasticmapreduce:RunJobFlow'],
    resources: ['*'],
    conditions: { StringEquals: { [`elasticmapreduce:RequestTag/${CLUSTER_TAG}`]: name } },
    because: 'A cluster that is to be started has no name yet; the condition demands the tag of this deployment.',
  });
  grant(role, {
    sid: 'TagNewClusters',
    actions: ['elasticmapreduce:AddTags'],
    resources: clusters,
    conditions: { StringEquals: { [`elasticmapreduce:RequestTag/${CLUSTER_TAG}`]: name } },
    because: 'EMR gives clusters their ids; the condition demands the tag of this deployment.',
  });
  grant(role, {
    sid: 'UseClusters',
    actions: [
      'elasticmapreduce:AddJobFlowSteps',
      'elasticmapreduce:CancelSteps',
      'elasticmapreduce:DescribeCluster',
      'elasticmapreduce:ListSteps',
      // RunJobFlow asks for it too, where the cluster is to end by itself.
      'elasticmapreduce:PutAutoTerminationPolicy',
      'elasticmapreduce:TerminateJobFlows',
    ],
    resources: clusters,
    conditions: { StringEquals: { [`elasticmapreduce:ResourceTag/${CLUSTER_TAG}`]: name } },
    because: tagged,
  });
  grant(role, {
    sid: 'FindClusters',
    actions: ['elasticmapreduce:ListClusters'],
    resources: ['*'],
    because:
      'Lists names and states only; EMR knows no resource or condition for it. How else would a cluster be found whose answer was lost?',
  });
  grant(role, {
    sid: 'PassServiceRole',
    actions: ['iam:PassRole'],
    resources: [emr.serviceRole.roleArn],
    conditions: { StringEquals: { 'iam:PassedToService': 'elasticmapreduce.amazonaws.com' } },
  });
  grant(role, {
    sid: 'PassInstanceRole',
    actions: ['iam:PassRole'],
    resources: [emr.instanceRole.roleArn],
    conditions: { StringEquals: { 'iam:PassedToService': 'ec2.amazonaws.com' } },
  });
  grantJob(role, { bucket: storage.data, key: storage.key });
  grant(role, {
    sid: 'ReadClusterLogs',
    actions: ['s3:GetObject'],
    resources: [storage.logs.arnForObjects(`${CLUSTER_LOGS}*`)],
    because: 'EMR names the logs by cluster, step and container: one folder of one bucket.',
  });
  // To who may not list, S3 says of a log that has not come yet that access is denied.
  grant(role, { sid: 'ListClusterLogs', actions: ['s3:ListBucket'], resources: [storage.logs.bucketArn] });
}
