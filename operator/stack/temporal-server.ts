import { spawn, type ChildProcess } from 'node:child_process';
import type { Config } from '../../lib/config';
import { connectClient } from '../../lib/temporal';

/** Polls of the server's state while it starts. */
const POLL_MS = 100;

/**
 * Without the first two every stage of a chain costs 100 ms instead of 13; without the last one priorities are silently ignored.
 * Eager execution helps activities of the workflow's own process.
 */
export const DYNAMIC_CONFIG: Readonly<Record<string, string>> = {
  'history.transferProcessorMaxPollRPS': '2000',
  'history.timerProcessorMaxPollRPS': '2000',
  'system.enableActivityEagerExecution': 'true',
  'matching.useNewMatcher': 'true',
};

export interface TemporalServerOptions {
  readonly binary: string;
  readonly port: number;
  readonly httpPort: number;
  readonly metricsPort: number;
  /** Undefined: no web pages. */
  readonly uiPort?: number;
  readonly namespace: string;
  /** Undefined: in memory. */
  readonly databaseFile?: string;
}

/** The command line of the dev server; everything listens on loopback. */
export function temporalArguments(options: TemporalServerOptions): readonly string[] {
  const named = (name: string, value: string | number): string[] => [`--${name}`, String(value)];
  return [
    'server',
    'start-dev',
    ...named('ip', '127.0.0.1'),
    ...named('port', options.port),
    ...named('http-port', options.httpPort),
    ...named('metrics-port', options.metricsPort),
    ...(options.uiPort === undefined ? ['--headless'] : named('ui-port', options.uiPort)),
    ...(options.databaseFile === undefined ? [] : named('db-filename', options.databaseFile)),
    ...(options.databaseFile === undefined
      ? []
      : ['journal_mode=WAL', 'synchronous=NORMAL'].flatMap((pragma) => named('sqlite-pragma', pragma))),
    ...(options.namespace === 'default' ? [] : named('namespace', options.namespace)),
    ...Object.entries(DYNAMIC_CONFIG).flatMap(([name, value]) => named('dynamic-config-value', `${name}=${value}`)),
    ...named('log-level', 'error'),
    '--disable-config-file',
    '--disable-config-env',
  ];
}

/** Starts the server in a process group of its own; `log` is a file descriptor for what it prints. */
export function spawnTemporal(options: TemporalServerOptions, log: number | 'ignore'): ChildProcess {
  return spawn(options.binary, temporalArguments(options), { cwd: '/', detached: true, stdio: ['ignore', log, log] });
}

/** Resolves when the server at `address` knows the namespace; rejects when it does not within `deadlineMs` or `signal` aborts. */
export async function temporalAnswers(
  config: Pick<Config, 'temporal'>,
  address: string,
  deadlineMs: number,
  signal: AbortSignal,
): Promise<void> {
  const deadline = Date.now() + deadlineMs;
  for (;;) {
    signal.throwIfAborted();
    try {
      await describeNamespace(config, address);
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

async function describeNamespace(config: Pick<Config, 'temporal'>, address: string): Promise<void> {
  const client = await connectClient(config, address, 2000);
  try {
    await client.workflowService.describeNamespace({ namespace: config.temporal.namespace });
  } finally {
    await client.connection.close();
  }
}
