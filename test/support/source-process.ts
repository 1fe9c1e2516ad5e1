/** TypeScript sources of the tests as processes of their own. */
import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const COMPILER = path.join(__dirname, 'typescript.cjs');
const STDERR_KEPT = 4000;

/** A source of this directory at work, with a channel to this process. */
export interface SourceProcess {
  readonly process: ChildProcess;
  /** The first message. Rejects, with what the process said, when it ends before it. */
  readonly greeting: Promise<unknown>;
  /** Resolves when the process is gone and its channel is read out. */
  readonly ended: Promise<SourceEnd>;
}

export interface SourceEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** The end of what it wrote. */
  readonly stderr: string;
}

/** Starts a source of this directory, with the variables of the test, credentials among them. */
export function startSource(name: string): SourceProcess {
  const started = spawn(process.execPath, ['--require', COMPILER, path.join(__dirname, name)], {
    env: process.env,
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  let stderr = '';
  started.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr = (stderr + text).slice(-STDERR_KEPT)));
  const ended = new Promise<SourceEnd>((resolve, reject) => {
    started.once('error', reject);
    started.once('close', (code, signal) => resolve({ code, signal, stderr }));
  });
  const greeting = new Promise((resolve, reject) => {
    started.once('message', resolve);
    const refuse = ({ code, signal }: SourceEnd): void =>
      reject(new Error(`${name} ended with ${signal ?? code} before a word: ${stderr}`));
    ended.then(refuse, reject);
  });
  // Not everybody waits for it.
  greeting.catch(() => undefined);
  ended.catch(() => undefined);
  return { process: started, greeting, ended };
}

/** Whether a process that may kill itself did so. Rejects, with what it said, when it ended in any other way than that or well. */
export async function killedOrDone({ ended }: SourceProcess): Promise<boolean> {
  const { code, signal, stderr } = await ended;
  if (signal !== 'SIGKILL' && code !== 0) throw new Error(`it ended with ${signal ?? code}: ${stderr}`);
  return signal === 'SIGKILL';
}

/** Writes a program that runs a source of this directory. */
export function writeProgram(file: string, name: string): string {
  const load = [COMPILER, path.join(__dirname, name)].map((source) => `require(${JSON.stringify(source)});\n`);
  writeFileSync(file, `#!/usr/bin/env node\n${load.join('')}`);
  chmodSync(file, 0o755);
  return file;
}
