import type { S3Client } from '@aws-sdk/client-s3';
import type { S3Config } from '../../lib/s3-config';
import { s3Failure, type S3Question } from './s3-failures';

/** A bucket, a prefix in it, and the client that speaks to it. */
export interface S3Place {
  readonly client: S3Client;
  readonly bucket: string;
  readonly prefix: string;
  readonly kmsKey?: string;
  readonly requesterPays: boolean;
}

export function s3Place(client: S3Client, { bucket, prefix, kmsKey, requesterPays }: S3Config): S3Place {
  return { client, bucket, prefix, requesterPays, ...(kmsKey === undefined ? {} : { kmsKey }) };
}

/** What every request about an object names. */
export function addressed({ bucket, requesterPays }: S3Place): { Bucket: string; RequestPayer?: 'requester' } {
  return { Bucket: bucket, ...(requesterPays ? { RequestPayer: 'requester' as const } : {}) };
}

/** How objects that are written are encrypted: by the key that is configured, else as the bucket has it. */
export function encrypted({ kmsKey }: S3Place): { ServerSideEncryption?: 'aws:kms'; SSEKMSKeyId?: string } {
  return kmsKey === undefined ? {} : { ServerSideEncryption: 'aws:kms', SSEKMSKeyId: kmsKey };
}

/** Waits for an answer of S3; what it throws has a code. */
export async function asked<T>(place: S3Place, question: Omit<S3Question, 'bucket'>, answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw s3Failure(error, { ...question, bucket: place.bucket });
  }
}
