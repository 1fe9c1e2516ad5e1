import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { ProcessSpec } from '../../../operator/stack/process-spec';
import { readStackState, type ProcessRecord } from '../../../operator/stack/stack-state';
import { Supervisor } from '../../../operator/stack/supervisor';
import { processesNaming } from '../../support/processes';
import { until } from '../../support/until';

let home: string;
let supervisor: Supervisor | undefined;
let changes: string[];

beforeEach(() => {
  home = mkdtempSync(path.join(tmpdir(), 'almanac-supervisor-'));
  changes = [];
});

afterEach(async () => {
  await supervisor?.stop();
  supervisor = undefined;
  expect(processesNaming(home)).toEqual([]);
  rmSync(home, { recursive: true });
});

/** A process that says it works by a file, after running `script`. */
function spec(name: string, script = '', options: Partial<ProcessSpec> = {}): ProcessSpec {
  const ready = path.join(home, `${name}.ready`);
  const program = `${script}; require('fs').writeFileSync(${JSON.stringify(ready)}, String(process.pid)); setInterval(() => {}, 1e6);`;
  return {
    name,
    after: [],
    launch() {
      rmSync(ready, { force: true });
      return spawn(process.execPath, ['-e', program, home], { detached: true, stdio: 'ignore' });
    },
    ready: (signal) => until(`${name} is ready`, () => signal.aborted || existsSync(ready)),
    stopSignal: 'SIGTERM',
    stopGraceMs: 500,
    ...options,
  };
}

function supervise(...specs: ProcessSpec[]): Supervisor {
  supervisor = new Supervisor({ home, specs, external: [], changed: ({ name, state }) => changes.push(`${name} ${state}`) });
  return supervisor;
}

function recordOf(name: string): ProcessRecord | undefined {
  return readStackState(home)?.processes.find((record) => record.name === name);
}

test('what depends on others starts after them and is stopped before them', async () => {
  await supervise(spec('worker', '', { after: ['server'] }), spec('server')).start();
  expect(readStackState(home)?.phase).toBe('up');
  await supervisor?.stop();
  expect(changes).toEqual([
    'server starting',
    'server running',
    'worker starting',
    'worker running',
    'worker stopping',
    'worker stopped',
    'server stopping',
    'server stopped',
  ]);
});

test('a killed process runs again under another pid, and its end is told', async () => {
  await supervise(spec('worker')).start();
  const first = recordOf('worker')?.identity?.pid ?? 0;
  process.kill(first, 'SIGKILL');
  await until('the worker runs again', () => recordOf('worker')?.state === 'running' && recordOf('worker')?.restarts === 1);
  expect(recordOf('worker')?.identity?.pid).not.toBe(first);
  expect(recordOf('worker')?.lastExit).toBe('was ended by SIGKILL');
});

test('restarts in a row come later and later', async () => {
  const starts: number[] = [];
  const failing = spec('worker');
  await supervise({
    ...failing,
    launch() {
      starts.push(Date.now());
      return starts.length === 1
        ? failing.launch()
        : spawn(process.execPath, ['-e', 'process.exit(3)', home], { detached: true, stdio: 'ignore' });
    },
  }).start();
  process.kill(recordOf('worker')?.identity?.pid ?? 0, 'SIGKILL');
  await until('four starts', () => starts.length === 4);
  const pauses = starts.slice(1).map((at, index) => at - (starts[index] ?? 0));
  expect(pauses[1]).toBeGreaterThanOrEqual(500);
  expect(pauses[2]).toBeGreaterThanOrEqual(1000);
});

test('a process that never works fails the start, with the end of its log', async () => {
  const logFile = path.join(home, 'server.log');
  writeFileSync(logFile, 'cannot bind the port\n');
  const broken = spec('server', 'process.exit(7)', { logFile });
  await expect(supervise(broken).start()).rejects.toMatchObject({
    code: 'stack.failed',
    message: expect.stringMatching(/server does not start: ended with exit code 7\n.*cannot bind the port/),
    next: expect.stringContaining(logFile),
  });
});

test('a program that is not there is a failed start, not a crash', async () => {
  const absent = spec('server', '', { launch: () => spawn('/nowhere/server', { detached: true, stdio: 'ignore' }) });
  await expect(supervise(absent).start()).rejects.toMatchObject({ code: 'stack.failed', message: expect.stringContaining('ENOENT') });
});

test('a frozen process is killed after its grace', async () => {
  await supervise(spec('worker')).start();
  process.kill(recordOf('worker')?.identity?.pid ?? 0, 'SIGSTOP');
  await supervisor?.stop();
  expect(recordOf('worker')?.state).toBe('stopped');
});

test('what a killed process had started does not outlive it', async () => {
  const pidFile = path.join(home, 'grandchild');
  const forks = `const g = require('child_process').spawn(process.execPath, ['-e', 'setInterval(() => {}, 1e6)', ${JSON.stringify(home)}], { stdio: 'ignore' }); require('fs').writeFileSync(${JSON.stringify(pidFile)}, String(g.pid))`;
  await supervise(spec('worker', forks)).start();
  const grandchild = Number(readFileSync(pidFile, 'utf8'));
  expect(processesNaming(home)).toContain(grandchild);
  process.kill(recordOf('worker')?.identity?.pid ?? 0, 'SIGKILL');
  await until('the grandchild is gone', () => !processesNaming(home).includes(grandchild));
});

test('a stop while it starts ends what there is', async () => {
  const starting = supervise(spec('server', '', { ready: (signal) => until('never', () => signal.aborted) })).start();
  const refused = expect(starting).rejects.toMatchObject({ code: 'stack.failed' });
  await until('the server is starting', () => recordOf('server')?.identity !== undefined);
  await supervisor?.stop();
  await refused;
});
