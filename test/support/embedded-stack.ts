import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type pg from 'pg';
import { connect } from '../../lib/postgres';
import { packageRoot } from '../../lib/package-root';
import { PORT_NAMES } from '../../operator/stack/ports-file';
import { freePort } from '../../operator/stack/ports';
import { cliEnvironment, runCommand, type CliResult } from './cli';

export interface StackProcess {
  readonly name: string;
  readonly pid: number;
  readonly address: string | null;
  readonly state: string;
}

/** The longest is the whole demo. */
const COMMAND_DEADLINE_MS = 600_000;

/** The whole embedded stack of one test, used as a person does: through the command line. */
export class EmbeddedStack implements AsyncDisposable {
  readonly home = mkdtempSync(path.join(os.tmpdir(), 'almanac-stack-'));
  readonly data = path.join(this.home, 'data');
  private pool: pg.Pool | undefined;

  private constructor(
    private readonly project: string,
    private readonly extra: Readonly<Record<string, string>>,
  ) {}

  /** Starts a stack; `project` defaults to this repository's own. */
  static async start(options: { project?: string; env?: Readonly<Record<string, string>> } = {}): Promise<EmbeddedStack> {
    const stack = new EmbeddedStack(options.project ?? packageRoot(), options.env ?? {});
    const ports = await Promise.all(PORT_NAMES.map(async (name) => [name, await freePort()] as const));
    writeFileSync(path.join(stack.home, 'ports.json'), JSON.stringify(Object.fromEntries(ports)));
    try {
      await stack.ok('up', '--detach');
      return stack;
    } catch (error) {
      await stack[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** One command line; never rejects for an exit code. */
  run(...args: string[]): Promise<CliResult> {
    return runCommand(['--project', this.project, ...args], cliEnvironment(this.home, this.extra), { deadlineMs: COMMAND_DEADLINE_MS });
  }

  /** One command line that must succeed. */
  async ok(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(...args);
    if (code !== 0) throw new Error(`almanac ${args.join(' ')} ended with ${code}:\n${stdout}${stderr}`);
    return stdout;
  }

  /** The JSON of one command that must succeed. */
  async json<T>(...args: string[]): Promise<T> {
    return JSON.parse(await this.ok(...args, '--json')) as T;
  }

  /** The failure of one command that must fail, with its exit code. */
  async failure(...args: string[]): Promise<{ exitCode: number | null; code: string; message: string; next: string }> {
    const { code, stdout } = await this.run(...args, '--json');
    if (code === 0) throw new Error(`almanac ${args.join(' ')} succeeded: ${stdout}`);
    const { error } = JSON.parse(stdout) as { error: { code: string; message: string; next: string } };
    return { exitCode: code, ...error };
  }

  async processes(): Promise<StackProcess[]> {
    return (await this.json<{ processes: StackProcess[] }>('status')).processes;
  }

  async pid(name: string): Promise<number> {
    const found = (await this.processes()).find((process) => process.name === name);
    if (found === undefined) throw new Error(`no process ${name}`);
    return found.pid;
  }

  async database(): Promise<pg.Pool> {
    this.pool ??= connect((await this.json<{ databaseUrl: string }>('status')).databaseUrl);
    return this.pool;
  }

  /** Writes a landing file of one day. */
  land(source: string, day: string, name: string, text: string): string {
    const directory = path.join(this.data, 'landing', source, `dt=${day}`);
    mkdirSync(directory, { recursive: true });
    const file = path.join(directory, name);
    writeFileSync(file, text);
    return file;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.pool?.end();
    await this.run('down');
    rmSync(this.home, { recursive: true, force: true });
  }
}
