import { GetObjectCommand, HeadObjectCommand, type HeadObjectCommandOutput } from '@aws-sdk/client-s3';
import { statusOf } from './s3-failures';
import { addressed, type S3Place } from './s3-place';

export interface HeadOptions {
  /** The tag that the object is to have. */
  readonly ifMatch?: string;
  readonly signal?: AbortSignal | undefined;
}

/** What S3 says of an object; what it throws has words. */
export async function headOf(place: S3Place, key: string, { ifMatch, signal }: HeadOptions = {}): Promise<HeadObjectCommandOutput> {
  const object = { ...addressed(place), Key: key, ...(ifMatch === undefined ? {} : { IfMatch: ifMatch }) };
  try {
    return await place.client.send(new HeadObjectCommand(object), stoppable(signal));
  } catch (error) {
    // The answer to a HEAD has no words: whether credentials expired, a clock is wrong or a region, a GET is told.
    if ([400, 403].includes(statusOf(error) ?? 0))
      await place.client.send(new GetObjectCommand({ ...object, Range: 'bytes=0-0' }), stoppable(signal));
    throw error;
  }
}

/** Requests that end with the signal. */
export function stoppable(signal: AbortSignal | undefined): { abortSignal?: AbortSignal } {
  return signal === undefined ? {} : { abortSignal: signal };
}
