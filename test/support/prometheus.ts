import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { accessSync, constants, mkdtempSync, readFileSync, rmSync, openSync, closeSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { freePort } from './ports';
import { until } from './until';

/** Both are in the Debian package `prometheus`. */
const TOOLS = ['prometheus', 'promtool'] as const;

/** Of the tools of a real Prometheus, those this machine does not have. */
export const MISSING_TOOLS: readonly string[] = TOOLS.filter((name) => !isOnPath(name));

function isOnPath(name: string): boolean {
  return (process.env.PATH ?? '').split(path.delimiter).some((directory) => {
    try {
      accessSync(path.join(directory, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** What `promtool check metrics` has against a text: its complaints, or nothing. */
export function promtoolComplaints(text: string): string {
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' });
  return status === 0 ? `${stdout}${stderr}` : `ended with ${status}: ${stdout}${stderr}`;
}

export interface InstantValue {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A Prometheus of its own on a random loopback port, with storage that goes with it. */
export class PrometheusServer implements AsyncDisposable {
  private constructor(
    private readonly home: string,
    private readonly port: number,
    private readonly process: ChildProcess,
  ) {}

  static async start(configuration: string): Promise<PrometheusServer> {
    const home = mkdtempSync(path.join(os.tmpdir(), 'almanac-prometheus-'));
    const config = path.join(home, 'prometheus.yml');
    writeFileSync(config, configuration);
    const port = await freePort();
    const log = openSync(path.join(home, 'log'), 'w');
    const flags = [`--config.file=${config}`, `--storage.tsdb.path=${path.join(home, 'data')}`, `--web.listen-address=127.0.0.1:${port}`];
    const child = spawn('prometheus', flags, { stdio: ['ignore', log, log] });
    closeSync(log);
    const server = new PrometheusServer(home, port, child);
    try {
      await until('Prometheus is ready', () => server.isReady(), 60_000, 100);
      return server;
    } catch (error) {
      const said = readFileSync(path.join(home, 'log'), 'utf8');
      await server[Symbol.asyncDispose]();
      throw new Error(`${String(error)}\n${said}`, { cause: error });
    }
  }

  /** The instant vector of an expression; empty when there is no data. */
  async query(expression: string): Promise<InstantValue[]> {
    const response = await fetch(`http://127.0.0.1:${this.port}/api/v1/query?${new URLSearchParams({ query: expression }).toString()}`);
    const answer = (await response.json()) as {
      error?: string;
      data?: { result: { metric: Record<string, string>; value: [number, string] }[] };
    };
    if (answer.data === undefined) throw new Error(`${expression}: ${answer.error ?? response.status}`);
    return answer.data.result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
  }

  /** Targets as the server sees them: address, health, the last error. */
  async targets(): Promise<{ scrapeUrl: string; health: string; lastError: string }[]> {
    const response = await fetch(`http://127.0.0.1:${this.port}/api/v1/targets`);
    const { data } = (await response.json()) as { data: { activeTargets: { scrapeUrl: string; health: string; lastError: string }[] } };
    return data.activeTargets.map(({ scrapeUrl, health, lastError }) => ({ scrapeUrl, health, lastError }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.process.pid !== undefined && this.process.exitCode === null && this.process.signalCode === null) {
      const ended = new Promise((resolve) => this.process.once('exit', resolve));
      this.process.kill('SIGTERM');
      await ended;
    }
    rmSync(this.home, { recursive: true, force: true });
  }

  private async isReady(): Promise<boolean> {
    if (this.process.exitCode !== null) throw new Error(`prometheus ended with ${this.process.exitCode}`);
    try {
      return (await fetch(`http://127.0.0.1:${this.port}/-/ready`)).ok;
    } catch {
      return false;
    }
  }
}
