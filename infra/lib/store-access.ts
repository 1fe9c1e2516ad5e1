import type * as iam from 'aws-cdk-lib/aws-iam';
import type * as kms from 'aws-cdk-lib/aws-kms';
import type * as s3 from 'aws-cdk-lib/aws-s3';
import { grant } from './grant';
import { JOB_FOLDER, SOURCE_FOLDERS, STORE_FOLDERS, STORE_PREFIX } from './store-folders';

export interface StoreBucket {
  readonly bucket: s3.IBucket;
  readonly key: kms.IKey;
}

/** What the workers do in the object store: read all of it, write and collect what is theirs. Landing and reference are never written. */
export function grantStore(role: iam.Role, store: StoreBucket): void {
  grantReading(role, store, [...SOURCE_FOLDERS, ...STORE_FOLDERS]);
  grant(role, {
    sid: 'WriteStore',
    actions: ['s3:AbortMultipartUpload', 's3:DeleteObject', 's3:PutObject'],
    resources: STORE_FOLDERS.map((folder) => objects(store, folder)),
    because: 'Versions have names of their own: all of one folder of one bucket.',
  });
  grant(role, { sid: 'EncryptStore', actions: ['kms:Decrypt', 'kms:GenerateDataKey'], resources: [store.key.keyArn] });
}

/** What a step of Spark does there: read its jar, its order and versions, put files beside those. It deletes nothing: collection is the workers'. */
export function grantStepStore(role: iam.Role, store: StoreBucket): void {
  grantReading(role, store, [JOB_FOLDER, ...STEP_FOLDERS]);
  grant(role, {
    sid: 'WriteVersions',
    actions: ['s3:AbortMultipartUpload', 's3:PutObject'],
    resources: STEP_FOLDERS.map((folder) => objects(store, folder)),
    because: 'Files of a version have random names: all of one folder of one bucket.',
  });
}

/** What the doctor in a worker does there: see that the jar of the settings is where it says. */
export function grantJob(role: iam.Role, store: StoreBucket): void {
  grant(role, {
    sid: 'ReadJob',
    actions: ['s3:GetObject'],
    resources: [objects(store, JOB_FOLDER)],
    because: 'Jars are named by releases: all of one folder of one bucket.',
  });
}

/** What a step writes: files of versions, and beside them the claim and the result of its order (activities/storage/store-paths.ts). */
const STEP_FOLDERS: readonly (typeof STORE_FOLDERS)[number][] = ['datasets'];

function grantReading(role: iam.Role, store: StoreBucket, folders: readonly string[]): void {
  // Of the whole bucket, in which nothing else is: to who may list a part only, S3 may say of an object that is not there that access is denied.
  grant(role, { sid: 'ListStore', actions: ['s3:ListBucket'], resources: [store.bucket.bucketArn] });
  grant(role, {
    sid: 'ReadStore',
    actions: ['s3:GetObject'],
    resources: folders.map((folder) => objects(store, folder)),
    because: 'Versions and landing files have names of their own: all of one folder of one bucket.',
  });
}

function objects({ bucket }: StoreBucket, folder: string): string {
  return bucket.arnForObjects(`${STORE_PREFIX}/${folder}/*`);
}
