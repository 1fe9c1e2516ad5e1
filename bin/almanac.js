#!/usr/bin/env node
'use strict';
// The entry of the command line; what it does is in cli/main.ts.
const { existsSync } = require('node:fs');
const path = require('node:path');

const main = path.join(__dirname, '..', 'dist', 'cli', 'main.js');
if (Number(process.versions.node.split('.')[0]) < 20) {
  process.stderr.write(`error setup: Node ${process.versions.node} is too old\nnext: install Node 20 or later\n`);
  process.exitCode = 11;
} else if (!existsSync(main)) {
  process.stderr.write('error setup: Almanac is not built\nnext: node bin/setup.mjs\n');
  process.exitCode = 11;
} else {
  require(main).main();
}
