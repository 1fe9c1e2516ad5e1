import { existsSync } from 'node:fs';
import path from 'node:path';

/** The directory of Almanac's own package.json, from source (tests) and from dist alike. */
export function packageRoot(): string {
  let dir = __dirname;
  while (!existsSync(path.join(dir, 'package.json'))) {
    const parent = path.dirname(dir);
    if (parent === dir) throw new Error(`no package.json above ${__dirname}`);
    dir = parent;
  }
  return dir;
}
