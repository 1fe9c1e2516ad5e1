import os from 'node:os';
import path from 'node:path';

/** A directory below the user's cache, outside every clone; what is in it can be made again. */
export function cacheDirectory(name: string, env: Readonly<Record<string, string | undefined>> = process.env): string {
  const { XDG_CACHE_HOME: configured } = env;
  // The standard has relative values ignored.
  const base = configured !== undefined && path.isAbsolute(configured) ? configured : path.join(os.homedir(), '.cache');
  return path.join(base, 'almanac', name);
}
