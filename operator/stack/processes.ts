import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync } from 'node:fs';
import { connect } from 'node:net';
import path from 'node:path';
import { maskUrl, type Config } from '../../lib/config';
import { packageRoot } from '../../lib/package-root';
import { logFile, openLog } from './log-file';
import type { StackPorts } from './ports-file';
import { postgresAnswers, postgresUrl, preparePostgres, spawnPostgres } from './postgres-server';
import type { PostgresUser } from './postgres-user';
import type { ProcessSpec } from './process-spec';
import type { ProcessRecord } from './stack-state';
import { spawnTemporal, temporalAnswers } from './temporal-server';

const TEMPORAL_START_MS = 60_000;
const WORKER_START_MS = 120_000;
const SERVER_GRACE_MS = 15_000;
const WORKER_GRACE_MS = 10_000;
const POLL_MS = 100;

/** The processes of a stack and the services it uses beside them. */
export interface StackProcesses {
  readonly specs: readonly ProcessSpec[];
  readonly external: readonly ProcessRecord[];
  readonly databaseUrl?: string;
  readonly temporalAddress?: string;
  /** The external Postgres without its password. */
  readonly externalDatabase?: string;
}

export interface StackProcessOptions {
  readonly config: Config;
  readonly projectDirectory: string;
  readonly ports: StackPorts;
  /** Undefined when Temporal is external. */
  readonly temporalBinary?: string;
}

export const WORKER_ROLES = ['control', 'compute'] as const;
export type WorkerRole = (typeof WORKER_ROLES)[number];

/** Every name `status` lists, in its order. */
export const PROCESS_NAMES = ['supervisor', 'temporal', 'postgres', ...WORKER_ROLES.map(workerName)] as const;

/** What `almanac up` keeps alive: the servers nobody else provides, and one worker of each role. */
export function stackProcesses(options: StackProcessOptions): StackProcesses {
  const { config, ports, temporalBinary } = options;
  const external: ProcessRecord[] = [];
  const servers: ProcessSpec[] = [];
  if (config.temporal.external)
    external.push({ name: 'temporal', state: 'external', address: config.temporal.external.address, restarts: 0 });
  else servers.push(temporalSpec(config, ports, temporalBinary ?? ''));
  if (config.databaseUrl === undefined) servers.push(postgresSpec(config, ports));
  else external.push({ name: 'postgres', state: 'external', address: databaseAddress(config.databaseUrl), restarts: 0 });
  const after = servers.map((spec) => spec.name);
  return {
    specs: [...servers, ...WORKER_ROLES.map((role) => workerSpec(options, role, after))],
    external,
    ...(config.databaseUrl === undefined
      ? { databaseUrl: postgresUrl(ports.postgres) }
      : { externalDatabase: maskUrl(config.databaseUrl) }),
    ...(config.temporal.external ? {} : { temporalAddress: `127.0.0.1:${ports.temporal}` }),
  };
}

function temporalSpec(config: Config, ports: StackPorts, binary: string): ProcessSpec {
  const address = `127.0.0.1:${ports.temporal}`;
  const file = logFile(config.home, 'temporal');
  return {
    name: 'temporal',
    after: [],
    address,
    logFile: file,
    launch: () =>
      withLog(file, (log) =>
        spawnTemporal(
          {
            binary,
            port: ports.temporal,
            httpPort: ports.temporalHttp,
            metricsPort: ports.temporalMetrics,
            uiPort: ports.temporalUi,
            namespace: config.temporal.namespace,
            databaseFile: path.join(config.home, 'temporal.db'),
          },
          log,
        ),
      ),
    ready: (signal) => temporalAnswers(config, address, TEMPORAL_START_MS, signal),
    stopSignal: 'SIGTERM',
    stopGraceMs: SERVER_GRACE_MS,
  };
}

function postgresSpec(config: Config, ports: StackPorts): ProcessSpec {
  const dataDirectory = path.join(config.home, 'postgres');
  const file = logFile(config.home, 'postgres');
  let user: PostgresUser | undefined;
  return {
    name: 'postgres',
    after: [],
    address: `127.0.0.1:${ports.postgres}`,
    logFile: file,
    async prepare() {
      user = await preparePostgres(dataDirectory);
    },
    launch() {
      if (!user) throw new Error('postgres was not prepared');
      return spawnPostgres({ dataDirectory, port: ports.postgres, settings: { max_connections: '200' }, logFile: file }, user);
    },
    ready: (signal) => postgresAnswers(postgresUrl(ports.postgres), dataDirectory, signal),
    // Fast shutdown: sessions are ended, the checkpoint is written.
    stopSignal: 'SIGINT',
    stopGraceMs: SERVER_GRACE_MS,
  };
}

function workerSpec({ config, projectDirectory, ports }: StackProcessOptions, role: WorkerRole, after: readonly string[]): ProcessSpec {
  const name = workerName(role);
  const port = role === 'control' ? ports.controlMetrics : ports.computeMetrics;
  const sdkPort = role === 'control' ? ports.controlSdkMetrics : ports.computeSdkMetrics;
  const file = logFile(config.home, name);
  const env = {
    ...process.env,
    ALMANAC_HOME: config.home,
    ALMANAC_DATA: config.data,
    ALMANAC_METRICS: `127.0.0.1:${port}`,
    ALMANAC_SDK_METRICS: `127.0.0.1:${sdkPort}`,
  };
  const args = [path.join(packageRoot(), 'bin', 'almanac.js'), '--project', projectDirectory, 'worker', '--role', role];
  return {
    name,
    after,
    address: `127.0.0.1:${port}`,
    logFile: file,
    // The channel tells the worker when its supervisor is gone, however that ended.
    launch: () =>
      withLog(file, (log) =>
        spawn(process.execPath, args, { cwd: projectDirectory, env, detached: true, stdio: ['ignore', log, log, 'ipc'] }),
      ),
    ready: (signal) => listens(port, WORKER_START_MS, signal),
    stopSignal: 'SIGTERM',
    stopGraceMs: WORKER_GRACE_MS,
  };
}

function workerName<R extends WorkerRole>(role: R): `worker-${R}` {
  return `worker-${role}`;
}

export function withLog(file: string, launch: (log: number) => ChildProcess): ChildProcess {
  const log = openLog(file);
  try {
    return launch(log);
  } finally {
    closeSync(log);
  }
}

/** A worker serves its metrics once it polls. */
export async function listens(port: number, deadlineMs: number, signal: AbortSignal): Promise<void> {
  const deadline = Date.now() + deadlineMs;
  for (;;) {
    signal.throwIfAborted();
    if (await accepts('127.0.0.1', port, 1000)) return;
    if (Date.now() > deadline) throw new Error(`nothing listens on port ${port} after ${deadlineMs / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** Whether something takes connections there within `timeoutMs`. */
export function accepts(host: string, port: number, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const settle = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(timeoutMs, () => settle(false));
    socket.once('connect', () => settle(true));
    socket.once('error', () => settle(false));
  });
}

/** `HOST:PORT` of a connection string; it was validated when the configuration was read. */
export function databaseAddress(databaseUrl: string): string {
  const { hostname, port, searchParams } = new URL(databaseUrl);
  const host = hostname || searchParams.get('host') || 'localhost';
  return host.startsWith('/') ? host : `${host}:${port || '5432'}`;
}

/** How a database URL is shown: an external one without its password. */
export function shownDatabaseUrl(config: Pick<Config, 'databaseUrl'>, embedded: string | undefined): string | undefined {
  return config.databaseUrl === undefined ? embedded : maskUrl(config.databaseUrl);
}
