import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { clusterRequest } from '../../../activities/compute/emr-cluster';
import { readEmrSettings, type TransientCluster } from '../../../lib/emr-settings';

const directory = mkdtempSync(path.join(tmpdir(), 'almanac-emr-settings-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const LEAST = {
  release: 'emr-7.9.0',
  logs: 's3://logs/emr/',
  serviceRole: 'service',
  instanceProfile: 'nodes',
  fleets: [{ role: 'MASTER', onDemand: 1, instances: [{ type: 'm7g.xlarge' }] }],
};

/** A cluster as settings in a file describe it. */
function wanted(more: Record<string, unknown> = {}): TransientCluster {
  const file = path.join(directory, 'settings.json');
  writeFileSync(file, JSON.stringify({ job: { jar: 's3://data/jobs/1.jar' }, transient: { ...LEAST, ...more } }));
  const { transient } = readEmrSettings({ settings: file });
  if (transient === undefined) throw new Error('the settings lost their cluster');
  return transient;
}

const RUN = { pipeline: 'p', window: '2026-11-20', branch: 'main', generation: 2 };
const OWNER = { name: 'almanac 1 p/2026-11-20', run: RUN };

test('a cluster is asked for with the groups, the key of its logs and the tags that its settings name', () => {
  const request = clusterRequest(
    OWNER,
    wanted({
      securityGroups: { primary: 'sg-1', core: 'sg-2', service: 'sg-3' },
      subnets: ['subnet-1', 'subnet-2'],
      logKey: 'arn:aws:kms:eu-central-1:111122223333:key/1',
      tags: { almanac: 'almanac' },
    }),
  );
  expect(request).toMatchObject({
    LogUri: 's3://logs/emr/',
    LogEncryptionKmsKeyId: 'arn:aws:kms:eu-central-1:111122223333:key/1',
    Instances: {
      Ec2SubnetIds: ['subnet-1', 'subnet-2'],
      EmrManagedMasterSecurityGroup: 'sg-1',
      EmrManagedSlaveSecurityGroup: 'sg-2',
      ServiceAccessSecurityGroup: 'sg-3',
    },
    AutoTerminationPolicy: { IdleTimeout: 900 },
  });
  expect(request.Tags).toEqual(
    expect.arrayContaining([
      { Key: 'almanac', Value: 'almanac' },
      { Key: 'almanac:pipeline', Value: 'p' },
    ]),
  );
});

test('what the settings leave out is not asked for', () => {
  const request = clusterRequest(OWNER, wanted());
  expect(Object.keys(request)).not.toContain('LogEncryptionKmsKeyId');
  expect(Object.keys(request.Instances ?? {}).sort()).toEqual(['InstanceFleets', 'KeepJobFlowAliveWhenNoSteps', 'TerminationProtected']);
});

test('groups are named all or none, since EMR takes no half of them', () => {
  expect(() => wanted({ securityGroups: { primary: 'sg-1', core: 'sg-2' } })).toThrow(/transient\.securityGroups\.service/);
});

test('a tag tells whose the cluster is, in the characters that AWS takes', () => {
  const request = clusterRequest({ name: 'n', run: { ...RUN, branch: 'try' } }, wanted());
  expect(request.Tags).toContainEqual({ Key: 'almanac:run', Value: 'p/2026-11-20_try g2' });
});
