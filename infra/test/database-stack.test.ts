import { readFileSync } from 'node:fs';
import path from 'node:path';
import { DATABASE_CERTIFICATES } from '../lib/database-stack';
import { template } from './synthesise';

const database = template('transient', 'database');

test('Postgres 18 is encrypted, in two zones, backed up, not public, and not deleted by mistake', () => {
  database.hasResource('AWS::RDS::DBInstance', {
    DeletionPolicy: 'Retain',
    Properties: {
      Engine: 'postgres',
      EngineVersion: '18.3',
      DBInstanceClass: 'db.r7g.xlarge',
      AllocatedStorage: '200',
      MaxAllocatedStorage: 2000,
      StorageEncrypted: true,
      MultiAZ: true,
      BackupRetentionPeriod: 14,
      DeletionProtection: true,
      PubliclyAccessible: false,
      Port: '5433',
      CopyTagsToSnapshot: true,
    },
  });
});

test('a lock is awaited longer by Postgres than by a publisher, TLS is forced, and nobody keeps old publications for ever', () => {
  const [group] = Object.values(database.findResources('AWS::RDS::DBParameterGroup'));
  expect(group?.Properties).toMatchObject({
    Family: 'postgres18',
    Parameters: {
      'deadlock_timeout': '1000',
      'idle_in_transaction_session_timeout': '600000',
      'max_prepared_transactions': '0',
      'rds.force_ssl': '1',
    },
  });
  const session = readFileSync(path.join(__dirname, '../../activities/publish/publish-session.ts'), 'utf8');
  const lockTimeout = Number(/LOCK_TIMEOUT_MS = (\d+)/.exec(session)?.[1]);
  expect(lockTimeout).toBeGreaterThan(0);
  expect(Number(group?.Properties.Parameters.deadlock_timeout)).toBeGreaterThan(lockTimeout);
});

test('no password is in the template: the URL refers to the secret that generated it, and is verified against the authorities of RDS', () => {
  const generated = Object.entries(database.findResources('AWS::SecretsManager::Secret'));
  const [, url] = generated.find(([id]) => id.startsWith('Url')) ?? [];
  const text = JSON.stringify(url?.Properties.SecretString);
  expect(text).toMatch(/postgres:\/\/almanac:\{\{resolve:secretsmanager:.*\}\}@/);
  expect(text).toContain(`sslmode=verify-full&sslrootcert=${DATABASE_CERTIFICATES}`);
  for (const [id, { Properties }] of generated) {
    expect(Properties).toHaveProperty('KmsKeyId');
    if (!id.startsWith('Url')) expect(Properties).toHaveProperty('GenerateSecretString');
  }
  const image = readFileSync(path.join(__dirname, '../image/Dockerfile'), 'utf8');
  expect(image).toContain(DATABASE_CERTIFICATES);
});

test('what Postgres logs is kept for a while, not for ever', () => {
  database.hasResourceProperties('AWS::Logs::LogGroup', {
    LogGroupName: '/aws/rds/instance/almanac-ledger/postgresql',
    RetentionInDays: 90,
  });
});
