import { Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import type * as ecr from 'aws-cdk-lib/aws-ecr';
import * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import * as logs from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { acknowledge, arguePatterns } from './acknowledge';
import { grant } from './grant';
import { METRICS_PORT } from './network-stack';
import { RETENTION } from './retention';

export interface WorkerTaskProps {
  /** Of the task's family, its log group and its container. */
  readonly name: string;
  readonly image: { readonly repository: ecr.IRepository; readonly tag: string };
  /** Words after `almanac`; with `entryPoint`, after that. */
  readonly command: readonly string[];
  readonly entryPoint?: readonly string[];
  readonly cpu: number;
  readonly memoryMiB: number;
  /** GiB of disk: the read cache, and what DuckDB spills. */
  readonly diskGiB?: number;
  readonly environment: Readonly<Record<string, string>>;
  readonly secrets: Readonly<Record<string, ecs.Secret>>;
  /** Under which the secrets are. */
  readonly secretsKey: kms.IKey;
  /** Whether it serves metrics, by which its health is told. */
  readonly served: boolean;
}

/** For DuckDB children and the stage in hand; the worker itself drains within seconds. */
const STOP = Duration.seconds(60);

/** The metrics answer once the worker has its database and its bundle; a worker that hangs answers nobody. */
const HEALTHY = `fetch('http://127.0.0.1:${METRICS_PORT}/metrics').then((page) => process.exit(page.ok ? 0 : 1), () => process.exit(1))`;

/** One container of Almanac's image with a role and a log group of its own. */
export class WorkerTask extends Construct {
  readonly definition: ecs.FargateTaskDefinition;
  readonly role: iam.Role;
  readonly log: logs.LogGroup;

  constructor(scope: Construct, id: string, props: WorkerTaskProps) {
    super(scope, id);
    this.log = new logs.LogGroup(this, 'Log', {
      logGroupName: `/almanac/${props.name}`,
      retention: RETENTION.workers,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    this.role = new iam.Role(this, 'Role', {
      description: `${props.name}: what its process may do`,
      assumedBy: new iam.ServicePrincipal('ecs-tasks.amazonaws.com'),
    });
    const executionRole = this.executionRole(props);
    this.definition = new ecs.FargateTaskDefinition(this, 'Task', {
      family: props.name,
      cpu: props.cpu,
      memoryLimitMiB: props.memoryMiB,
      ...(props.diskGiB === undefined ? {} : { ephemeralStorageGiB: props.diskGiB }),
      taskRole: this.role,
      executionRole,
      runtimePlatform: { cpuArchitecture: ecs.CpuArchitecture.X86_64, operatingSystemFamily: ecs.OperatingSystemFamily.LINUX },
    });
    this.definition.addContainer('almanac', {
      containerName: 'almanac',
      image: ecs.ContainerImage.fromEcrRepository(props.image.repository, props.image.tag),
      command: [...props.command],
      ...(props.entryPoint === undefined ? {} : { entryPoint: [...props.entryPoint] }),
      environment: { ...props.environment },
      secrets: { ...props.secrets },
      // Reaps what a killed DuckDB child leaves.
      linuxParameters: new ecs.LinuxParameters(this, 'Linux', { initProcessEnabled: true }),
      logging: ecs.LogDrivers.awsLogs({ logGroup: this.log, streamPrefix: 'almanac' }),
      stopTimeout: STOP,
      ...(props.served
        ? {
            portMappings: [{ containerPort: METRICS_PORT }],
            healthCheck: {
              command: ['CMD', 'node', '-e', HEALTHY],
              interval: Duration.seconds(30),
              timeout: Duration.seconds(10),
              retries: 3,
              startPeriod: Duration.minutes(2),
            },
          }
        : {}),
    });
    acknowledge(this.definition, 'AwsSolutions-ECS2', 'The variables hold addresses and sizes; what is secret comes from Secrets Manager.');
  }

  /** Of ECS itself: pulls the image, reads the secrets, writes the log. */
  private executionRole({ name, secretsKey }: WorkerTaskProps): iam.Role {
    const role = new iam.Role(this, 'ExecutionRole', {
      description: `${name}: what ECS may do to start it`,
      assumedBy: new iam.ServicePrincipal('ecs-tasks.amazonaws.com'),
    });
    grant(role, {
      sid: 'DecryptSecrets',
      actions: ['kms:Decrypt'],
      resources: [secretsKey.keyArn],
      conditions: { StringEquals: { 'kms:ViaService': `secretsmanager.${Stack.of(this).region}.amazonaws.com` } },
    });
    arguePatterns(role, ['*'], 'ecr:GetAuthorizationToken knows no resource; images are pulled from one repository.');
    return role;
  }
}
