/** Objects of S3 as files of this machine: from the cache, else downloaded and held to what is on record. */
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { AlmanacError } from '../../pipelines/failures';
import { eachOf } from '../../lib/each-of';
import type { LocalFiles, WantedFile } from './object-store';
import { NOBODY, type ReadCache, type ReadObserver } from './read-cache';
import { download } from './s3-get';
import type { S3Place } from './s3-place';

const FILES_AT_ONCE = 4;
/** Times an object is asked for whose bytes are not those on record: a connection may spoil them. */
const DOWNLOADS = 3;
/** Of an object's name what fits into a file's; its ending tells DuckDB how to read it. */
const NAME_CHARACTERS = 60;

export interface Copies {
  /** Copies into a folder that is removed with them. */
  bring(files: readonly WantedFile[], folder: string, signal?: AbortSignal): Promise<LocalFiles>;
}

export function createCopies(place: S3Place, cache: ReadCache, observer: ReadObserver = NOBODY): Copies {
  /** What is on its way already, by hash: stages beside each other read the same versions. */
  const coming = new Map<string, Promise<unknown>>();

  async function bringOne({ path: objectPath, sha256 }: WantedFile, file: string, signal: AbortSignal | undefined): Promise<void> {
    if (sha256 === undefined) return fetch(objectPath, undefined, file, signal);
    if (await cache.take(sha256, file)) return;
    const before = coming.get(sha256);
    if (before !== undefined) {
      // Whether it failed is for whoever asked for it; here it is tried again.
      await unlessAborted(
        before.catch(() => undefined),
        signal,
      );
      if (await cache.take(sha256, file)) return;
    }
    const fetching = fetch(objectPath, sha256, file, signal);
    coming.set(sha256, fetching);
    try {
      await fetching;
    } finally {
      if (coming.get(sha256) === fetching) coming.delete(sha256);
    }
  }

  async function fetch(objectPath: string, sha256: string | undefined, file: string, signal: AbortSignal | undefined): Promise<void> {
    const key = `${place.prefix}${objectPath}`;
    for (let tries = 1; ; tries++) {
      const { sha256: found, bytes } = await download(place, key, file, signal);
      observer.fetched(bytes);
      if (sha256 === undefined || found === sha256) return cache.keep(found, file);
      await rm(file);
      if (tries === DOWNLOADS) throw damaged(place, key, sha256, found);
    }
  }

  return {
    async bring(files, folder, signal) {
      const paths = new Map<string, string>();
      const wanted = [...new Map(files.map((file) => [file.path, file])).values()];
      const dispose = (): Promise<void> => rm(folder, { recursive: true, force: true });
      try {
        await eachOf(wanted.entries(), FILES_AT_ONCE, async ([index, file]) => {
          const name = `${index}-${path.posix.basename(file.path).slice(-NAME_CHARACTERS)}`;
          const target = path.join(folder, name);
          await bringOne(file, target, signal);
          paths.set(file.path, target);
        });
      } catch (error) {
        await dispose();
        throw error;
      }
      return {
        path(objectPath) {
          const file = paths.get(objectPath);
          if (file === undefined) throw new TypeError(`${objectPath} was not asked for`);
          return file;
        },
        [Symbol.asyncDispose]: dispose,
      };
    },
  };
}

/** Waits for what others do, or throws the reason of the signal. */
async function unlessAborted(others: Promise<unknown>, signal: AbortSignal | undefined): Promise<void> {
  let stop = (): void => undefined;
  const stopped = new Promise<void>((resolve) => (stop = resolve));
  signal?.throwIfAborted();
  signal?.addEventListener('abort', stop, { once: true });
  try {
    await Promise.race([others, stopped]);
  } finally {
    signal?.removeEventListener('abort', stop);
  }
  signal?.throwIfAborted();
}

function damaged({ bucket }: S3Place, key: string, wanted: string, found: string): AlmanacError {
  return new AlmanacError('store.damaged', `The bytes of s3://${bucket}/${key} are not those on record: SHA-256 ${found}, not ${wanted}.`, {
    next: 'A landing file that changed is read anew by a retry; else restore the object from the versions of the bucket, or run its window again.',
    details: { bucket, key, wanted, found },
  });
}
