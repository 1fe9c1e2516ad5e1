import { actions, allowed, list, policy, resources, stackNames, template } from './synthesise';

const transient = template('transient', 'emr');
const existing = template('existing', 'emr');

test('clusters are encrypted at rest with our key and in transit, and their instances answer version 2 of the metadata service only', () => {
  transient.hasResourceProperties('AWS::EMR::SecurityConfiguration', {
    SecurityConfiguration: {
      EncryptionConfiguration: {
        EnableAtRestEncryption: true,
        AtRestEncryptionConfiguration: {
          S3EncryptionConfiguration: { EncryptionMode: 'SSE-KMS' },
          LocalDiskEncryptionConfiguration: { EncryptionKeyProviderType: 'AwsKms', EnableEbsEncryption: true },
        },
        EnableInTransitEncryption: true,
        InTransitEncryptionConfiguration: { TLSCertificateConfiguration: { CertificateProviderType: 'PEM' } },
      },
      InstanceMetadataServiceConfiguration: { MinimumInstanceMetadataServiceVersion: 2, HttpPutResponseHopLimit: 1 },
    },
  });
});

test('a cluster that stays is made only where one is asked for: with the security configuration, logs, spot task nodes and steps side by side', () => {
  transient.resourceCountIs('AWS::EMR::Cluster', 0);
  existing.hasResourceProperties('AWS::EMR::Cluster', {
    ReleaseLabel: 'emr-7.9.0',
    Applications: [{ Name: 'Spark' }],
    SecurityConfiguration: { Ref: Object.keys(existing.findResources('AWS::EMR::SecurityConfiguration'))[0] },
    StepConcurrencyLevel: 4,
    Tags: [
      { Key: 'almanac', Value: 'almanac' },
      { Key: 'deployment', Value: 'almanac' },
    ],
    Instances: {
      MasterInstanceFleet: { TargetOnDemandCapacity: 1, TargetSpotCapacity: 0 },
      CoreInstanceFleet: { TargetOnDemandCapacity: 2, TargetSpotCapacity: 0 },
      TaskInstanceFleets: [{ TargetOnDemandCapacity: 0, TargetSpotCapacity: 4 }],
    },
  });
});

test('the nodes read and add versions, write their logs, and delete nothing', () => {
  const statements = policy(transient, 'InstanceRole');
  expect(actions(statements)).toEqual([
    'kms:Decrypt',
    'kms:DescribeKey',
    'kms:Encrypt',
    'kms:GenerateDataKey',
    'kms:GenerateDataKeyWithoutPlaintext',
    'kms:ReEncryptFrom',
    'kms:ReEncryptTo',
    's3:AbortMultipartUpload',
    's3:GetObject',
    's3:ListBucket',
    's3:PutObject',
  ]);
  const written = statements.filter(({ Action }) => list(Action).includes('s3:PutObject')).flatMap(resources);
  for (const resource of written) expect(resource).toMatch(/"(\/almanac\/datasets\/\*|\/emr\/\*)"/);
  const read = statements.filter(({ Action }) => list(Action).includes('s3:GetObject')).flatMap(resources);
  expect(read.map((resource) => /"\/([\w./]+)(\/\*)?"/.exec(resource)?.[1]).sort()).toEqual([
    'almanac/datasets',
    'almanac/jobs',
    'emr/certificates.zip',
  ]);
});

test('nobody but who deploys can replace the jar that the nodes run', () => {
  for (const name of stackNames('transient')) {
    for (const statements of allowed(template('transient', name)).values()) {
      const written = statements.filter(({ Action }) => list(Action).some((action) => /^s3:(Put|Delete)/.test(action)));
      for (const resource of written.flatMap(resources)) expect(resource).not.toMatch(/jobs|almanac\/\*/);
    }
  }
});

test('EMR itself starts, tags, opens and ends only what carries the tag of the deployment', () => {
  const statements = policy(transient, 'ServiceRole');
  const free = statements.filter(({ Condition }) => Condition === undefined).map(({ Sid }) => Sid);
  // Descriptions, the key by its ARN, and what of an instance's call has no tags: the tagged subnet is in the same call.
  expect(free.sort()).toEqual(['EncryptDisks', 'Look', 'StartWithOthersResources']);
  for (const { Sid, Condition } of statements.filter(({ Sid: sid }) =>
    ['StartInTaggedNetwork', 'StartFromTaggedTemplate', 'ManageTagged', 'OpenTaggedGroups'].includes(sid ?? ''),
  )) {
    expect([Sid, Condition]).toEqual([Sid, { StringEquals: { 'aws:ResourceTag/almanac': 'almanac' } }]);
  }
  const looks = statements.find(({ Sid }) => Sid === 'Look');
  for (const action of list(looks?.Action ?? [])) expect(action).toMatch(/^ec2:Describe/);
});

test('a role is passed by its ARN, to the one service it is for', () => {
  for (const statement of [...allowed(transient).values()].flat().filter(({ Action }) => list(Action).includes('iam:PassRole'))) {
    expect(resources(statement)).toEqual([expect.stringMatching(/InstanceRole/)]);
    expect(statement.Condition).toEqual({ StringEquals: { 'iam:PassedToService': 'ec2.amazonaws.com' } });
  }
});

test('the groups of the nodes let nobody in by themselves', () => {
  transient.resourceCountIs('AWS::EC2::SecurityGroup', 3);
  transient.resourceCountIs('AWS::EC2::SecurityGroupIngress', 0);
});
