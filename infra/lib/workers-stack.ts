import { RemovalPolicy, Stack, type StackProps } from 'aws-cdk-lib';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import type { Construct } from 'constructs';
import type { DatabaseStack } from './database-stack';
import { grantEmr } from './emr-access';
import { emrSettings } from './emr-settings';
import type { EmrStack } from './emr-stack';
import type { NetworkStack } from './network-stack';
import { RETENTION } from './retention';
import type { Settings } from './settings';
import { grantStore } from './store-access';
import type { StorageStack } from './storage-stack';
import { temporalSecrets } from './temporal-secrets';
import { workerEnvironment, type EmrEnvironment, type Places } from './worker-environment';
import { WorkerService, type WorkerServiceProps } from './worker-service';
import { WorkerTask } from './worker-task';

export interface WorkersStackProps extends StackProps {
  readonly settings: Settings;
  readonly network: NetworkStack;
  readonly storage: StorageStack;
  readonly database: DatabaseStack;
  /** Undefined when stages run on DuckDB only. */
  readonly emr: EmrStack | undefined;
}

/** One compute worker: two places with two processors and 7 GB each, and disk for what they spill and read. */
const COMPUTE = { cpu: 4096, memoryMiB: 16384, diskGiB: 150 } as const;
const CONTROL = { cpu: 1024, memoryMiB: 4096 } as const;

/** The processes of Almanac: services by role, and the task that makes their database role. */
export class WorkersStack extends Stack {
  readonly cluster: ecs.Cluster;
  readonly control: WorkerService;
  readonly live: WorkerService;
  readonly backfill: WorkerService;
  readonly setup: WorkerTask;
  /** What people typed in a worker, and what it answered. */
  readonly commands: logs.LogGroup;

  constructor(scope: Construct, id: string, { settings, network, storage, database, emr, ...props }: WorkersStackProps) {
    super(scope, id, props);
    this.commands = new logs.LogGroup(this, 'Commands', {
      logGroupName: `/almanac/${settings.name}-commands`,
      retention: RETENTION.commands,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    this.cluster = new ecs.Cluster(this, 'Cluster', {
      clusterName: settings.name,
      vpc: network.vpc,
      executeCommandConfiguration: { logging: ecs.ExecuteCommandLogging.OVERRIDE, logConfiguration: { cloudWatchLogGroup: this.commands } },
      containerInsightsV2: ecs.ContainerInsights.ENABLED,
      enableFargateCapacityProviders: true,
    });
    const image = { repository: storage.images, tag: settings.imageTag };
    // By its ARN: a grant on the key itself would have to be written into the stack that this one builds on.
    const key = kms.Key.fromKeyArn(this, 'SecretsKey', database.key.keyArn);
    const known = (secretId: string, secret: secretsmanager.ISecret): secretsmanager.ISecret =>
      secretsmanager.Secret.fromSecretAttributes(this, secretId, { secretCompleteArn: secret.secretArn });
    const url = ecs.Secret.fromSecretsManager(known('Url', database.url));
    const administrator = known('Administrator', database.administrator);
    const secrets = { DATABASE_URL: url, ...temporalSecrets(this, settings, key) };
    const emrEnvironment: EmrEnvironment | undefined = emr && {
      settings: emrSettings(this, { settings, emr, storage }),
      ...(emr.cluster === undefined ? {} : { cluster: emr.cluster.ref }),
    };
    const service = (role: string, places: Places | undefined, rest: ServiceSize): WorkerService => {
      const made = new WorkerService(this, role, {
        name: `${settings.name}-${role}`,
        image,
        cluster: this.cluster,
        group: network.workers,
        command: ['worker', '--role', places === undefined ? 'control' : 'compute'],
        environment: workerEnvironment({
          settings,
          dataBucket: storage.data.bucketName,
          region: this.region,
          ...(places === undefined ? {} : { places }),
          ...(emrEnvironment === undefined ? {} : { emr: emrEnvironment }),
        }),
        secrets,
        secretsKey: key,
        ...rest,
      });
      grantStore(made.task.role, { bucket: storage.data, key: storage.key });
      if (emr !== undefined) grantEmr(made.task.role, { name: settings.name, emr, storage });
      return made;
    };
    this.control = service('control', undefined, { ...CONTROL, count: settings.controlWorkers, commands: this.commands });
    this.live = service(
      'live',
      { live: 2, backfill: 1 },
      { ...COMPUTE, count: Math.min(1, settings.liveWorkers), upTo: settings.liveWorkers },
    );
    this.backfill = service('backfill', { live: 1, backfill: 2 }, { ...COMPUTE, count: settings.backfillWorkers, spot: true });
    this.setup = new WorkerTask(this, 'setup', {
      name: `${settings.name}-setup`,
      image,
      cpu: 256,
      memoryMiB: 512,
      entryPoint: ['node'],
      command: ['/opt/almanac/infra/image/database-role.mjs'],
      environment: {},
      secrets: {
        DATABASE_URL: url,
        ADMINISTRATOR: ecs.Secret.fromSecretsManager(administrator, 'username'),
        ADMINISTRATOR_PASSWORD: ecs.Secret.fromSecretsManager(administrator, 'password'),
      },
      secretsKey: key,
      served: false,
    });
  }
}

type ServiceSize = Pick<WorkerServiceProps, 'cpu' | 'memoryMiB' | 'diskGiB' | 'count' | 'upTo' | 'spot' | 'commands'>;
