import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { packageRoot } from '../../../lib/package-root';

const directory = mkdtempSync(path.join(tmpdir(), 'almanac-sum-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numRuntimeErrorTestSuites: number;
  readonly success: boolean;
}

const GOOD: Report = { numPassedTests: 3, numFailedTests: 0, numRuntimeErrorTestSuites: 0, success: true };

/** The last line of a `.ci/run` of such scripts, and how it ends. Undefined: a script that left no report; a text: one that is cut short. */
function sum(steps: number, ...scripts: readonly (readonly [Report | string | undefined, number])[]): readonly [string, number | null] {
  const words = scripts.flatMap(([report, status], at) => {
    const file = path.join(directory, `${at}.json`);
    rmSync(file, { force: true });
    if (report !== undefined) writeFileSync(file, typeof report === 'string' ? report : JSON.stringify(report));
    return [file, String(status)];
  });
  const { stdout, status } = spawnSync(process.execPath, [path.join(packageRoot(), '.ci', 'sum.mjs'), String(steps), ...words], {
    encoding: 'utf8',
  });
  return [stdout, status];
}

test('tests of all scripts are added up', () => {
  expect(sum(0, [GOOD, 0], [{ ...GOOD, numPassedTests: 40 }, 0])).toEqual(['43 passed, 0 failed\n', 0]);
});

test.each([
  ['a test', 0, { ...GOOD, numPassedTests: 2, numFailedTests: 1, success: false }, 1, 2, 1],
  ['a suite that cannot be loaded', 0, { ...GOOD, numRuntimeErrorTestSuites: 1, success: false }, 1, 3, 1],
  ['jest, for no test of its own', 0, { ...GOOD, success: false }, 1, 3, 1],
  ['what its script does after the tests', 0, GOOD, 1, 3, 1],
  ['a script that never came to its tests', 0, undefined, 11, 0, 1],
  ['a script whose report is cut short', 0, '{"numPassedTests"', 137, 0, 1],
  ['a step before', 2, GOOD, 0, 3, 2],
] as const)('%s that fails is counted', (_, steps, report, status, passed, failed) => {
  expect(sum(steps, [report, status], [GOOD, 0])).toEqual([`${passed + 3} passed, ${failed} failed\n`, 1]);
});
