/**
 * Jest gives a suite an `Error` of its own, and those of Node's modules are none of it. The AWS SDK asks `instanceof` before it
 * decides to try again, so suites that speak to S3 import this first: then there is one `Error`, as everywhere else.
 */
import { readFileSync } from 'node:fs';

try {
  readFileSync('');
} catch (error) {
  if (typeof error === 'object' && error !== null) globalThis.Error = error.constructor as ErrorConstructor;
}
