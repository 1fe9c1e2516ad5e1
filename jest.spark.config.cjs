const base = require('./jest.config.cjs');

/** Suites that need Java and Python, run by `npm run test:spark`. @type {import('jest').Config} */
module.exports = {
  ...base,
  roots: ['<rootDir>/test/spark'],
  testPathIgnorePatterns: ['/node_modules/'],
  // A Spark uses every core by itself.
  maxWorkers: 1,
  // Spark takes seconds to begin, and minutes where others use the machine too.
  testTimeout: 900_000,
};
