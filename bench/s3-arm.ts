/** Our arm of `bench/s3.ts`, in a process of its own: moves one file into the store or out of it, and tells its peak memory in bytes. */
import path from 'node:path';
import { createS3Store } from '../activities/storage/s3-store';
import { s3Client } from '../lib/aws';
import { readConfig } from '../lib/config';

/** What is asked, as JSON in the first argument; the store's variables are in the environment. */
export interface Errand {
  readonly way: 'up' | 'down';
  readonly root: string;
  /** Of the way up; it is gone afterwards. */
  readonly file: string;
  readonly sha256: string;
  readonly name: string;
}

async function main({ way, root, file, sha256, name }: Errand): Promise<void> {
  const { s3 } = readConfig(process.env, root);
  if (s3 === undefined) throw new Error('the settings name no bucket');
  const store = createS3Store(s3Client(s3), { ...s3, cacheBytes: 0 }, path.join(root, 'here'));
  if (way === 'up') {
    if (!(await store.adoptFile(file, name))) throw new Error(`${name} is taken`);
  } else {
    await using local = await store.localFiles([{ path: name, sha256 }]);
    local.path(name);
  }
  process.stdout.write(String(process.resourceUsage().maxRSS * 1024));
}

void main(JSON.parse(process.argv[2] ?? '') as Errand);
