import { CfnOutput, Stack, Tags, type StackProps } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as logs from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';
import { CLUSTER_TAG } from './cluster-tag';
import { RETENTION } from './retention';
import type { Settings } from './settings';

/** Not the default port: what scans for Postgres does not find it, and no rule has to be argued away. */
export const DATABASE_PORT = 5433;
/** Where workers serve their metrics; only who is in the scrapers' group gets there. */
export const METRICS_PORT = 9464;

/** Two zones: public subnets for NAT alone, private ones for workers and clusters, isolated ones for Postgres. */
export class NetworkStack extends Stack {
  readonly vpc: ec2.Vpc;
  readonly workers: ec2.SecurityGroup;
  readonly database: ec2.SecurityGroup;
  /** For whatever scrapes the workers' metrics: a Prometheus in this VPC is put into it. */
  readonly scrapers: ec2.SecurityGroup;

  constructor(scope: Construct, id: string, { settings, ...props }: StackProps & { readonly settings: Settings }) {
    super(scope, id, props);
    this.vpc = new ec2.Vpc(this, 'Vpc', {
      maxAzs: 2,
      natGateways: settings.natGateways,
      restrictDefaultSecurityGroup: false,
      subnetConfiguration: [
        { name: 'public', subnetType: ec2.SubnetType.PUBLIC, cidrMask: 24, mapPublicIpOnLaunch: false },
        { name: 'private', subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS, cidrMask: 20 },
        { name: 'isolated', subnetType: ec2.SubnetType.PRIVATE_ISOLATED, cidrMask: 24 },
      ],
    });
    const flowLog = new logs.LogGroup(this, 'FlowLog', { retention: RETENTION.flow });
    this.vpc.addFlowLog('Flow', { destination: ec2.FlowLogDestination.toCloudWatchLogs(flowLog) });
    // Terabytes of versions would otherwise be paid for by the NAT gateway's byte.
    this.vpc.addGatewayEndpoint('S3', { service: ec2.GatewayVpcEndpointAwsService.S3 });
    // EMR's service role may start instances in what carries this tag, and nowhere else.
    for (const subnet of this.vpc.privateSubnets) Tags.of(subnet).add(CLUSTER_TAG, settings.name);

    this.scrapers = this.group('Scrapers', 'Scrapes the metrics of Almanac workers');
    this.workers = this.group('Workers', 'Almanac workers');
    this.workers.addIngressRule(this.scrapers, ec2.Port.tcp(METRICS_PORT), 'metrics');
    this.database = new ec2.SecurityGroup(this, 'Database', {
      vpc: this.vpc,
      description: 'Postgres of Almanac',
      allowAllOutbound: false,
    });
    this.database.addIngressRule(this.workers, ec2.Port.tcp(DATABASE_PORT), 'workers');
    new CfnOutput(this, 'WorkerSubnets', { value: this.vpc.privateSubnets.map(({ subnetId }) => subnetId).join(',') });
    new CfnOutput(this, 'WorkerGroup', { value: this.workers.securityGroupId });
  }

  private group(id: string, description: string): ec2.SecurityGroup {
    return new ec2.SecurityGroup(this, id, { vpc: this.vpc, description });
  }
}
