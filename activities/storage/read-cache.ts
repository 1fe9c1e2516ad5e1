import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { link, mkdir, readdir, rm, stat, utimes } from 'node:fs/promises';
import path from 'node:path';
import { codeOf } from './error-code';
import { hashFile } from './sealed-file';

/** After an eviction there is room for a tenth of the limit before the next. */
const KEPT_SHARE = 0.9;
/** Others file into the same folder: it is looked at again after so many of ours. */
const LOOK_EVERY = 64;

/** Bytes by their hash in a folder that processes of one machine share. Nothing in it is needed: it may be deleted at any time. */
export interface ReadCache {
  /** Names the bytes `file` as well, which no eviction takes away; false when they are not here, or not those of the hash. */
  take(sha256: string, file: string): Promise<boolean>;
  /** Keeps the bytes of a file that nobody writes to any more; those used longest ago make room. */
  keep(sha256: string, file: string): Promise<void>;
}

/** Is told what reading costs; bytes of one object each. */
export interface ReadObserver {
  /** It was here. */
  taken(bytes: number): void;
  /** It came from the bucket. */
  fetched(bytes: number): void;
  /** It made room. */
  evicted(bytes: number): void;
}

export const NOBODY: ReadObserver = { taken: () => undefined, fetched: () => undefined, evicted: () => undefined };

/** `limit` in bytes; a file beyond it is not kept. What another process kept is hashed at its first use here: one that was spoiled goes. */
export function createReadCache(folder: string, limit: number, observer: ReadObserver = NOBODY): ReadCache {
  /** Hashes that this process has seen the bytes of. */
  const seen = new Set<string>();
  let known: number | undefined;
  let kept = 0;
  let evicting: Promise<void> | undefined;

  const nameOf = (sha256: string): string => path.join(folder, sha256.slice(0, 2), sha256);

  async function evict(): Promise<void> {
    const entries = await entriesOf(folder);
    let total = entries.reduce((sum, { bytes }) => sum + bytes, 0);
    if (total > limit) {
      for (const { file, bytes } of entries.sort((a, b) => a.used - b.used)) {
        if (total <= limit * KEPT_SHARE) break;
        await rm(file, { force: true });
        seen.delete(path.basename(file));
        observer.evicted(bytes);
        total -= bytes;
      }
    }
    known = total;
  }

  return {
    async take(sha256, file) {
      try {
        await link(nameOf(sha256), file);
      } catch (error) {
        // Not here, or already in use under more names than the file system has.
        if (['ENOENT', 'EMLINK'].includes(codeOf(error) ?? '')) return false;
        throw error;
      }
      if (!seen.has(sha256)) {
        if ((await hashFile(file)).sha256 !== sha256) {
          await Promise.all([rm(file), rm(nameOf(sha256), { force: true })]);
          return false;
        }
        seen.add(sha256);
      }
      const now = new Date();
      await utimes(file, now, now);
      observer.taken((await stat(file)).size);
      return true;
    },

    async keep(sha256, file) {
      const { size } = await stat(file);
      if (size > limit) return;
      const name = nameOf(sha256);
      await mkdir(path.dirname(name), { recursive: true });
      try {
        await link(file, name);
      } catch (error) {
        if (codeOf(error) === 'EEXIST') return;
        throw error;
      }
      seen.add(sha256);
      kept += 1;
      if (known !== undefined) known += size;
      if (known !== undefined && known <= limit && kept % LOOK_EVERY !== 0) return;
      evicting ??= evict().finally(() => (evicting = undefined));
      await evicting;
    },
  };
}

/** Nobody waits until the disk has what is kept: what was kept before the machine last started may be torn, and goes. */
export function folderOfThisBoot(folder: string): string {
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  mkdirSync(path.join(folder, boot), { recursive: true });
  for (const name of readdirSync(folder)) if (name !== boot) rmSync(path.join(folder, name), { recursive: true, force: true });
  return path.join(folder, boot);
}

interface Entry {
  readonly file: string;
  readonly bytes: number;
  /** Milliseconds. */
  readonly used: number;
}

async function entriesOf(folder: string): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = path.join(entry.parentPath, entry.name);
    try {
      const { size, mtimeMs } = await stat(file);
      entries.push({ file, bytes: size, used: mtimeMs });
    } catch (error) {
      // Another process evicted it.
      if (codeOf(error) !== 'ENOENT') throw error;
    }
  }
  return entries;
}
