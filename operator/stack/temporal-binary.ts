import { spawn, spawnSync } from 'node:child_process';
import { accessSync, chmodSync, constants, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { cacheDirectory } from '../../lib/cache-directory';
import type { Environment } from '../../lib/config';
import { packageRoot } from '../../lib/package-root';
import { AlmanacError } from '../../pipelines/failures';

/** The release we start ourselves. Later tags carry replace directives, which `go install` refuses. */
const TEMPORAL_CLI_VERSION = 'v1.5.1';

/** Older servers ignore the settings the stack relies on. */
const OLDEST_SERVER = [1, 29] as const;

const DOWNLOAD_DEADLINE_MS = 60_000;
const INSTALL_DEADLINE_MS = 30 * 60_000;

export interface TemporalBinary {
  readonly file: string;
  readonly source: 'path' | 'cache' | 'download' | 'go';
}

/** Where the binary is kept for all clones of this user. */
export function cachedTemporal(env: Environment): string {
  return path.join(cacheDirectory(`temporal-${TEMPORAL_CLI_VERSION}`, env), 'temporal');
}

/** A usable binary that is already on this machine: on PATH, else in the cache. */
export function locateTemporal(env: Environment): TemporalBinary | undefined {
  const onPath = findOnPath('temporal', env);
  if (onPath !== undefined && isRecent(serverVersion(onPath))) return { file: onPath, source: 'path' };
  const cached = cachedTemporal(env);
  return existsSync(cached) ? { file: cached, source: 'cache' } : undefined;
}

/**
 * Finds a Temporal server or gets one: PATH, the user's cache, the SDK's download, `go install`. `tell` hears what takes long. Throws
 * `stack.temporal-missing` when there is no way.
 */
export async function obtainTemporal(env: Environment, tell: (line: string) => void): Promise<TemporalBinary> {
  const found = locateTemporal(env);
  if (found) return found;
  const file = cachedTemporal(env);
  mkdirSync(path.dirname(file), { recursive: true });
  const scratch = mkdtempSync(path.join(path.dirname(file), 'new-'));
  try {
    tell('Temporal server: asking the SDK to download it …');
    if (await download(scratch, file, env)) return { file, source: 'download' };
    const go = findOnPath('go', env);
    if (go === undefined) throw unobtainable('neither a download nor Go is available');
    tell(`Temporal server: no download; building ${TEMPORAL_CLI_VERSION} with Go, about 3 minutes, once per user …`);
    await install(go, scratch, file, env);
    return { file, source: 'go' };
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** The first executable file of that name on PATH. */
export function findOnPath(name: string, env: Environment): string | undefined {
  for (const directory of (env.PATH ?? '').split(path.delimiter)) {
    if (!path.isAbsolute(directory)) continue;
    const file = path.join(directory, name);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      continue;
    }
  }
  return undefined;
}

/** The server's version as `temporal --version` prints it, like `1.29.1`. */
export function serverVersion(file: string): string | undefined {
  const asked = spawnSync(file, ['--version'], { encoding: 'utf8', timeout: 10_000 });
  return /\(Server (\d+\.\d+\.\d+)/.exec(asked.stdout ?? '')?.[1];
}

export function isRecent(version: string | undefined): boolean {
  const [major = 0, minor = 0] = (version ?? '').split('.').map(Number);
  return major > OLDEST_SERVER[0] || (major === OLDEST_SERVER[0] && minor >= OLDEST_SERVER[1]);
}

/** The SDK downloads in a process of its own, which can be ended when the network leads nowhere. */
async function download(scratch: string, file: string, env: Environment): Promise<boolean> {
  const script = path.join(packageRoot(), 'dist', 'operator', 'stack', 'temporal-download.js');
  if (!existsSync(script)) return false;
  const code = await run(process.execPath, [script, scratch, TEMPORAL_CLI_VERSION], env, DOWNLOAD_DEADLINE_MS);
  const name = readdirSync(scratch).find((entry) => entry.startsWith('temporal'));
  if (code !== 0 || name === undefined) return false;
  keep(path.join(scratch, name), file);
  return true;
}

async function install(go: string, scratch: string, file: string, env: Environment): Promise<void> {
  const environment = { ...env, GOBIN: scratch, GOFLAGS: '', CGO_ENABLED: '0' };
  const code = await run(
    go,
    ['install', `github.com/temporalio/cli/cmd/temporal@${TEMPORAL_CLI_VERSION}`],
    environment,
    INSTALL_DEADLINE_MS,
    'inherit',
  );
  const built = path.join(scratch, 'temporal');
  if (code !== 0 || !existsSync(built)) throw unobtainable(`go install ended with ${String(code)}`);
  keep(built, file);
}

/** Whole or not at all: another clone may be obtaining it at the same time. */
function keep(from: string, file: string): void {
  chmodSync(from, 0o755);
  renameSync(from, file);
}

function run(
  command: string,
  args: readonly string[],
  env: Environment,
  deadlineMs: number,
  errors: 'ignore' | 'inherit' = 'ignore',
): Promise<number | null> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      env: { ...env },
      stdio: ['ignore', 'ignore', errors],
      timeout: deadlineMs,
      killSignal: 'SIGKILL',
    });
    child.once('error', reject);
    child.once('exit', (code) => resolve(code));
  });
}

function unobtainable(reason: string): AlmanacError {
  return new AlmanacError('stack.temporal-missing', `no Temporal server: ${reason}`, {
    next: 'put a `temporal` binary (server 1.29 or later) or Go on PATH, or set TEMPORAL_ADDRESS to a running cluster',
  });
}
