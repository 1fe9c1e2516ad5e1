import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import {
  acceptedPath,
  dataPath,
  exportPath,
  headPath,
  jobPath,
  landingFolder,
  manifestPath,
  quarantinePath,
  referencePath,
  replayPath,
} from '../../activities/storage/store-paths';
import { JOB_FOLDER, SOURCE_FOLDERS, STORE_FOLDERS } from '../lib/store-folders';
import { actions, allowed, list, policy, resources, stackNames, template, type Statement } from './synthesise';

const templates = stackNames('existing').map((name) => ({ name, of: template('existing', name) }));
const workers = template('existing', 'workers');

const ROOT = path.join(__dirname, '../..');

/** Commands of an AWS client that the code makes, by the folders it makes them in. */
function commands(folders: readonly string[], client: string): ReadonlySet<string> {
  const found = new Set<string>();
  for (const folder of folders) {
    for (const file of readdirSync(path.join(ROOT, folder), { recursive: true, encoding: 'utf8' })) {
      // The local EMR serves people's own machines.
      if (!file.endsWith('.ts') || file.startsWith('emr-local')) continue;
      const text = readFileSync(path.join(ROOT, folder, file), 'utf8');
      if (!text.includes(`@aws-sdk/${client}`)) continue;
      for (const [, command = ''] of text.matchAll(/new (\w+)Command\(/g)) found.add(command);
    }
  }
  return found;
}

/** Folders of what workers run. */
const PROGRAM = ['activities', 'cli', 'lib', 'operator', 'workers'];

const S3_ACTIONS: Readonly<Record<string, string>> = {
  AbortMultipartUpload: 's3:AbortMultipartUpload',
  CompleteMultipartUpload: 's3:PutObject',
  CreateMultipartUpload: 's3:PutObject',
  DeleteObject: 's3:DeleteObject',
  GetObject: 's3:GetObject',
  HeadObject: 's3:GetObject',
  ListObjectsV2: 's3:ListBucket',
  PutObject: 's3:PutObject',
  UploadPart: 's3:PutObject',
};

test('no policy of any stack allows an action by a pattern', () => {
  let seen = 0;
  for (const { of } of templates) {
    for (const [id, statements] of allowed(of)) {
      for (const action of actions(statements)) {
        seen++;
        expect([id, action]).toEqual([id, expect.not.stringContaining('*')]);
      }
    }
  }
  expect(seen).toBeGreaterThan(100);
});

test('nothing is granted by a policy that AWS manages', () => {
  for (const { name, of } of templates) {
    for (const { Properties } of Object.values(of.findResources('AWS::IAM::Role')))
      expect([name, Properties.ManagedPolicyArns]).toEqual([name, undefined]);
  }
});

test('all resources at once are allowed only for actions that know none, or by a condition', () => {
  const open = templates.flatMap(({ of }) =>
    [...allowed(of)].flatMap(([, statements]) =>
      statements
        .filter((statement) => resources(statement).includes('*') && statement.Condition === undefined)
        .flatMap(({ Action }) => list(Action)),
    ),
  );
  expect([...new Set(open)].filter((action) => !action.startsWith('ec2:Describe')).sort()).toEqual([
    'ecr:GetAuthorizationToken',
    'elasticmapreduce:ListClusters',
    'logs:DescribeLogGroups',
    'ssmmessages:CreateControlChannel',
    'ssmmessages:CreateDataChannel',
    'ssmmessages:OpenControlChannel',
    'ssmmessages:OpenDataChannel',
  ]);
});

describe.each(['controlWorkerRole', 'liveWorkerRole', 'backfillWorkerRole'])('%s', (role) => {
  const statements = policy(workers, role);
  const of = (service: string): readonly string[] => actions(statements).filter((action) => action.startsWith(`${service}:`));

  test('does in S3 what the store and the reader of logs do, and nothing else', () => {
    const made = [...commands(PROGRAM, 'client-s3')].map((command) => S3_ACTIONS[command] ?? command);
    expect(of('s3')).toEqual([...new Set(made)].sort());
  });

  test('does with EMR what the engine does, and nothing else', () => {
    const made = [...commands(PROGRAM, 'client-emr')].map((command) => `elasticmapreduce:${command}`);
    // RunJobFlow of a cluster with tags is an AddTags as well; with a policy of when it ends by itself, a PutAutoTerminationPolicy.
    expect(of('elasticmapreduce')).toEqual([...made, 'elasticmapreduce:AddTags', 'elasticmapreduce:PutAutoTerminationPolicy'].sort());
  });

  test('works only with clusters that carry the tag of the deployment', () => {
    const free = statements.filter(
      ({ Action, Condition }) => list(Action).some((action) => action.startsWith('elasticmapreduce:')) && Condition === undefined,
    );
    expect(free.flatMap(({ Action }) => Action)).toEqual(['elasticmapreduce:ListClusters']);
  });

  test('passes two roles, each to one service', () => {
    const passed = statements.filter(({ Action }) => list(Action).includes('iam:PassRole'));
    expect(passed.map(({ Condition }) => Condition)).toEqual([
      { StringEquals: { 'iam:PassedToService': 'elasticmapreduce.amazonaws.com' } },
      { StringEquals: { 'iam:PassedToService': 'ec2.amazonaws.com' } },
    ]);
    expect(passed.flatMap(resources)).toEqual([expect.stringMatching(/ServiceRole\w+Arn/), expect.stringMatching(/InstanceRole\w+Arn/)]);
  });

  test('never writes what others deliver', () => {
    const written = statements.filter(({ Action }) => list(Action).some((action) => /PutObject|DeleteObject/.test(action)));
    expect(folders(written)).toEqual([...STORE_FOLDERS].sort());
  });

  test('reads the folders of the store, and the jar of the job that the doctor looks for where there is EMR', () => {
    const read = (given: readonly Statement[]): readonly string[] =>
      folders(
        given.filter(({ Action, Resource }) => list(Action).includes('s3:GetObject') && JSON.stringify(Resource).includes('/almanac/')),
      );
    const always = [...SOURCE_FOLDERS, ...STORE_FOLDERS];
    expect(read(statements)).toEqual([...always, JOB_FOLDER].sort());
    expect(read(policy(template('plain', 'workers'), role))).toEqual([...always].sort());
  });

  test('uses one key, for nothing but reading and writing', () => {
    expect(of('kms')).toEqual(['kms:Decrypt', 'kms:GenerateDataKey']);
  });
});

function folders(statements: readonly Statement[]): readonly string[] {
  return [...new Set(statements.flatMap(resources).map((resource) => /"\/almanac\/(\w+)\/\*"/.exec(resource)?.[1] ?? resource))].sort();
}

test('every path that the store spells is in a folder that a policy names', () => {
  const version = { dataset: 'd', window: 'w', version: 'v' };
  // What a step is told, claims and leaves.
  expect(jobPath('d', 'w', 'k', 1, 'token')).toMatch(/^datasets\//);
  const written = [
    acceptedPath('p', 'main', 'w', 1),
    dataPath('d', 'w', 'n'),
    exportPath(version, 'n'),
    headPath('p', 1),
    manifestPath(version),
    quarantinePath('d', 'w', 'n'),
    replayPath('d', 'w', 1),
  ];
  for (const file of written) expect(STORE_FOLDERS).toContain(file.split('/')[0]);
  for (const file of [landingFolder('s', '2026-01-01'), referencePath('r.csv')]) expect(SOURCE_FOLDERS).toContain(file.split('/')[0]);
  // Folders that are spelt as constants; scratch is on the worker's own disk.
  const spelt = readFileSync(path.join(ROOT, 'activities/storage/store-paths.ts'), 'utf8');
  const constants = [...spelt.matchAll(/^export const [A-Z_]+ = '(\w+)\/';$/gm)].map(([, folder]) => folder);
  expect(constants.length).toBeGreaterThan(3);
  expect(constants.filter((folder) => folder !== 'scratch' && !STORE_FOLDERS.some((known) => known === folder))).toEqual([]);
  const exporter = readFileSync(path.join(ROOT, 'workers/history-exporter.ts'), 'utf8');
  expect(exporter).toContain('`histories/');
});
