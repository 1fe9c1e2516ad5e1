import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { readConfig } from '../../../lib/config';
import { doctor } from '../../../operator/stack/doctor';
import { down } from '../../../operator/stack/down';
import { endOrphans } from '../../../operator/stack/orphans';
import { identityOf, isRunning, type ProcessIdentity } from '../../../operator/stack/process-identity';
import { writeStackState } from '../../../operator/stack/stack-state';
import { stackStatus } from '../../../operator/stack/status';
import { superviseStack } from '../../../operator/stack/up';

let home: string;
let server: ChildProcess;
let identity: ProcessIdentity;

/** A killed supervisor left a server and what it wrote of it. */
beforeEach(() => {
  home = mkdtempSync(path.join(tmpdir(), 'almanac-damaged-'));
  server = spawn('sleep', ['600'], { detached: true, stdio: 'ignore' });
  identity = identityOf(server.pid ?? 0);
  writeStackState(home, {
    supervisor: { ...identity, startTicks: 'another process' },
    phase: 'up',
    processes: [{ name: 'temporal', state: 'running', identity, restarts: 0 }],
  });
});
afterEach(() => {
  server.kill('SIGKILL');
  rmSync(home, { recursive: true });
});

const DAMAGES = ['{"supervisor":', '', 'null', '[]', '{}', '{"supervisor":{"pid":1},"phase":"up"}'];

function damage(text: string, ...names: readonly string[]): void {
  for (const name of names) writeFileSync(path.join(home, name), text);
}

const BOTH = ['stack.json', 'stack.json.copy'] as const;
const config = (): ReturnType<typeof readConfig> => readConfig({ ALMANAC_HOME: home }, home);

test.each(DAMAGES)('status and doctor work with a stack.json of %j, and name the orphan by its copy', async (text) => {
  damage(text, 'stack.json');
  const status = await stackStatus(config());
  expect(status).toMatchObject({ state: 'down', damage: expect.stringContaining('stack.json is damaged') });
  expect(status.processes).toContainEqual(expect.objectContaining({ name: 'temporal', state: 'orphaned', pid: identity.pid }));
  const findings = (await doctor({ PATH: process.env.PATH, ALMANAC_HOME: home }, home)).filter(({ check }) => check === 'stack');
  expect(findings.map(({ message }) => message).join()).toMatch(/is damaged.*temporal \(\d+\) outlived/);
});

test('up ends what a killed supervisor left, though stack.json is damaged', async () => {
  damage('{', 'stack.json');
  expect(await endOrphans(home)).toEqual(['temporal']);
  expect(isRunning(identity)).toBe(false);
  expect(readdirSync(home)).toEqual([]);
});

test('down ends it as well, and stack.json may also be gone', async () => {
  rmSync(path.join(home, 'stack.json'));
  expect((await down(home)).ended).toEqual(['temporal']);
  expect(isRunning(identity)).toBe(false);
});

test('when the copy is damaged too, nothing is started beside what may still run, and both say what to do', async () => {
  damage('{', ...BOTH);
  const started = superviseStack(
    { config: config(), projectDirectory: home, tell: () => undefined, processes: () => Promise.reject(new Error('started')) },
    new AbortController().signal,
  );
  await expect(started).rejects.toMatchObject({ code: 'stack.failed', next: expect.stringMatching(/then: rm .*stack\.json/) });
  expect(isRunning(identity)).toBe(true);
  expect(readdirSync(home)).toEqual(expect.arrayContaining([...BOTH]));
  expect((await stackStatus(config())).processes).toContainEqual(expect.objectContaining({ name: 'temporal', state: 'unknown' }));
  const findings = await doctor({ PATH: process.env.PATH, ALMANAC_HOME: home }, home);
  expect(findings).toContainEqual(expect.objectContaining({ check: 'stack', state: 'fail', next: expect.stringContaining('then: rm') }));
});
