import type { Client } from '@temporalio/client';
import { toClientOptions } from '@temporalio/envconfig';
import type { NativeConnection } from '@temporalio/worker';
import { AlmanacError } from '../pipelines/failures';
import type { Config } from './config';
import { dataConverter } from './payload-converter';

/** How long a server may take to answer before it counts as unreachable. */
const CONNECT_TIMEOUT_MS = 10_000;

type TemporalSettings = Pick<Config, 'temporal'>;

/** A client of the cluster at `address`, with the TLS and keys of the configuration. Throws `stack.unreachable`. */
export async function connectClient(config: TemporalSettings, address: string, timeoutMs = CONNECT_TIMEOUT_MS): Promise<Client> {
  const { Client, Connection } = await import('@temporalio/client');
  const connection = await reach(address, () => Connection.connect({ ...connectionOptions(config, address), connectTimeout: timeoutMs }));
  return new Client({ connection, namespace: config.temporal.namespace, dataConverter });
}

/** A worker's connection to the cluster at `address`. Throws `stack.unreachable`. */
export async function connectWorker(config: TemporalSettings, address: string): Promise<NativeConnection> {
  const { NativeConnection } = await import('@temporalio/worker');
  return reach(address, () => NativeConnection.connect(connectionOptions(config, address)));
}

interface ConnectionOptions {
  readonly address: string;
  readonly apiKey?: string;
  readonly tls?: NonNullable<ReturnType<typeof toClientOptions>['connectionOptions']['tls']>;
  readonly metadata?: Record<string, string>;
}

function connectionOptions(config: TemporalSettings, address: string): ConnectionOptions {
  const { external } = config.temporal;
  if (!external) return { address };
  const { tls } = toClientOptions(external).connectionOptions;
  return {
    address,
    ...(external.apiKey === undefined ? {} : { apiKey: external.apiKey }),
    ...(tls === undefined || tls === null ? {} : { tls }),
    ...(external.grpcMeta === undefined ? {} : { metadata: external.grpcMeta }),
  };
}

async function reach<T>(address: string, connect: () => Promise<T>): Promise<T> {
  try {
    return await connect();
  } catch (error) {
    throw new AlmanacError(
      'stack.unreachable',
      `Temporal does not answer at ${address}: ${error instanceof Error ? error.message : String(error)}`,
      {
        next: 'almanac doctor',
        details: { address },
        cause: error,
      },
    );
  }
}
