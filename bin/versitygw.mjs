// Makes ready the S3 gateway that tests and demos speak to: versitygw, built with Go once per user. The last line on stdout says where it
// is: {program}.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { kept } from './kept.mjs';

const VERSION = 'v1.8.0';
const BUILD_DEADLINE_MS = 20 * 60_000;

/** Thrown, so that what was begun is removed. */
class Unready extends Error {
  constructor(message, next) {
    super(message);
    this.next = next;
  }
}

try {
  process.stdout.write(`${JSON.stringify({ program: path.join(kept(`versitygw-${VERSION}`, build), 'versitygw') })}\n`);
} catch (error) {
  if (!(error instanceof Unready)) throw error;
  process.stderr.write(`error versitygw: ${error.message}\nnext: ${error.next}\n`);
  process.exitCode = 11;
}

function build(folder) {
  if (spawnSync('go', ['version'], { stdio: 'ignore' }).status !== 0)
    throw new Unready('there is no `go` to build it with', 'install Go 1.21 or later, and put `go` on PATH');
  process.stderr.write(`building versitygw ${VERSION} with Go, some minutes, once per user …\n`);
  const built = spawnSync('go', ['install', `github.com/versity/versitygw/cmd/versitygw@${VERSION}`], {
    env: { ...process.env, GOBIN: folder, GOFLAGS: '', CGO_ENABLED: '0' },
    stdio: ['ignore', 2, 2],
    timeout: BUILD_DEADLINE_MS,
  });
  if (built.status === 0) return;
  throw new Unready(
    `go install ended with ${built.error?.message ?? built.signal ?? built.status}`,
    'read its output above; its sources come by the Go module proxy',
  );
}
