import { Match } from 'aws-cdk-lib/assertions';
import { actions, policy, resources, template } from './synthesise';

const storage = template('plain', 'storage');
const buckets = Object.entries(storage.findResources('AWS::S3::Bucket'));

test('every bucket is versioned, encrypted, private, kept when its stack goes, and has a lifecycle', () => {
  expect(buckets).toHaveLength(3);
  for (const [, { Properties, DeletionPolicy }] of buckets) {
    expect(DeletionPolicy).toBe('Retain');
    expect(Properties).toMatchObject({
      VersioningConfiguration: { Status: 'Enabled' },
      PublicAccessBlockConfiguration: {
        BlockPublicAcls: true,
        BlockPublicPolicy: true,
        IgnorePublicAcls: true,
        RestrictPublicBuckets: true,
      },
      OwnershipControls: { Rules: [{ ObjectOwnership: 'BucketOwnerEnforced' }] },
    });
    expect(Properties.LifecycleConfiguration.Rules.length).toBeGreaterThan(0);
  }
});

test('data and cluster logs are under our key, which is turned every year; access logs under that of S3', () => {
  const algorithms = buckets.map(([id, { Properties }]) => [
    id.replace(/[0-9A-F]{8}$/, ''),
    Properties.BucketEncryption.ServerSideEncryptionConfiguration[0].ServerSideEncryptionByDefault.SSEAlgorithm,
  ]);
  expect(Object.fromEntries(algorithms)).toEqual({ Access: 'AES256', Data: 'aws:kms', Logs: 'aws:kms' });
  storage.hasResourceProperties('AWS::KMS::Key', { EnableKeyRotation: true });
});

test('nobody speaks to a bucket without TLS 1.2', () => {
  const policies = Object.values(storage.findResources('AWS::S3::BucketPolicy'));
  expect(policies).toHaveLength(buckets.length);
  for (const { Properties } of policies) {
    const denied = Properties.PolicyDocument.Statement.filter(({ Effect }: { Effect: string }) => Effect === 'Deny');
    expect(denied).toContainEqual(
      expect.objectContaining({ Action: 's3:*', Principal: { AWS: '*' }, Condition: { Bool: { 'aws:SecureTransport': 'false' } } }),
    );
    expect(denied).toContainEqual(expect.objectContaining({ Condition: { NumericLessThan: { 's3:TlsVersion': 1.2 } } }));
  }
});

test('no rule by age deletes a current object of the store: Almanac collects what is unused', () => {
  const [, data] = buckets.find(([id]) => id.startsWith('Data')) ?? [];
  for (const rule of data?.Properties.LifecycleConfiguration.Rules ?? []) {
    expect(rule).not.toHaveProperty('ExpirationInDays');
    expect(rule).not.toHaveProperty('ExpirationDate');
  }
  storage.hasResourceProperties('AWS::S3::Bucket', {
    LifecycleConfiguration: {
      Rules: Match.arrayWith([
        Match.objectLike({
          AbortIncompleteMultipartUpload: { DaysAfterInitiation: 2 },
          NoncurrentVersionExpiration: { NoncurrentDays: 30 },
        }),
      ]),
    },
  });
});

test('who delivers puts files into landing and reference, and can do nothing else', () => {
  const statements = policy(storage, 'Delivery');
  expect(actions(statements)).toEqual(['kms:Decrypt', 'kms:GenerateDataKey', 's3:AbortMultipartUpload', 's3:PutObject']);
  const [deliver] = statements;
  expect(deliver && resources(deliver).map((resource) => /"(\/[^"]*)"/.exec(resource)?.[1])).toEqual([
    '/almanac/landing/*',
    '/almanac/reference/*',
  ]);
});

test('images are scanned, and a tag is never given to another image', () => {
  storage.hasResourceProperties('AWS::ECR::Repository', {
    ImageTagMutability: 'IMMUTABLE',
    ImageScanningConfiguration: { ScanOnPush: true },
  });
});
