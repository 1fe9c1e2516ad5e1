import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { eachOf } from '../lib/each-of';
import type { OperatorSession } from './session';

const FILES_AT_ONCE = 16;

/**
 * Lands what a demo writes below a folder: in the data root itself, or in the bucket, where no object is written over. Answers what
 * `write` did.
 */
export async function landDemo<T>({ config, store }: OperatorSession, write: (root: string) => Promise<T>): Promise<T> {
  if (config.s3 === undefined) return write(config.data);
  const root = await store.scratch();
  try {
    const written = await write(root);
    const entries = await readdir(root, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
    await eachOf(files, FILES_AT_ONCE, async (file) => {
      await store.adoptFile(file, path.relative(root, file).split(path.sep).join('/'));
    });
    return written;
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}
