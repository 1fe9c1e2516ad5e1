import { spawn } from 'node:child_process';
import { accessSync, closeSync, constants, mkdirSync } from 'node:fs';
import path from 'node:path';
import { sweepTemporaryFiles } from '../../lib/atomic-file';
import type { Config } from '../../lib/config';
import { databaseFailure } from '../../lib/database-failure';
import { readEmrSettings } from '../../lib/emr-settings';
import { packageRoot } from '../../lib/package-root';
import { connect } from '../../lib/postgres';
import { AlmanacError } from '../../pipelines/failures';
import { acquireLock, lockHolder } from './lock';
import { logFile, openLog } from './log-file';
import { endOrphans } from './orphans';
import { stackPorts } from './ports-file';
import { stackProcesses, type StackProcesses } from './processes';
import { isRunning, type ProcessIdentity } from './process-identity';
import { requireSameServices } from './same-services';
import { readStackState, removeStackState, type ProcessRecord, type StackState } from './stack-state';
import { Supervisor } from './supervisor';
import { requireStore } from '../../activities/storage/open-store';
import { obtainTemporal } from './temporal-binary';

const POLL_MS = 50;
/** For a detached stack to be up; its servers have deadlines of their own, this one is the last resort. */
const DETACHED_START_MS = 20 * 60_000;
/** For a stack that is being stopped to be gone. */
const STOPPING_MS = 60_000;
/** For an external database to say whether it lets us in. */
const DATABASE_PROBE_MS = 5000;

export interface UpOptions {
  readonly config: Config;
  readonly projectDirectory: string;
  /** Hears lines of progress. */
  readonly tell: (line: string) => void;
}

export interface ForegroundOptions extends UpOptions {
  /** What to run, once the ports are known; default: {@link stackProcesses}. */
  readonly processes?: () => Promise<StackProcesses>;
  readonly started?: () => void;
}

/** `found`: another supervisor has the stack already. */
export type UpResult = 'found' | 'started';

/** A running stack that this process supervises. */
export interface SupervisedStack {
  /** Ends everything in order and leaves no state behind; safe to call twice. */
  stop(): Promise<void>;
  /** Kills what is left at once. */
  kill(): void;
}

/**
 * Starts the stack of `config.home` under this process; resolves when it is up, to `found` when another process has it. Throws
 * `config.invalid`, `stack.failed`, `stack.temporal-missing`, `stack.postgres-user`, `stack.other-services`; then nothing is left running.
 */
export async function superviseStack(options: ForegroundOptions, stopping: AbortSignal): Promise<SupervisedStack | 'found'> {
  const { config, tell } = options;
  const { home } = config;
  ensureHome(home);
  if (config.emr !== undefined) readEmrSettings(config.emr);
  const lock = acquireLock(home);
  if ('holder' in lock) {
    requireSameServices(config, readStackState(home));
    return 'found';
  }
  let supervisor: Supervisor | undefined;
  // Until what another left is ended, the state is the only trace of it.
  let ours = false;
  const clean = (): void => {
    if (ours) removeStackState(home);
    lock.release();
  };
  try {
    sweepTemporaryFiles(home);
    for (const name of await endOrphans(home)) tell(`${name}: left by a killed supervisor, ended`);
    ours = true;
    const processes = await (options.processes ?? (() => defaultProcesses(options)))();
    supervisor = new Supervisor({ home, ...processes, changed: (record) => tell(renderChange(record)) });
    const running = supervisor;
    stopping.addEventListener('abort', () => void running.stop());
    if (stopping.aborted) void running.stop();
    await running.start();
    return {
      async stop() {
        await running.stop();
        clean();
      },
      kill: () => running.kill(),
    };
  } catch (error) {
    await supervisor?.stop();
    clean();
    throw error;
  }
}

/** Starts the stack under a supervisor of its own that outlives this process; resolves when it is up. */
export async function upDetached(options: UpOptions): Promise<UpResult> {
  const { config, tell } = options;
  ensureHome(config.home);
  if (config.emr !== undefined) readEmrSettings(config.emr);
  await settled(config.home);
  const holder = lockHolder(config.home);
  if (holder) return waitUntilUp(config, holder);
  // Here, where someone is watching, not in the log of the supervisor.
  if (!config.temporal.external) await obtainTemporal(process.env, tell);
  return startSupervisor(options);
}

function ensureHome(home: string): void {
  try {
    mkdirSync(home, { recursive: true });
    accessSync(home, constants.W_OK);
  } catch (error) {
    throw new AlmanacError(
      'config.invalid',
      `ALMANAC_HOME: ${home} cannot be used: ${error instanceof Error ? error.message : String(error)}`,
      {
        next: 'set ALMANAC_HOME to a directory of yours',
        cause: error,
      },
    );
  }
}

function startSupervisor({ config, projectDirectory }: UpOptions): Promise<UpResult> {
  const file = logFile(config.home, 'supervisor');
  const log = openLog(file);
  const args = [path.join(packageRoot(), 'bin', 'almanac.js'), '--project', projectDirectory, 'up'];
  const env = { ...process.env, ALMANAC_HOME: config.home, ALMANAC_DATA: config.data };
  const child = spawn(process.execPath, args, { cwd: projectDirectory, env, detached: true, stdio: ['ignore', log, log, 'ipc'] });
  closeSync(log);
  return new Promise((resolve, reject) => {
    const failed = (message: string): AlmanacError =>
      new AlmanacError('stack.failed', message, { next: `almanac doctor; the log is ${file}` });
    const timer = setTimeout(
      () => settle(() => reject(failed(`the stack is not up after ${DETACHED_START_MS / 60_000} minutes`))),
      DETACHED_START_MS,
    );
    const settle = (answer: () => void): void => {
      clearTimeout(timer);
      child.removeAllListeners();
      if (child.connected) child.disconnect();
      child.unref();
      answer();
    };
    child.once('error', (error) => settle(() => reject(failed(`the supervisor could not be started: ${error.message}`))));
    child.once('exit', (code) => settle(() => reject(failed(`the supervisor ended with exit code ${String(code)}`))));
    child.once('message', (message) =>
      settle(() => {
        const report = message as SupervisorReport;
        if (report.failure)
          reject(
            new AlmanacError(report.failure.code, report.failure.message, {
              next: report.failure.next,
              details: { ...report.failure.details },
            }),
          );
        else if (report.result === 'started') resolve('started');
        else resolve(settled(config.home).then(() => found(config)));
      }),
    );
  });
}

/** What a detached supervisor tells the `up` that started it. */
export interface SupervisorReport {
  readonly result?: UpResult;
  readonly failure?: ReturnType<typeof import('../../pipelines/failures').failureInfo>;
}

/** Of two detached starts one finds the other's supervisor. */
async function found(config: Config): Promise<UpResult> {
  const holder = lockHolder(config.home);
  return holder
    ? waitUntilUp(config, holder)
    : Promise.reject(new AlmanacError('stack.failed', 'the stack that was found ended', { next: 'almanac up --detach' }));
}

async function waitUntilUp(config: Config, holder: ProcessIdentity): Promise<UpResult> {
  const { home } = config;
  await poll(
    `the stack of process ${holder.pid} to be up`,
    DETACHED_START_MS,
    () => readStackState(home)?.phase === 'up' || !isRunning(holder),
  );
  if (isRunning(holder)) {
    requireSameServices(config, readStackState(home));
    return 'found';
  }
  throw new AlmanacError('stack.failed', `the supervisor with pid ${holder.pid} ended while it started the stack`, {
    next: `almanac up --detach; its log is ${logFile(home, 'supervisor')}`,
  });
}

/** Waits until no stack of this home is being stopped. */
function settled(home: string): Promise<void> {
  return poll('the stack that is being stopped to end', STOPPING_MS, () => {
    const state: StackState | undefined = readStackState(home);
    return state?.phase !== 'stopping' || !isRunning(state.supervisor);
  });
}

async function poll(what: string, deadlineMs: number, condition: () => boolean): Promise<void> {
  const deadline = Date.now() + deadlineMs;
  while (!condition()) {
    if (Date.now() > deadline)
      throw new AlmanacError('stack.busy', `waited ${deadlineMs / 1000} s for ${what}`, { next: 'almanac status' });
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

async function defaultProcesses({ config, projectDirectory, tell }: UpOptions): Promise<StackProcesses> {
  // Here, where someone is watching: a worker that is refused would only start again and again.
  if (config.databaseUrl !== undefined) await requireDatabase(config.databaseUrl);
  await requireStore(config);
  const binary = config.temporal.external ? undefined : await obtainTemporal(process.env, tell);
  const ports = await stackPorts(config.home);
  return stackProcesses({ config, projectDirectory, ports, ...(binary ? { temporalBinary: binary.file } : {}) });
}

/** Throws `config.invalid` when the database is not there or refuses us; one that does not answer yet is waited for by the workers. */
async function requireDatabase(databaseUrl: string): Promise<void> {
  const pool = connect(databaseUrl, { max: 1, connectionTimeoutMillis: DATABASE_PROBE_MS });
  try {
    await pool.query('select 1');
  } catch (error) {
    const refused = databaseFailure(error, databaseUrl);
    if (refused !== undefined) throw refused;
  } finally {
    await pool.end();
  }
}

function renderChange({ name, state, address, identity, lastExit }: ProcessRecord): string {
  const where = state === 'running' && address !== undefined ? ` ${address}` : '';
  const why = state === 'restarting' || state === 'failed' ? `: ${lastExit ?? ''}` : '';
  return `${name} ${state}${where}${state === 'running' && identity ? ` pid ${identity.pid}` : ''}${why}`;
}
