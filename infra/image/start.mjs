// What every container starts with: writes down the settings of EMR, which a task has in a variable since the program reads a file, and goes on as
// `almanac` with the words it was given.
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const { EMR_SETTINGS: settings, ALMANAC_EMR_SETTINGS: file } = process.env;
if (settings && file) {
  mkdirSync(path.dirname(file), { recursive: true });
  const whole = `${file}.${process.pid}`;
  writeFileSync(whole, settings);
  renameSync(whole, file);
}

const almanac = path.join(path.dirname(fileURLToPath(import.meta.url)), '..', '..', 'bin', 'almanac.js');
process.argv[1] = almanac;
createRequire(import.meta.url)(almanac);
