import { mkdirSync } from 'node:fs';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { systemClock, type Clock } from '../../lib/clock';
import { AlmanacError } from '../../pipelines/failures';
import { acquireLock } from '../stack/lock';
import { ClusterStore } from './cluster-store';
import type { Tools } from './command';
import { ControlPlane } from './control-plane';
import { createHttpServer } from './http-server';
import { LogKeeper } from './log-keeper';
import type { Timing } from './machine';
import { PAGE_SIZE } from './paging';
import type { Credential } from './signature';
import type { Rate } from './throttle';

export interface EmrLocalOptions {
  /** Where clusters are written down; one server at a time works there. */
  readonly stateDirectory: string;
  /** 0 lets the kernel choose. */
  readonly port: number;
  readonly credentials: readonly Credential[];
  readonly region: string;
  readonly tools: Tools;
  /** Of the steps; default: that of this process. */
  readonly environment?: NodeJS.ProcessEnv;
  readonly timing?: Timing;
  readonly throttle?: Rate;
  readonly faults?: boolean;
  /** Default: EMR's 50. */
  readonly pageSize?: number;
  readonly clock?: Clock;
  readonly tell?: (line: string) => void;
}

export interface EmrLocal {
  /** `http://127.0.0.1:PORT`. */
  readonly endpoint: string;
  /** Ends every step and resolves when nothing of the server is left. */
  close(): Promise<void>;
}

/** Machines of EMR take minutes; these take long enough for each state to be seen. */
export const LOCAL_TIMING: Timing = { provisionMs: 200, bootstrapMs: 200, shutdownMs: 200 };

/** Serves EMR on loopback. Throws `emr.local-busy`, `emr.local-port` and `emr.local-state`. */
export async function startEmrLocal(options: EmrLocalOptions): Promise<EmrLocal> {
  const { stateDirectory, credentials, region, tools, clock = systemClock, tell = () => undefined, environment = process.env } = options;
  mkdirSync(stateDirectory, { recursive: true, mode: 0o700 });
  const lock = acquireLock(stateDirectory);
  if ('holder' in lock)
    throw new AlmanacError('emr.local-busy', `process ${lock.holder.pid} serves the clusters of ${stateDirectory}`, {
      next: 'use the endpoint it told, or start another with --state-dir DIR --port N',
      details: { pid: lock.holder.pid, stateDirectory },
    });
  const logs = new LogKeeper(environment);
  let plane: ControlPlane | undefined;
  try {
    const store = new ClusterStore(stateDirectory);
    const { timing = LOCAL_TIMING, pageSize = PAGE_SIZE } = options;
    plane = new ControlPlane({ store, logs, tools, environment, region, timing, pageSize, clock, tell });
    await plane.open();
    const throttle = options.throttle === undefined ? {} : { throttle: options.throttle };
    const server = createHttpServer({ plane, credentials, region, clock, faults: options.faults ?? false, tell, ...throttle });
    const endpoint = `http://127.0.0.1:${await listen(server, options.port)}`;
    return { endpoint, close: () => closeAll(server, plane, logs, lock) };
  } catch (error) {
    await closeAll(undefined, plane, logs, lock);
    throw error;
  }
}

async function closeAll(
  server: Server | undefined,
  plane: ControlPlane | undefined,
  logs: LogKeeper,
  lock: { release(): void },
): Promise<void> {
  if (server !== undefined) {
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  }
  await plane?.close();
  logs.close();
  lock.release();
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(
        error.code === 'EADDRINUSE' || error.code === 'EACCES'
          ? new AlmanacError('emr.local-port', `port ${port} of 127.0.0.1 cannot be used: ${error.code}`, {
              next: 'almanac emr-local --port N, with a free one',
              details: { port },
            })
          : error,
      );
    });
    server.listen(port, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
}
