/**
 * Lets a process of the tests require TypeScript sources. Compiles in memory: processes that start side by side, of this run or another, have
 * no cache in common.
 */
const { readFileSync } = require('node:fs');
const Module = require('node:module');
const { transformSync } = require('@swc/core');
const options = require('./swc-options.cjs');

require.extensions['.ts'] = (module, filename) => {
  const { code } = transformSync(readFileSync(filename, 'utf8'), { ...options, filename, sourceMaps: 'inline' });
  module._compile(code, filename);
};

// Dynamic imports carry the extension Node wants; here is the source.
const resolve = Module._resolveFilename;
Module._resolveFilename = function (request, ...rest) {
  return resolve.call(
    this,
    /^\.{1,2}\/.*\.js$/.test(request) && !rest[0]?.filename.includes('node_modules') ? request.slice(0, -3) : request,
    ...rest,
  );
};
