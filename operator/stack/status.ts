import type { Config } from '../../lib/config';
import { lockHolder } from './lock';
import { accepts, databaseAddress, PROCESS_NAMES, shownDatabaseUrl } from './processes';
import { isRunning } from './process-identity';
import { inspectStackState, type ProcessRecord, type ProcessState, type StackState, type WrittenState } from './stack-state';

const PROBE_MS = 1000;

export interface ProcessStatus {
  readonly name: string;
  readonly pid: number | null;
  readonly address: string | null;
  /**
   * `orphaned`: still running, but its supervisor is gone. `unreachable`: an external service that takes no connections.
   * `unknown`: what is written down about it cannot be read.
   */
  readonly state: ProcessState | 'orphaned' | 'unreachable' | 'unknown';
  readonly restarts: number;
  readonly lastExit: string | null;
}

export interface StackStatus {
  /** `down`: no supervisor. `degraded`: a supervisor, but not everything runs. */
  readonly state: 'up' | 'degraded' | 'down';
  readonly home: string;
  readonly data: string;
  /** Without the password when it is external; null when it is not known. */
  readonly databaseUrl: string | null;
  readonly temporalAddress: string | null;
  /** What is wrong with the file that says how the processes are; null when it is readable or absent. */
  readonly damage: string | null;
  readonly processes: readonly ProcessStatus[];
}

/** How every process of the stack is, read without any of them. */
export async function stackStatus(config: Config): Promise<StackStatus> {
  const written = inspectStackState(config.home);
  const { state, damage } = written;
  const supervisor = state && isRunning(state.supervisor) ? state.supervisor : lockHolder(config.home);
  const records = await Promise.all(
    PROCESS_NAMES.filter((name) => name !== 'supervisor').map((name) => processStatus(config, name, written, supervisor !== undefined)),
  );
  // A list of processes other than the usual, as tests have, is shown whole.
  const others = (state?.processes ?? []).filter(({ name }) => !(PROCESS_NAMES as readonly string[]).includes(name));
  const processes = [...records, ...others.map((record) => ownStatus(record, supervisor !== undefined))];
  const working = processes.every(({ state: how }) => how === 'running' || how === 'external');
  const known = supervisor ? state : undefined;
  return {
    state: supervisor ? (working && state?.phase === 'up' ? 'up' : 'degraded') : 'down',
    home: config.home,
    data: config.data,
    databaseUrl: shownDatabaseUrl(config, known?.databaseUrl) ?? null,
    temporalAddress: config.temporal.external?.address ?? known?.temporalAddress ?? null,
    damage: damage ?? null,
    processes: [
      {
        name: 'supervisor',
        pid: supervisor?.pid ?? null,
        address: null,
        state: supervisorState(state, supervisor !== undefined),
        restarts: 0,
        lastExit: null,
      },
      ...processes,
    ],
  };
}

async function processStatus(config: Config, name: string, written: WrittenState, supervised: boolean): Promise<ProcessStatus> {
  const external = externalAddress(config, name);
  if (external !== undefined) {
    return {
      name,
      pid: null,
      address: external,
      state: (await answers(external)) ? 'external' : 'unreachable',
      restarts: 0,
      lastExit: null,
    };
  }
  const record = written.state?.processes.find((candidate) => candidate.name === name);
  if (record) return ownStatus(record, supervised);
  const how = written.damage !== undefined && written.state === undefined ? 'unknown' : 'stopped';
  return { name, pid: null, address: null, state: how, restarts: 0, lastExit: null };
}

/** A record is as old as the supervisor's last word; whether the process lives is asked now. */
function ownStatus(record: ProcessRecord, supervised: boolean): ProcessStatus {
  const alive = record.identity !== undefined && isRunning(record.identity);
  const state = (): ProcessStatus['state'] => {
    if (record.state === 'external') return 'external';
    if (!supervised) return alive ? 'orphaned' : 'stopped';
    return record.state === 'running' && !alive ? 'restarting' : record.state;
  };
  return {
    name: record.name,
    pid: alive ? (record.identity?.pid ?? null) : null,
    address: record.address ?? null,
    state: state(),
    restarts: record.restarts,
    lastExit: record.lastExit ?? null,
  };
}

function supervisorState(state: StackState | undefined, alive: boolean): ProcessState {
  if (!alive) return 'stopped';
  if (state?.phase === 'up') return 'running';
  return state?.phase ?? 'starting';
}

function externalAddress(config: Config, name: string): string | undefined {
  if (name === 'temporal') return config.temporal.external?.address;
  if (name === 'postgres' && config.databaseUrl !== undefined) return databaseAddress(config.databaseUrl);
  return undefined;
}

function answers(address: string): Promise<boolean> {
  const match = /^\[?(.+?)\]?:(\d+)$/.exec(address);
  // A socket directory is not probed.
  return match ? accepts(match[1] ?? '', Number(match[2]), PROBE_MS) : Promise.resolve(true);
}
