import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { readConfig } from '../lib/config';
import { openSession, type OperatorSession } from '../operator/session';
import { freePort } from '../operator/stack/ports';
import type { StackPorts } from '../operator/stack/ports-file';
import { stackProcesses } from '../operator/stack/processes';
import { obtainTemporal } from '../operator/stack/temporal-binary';
import { superviseStack } from '../operator/stack/up';

/** A stack of its own with a project written for it, driven through the operator layer. */
export interface BenchStack extends AsyncDisposable {
  readonly session: OperatorSession;
}

/** Starts servers and workers in a temporary home; nothing of the surrounding environment reaches them. */
export async function startBenchStack(name: string, projectText: string, say: (line: string) => void): Promise<BenchStack> {
  for (const variable of Object.keys(process.env)) if (/^(ALMANAC_|TEMPORAL_|DATABASE_URL$)/.test(variable)) delete process.env[variable];
  const home = mkdtempSync(path.join(os.tmpdir(), `almanac-bench-${name}-`));
  const projectDirectory = path.join(home, 'project');
  mkdirSync(projectDirectory);
  writeFileSync(path.join(projectDirectory, 'almanac.config.ts'), projectText);
  process.env.ALMANAC_HOME = path.join(home, 'stack');
  const config = readConfig(process.env, projectDirectory);
  const stopping = new AbortController();
  const stop = (): void => stopping.abort();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stop);
  const { file } = await obtainTemporal(process.env, say);
  const ports = await randomPorts();
  const options = {
    config,
    projectDirectory,
    tell: () => undefined,
    processes: () => Promise.resolve(stackProcesses({ config, projectDirectory, ports, temporalBinary: file })),
  };
  const stack = await superviseStack(options, stopping.signal);
  if (stack === 'found') throw new Error(`another stack runs in ${config.home}`);
  process.once('exit', () => stack.kill());
  const session = await openSession(projectDirectory);
  return {
    session,
    async [Symbol.asyncDispose]() {
      await session.close();
      await stack.stop();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

async function randomPorts(): Promise<StackPorts> {
  const names = [
    'temporal',
    'postgres',
    'temporalUi',
    'temporalHttp',
    'temporalMetrics',
    'controlMetrics',
    'computeMetrics',
    'controlSdkMetrics',
    'computeSdkMetrics',
  ] as const;
  const entries: [string, number][] = [];
  for (const name of names) entries.push([name, await freePort()]);
  return Object.fromEntries(entries) as StackPorts;
}
