import { CfnOutput, Stack, Tags, type StackProps } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as emr from 'aws-cdk-lib/aws-emr';
import * as iam from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';
import { acknowledge } from './acknowledge';
import { CLUSTER_TAG } from './cluster-tag';
import { CERTIFICATES, emrSecurity, KEY_USES } from './emr-security';
import { FLEETS, SPOT_TIMEOUT_MINUTES, STEP_CONCURRENCY, type Fleet } from './emr-fleets';
import { emrServiceRole } from './emr-service-role';
import { grant } from './grant';
import type { NetworkStack } from './network-stack';
import type { Settings } from './settings';
import type { StorageStack } from './storage-stack';
import { grantStepStore } from './store-access';

/** Spark 3.5 on Java 17, as the job is built for. */
export const RELEASE = 'emr-7.9.0';

/** Where EMR puts the logs of clusters and steps, in the bucket for logs. */
export const CLUSTER_LOGS = 'emr/';

export interface EmrStackProps extends StackProps {
  readonly settings: Settings;
  readonly network: NetworkStack;
  readonly storage: StorageStack;
}

/** Roles, groups and encryption of the clusters Almanac starts; with `emr=existing` one that stays, too. */
export class EmrStack extends Stack {
  readonly serviceRole: iam.Role;
  readonly instanceRole: iam.Role;
  readonly instanceProfile: iam.InstanceProfile;
  readonly securityConfiguration: emr.CfnSecurityConfiguration;
  /** Of the primary node, of all others, and of EMR's own access to both. */
  readonly groups: { readonly primary: ec2.SecurityGroup; readonly core: ec2.SecurityGroup; readonly service: ec2.SecurityGroup };
  readonly subnetIds: readonly string[];
  /** Undefined unless `emr=existing`. */
  readonly cluster: emr.CfnCluster | undefined;

  constructor(scope: Construct, id: string, { settings, network, storage, ...props }: EmrStackProps) {
    super(scope, id, props);
    this.subnetIds = network.vpc.privateSubnets.map(({ subnetId }) => subnetId);
    this.groups = this.securityGroups(network.vpc);
    Tags.of(this).add(CLUSTER_TAG, settings.name);
    this.instanceRole = this.nodeRole(settings, storage);
    this.instanceProfile = new iam.InstanceProfile(this, 'InstanceProfile', { role: this.instanceRole });
    this.serviceRole = emrServiceRole(this, 'ServiceRole', {
      name: settings.name,
      instanceRole: this.instanceRole,
      keyArn: storage.key.keyArn,
    });
    this.securityConfiguration = emrSecurity(this, 'Security', { name: settings.name, key: storage.key, bucket: storage.logs });
    this.cluster = settings.emr === 'existing' ? this.standingCluster(settings, storage) : undefined;
    new CfnOutput(this, 'SecurityConfiguration', { value: this.securityConfiguration.ref });
    if (this.cluster !== undefined) new CfnOutput(this, 'ClusterId', { value: this.cluster.ref });
  }

  /** EMR adds the rules that its release needs to groups that carry the tag; what is here is what workers need: nothing. */
  private securityGroups(vpc: ec2.IVpc): EmrStack['groups'] {
    const group = (id: string, description: string, allowAllOutbound: boolean): ec2.SecurityGroup =>
      new ec2.SecurityGroup(this, id, { vpc, description, allowAllOutbound });
    return {
      primary: group('Primary', 'EMR primary nodes of Almanac', true),
      core: group('Core', 'EMR core and task nodes of Almanac', true),
      service: group('Service', 'EMR itself, to the nodes of Almanac', false),
    };
  }

  private nodeRole(settings: Settings, storage: StorageStack): iam.Role {
    const role = new iam.Role(this, 'InstanceRole', {
      description: `${settings.name}: nodes of clusters`,
      assumedBy: new iam.ServicePrincipal('ec2.amazonaws.com'),
    });
    grantStepStore(role, { bucket: storage.data, key: storage.key });
    const written = storage.logs.arnForObjects(`${CLUSTER_LOGS}*`);
    grant(role, {
      sid: 'WriteLogs',
      actions: ['s3:AbortMultipartUpload', 's3:PutObject'],
      resources: [written],
      because: 'EMR names the logs by cluster, step and container: one folder of one bucket.',
    });
    grant(role, { sid: 'ReadCertificates', actions: ['s3:GetObject'], resources: [storage.logs.arnForObjects(CERTIFICATES)] });
    grant(role, {
      sid: 'Encrypt',
      actions: KEY_USES,
      resources: [storage.key.keyArn],
    });
    return role;
  }

  private standingCluster(settings: Settings, storage: StorageStack): emr.CfnCluster {
    const { primary, core, service } = this.groups;
    const fleet = (role: Fleet['role']): emr.CfnCluster.InstanceFleetConfigProperty => {
      const { types, onDemand, spot } = fleetOf(role);
      return {
        name: role.toLowerCase(),
        targetOnDemandCapacity: onDemand,
        targetSpotCapacity: spot,
        instanceTypeConfigs: types.map((instanceType) => ({ instanceType, weightedCapacity: 1 })),
        ...(spot === 0
          ? {}
          : {
              launchSpecifications: {
                spotSpecification: {
                  allocationStrategy: 'price-capacity-optimized',
                  timeoutDurationMinutes: SPOT_TIMEOUT_MINUTES,
                  timeoutAction: 'SWITCH_TO_ON_DEMAND',
                },
              },
            }),
      };
    };
    const cluster = new emr.CfnCluster(this, 'Cluster', {
      name: settings.name,
      releaseLabel: RELEASE,
      applications: [{ name: 'Spark' }],
      serviceRole: this.serviceRole.roleArn,
      jobFlowRole: this.instanceProfile.instanceProfileName,
      securityConfiguration: this.securityConfiguration.ref,
      logUri: storage.logs.s3UrlForObject(CLUSTER_LOGS),
      logEncryptionKmsKeyId: storage.key.keyArn,
      stepConcurrencyLevel: STEP_CONCURRENCY,
      ebsRootVolumeSize: 30,
      instances: {
        ec2SubnetIds: [...this.subnetIds],
        emrManagedMasterSecurityGroup: primary.securityGroupId,
        emrManagedSlaveSecurityGroup: core.securityGroupId,
        serviceAccessSecurityGroup: service.securityGroupId,
        keepJobFlowAliveWhenNoSteps: true,
        terminationProtected: false,
        unhealthyNodeReplacement: true,
        masterInstanceFleet: fleet('MASTER'),
        coreInstanceFleet: fleet('CORE'),
        taskInstanceFleets: [fleet('TASK')],
      },
    });
    // A role without its policies starts nothing.
    for (const role of [this.serviceRole, this.instanceRole]) cluster.node.addDependency(role.node.findChild('DefaultPolicy'));
    const nested =
      'The security configuration encrypts (a test holds it); the rule looks for the settings outside EncryptionConfiguration, where EMR does not.';
    acknowledge(cluster, 'AwsSolutions-EMR4', nested);
    acknowledge(cluster, 'AwsSolutions-EMR5', nested);
    acknowledge(
      cluster,
      'AwsSolutions-EMR6',
      'Nobody logs in to nodes: they have no key pair, no open port, and steps come by the API alone.',
    );
    return cluster;
  }
}

function fleetOf(role: Fleet['role']): Fleet {
  const found = FLEETS.find((fleet) => fleet.role === role);
  if (found === undefined) throw new Error(`no fleet is ${role}`);
  return found;
}
