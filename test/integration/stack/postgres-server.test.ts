import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { choosePostgresUser } from '../../../operator/stack/postgres-user';
import { postgresHome, startPostgres, type PostgresServer } from '../../../operator/stack/postgres-server';
import { freePort } from '../../../operator/stack/ports';

jest.setTimeout(120_000);

const isRoot = process.getuid?.() === 0;

let directory: string;
let servers: PostgresServer[];

beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'almanac-postgres-'));
  chmodSync(directory, 0o755);
  servers = [];
});

afterEach(async () => {
  await Promise.all(servers.map(({ process: server }) => end(server.pid ?? 0, 'SIGINT')));
  rmSync(directory, { recursive: true });
});

async function start(below = directory): Promise<PostgresServer> {
  const server = await startPostgres({ dataDirectory: path.join(below, 'data'), port: await freePort() });
  servers.push(server);
  return server;
}

function end(pid: number, signal: NodeJS.Signals): Promise<void> {
  const server = servers.find((candidate) => candidate.process.pid === pid)?.process;
  return new Promise((resolve) => {
    if (!server || server.exitCode !== null || server.signalCode !== null) return resolve();
    server.once('exit', () => resolve());
    server.kill(signal);
  });
}

async function ask(url: string, text: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text)).rows;
  } finally {
    await client.end();
  }
}

test('what was committed before a SIGKILL is there after the restart', async () => {
  const first = await start();
  await ask(first.url, 'create table kept as select 42 as value');
  await end(first.process.pid ?? 0, 'SIGKILL');
  const second = await start();
  expect(await ask(second.url, 'select value from kept')).toEqual([{ value: 42 }]);
});

test('a pid file that names another process of the same user does not stand in the way', async () => {
  const first = await start();
  await end(first.process.pid ?? 0, 'SIGKILL');
  // Postgres passes over processes of other users by itself.
  const other = spawn('sleep', ['600'], { stdio: 'ignore', ...(isRoot ? { uid: 65534, gid: 65534, cwd: '/' } : {}) });
  try {
    const file = path.join(directory, 'data', 'postmaster.pid');
    const [, ...rest] = readFileSync(file, 'utf8').split('\n');
    writeFileSync(file, [String(other.pid), ...rest].join('\n'));
    expect(await ask((await start()).url, 'select 1 as one')).toEqual([{ one: 1 }]);
    expect(other.exitCode).toBeNull();
  } finally {
    other.kill('SIGKILL');
  }
});

test('a server left running on the same data is ended first', async () => {
  const first = await start();
  const second = await start();
  expect(first.process.exitCode ?? first.process.signalCode).not.toBeNull();
  expect(await ask(second.url, 'select 1 as one')).toEqual([{ one: 1 }]);
});

test('half a cluster of a killed initdb is not taken for a whole one', async () => {
  mkdirSync(path.join(directory, 'data.new'));
  writeFileSync(path.join(directory, 'data.new', 'PG_VERSION'), '18\n');
  expect(await ask((await start()).url, 'select 1 as one')).toEqual([{ one: 1 }]);
});

test('root runs it as nobody, anyone else as themselves', async () => {
  const server = await start();
  expect(statSync(`/proc/${server.process.pid ?? 0}`).uid).toBe(isRoot ? 65534 : process.getuid?.());
});

test('below a home that others may not enter it runs in a user namespace, or the error names the directory', async () => {
  const closed = path.join(directory, 'closed');
  mkdirSync(closed, { mode: 0o700 });
  const program = path.join(postgresHome(), 'bin', 'postgres');
  const namespaces = spawnSync('unshare', ['--user', '--map-user=65534', 'true']).status === 0;
  if (!isRoot) {
    expect(choosePostgresUser(program, path.join(closed, 'data')).prefix).toEqual([]);
  } else if (namespaces) {
    const first = await start(closed);
    await ask(first.url, 'create table kept as select 42 as value');
    await end(first.process.pid ?? 0, 'SIGKILL');
    expect(await ask((await start(closed)).url, 'select value from kept')).toEqual([{ value: 42 }]);
  } else {
    expect(() => choosePostgresUser(program, path.join(closed, 'data'))).toThrow(
      expect.objectContaining({ code: 'stack.postgres-user', next: expect.stringContaining(closed) }),
    );
  }
});

test('where there are no user namespaces, the error names the directory to open', () => {
  const closed = path.join(directory, 'closed');
  mkdirSync(closed, { mode: 0o700 });
  const choose = (): unknown =>
    choosePostgresUser(path.join(postgresHome(), 'bin', 'postgres'), path.join(closed, 'data'), '/nowhere/unshare');
  if (!isRoot) return expect(choose()).toMatchObject({ prefix: [] });
  expect(choose).toThrow(
    expect.objectContaining({
      code: 'stack.postgres-user',
      message: expect.stringContaining(closed),
      next: expect.stringContaining(`chmod o+x ${closed}`),
    }),
  );
});
