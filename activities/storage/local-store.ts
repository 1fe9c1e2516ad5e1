import { createReadStream } from 'node:fs';
import { link, lstat, mkdir, mkdtemp, open, readdir, readFile, realpath, rm, rmdir, stat, utimes } from 'node:fs/promises';
import path from 'node:path';
import { randomBytes } from 'node:crypto';
import { codeOf } from './error-code';
import { outside, requirePath } from './object-path';
import type { ObjectInfo, ObjectStore } from './object-store';

const SCRATCH = 'scratch';
/** Well within the age at which an empty scratch folder counts as left behind. */
const TOUCH_MS = 10 * 60_000;

/** Why an entry that is there cannot be looked at. */
const UNREADABLE: Readonly<Record<string, string>> = {
  ELOOP: 'it is a link that leads in a circle',
  EACCES: 'Almanac may not look into it',
  EPERM: 'Almanac may not look into it',
};

/**
 * Objects as files under `root`. A write is: temporary file in scratch, fsync, link(2) to its name (which fails when the
 * name is taken), fsync of the folder; a killed writer leaves litter in scratch and nothing else. Throws AlmanacError
 * `store.path` for a path that leaves the root, also through a symbolic link.
 */
export function createLocalStore(root: string): ObjectStore {
  const base = path.resolve(root);
  let created: Promise<string> | undefined;

  /** The root with links resolved: what every other path is compared with. */
  function realRoot(): Promise<string> {
    created ??= mkdir(base, { recursive: true })
      .then(() => realpath(base))
      .catch((error: unknown) => {
        // Mended while we run, it is to be found again.
        created = undefined;
        throw error;
      });
    return created;
  }

  function absolute(objectPath: string): string {
    return path.join(base, ...requirePath(objectPath).split('/'));
  }

  /** Refuses a path whose existing part leads out of the root. */
  async function confined(objectPath: string): Promise<string> {
    const file = absolute(objectPath);
    const inside = await realRoot();
    for (let existing = file; existing !== base; existing = path.dirname(existing)) {
      const real = await realpath(existing).catch(absent);
      if (real === undefined) continue;
      if (!real.startsWith(inside + path.sep)) throw outside(objectPath);
      return file;
    }
    return file;
  }

  async function folderOf(file: string): Promise<string> {
    const folder = path.dirname(file);
    const first = await mkdir(folder, { recursive: true });
    // Each new folder is durable only when its parent is.
    for (let made = folder; first !== undefined && made.length >= first.length; made = path.dirname(made))
      await syncFolder(path.dirname(made));
    return folder;
  }

  /** Names a durable file; false when the name is taken. */
  async function name(temporary: string, file: string): Promise<boolean> {
    for (;;) {
      const folder = await folderOf(file);
      try {
        await link(temporary, file);
      } catch (error) {
        if (codeOf(error) === 'EEXIST') return false;
        // A sweep removed the empty folder in between.
        if (codeOf(error) === 'ENOENT' && (await exists(temporary))) continue;
        throw error;
      }
      await syncFolder(folder);
      return true;
    }
  }

  /** Hands every object below a folder to `found`, and what is none with the reason; what vanishes meanwhile to nobody. */
  async function walk(folder: string, prefix: string, found: (info: ObjectInfo) => void): Promise<void> {
    const fault = (objectPath: string, why: string): void => found({ path: objectPath, bytes: 0, modifiedAt: new Date(0), fault: why });
    const entries = await readdir(folder, { withFileTypes: true }).catch(absent);
    for (const entry of entries ?? []) {
      const objectPath = `${prefix}${entry.name}`;
      const file = path.join(folder, entry.name);
      try {
        if (entry.isSymbolicLink()) await confined(objectPath);
        const info = await stat(file).catch(absent);
        if (info?.isDirectory()) await walk(file, `${objectPath}/`, found);
        else if (info?.isFile()) found({ path: objectPath, bytes: info.size, modifiedAt: info.mtime });
        else if (info) fault(objectPath, 'it is no file but a pipe, a socket or a device');
        else if (entry.isSymbolicLink()) fault(objectPath, 'it is a link to nothing');
      } catch (error) {
        const why = UNREADABLE[codeOf(error) ?? ''];
        if (why === undefined) throw error;
        fault(objectPath, why);
      }
    }
  }

  async function list(prefix: string): Promise<ObjectInfo[]> {
    const folder = prefix.endsWith('/') ? prefix.slice(0, -1) : prefix;
    const found: ObjectInfo[] = [];
    await walk(await confined(folder), `${folder}/`, (info) => found.push(info));
    return found.sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  return {
    async putIfAbsent(objectPath, body) {
      const file = await confined(objectPath);
      if (await exists(file)) return false;
      const scratch = path.join(base, SCRATCH);
      await mkdir(scratch, { recursive: true });
      const temporary = path.join(scratch, `put-${randomBytes(8).toString('hex')}`);
      try {
        const handle = await open(temporary, 'wx');
        try {
          await handle.writeFile(body);
          await handle.sync();
        } finally {
          await handle.close();
        }
        return await name(temporary, file);
      } finally {
        await rm(temporary, { force: true });
      }
    },

    async adoptFile(localFile, objectPath) {
      const file = await confined(objectPath);
      const handle = await open(localFile, 'r+');
      try {
        await handle.sync();
      } finally {
        await handle.close();
      }
      const named = await name(localFile, file);
      if (named) await rm(localFile, { force: true });
      return named;
    },

    async get(objectPath) {
      return readFile(await confined(objectPath)).catch(absent);
    },

    async read(objectPath, signal) {
      const file = await confined(objectPath);
      signal?.throwIfAborted();
      return createReadStream(file);
    },

    async list(prefix) {
      return (await list(prefix)).filter(({ fault }) => fault === undefined);
    },

    listAll: list,

    async delete(objectPath) {
      const file = await confined(objectPath);
      const info = await lstat(file).catch(absent);
      if (info?.isDirectory()) throw outside(objectPath);
      await rm(file, { force: true });
      // Empty folders go too; one that is in use again is not empty, and a writer that lost its folder makes it anew.
      for (let folder = path.dirname(file); path.dirname(folder) !== base && folder !== base; folder = path.dirname(folder)) {
        if (
          !(await rmdir(folder).then(
            () => true,
            () => false,
          ))
        )
          break;
      }
    },

    localFiles: () => Promise.resolve({ path: absolute, [Symbol.asyncDispose]: () => Promise.resolve() }),

    place: absolute,

    async scratch() {
      const parent = path.join(await realRoot(), SCRATCH);
      await mkdir(parent, { recursive: true });
      const folder = await mkdtemp(path.join(parent, 'stage-'));
      keepYoung(folder);
      return folder;
    },

    async removeEmptyScratch(before) {
      const parent = path.join(await realRoot(), SCRATCH);
      const entries = await readdir(parent, { withFileTypes: true }).catch(absent);
      let removed = 0;
      for (const entry of entries ?? []) {
        const folder = path.join(parent, entry.name);
        const info = entry.isDirectory() ? await lstat(folder).catch(absent) : undefined;
        if (info === undefined || info.mtime >= before) continue;
        try {
          await rmdir(folder);
          removed += 1;
        } catch (error) {
          // It is not empty, or another sweeper was faster.
          if (!['ENOTEMPTY', 'EEXIST', 'ENOENT'].includes(codeOf(error) ?? '')) throw error;
        }
      }
      return removed;
    },
  };
}

/** A query may compute for hours before it opens its file; until the folder is removed, or this process is gone, it is in use. */
function keepYoung(folder: string): void {
  const timer = setInterval(() => {
    const now = new Date();
    utimes(folder, now, now).catch(() => clearInterval(timer));
  }, TOUCH_MS);
  timer.unref();
}

async function exists(file: string): Promise<boolean> {
  return (await lstat(file).catch(absent)) !== undefined;
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Turns "there is no such file" into undefined; every other error stands. */
function absent(error: unknown): undefined {
  const code = codeOf(error);
  if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
  throw error;
}
