import { createReadStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { DeleteObjectCommand, ListObjectsV2Command, type S3Client, type StorageClass } from '@aws-sdk/client-s3';
import type { S3Config } from '../../lib/s3-config';
import { createLocalStore } from './local-store';
import { pathFault, requirePath } from './object-path';
import type { LocalFiles, ObjectInfo, ObjectStore, WantedFile } from './object-store';
import { createReadCache, folderOfThisBoot, NOBODY, type ReadObserver } from './read-cache';
import { requireConditions } from './s3-conditions';
import { createCopies } from './s3-copies';
import { getObject } from './s3-get';
import { addressed, asked, s3Place } from './s3-place';
import { putIfAbsent, uploadIfAbsent } from './s3-put';
import { SCRATCH } from './store-paths';

/** Of these S3 gives nothing until somebody restored them. */
const ARCHIVED: readonly (StorageClass | undefined)[] = ['GLACIER', 'DEEP_ARCHIVE'];

/**
 * Objects below a prefix of an S3 bucket. A write is a conditional put: of racing writers one wins, and one whose answer was lost knows
 * its own object again. What statements read is copied below `folder` first, through a cache by content. `scratch/` is a folder of this
 * machine, never of the bucket. Throws AlmanacError `store.path`, `store.bucket-missing`, `store.denied`, `store.region`, `store.credentials`,
 * `store.clock`, `store.throttled`, `store.unreachable` and `store.damaged`; `store.unconditional` before its first write to a service that
 * would let two writers win.
 */
export function createS3Store(client: S3Client, config: S3Config, folder: string, observer: ReadObserver = NOBODY): ObjectStore {
  const place = s3Place(client, config);
  const here = createLocalStore(folder);
  const cache = createReadCache(folderOfThisBoot(path.join(folder, 'cache')), config.cacheBytes, observer);
  const copies = createCopies(place, cache, observer);

  const keyOf = (objectPath: string): string => `${place.prefix}${requirePath(objectPath)}`;

  async function list(prefix: string): Promise<ObjectInfo[]> {
    const below = `${keyOf(prefix.replace(/\/$/, ''))}/`;
    const found: ObjectInfo[] = [];
    for (let next: string | undefined; ;) {
      const page = await asked(
        place,
        { key: below, action: 's3:ListBucket' },
        client.send(
          new ListObjectsV2Command({ ...addressed(place), Prefix: below, ...(next === undefined ? {} : { ContinuationToken: next }) }),
        ),
      );
      for (const { Key: key = '', Size: bytes = 0, LastModified: modifiedAt = new Date(0), StorageClass: storage } of page.Contents ?? []) {
        // What consoles put to show an empty folder.
        if (key.endsWith('/') && bytes === 0) continue;
        const objectPath = key.slice(place.prefix.length);
        const fault =
          pathFault(objectPath) ?? (ARCHIVED.includes(storage) ? `it is archived (${storage}) and has to be restored first` : undefined);
        found.push({ path: objectPath, bytes, modifiedAt, ...(fault === undefined ? {} : { fault }) });
      }
      next = page.NextContinuationToken;
      if (next === undefined) return found.sort((a, b) => (a.path < b.path ? -1 : 1));
    }
  }

  async function localFiles(files: readonly WantedFile[], signal?: AbortSignal): Promise<LocalFiles> {
    for (const file of files) requirePath(file.path);
    return copies.bring(files, await here.scratch(), signal);
  }

  let conditions: Promise<void> | undefined;

  /** Once a process: nothing is written where a condition means nothing. */
  function conditional(): Promise<void> {
    conditions ??= requireConditions(place).catch((error: unknown) => {
      conditions = undefined;
      throw error;
    });
    return conditions;
  }

  return {
    async putIfAbsent(objectPath, body) {
      const key = keyOf(objectPath);
      await conditional();
      return putIfAbsent(place, key, Buffer.from(body));
    },

    async adoptFile(file, objectPath) {
      const key = keyOf(objectPath);
      await conditional();
      const adopted = await uploadIfAbsent(place, key, file);
      if (adopted) await rm(file, { force: true });
      return adopted;
    },

    get: async (objectPath) => getObject(place, keyOf(objectPath)),

    async read(objectPath, signal) {
      const files = await localFiles([{ path: objectPath }], signal);
      const stream = createReadStream(files.path(objectPath));
      // It is open by then, or never will be.
      const done = (): void => void files[Symbol.asyncDispose]();
      return stream.once('open', done).once('error', done);
    },

    list: async (prefix) => (isScratch(prefix) ? here.list(prefix) : (await list(prefix)).filter(({ fault }) => fault === undefined)),

    listAll: (prefix) => (isScratch(prefix) ? here.listAll(prefix) : list(prefix)),

    async delete(objectPath) {
      if (isScratch(objectPath)) return here.delete(objectPath);
      const key = keyOf(objectPath);
      await asked(place, { key, action: 's3:DeleteObject' }, client.send(new DeleteObjectCommand({ ...addressed(place), Key: key })));
    },

    localFiles,

    place: (objectPath) => `s3://${place.bucket}/${keyOf(objectPath)}`,

    scratch: () => here.scratch(),

    removeEmptyScratch: (before) => here.removeEmptyScratch(before),
  };
}

/** Throws what keeps the store from being listed and written; leaves one object below `probes/`. */
export async function probeBucket(client: S3Client, config: S3Config): Promise<void> {
  const place = s3Place(client, config);
  const asks = new ListObjectsV2Command({ ...addressed(place), Prefix: place.prefix, MaxKeys: 1 });
  await asked(place, { action: 's3:ListBucket' }, client.send(asks));
  await requireConditions(place, true);
}

function isScratch(objectPath: string): boolean {
  return `${objectPath}/`.startsWith(SCRATCH);
}
