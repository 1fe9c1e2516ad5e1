// Makes ready the `aws` command for suites that prove that it works with our local EMR: the one on PATH, else one installed once per user, outside
// every clone. The last line on stdout is its path.
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const VERSION = '1.45.11';

const { XDG_CACHE_HOME: configured } = process.env;
// As in lib/cache-directory.ts.
const cache = configured !== undefined && path.isAbsolute(configured) ? configured : path.join(os.homedir(), '.cache');
const folder = path.join(cache, 'almanac', `awscli-${VERSION}`);
const installed = path.join(folder, 'bin', 'aws');

const program = ['aws', installed].find(answers) ?? install();
if (program === undefined) {
  process.stderr.write(
    'error aws: there is no `aws` command, and pip could not install it\nnext: put `aws` on PATH, or Python 3 with venv\n',
  );
  process.exitCode = 11;
} else {
  process.stdout.write(`${program}\n`);
}

/** One that was cut short does not answer and is made anew. */
function install() {
  process.stderr.write(`fetching the aws command ${VERSION}, once per user …\n`);
  rmSync(folder, { recursive: true, force: true });
  run('python3', '-m', 'venv', folder);
  run(path.join(folder, 'bin', 'python3'), '-m', 'pip', 'install', '--quiet', `awscli==${VERSION}`);
  return answers(installed) ? installed : undefined;
}

function run(file, ...args) {
  spawnSync(file, args, { stdio: ['ignore', 2, 2] });
}

function answers(file) {
  return spawnSync(file, ['--version']).status === 0;
}
