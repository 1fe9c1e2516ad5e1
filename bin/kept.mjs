// Folders of the user's cache, outside every clone, that are made once. One gets its name when it is whole: of two that make it at once the second
// uses what the first made, and what a killed one had begun is removed by the next.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

/** The folder of that name, filled by `make(folder)` when it is not there. It is moved after that: nothing in it may name its own place. */
export function kept(name, make) {
  const cache = path.join(cacheBase(), 'almanac');
  const folder = path.join(cache, name);
  if (existsSync(folder)) return folder;
  mkdirSync(cache, { recursive: true });
  removeLeftovers(cache, name);
  const scratch = mkdtempSync(path.join(cache, `${name}.new-${os.hostname()}-${process.pid}-`));
  try {
    make(scratch);
    renameSync(scratch, folder);
  } catch (error) {
    if (!existsSync(folder)) throw error;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  return folder;
}

/** What processes of this machine that are no more had begun. */
function removeLeftovers(cache, name) {
  const prefix = `${name}.new-${os.hostname()}-`;
  for (const entry of readdirSync(cache)) {
    if (!entry.startsWith(prefix) || isAlive(Number.parseInt(entry.slice(prefix.length), 10))) continue;
    try {
      rmSync(path.join(cache, entry), { recursive: true, force: true, maxRetries: 3 });
    } catch (error) {
      // A child that outlived its parent still writes there: the next one removes it.
      if (error.code !== 'ENOTEMPTY') throw error;
    }
  }
}

function isAlive(pid) {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error.code !== 'ESRCH';
  }
}

function cacheBase() {
  const { XDG_CACHE_HOME: configured } = process.env;
  // As in lib/cache-directory.ts.
  return configured !== undefined && path.isAbsolute(configured) ? configured : path.join(os.homedir(), '.cache');
}
