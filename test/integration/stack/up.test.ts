import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pg from 'pg';
import type { StackStatus } from '../../../operator/stack/status';
import { cliEnvironment, runCommand, startCli, type CliResult } from '../../support/cli';
import { processesNaming } from '../../support/processes';
import { until } from '../../support/until';
import { testDatabase } from '../../support/postgres';
import { temporalAddress } from '../../support/temporal';

jest.setTimeout(300_000);

/** Each look is a process of its own. */
const STATUS_MS = 300;

let home: string;

beforeEach(() => {
  home = mkdtempSync(path.join(tmpdir(), 'almanac-up-'));
  chmodSync(home, 0o755);
});

afterEach(async () => {
  await almanac('down');
  expect(processesNaming(home)).toEqual([]);
  rmSync(home, { recursive: true });
});

function almanac(...args: string[]): Promise<CliResult> {
  return runCommand(args, cliEnvironment(home));
}

async function status(): Promise<StackStatus> {
  return JSON.parse((await almanac('status', '--json')).stdout) as StackStatus;
}

async function pidOf(name: string): Promise<number> {
  return (await status()).processes.find((process) => process.name === name)?.pid ?? 0;
}

async function up(): Promise<void> {
  const result = await almanac('up', '--detach');
  expect(result).toMatchObject({ code: 0 });
}

async function query(text: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: (await status()).databaseUrl ?? '' });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text)).rows;
  } finally {
    await client.end();
  }
}

test('up brings everything, a second up finds it, down leaves no process and no half-written state', async () => {
  await up();
  const first = await status();
  expect(first.state).toBe('up');
  expect(first.processes.map(({ name, state }) => `${name} ${state}`)).toEqual([
    'supervisor running',
    'temporal running',
    'postgres running',
    'worker-control running',
    'worker-compute running',
  ]);

  const second = await almanac('up', '--detach');
  expect(second).toMatchObject({ code: 0, stderr: expect.stringContaining('up already') });
  expect((await almanac('up')).stderr).toContain('up already');
  expect(await status()).toEqual(first);

  expect(await almanac('down')).toMatchObject({ code: 0 });
  expect(processesNaming(home)).toEqual([]);
  expect(existsSync(path.join(home, 'stack.json'))).toBe(false);
  expect(readdirSync(home, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  expect((await almanac('down')).stdout).toContain('nothing was running');
});

test('every killed process comes back, and what was stored is still there', async () => {
  await up();
  await query('create table kept as select 1 as value');
  for (const name of ['postgres', 'temporal', 'worker-control', 'worker-compute']) {
    const before = await pidOf(name);
    process.kill(before, 'SIGKILL');
    await until(
      `${name} is back`,
      async () => {
        const now = (await status()).processes.find((process) => process.name === name);
        return now?.state === 'running' && now.pid !== before && now.restarts === 1;
      },
      120_000,
      STATUS_MS,
    );
  }
  expect(await query('select value from kept')).toEqual([{ value: 1 }]);
});

test('without its supervisor the workers end, status names the orphans, and up ends those and starts anew', async () => {
  await up();
  await query('create table kept as select 1 as value');
  const [temporal, postgres] = [await pidOf('temporal'), await pidOf('postgres')];
  process.kill(await pidOf('supervisor'), 'SIGKILL');
  await until(
    'the workers have ended',
    async () => (await status()).processes.filter(({ name, pid }) => name.startsWith('worker') && pid !== null).length === 0,
    30_000,
    STATUS_MS,
  );

  const orphaned = await status();
  expect(orphaned.state).toBe('down');
  expect(orphaned.processes.filter(({ state }) => state === 'orphaned').map(({ pid }) => pid)).toEqual([temporal, postgres]);
  expect(await almanac('runs')).toMatchObject({ code: 4, stderr: expect.stringContaining('next: almanac up --detach') });

  await up();
  expect([await pidOf('temporal'), await pidOf('postgres')]).not.toEqual(expect.arrayContaining([temporal, postgres]));
  expect(await query('select value from kept')).toEqual([{ value: 1 }]);

  process.kill(await pidOf('supervisor'), 'SIGKILL');
  expect((await almanac('down')).stdout).toContain('postgres');
  expect(processesNaming(home)).toEqual([]);
});

test('Ctrl-C ends a stack in the foreground, workers first', async () => {
  const child = startCli(['up'], cliEnvironment(home), { detached: true });
  let output = '';
  child.stderr?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stdout?.resume();
  const exit = new Promise((resolve) => child.once('exit', resolve));
  await until('the stack is up', async () => (await status()).state === 'up', 120_000, STATUS_MS);
  // A terminal signals the whole foreground group.
  process.kill(-(child.pid ?? 0), 'SIGINT');
  expect(await exit).toBe(0);
  expect(processesNaming(home)).toEqual([]);
  expect(output).toMatch(/worker-compute stopped[^]*postgres stopped[^]*the stack is down/);
});

test('a frozen supervisor does not keep down from ending', async () => {
  await up();
  process.kill(await pidOf('supervisor'), 'SIGSTOP');
  expect(await almanac('down')).toMatchObject({ code: 0 });
  expect(processesNaming(home)).toEqual([]);
});

test('usual ports that are taken are passed over, and the choice is remembered', async () => {
  const squatters = await Promise.all([7233, 5433].map(squat));
  try {
    await up();
    const first = await status();
    expect(first.temporalAddress).not.toBe('127.0.0.1:7233');
    expect(new URL(first.databaseUrl ?? '').port).not.toBe('5433');
    await almanac('down');
    await up();
    expect((await status()).databaseUrl).toBe(first.databaseUrl);
  } finally {
    for (const server of squatters) server?.close();
  }
});

/** Undefined when someone else has that port already, which serves as well. */
function squat(port: number): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}

test('state that a crash of the machine left behind does not stand in the way', async () => {
  await up();
  const state = readFileSync(path.join(home, 'stack.json'), 'utf8');
  const claims = readdirSync(path.join(home, 'stack.lock'));
  const claim = readFileSync(path.join(home, 'stack.lock', claims[0] ?? ''), 'utf8');
  await almanac('down');
  const otherBoot = (text: string): string => text.replace(/"bootId": ?"[^"]+"/g, '"bootId":"another-boot"');
  writeFileSync(path.join(home, 'stack.json'), otherBoot(state));
  writeFileSync(path.join(home, 'stack.lock', claims[0] ?? ''), otherBoot(claim));
  writeFileSync(path.join(home, 'stack.json.1.tmp'), '{"half":');
  expect((await status()).state).toBe('down');
  await up();
  expect((await status()).state).toBe('up');
  expect(existsSync(path.join(home, 'stack.json.1.tmp'))).toBe(false);
});

test('Ctrl-C while it starts ends what there is', async () => {
  const child = startCli(['up'], cliEnvironment(home), { detached: true });
  child.stderr?.resume();
  child.stdout?.resume();
  const exit = new Promise((resolve) => child.once('exit', resolve));
  await until('something was started', () => existsSync(path.join(home, 'stack.json')));
  process.kill(-(child.pid ?? 0), 'SIGINT');
  expect(await exit).toBe(0);
  expect(existsSync(path.join(home, 'stack.json'))).toBe(false);
});

test('two that start at once end up with one stack', async () => {
  const results = await Promise.all([almanac('up', '--detach'), almanac('up', '--detach'), almanac('up', '--detach')]);
  expect(results.map(({ code }) => code)).toEqual([0, 0, 0]);
  expect((await status()).state).toBe('up');
});

test('external services are used, not started, and no password is shown', async () => {
  await using database = await testDatabase();
  const url = new URL(database.url);
  url.password = 'secret-word';
  const env = cliEnvironment(home, { DATABASE_URL: url.href, TEMPORAL_ADDRESS: temporalAddress(), ALMANAC_QUEUE: `q-${process.pid}` });
  const started = await runCommand(['up', '--detach', '--json'], env);
  expect(started).toMatchObject({ code: 0 });
  const shown = JSON.parse(started.stdout) as StackStatus;
  expect(shown.state).toBe('up');
  expect(shown.processes.map(({ name, state }) => `${name} ${state}`)).toEqual([
    'supervisor running',
    'temporal external',
    'postgres external',
    'worker-control running',
    'worker-compute running',
  ]);
  expect(started.stdout).not.toContain('secret-word');
  expect(readFileSync(path.join(home, 'stack.json'), 'utf8')).not.toContain('secret-word');
  const doctor = await runCommand(['doctor'], env);
  expect(doctor).toMatchObject({ code: 0, stdout: expect.not.stringContaining('secret-word') });
  // A shell that does not name them cannot know them: they are not written down.
  expect(await almanac('runs')).toMatchObject({ code: 11, stderr: expect.stringContaining('DATABASE_URL') });
  expect(await runCommand(['down'], env)).toMatchObject({ code: 0 });
});

test('a home that cannot be made is a coded error', async () => {
  mkdirSync(path.join(home, 'file'), { recursive: true });
  writeFileSync(path.join(home, 'file', 'plain'), '');
  const result = await runCommand(['up', '--detach'], cliEnvironment(path.join(home, 'file', 'plain', 'below')));
  expect(result).toMatchObject({ code: 11, stderr: expect.stringMatching(/^error config\.invalid: .*ALMANAC_HOME/) });
});
