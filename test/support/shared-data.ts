import { existsSync } from 'node:fs';
import path from 'node:path';
import { packageRoot } from '../../lib/package-root';

/** A folder of real data beside the checkout, that may not be copied into it. Undefined where it is not; under CI=true that is a failure. */
export function sharedData(folder: string): string | undefined {
  const found = path.join(packageRoot(), '..', 'shared', 'data', folder);
  if (existsSync(found)) return found;
  if (process.env.CI === 'true')
    throw new Error(`../shared/data/${folder} is not there, and the tests that read it may not be left out here`);
  process.stderr.write(`The tests on ../shared/data/${folder} are left out: the folder is not there.\n`);
  return undefined;
}
