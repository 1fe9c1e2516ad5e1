/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  testMatch: ['**/*.test.ts'],
  // They need Java and Python: jest.spark.config.cjs.
  testPathIgnorePatterns: ['/node_modules/', '<rootDir>/test/spark/'],
  transform: {
    '^.+\\.ts$': ['@swc/jest', require('./test/support/swc-options.cjs')],
  },
  // Dynamic imports carry the extension Node wants; jest resolves the source.
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  setupFiles: ['<rootDir>/test/support/test-process.ts'],
  globalSetup: '<rootDir>/test/support/global-setup.ts',
  globalTeardown: '<rootDir>/test/support/global-teardown.ts',
  testTimeout: 60_000,
  maxWorkers: 2,
};
