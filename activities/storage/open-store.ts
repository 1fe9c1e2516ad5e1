import path from 'node:path';
import type { Config } from '../../lib/config';
import { createLocalStore } from './local-store';
import { AlmanacError } from '../../pipelines/failures';
import type { ObjectStore } from './object-store';
import type { ReadObserver } from './read-cache';

type StoreConfig = Pick<Config, 'home' | 'data' | 's3'>;

/** The object store that the configuration names: a folder, or a bucket with its copies below the home, of which `observer` is told. */
export async function openStore({ home, data, s3 }: StoreConfig, observer?: ReadObserver): Promise<ObjectStore> {
  if (s3 === undefined) return createLocalStore(data);
  // The SDK takes a while to load, and most commands need none of it.
  const [{ s3Client }, { createS3Store }] = await Promise.all([import('../../lib/aws.js'), import('./s3-store.js')]);
  return createS3Store(s3Client(s3), s3, path.join(home, 's3'), observer);
}

/** Throws what somebody has to mend before a bucket can be the store; what passes by itself is met by those who use it. */
export async function requireStore({ s3 }: Pick<Config, 's3'>): Promise<void> {
  if (s3 === undefined) return;
  const [{ s3Client }, { probeBucket }] = await Promise.all([import('../../lib/aws.js'), import('./s3-store.js')]);
  try {
    await probeBucket(s3Client(s3), s3);
  } catch (error) {
    if (error instanceof AlmanacError && error.class === 'platform') return;
    throw error;
  }
}
