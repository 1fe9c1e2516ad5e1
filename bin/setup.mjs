// Makes a fresh clone ready: dependencies, build, servers. Does only what is missing; without work it ends at once.
// Needs nothing but Node and npm.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, isBuilt } from './build.mjs';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

if (Number(process.versions.node.split('.')[0]) < 20) fail(`Node ${process.versions.node} is too old`, 'install Node 20 or later');
install();
if (!isBuilt()) {
  say('building …');
  if (!(await build())) fail('the build failed', 'correct the errors above');
}
await servers();

/** The stamp lies in node_modules, so it goes when they go. */
function install() {
  const stamp = path.join(root, 'node_modules', '.almanac-lock');
  const lock = readFileSync(path.join(root, 'package-lock.json'), 'utf8');
  const wanted = createHash('sha256').update(lock).digest('hex');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  if (!isInstalled(JSON.parse(lock))) {
    say('installing dependencies …');
    const done = spawnSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: root, stdio: ['ignore', 2, 2] });
    if (done.status !== 0) fail('npm ci failed', 'read its output above; the package registry must be reachable');
  }
  writeFileSync(stamp, wanted);
}

/** Whether someone ran `npm ci` on this lock: npm keeps a copy of what it installed. */
function isInstalled(lock) {
  const copy = path.join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(copy)) return false;
  const { packages: installed } = JSON.parse(readFileSync(copy, 'utf8'));
  return Object.entries(lock.packages).every(
    ([place, wanted]) => place === '' || (installed[place] ? installed[place].version === wanted.version : wanted.optional === true),
  );
}

/** Postgres came with the dependencies; the Temporal server is found, downloaded or built, once per user. */
async function servers() {
  if (process.env.TEMPORAL_ADDRESS) return;
  const { obtainTemporal } = createRequire(import.meta.url)('../dist/operator/stack/temporal-binary.js');
  try {
    await obtainTemporal(process.env, say);
  } catch (error) {
    fail(error.message, error.next ?? 'node bin/almanac.js doctor');
  }
}

function say(line) {
  process.stderr.write(`${line}\n`);
}

function fail(message, next) {
  process.stderr.write(`error setup: ${message}\nnext: ${next}\n`);
  process.exit(11);
}
