import { existsSync } from 'node:fs';
import path from 'node:path';
import { packageRoot } from '../../lib/package-root';

/** A folder of real data beside the checkout, that may not be copied into it. */
export function sharedData(folder: string): string {
  return path.join(packageRoot(), '..', 'shared', 'data', folder);
}

/** Registers `suite` where the folder lies. Elsewhere one test says that it does not, and fails where nobody would read the line. */
export function describeOn(folder: string, title: string, suite: (folder: string) => void): void {
  if (existsSync(folder)) {
    describe(title, () => suite(folder));
    return;
  }
  const name = path.basename(folder);
  test(`${title}: ${name} is not beside this checkout`, () => {
    process.stderr.write(`${title}: not run, for there is no ${name} beside this checkout.\n`);
    expect(process.env.CI).not.toBe('true');
  });
}
