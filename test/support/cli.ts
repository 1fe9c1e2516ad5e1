import { spawn, type ChildProcess } from 'node:child_process';
import path from 'node:path';
import { packageRoot } from '../../lib/package-root';

export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Only what a shell would have: nothing of the surrounding Almanac, no addresses of the jest run. */
export function cliEnvironment(home: string, extra: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(ALMANAC_|TEMPORAL_|DATABASE_URL$|NODE_ENV$|JEST_)/.test(name));
  return { ...Object.fromEntries(inherited), ALMANAC_HOME: home, ...extra };
}

/** Starts the built command line as a user would. */
export function startCli(
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  options: { detached?: boolean; cwd?: string } = {},
): ChildProcess {
  return spawn(process.execPath, [path.join(packageRoot(), 'bin', 'almanac.js'), ...args], {
    cwd: options.cwd ?? packageRoot(),
    env,
    detached: options.detached ?? false,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** Runs one command to its end; rejects when it has not ended after `deadlineMs`. */
export function runCommand(
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  options: { cwd?: string; deadlineMs?: number } = {},
): Promise<CliResult> {
  const child = startCli(args, env, options);
  return new Promise((resolve, reject) => {
    let stdout = '';
    let stderr = '';
    child.stdout?.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    const deadline = options.deadlineMs ?? 150_000;
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`almanac ${args.join(' ')} has not ended after ${deadline} ms: ${stdout}${stderr}`));
    }, deadline);
    child.once('error', reject);
    // Not `exit`: a detached grandchild must not hold our pipes either.
    child.once('close', (code) => {
      clearTimeout(timer);
      resolve({ code, stdout, stderr });
    });
  });
}
