// Makes ready the `aws` command for suites that prove that it works with our local EMR: the one on PATH, else one installed once per user, outside
// every clone. The last line on stdout is its path.
import { spawnSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { kept } from './kept.mjs';

const VERSION = '1.45.11';

/** The command that pip makes would name the folder it was made in. */
const COMMAND = `#!/bin/sh
PYTHONPATH="$(dirname "$0")" exec python3 -m awscli "$@"
`;

try {
  const program = answers('aws') ? 'aws' : installed();
  if (!answers(program)) throw new Error(`${program} does not answer`);
  process.stdout.write(`${program}\n`);
} catch (error) {
  process.stderr.write(
    `error aws: there is no \`aws\` command, and none could be installed: ${error.message}\nnext: put \`aws\` on PATH, or Python 3 with pip\n`,
  );
  process.exitCode = 11;
}

function installed() {
  const folder = kept(`aws-command-${VERSION}`, (target) => {
    process.stderr.write(`fetching the aws command ${VERSION}, once per user …\n`);
    const words = ['-m', 'pip', 'install', '--quiet', '--no-cache-dir', '--target', target, `awscli==${VERSION}`];
    const { status, signal, error } = spawnSync('python3', words, { stdio: ['ignore', 2, 2] });
    if (status !== 0) throw new Error(`pip ended with ${error?.message ?? signal ?? status}`);
    const file = path.join(target, 'aws');
    writeFileSync(file, COMMAND);
    chmodSync(file, 0o755);
  });
  return path.join(folder, 'aws');
}

function answers(file) {
  return spawnSync(file, ['--version']).status === 0;
}
