// Adds up what .ci/run did: sum.mjs FAILED_STEPS [REPORT STATUS]…, a report of jest and how its script ended. Ends with 1 when anything failed.
import { existsSync, readFileSync } from 'node:fs';

const [steps, ...results] = process.argv.slice(2);
let passed = 0;
let failed = Number(steps);
for (let at = 0; at < results.length; at += 2) {
  const [report, status] = [results[at], Number(results[at + 1])];
  const one = read(report);
  passed += one.passed;
  // A script that ends badly for another reason than its tests is one more failure.
  failed += one.failed === 0 && status !== 0 ? 1 : one.failed;
}
process.stdout.write(`${passed} passed, ${failed} failed\n`);
process.exitCode = failed === 0 ? 0 : 1;

function read(report) {
  if (!existsSync(report)) return { passed: 0, failed: 1 };
  let result;
  try {
    result = JSON.parse(readFileSync(report, 'utf8'));
  } catch {
    // Cut short.
    return { passed: 0, failed: 1 };
  }
  // A suite that could not even be loaded has no tests to count.
  const counted = result.numFailedTests + result.numRuntimeErrorTestSuites;
  return { passed: result.numPassedTests, failed: !result.success && counted === 0 ? 1 : counted };
}
