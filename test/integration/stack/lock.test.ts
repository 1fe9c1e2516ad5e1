import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { acquireLock, lockHolder } from '../../../operator/stack/lock';
import { identityOf } from '../../../operator/stack/process-identity';
import { packageRoot } from '../../../lib/package-root';

let home: string;
beforeEach(() => {
  home = mkdtempSync(path.join(tmpdir(), 'almanac-lock-'));
});
afterEach(() => rmSync(home, { recursive: true }));

function claim(holder: unknown): void {
  mkdirSync(path.join(home, 'stack.lock'), { recursive: true });
  writeFileSync(path.join(home, 'stack.lock', '000000007'), typeof holder === 'string' ? holder : JSON.stringify(holder));
}

test('who holds it is told, until it is released', () => {
  const lock = acquireLock(home);
  expect(lock).not.toHaveProperty('holder');
  expect(acquireLock(home)).toEqual({ holder: identityOf(process.pid) });
  if ('release' in lock) lock.release();
  expect(lockHolder(home)).toBeUndefined();
  expect(acquireLock(home)).toHaveProperty('release');
});

test.each<[string, () => unknown]>([
  ['of a process that is no more', () => ({ ...identityOf(process.pid), pid: 2 ** 22 + 1 })],
  ['whose pid is another process by now', () => ({ ...identityOf(process.pid), startTicks: '1' })],
  ['from before the machine was restarted', () => ({ ...identityOf(process.pid), bootId: 'another-boot' })],
  ['that a crash left empty', () => ''],
])('a lock %s is taken over', (_what, holder) => {
  claim(holder());
  expect(lockHolder(home)).toBeUndefined();
  expect(acquireLock(home)).toHaveProperty('release');
  expect(readdirSync(path.join(home, 'stack.lock'))).toEqual(['000000008']);
});

test('of sixteen processes that find a dead holder one wins', async () => {
  claim({ ...identityOf(process.pid), pid: 2 ** 22 + 1 });
  const script = `
    const { acquireLock } = require(${JSON.stringify(path.join(packageRoot(), 'dist/operator/stack/lock.js'))});
    process.stdin.once('data', () => { process.stdout.write('release' in acquireLock(process.argv[1]) ? 'won' : 'lost'); });
    process.stdin.once('end', () => process.exit());
    process.stdout.write('ready ');`;
  const racers = Array.from({ length: 16 }, () => {
    const child = spawn(process.execPath, ['-e', script, home], { stdio: ['pipe', 'pipe', 'inherit'] });
    let output = '';
    const heard = (text: string): Promise<void> =>
      new Promise((resolve) => {
        const look = (): void => void (output.includes(text) && resolve());
        child.stdout.on('data', look);
        look();
      });
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const exited = new Promise((resolve) => child.once('exit', resolve));
    return { child, heard, exited, output: () => output };
  });
  await Promise.all(racers.map(({ heard }) => heard('ready')));
  for (const { child } of racers) child.stdin.write('go\n');
  await Promise.all(racers.map(({ heard }) => Promise.race([heard('won'), heard('lost')])));
  for (const { child } of racers) child.stdin.end();
  await Promise.all(racers.map(({ exited }) => exited));
  expect(racers.filter(({ output }) => output().includes('won'))).toHaveLength(1);
});
