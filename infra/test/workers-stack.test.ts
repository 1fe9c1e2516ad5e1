import type { Template } from 'aws-cdk-lib/assertions';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { readConfig } from '../../lib/config';
import { readEmrSettings } from '../../lib/emr-settings';
import { actions, policy, resources, template } from './synthesise';

interface Container {
  readonly Environment?: readonly { readonly Name: string; readonly Value: unknown }[];
  readonly Secrets?: readonly { readonly Name: string; readonly ValueFrom: unknown }[];
  readonly Command: readonly string[];
  readonly HealthCheck?: { readonly Command: readonly string[] };
}

const cloud = template('transient', 'workers');

function container(of: Template, family: string): Container {
  const [task] = Object.values(of.findResources('AWS::ECS::TaskDefinition', { Properties: { Family: family } }));
  return task?.Properties.ContainerDefinitions[0] as Container;
}

const ROLES = ['control', 'live', 'backfill'] as const;

/** The variables as a process would see them, references filled in. */
function environment({ Environment = [], Secrets = [] }: Container): Record<string, string> {
  const plain = Environment.map(({ Name, Value }) => [Name, typeof Value === 'string' ? Value : filled(Value)]);
  const secret = Secrets.map(({ Name }) => [Name, Name === 'DATABASE_URL' ? 'postgres://almanac:x@host:5433/almanac' : 'from-a-secret']);
  return Object.fromEntries([...plain, ...secret]) as Record<string, string>;
}

function filled(value: unknown): string {
  const { 'Fn::Join': join, 'Fn::ImportValue': imported, Ref } = value as Record<string, unknown> & { 'Fn::Join'?: [string, unknown[]] };
  if (join !== undefined) return join[1].map((part) => (typeof part === 'string' ? part : filled(part))).join(join[0]);
  if (Ref === 'AWS::Region') return 'eu-central-1';
  if (/OutputRefCluster[\dA-F]{8}/.test(String(imported))) return 'j-2AXXXXXXGAPLF';
  return /OutputRefData[\dA-F]{8}/.test(String(imported)) ? 'a-bucket' : String(imported ?? Ref).replace(/^.*ExportsOutput/, '');
}

test.each(ROLES)('the %s workers start with variables that the configuration of Almanac takes', (role) => {
  const variables = environment(container(template('plain', 'workers'), `almanac-${role}`));
  const config = readConfig(variables, __dirname);
  expect(config).toMatchObject({
    home: '/var/lib/almanac',
    databaseUrl: 'postgres://almanac:x@host:5433/almanac',
    queue: 'almanac',
    s3: { bucket: 'a-bucket', prefix: 'almanac/', cacheBytes: role === 'control' ? 5e9 : 60e9 },
    metrics: { host: '0.0.0.0', port: 9464 },
    temporal: { namespace: 'default', external: { address: 'temporal.example:7233', apiKey: 'from-a-secret' } },
  });
  expect(variables.ALMANAC_DATA).toBe('s3://a-bucket/almanac');
});

test('each role has a service of its own; those of backfills have most of their places for them, on spot capacity', () => {
  const services = Object.values(cloud.findResources('AWS::ECS::Service')).map(({ Properties }) => [
    Properties.ServiceName,
    Properties.DesiredCount,
    Properties.CapacityProviderStrategy[0].CapacityProvider,
    Properties.EnableExecuteCommand,
  ]);
  expect(services.sort()).toEqual([
    ['almanac-backfill', 3, 'FARGATE_SPOT', false],
    ['almanac-control', 2, 'FARGATE', true],
    ['almanac-live', 1, 'FARGATE', false],
  ]);
  expect(container(cloud, 'almanac-control').Command).toEqual(['worker', '--role', 'control']);
  for (const [role, places] of [
    ['live', ['2', '1']],
    ['backfill', ['1', '2']],
  ] as const) {
    const variables = environment(container(cloud, `almanac-${role}`));
    expect([variables.ALMANAC_PLACES, variables.ALMANAC_BACKFILL_PLACES]).toEqual(places);
    expect(container(cloud, `almanac-${role}`).Command).toEqual(['worker', '--role', 'compute']);
  }
});

test('two builds never run side by side, a broken one is taken back, and live workers grow with the load', () => {
  cloud.allResourcesProperties('AWS::ECS::Service', {
    DeploymentConfiguration: { MinimumHealthyPercent: 0, MaximumPercent: 100, DeploymentCircuitBreaker: { Enable: true, Rollback: true } },
    NetworkConfiguration: { AwsvpcConfiguration: { AssignPublicIp: 'DISABLED' } },
  });
  cloud.hasResourceProperties('AWS::ApplicationAutoScaling::ScalableTarget', { MinCapacity: 1, MaxCapacity: 4 });
});

test('the first deployment starts no worker, so that nothing waits for secrets that are still empty', () => {
  const first = template('open', 'workers');
  first.resourceCountIs('AWS::ECS::Service', 3);
  first.allResourcesProperties('AWS::ECS::Service', { DesiredCount: 0 });
  first.resourceCountIs('AWS::ApplicationAutoScaling::ScalableTarget', 0);
});

test.each(ROLES)('the %s workers are told of EMR: settings that the program takes, all of the deployment’s own making', (role) => {
  using emr = startedWith(environment(container(cloud, `almanac-${role}`)));
  expect(emr.variables).toMatchObject({ ALMANAC_EMR_REGION: 'eu-central-1', ALMANAC_EMR_SETTINGS: '/var/lib/almanac/emr-settings.json' });
  const { emr: config } = readConfig(emr.variables, __dirname);
  expect(config).toEqual({ region: 'eu-central-1', settings: '/var/lib/almanac/emr-settings.json' });
  const { job, transient } = readEmrSettings({ settings: emr.file });
  expect(job).toEqual({
    jar: 's3://a-bucket/almanac/jobs/a1b2c3.jar',
    class: 'almanac.Job',
    sparkArguments: ['--conf', 'spark.hadoop.fs.s3a.endpoint.region=eu-central-1'],
  });
  expect(transient).toMatchObject({
    release: 'emr-7.9.0',
    logs: expect.stringMatching(/^s3:\/\/.*Logs.*\/emr\/$/),
    logKey: expect.stringContaining('Key'),
    serviceRole: expect.stringContaining('ServiceRole'),
    instanceProfile: expect.stringContaining('InstanceProfile'),
    subnets: [expect.stringContaining('private'), expect.stringContaining('private')],
    securityConfiguration: expect.stringContaining('Security'),
    securityGroups: {
      primary: expect.stringContaining('Primary'),
      core: expect.stringContaining('Core'),
      service: expect.stringContaining('Service'),
    },
    tags: { almanac: 'almanac' },
  });
  expect(transient?.fleets.map(({ role: of, onDemand, spot }) => [of, onDemand, spot])).toEqual([
    ['MASTER', 1, 0],
    ['CORE', 2, 0],
    ['TASK', 0, 4],
  ]);
});

test('beside a cluster that stays the settings describe none, and without EMR there are none', () => {
  using existing = startedWith(environment(container(template('existing', 'workers'), 'almanac-live')));
  const { cluster } = readConfig(existing.variables, __dirname).emr ?? {};
  expect(cluster).toBe('j-2AXXXXXXGAPLF');
  expect(readEmrSettings({ settings: existing.file, cluster: 'j-2AXXXXXXGAPLF' })).not.toHaveProperty('transient');
  using plain = startedWith(environment(container(template('plain', 'workers'), 'almanac-live')));
  expect(Object.keys(plain.variables).filter((name) => name.includes('EMR'))).toEqual([]);
  expect(existsSync(plain.file)).toBe(false);
});

/** What a container has once image/start.mjs, its entry point, has run with those variables. */
function startedWith(
  variables: Record<string, string>,
): Disposable & { readonly variables: Record<string, string>; readonly file: string } {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'almanac-start-'));
  const file = path.join(folder, 'made', 'settings.json');
  const start = path.join(__dirname, '..', 'image', 'start.mjs');
  const environment = { ...variables, ...(variables.ALMANAC_EMR_SETTINGS === undefined ? {} : { ALMANAC_EMR_SETTINGS: file }) };
  // Whether Almanac is built here or not: the file is written before it is asked for.
  try {
    execFileSync(process.execPath, [start, '--version'], { env: environment, stdio: 'pipe' });
  } catch (error) {
    if (!String((error as { stderr?: Buffer }).stderr).includes('Almanac is not built')) throw error;
  }
  return { variables, file, [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) };
}

test('a worker that hangs is told by its metrics', () => {
  for (const role of ROLES) expect(container(cloud, `almanac-${role}`).HealthCheck?.Command.join(' ')).toContain('127.0.0.1:9464/metrics');
});

test('secrets come from Secrets Manager and are in no variable', () => {
  for (const role of ROLES) {
    const { Environment = [], Secrets = [] } = container(cloud, `almanac-${role}`);
    expect(Secrets.map(({ Name }) => Name).sort()).toEqual(['DATABASE_URL', 'TEMPORAL_API_KEY']);
    for (const { Name } of Environment) expect(Name).not.toMatch(/URL|KEY|SECRET|TOKEN|PASS/);
  }
});

test('a cluster of one’s own is reached with a client certificate, or with nothing', () => {
  const certified = template('certificate', 'workers');
  expect(container(certified, 'almanac-live').Secrets?.map(({ Name }) => Name)).toEqual([
    'DATABASE_URL',
    'TEMPORAL_TLS_CLIENT_CERT_DATA',
    'TEMPORAL_TLS_CLIENT_KEY_DATA',
  ]);
  const open = template('open', 'workers');
  expect(container(open, 'almanac-live').Secrets?.map(({ Name }) => Name)).toEqual(['DATABASE_URL']);
  open.resourceCountIs('AWS::SecretsManager::Secret', 0);
});

test('ECS may pull one repository, write one log and decrypt the secrets through Secrets Manager alone', () => {
  const statements = policy(cloud, 'liveWorkerExecutionRole');
  expect(actions(statements)).toEqual([
    'ecr:BatchCheckLayerAvailability',
    'ecr:BatchGetImage',
    'ecr:GetAuthorizationToken',
    'ecr:GetDownloadUrlForLayer',
    'kms:Decrypt',
    'logs:CreateLogStream',
    'logs:PutLogEvents',
    'secretsmanager:DescribeSecret',
    'secretsmanager:GetSecretValue',
  ]);
  const decrypt = statements.find(({ Sid }) => Sid === 'DecryptSecrets');
  expect(JSON.stringify(decrypt?.Condition)).toContain('kms:ViaService');
  expect(statements.filter((statement) => resources(statement).includes('*')).flatMap(({ Action }) => Action)).toEqual([
    'ecr:GetAuthorizationToken',
  ]);
});

test('people type commands in control workers only, and what they typed is kept', () => {
  expect(actions(policy(cloud, 'controlWorkerRole'))).toContain('ssmmessages:OpenDataChannel');
  expect(actions(policy(cloud, 'liveWorkerRole'))).not.toContain('ssmmessages:OpenDataChannel');
  cloud.hasResourceProperties('AWS::Logs::LogGroup', { LogGroupName: '/almanac/almanac-commands', RetentionInDays: 365 });
});

test('the task that makes the database role is the only one with the administrator’s password, and may do nothing in AWS', () => {
  const { Secrets = [], Command } = container(cloud, 'almanac-setup');
  expect(Command).toEqual(['/opt/almanac/infra/image/database-role.mjs']);
  expect(Secrets.map(({ Name }) => Name).sort()).toEqual(['ADMINISTRATOR', 'ADMINISTRATOR_PASSWORD', 'DATABASE_URL']);
  expect(() => policy(cloud, 'setupRole')).toThrow('0 policies');
  for (const { Properties } of Object.values(cloud.findResources('AWS::Logs::LogGroup')))
    expect(Properties.RetentionInDays).toBeGreaterThan(0);
});
