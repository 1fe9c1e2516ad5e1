/** TypeScript sources of the tests as processes of their own. */
import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import path from 'node:path';

function importing(source: string): string {
  return `require(${JSON.stringify(require.resolve('jiti'))}).createJiti(${JSON.stringify(source)}).import(${JSON.stringify(source)})`;
}

/** Starts a source of this directory with a channel to this process. */
export function startSource(name: string): ChildProcess {
  const script = importing(path.join(__dirname, name));
  return spawn(process.execPath, ['-e', script], { env: process.env, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
}

/** Writes a program that runs a source of this directory. */
export function writeProgram(file: string, name: string): string {
  writeFileSync(file, `#!/usr/bin/env node\n${importing(path.join(__dirname, name))};\n`);
  chmodSync(file, 0o755);
  return file;
}
