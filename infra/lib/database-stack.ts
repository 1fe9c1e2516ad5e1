import { CfnOutput, RemovalPolicy, SecretValue, Stack, type StackProps } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as kms from 'aws-cdk-lib/aws-kms';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as rds from 'aws-cdk-lib/aws-rds';
import * as secrets from 'aws-cdk-lib/aws-secretsmanager';
import type { Construct } from 'constructs';
import { acknowledge } from './acknowledge';
import { DATABASE_PORT, type NetworkStack } from './network-stack';
import { RETENTION } from './retention';
import type { Settings } from './settings';

/** Where the image keeps the certificates of RDS (image/Dockerfile). */
export const DATABASE_CERTIFICATES = '/etc/almanac/rds-certificates.pem';

/** The role the workers log in as, and its database; made by the task `setup` (image/database-role.mjs). */
const ROLE = 'almanac';

const ENGINE = rds.DatabaseInstanceEngine.postgres({ version: rds.PostgresEngineVersion.VER_18_3 });

/** Milliseconds, as Postgres takes them. */
const PARAMETERS: Readonly<Record<string, string>> = {
  // Publishers wait 100 ms for a lock (activities/publish/publish-session.ts): it is always they who give way, as long as this is longer.
  'deadlock_timeout': '1000',
  // A reader that forgot its transaction would keep every old publication from being collected. Publishers set their own.
  'idle_in_transaction_session_timeout': '600000',
  // Who stood in a publisher's way is then in the log.
  'log_lock_waits': '1',
  // One that is forgotten keeps old publications as well, and Almanac makes none.
  'max_prepared_transactions': '0',
  // A replica says what its readers still see, so that it is not collected under them.
  'hot_standby_feedback': '1',
  'rds.force_ssl': '1',
};

export interface DatabaseStackProps extends StackProps {
  readonly settings: Settings;
  readonly network: NetworkStack;
}

/** Postgres: the control schema and the live tables. */
export class DatabaseStack extends Stack {
  readonly instance: rds.DatabaseInstance;
  /** Of the administrator, for the set-up of the role. */
  readonly administrator: secrets.ISecret;
  /** A whole `DATABASE_URL`. */
  readonly url: secrets.Secret;
  readonly key: kms.Key;

  constructor(scope: Construct, id: string, { settings, network, ...props }: DatabaseStackProps) {
    super(scope, id, props);
    this.key = new kms.Key(this, 'Key', {
      description: `${settings.name}: Postgres and its secrets`,
      enableKeyRotation: true,
      removalPolicy: RemovalPolicy.RETAIN,
    });
    const identifier = `${settings.name}-ledger`;
    const written = new logs.LogGroup(this, 'PostgresLog', {
      logGroupName: `/aws/rds/instance/${identifier}/postgresql`,
      retention: RETENTION.database,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    this.instance = new rds.DatabaseInstance(this, 'Ledger', {
      engine: ENGINE,
      instanceIdentifier: identifier,
      instanceType: new ec2.InstanceType(settings.databaseInstance),
      vpc: network.vpc,
      vpcSubnets: { subnetType: ec2.SubnetType.PRIVATE_ISOLATED },
      securityGroups: [network.database],
      port: DATABASE_PORT,
      multiAz: true,
      storageType: rds.StorageType.GP3,
      allocatedStorage: settings.databaseStorage,
      maxAllocatedStorage: settings.databaseStorage * 10,
      storageEncrypted: true,
      storageEncryptionKey: this.key,
      credentials: rds.Credentials.fromGeneratedSecret('administrator', { encryptionKey: this.key }),
      parameterGroup: new rds.ParameterGroup(this, 'Parameters', { engine: ENGINE, parameters: { ...PARAMETERS } }),
      backupRetention: RETENTION.databaseBackups,
      copyTagsToSnapshot: true,
      deletionProtection: true,
      removalPolicy: RemovalPolicy.RETAIN,
      enablePerformanceInsights: true,
      performanceInsightEncryptionKey: this.key,
      cloudwatchLogsExports: ['postgresql'],
      autoMinorVersionUpgrade: true,
      caCertificate: rds.CaCertificate.RDS_CA_RSA2048_G1,
    });
    this.instance.node.addDependency(written);
    const { secret: administrator } = this.instance;
    if (administrator === undefined) throw new Error('an instance with generated credentials has their secret');
    this.administrator = administrator;
    acknowledge(
      this.instance,
      'AwsSolutions-SMG4',
      'Used by the set-up task only, which reads it anew each time; rotated by hand (docs/deploying.md).',
    );
    this.url = this.urlSecret(settings);
    new CfnOutput(this, 'Endpoint', { value: this.instance.dbInstanceEndpointAddress });
  }

  private urlSecret(settings: Settings): secrets.Secret {
    const because = 'Workers read it when they start: rotated by hand with a restart of the services (docs/deploying.md).';
    const password = new secrets.Secret(this, 'RolePassword', {
      description: `${settings.name}: password of the role ${ROLE}`,
      encryptionKey: this.key,
      // Only what needs no escape in a URL.
      generateSecretString: { excludePunctuation: true, passwordLength: 40 },
    });
    acknowledge(password, 'AwsSolutions-SMG4', because);
    const { dbInstanceEndpointAddress: host, dbInstanceEndpointPort: port } = this.instance;
    const url = new secrets.Secret(this, 'Url', {
      description: `${settings.name}: DATABASE_URL of the workers`,
      encryptionKey: this.key,
      // The password is a reference that CloudFormation resolves: it is in no template.
      secretStringValue: SecretValue.unsafePlainText(
        `postgres://${ROLE}:${password.secretValue.unsafeUnwrap()}@${host}:${port}/${ROLE}?sslmode=verify-full&sslrootcert=${DATABASE_CERTIFICATES}`,
      ),
    });
    acknowledge(url, 'AwsSolutions-SMG4', because);
    return url;
  }
}
