import os from 'node:os';
import path from 'node:path';

/** A directory below the user's cache, outside every clone; what is in it can be made again. */
export function cacheDirectory(name: string): string {
  const configured = process.env['XDG_CACHE_HOME'];
  // The standard has relative values ignored.
  const base = configured !== undefined && path.isAbsolute(configured) ? configured : path.join(os.homedir(), '.cache');
  return path.join(base, 'almanac', name);
}
