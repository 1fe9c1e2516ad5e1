// Makes ready the S3 gateway that tests and demos speak to: versitygw, built with Go once per user, outside every clone. The last line on
// stdout says where it is: {program}.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const VERSION = 'v1.8.0';
const BUILD_DEADLINE_MS = 20 * 60_000;

const folder = path.join(cacheBase(), 'almanac', `versitygw-${VERSION}`);
const program = path.join(folder, 'versitygw');

if (existsSync(program) || build()) process.stdout.write(`${JSON.stringify({ program })}\n`);

/** It gets its name when it is whole; whoever comes second replaces it by the same. */
function build() {
  const go = spawnSync('go', ['version'], { stdio: 'ignore' });
  if (go.status !== 0) return fail('there is no `go` to build it', 'install Go 1.21 or later, and put `go` on PATH');
  process.stderr.write(`building versitygw ${VERSION} with Go, about a minute, once per user …\n`);
  mkdirSync(folder, { recursive: true });
  const scratch = mkdtempSync(path.join(folder, 'new-'));
  try {
    const built = spawnSync('go', ['install', `github.com/versity/versitygw/cmd/versitygw@${VERSION}`], {
      env: { ...process.env, GOBIN: scratch, GOFLAGS: '', CGO_ENABLED: '0' },
      stdio: ['ignore', 2, 2],
      timeout: BUILD_DEADLINE_MS,
    });
    if (built.status !== 0)
      return fail(
        `go install ended with ${built.error?.message ?? built.signal ?? built.status}`,
        'read its output above; its sources come by the Go module proxy',
      );
    renameSync(path.join(scratch, 'versitygw'), program);
    return true;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function cacheBase() {
  const { XDG_CACHE_HOME: configured } = process.env;
  // As in lib/cache-directory.ts.
  return configured !== undefined && path.isAbsolute(configured) ? configured : path.join(os.homedir(), '.cache');
}

function fail(message, next) {
  process.stderr.write(`error versitygw: ${message}\nnext: ${next}\n`);
  process.exitCode = 11;
  return false;
}
