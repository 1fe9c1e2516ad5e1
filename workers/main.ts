import { mkdir } from 'node:fs/promises';
import { Client } from '@temporalio/client';
import { Runtime, type NativeConnection } from '@temporalio/worker';
import { createLocalStore } from '../activities/storage/local-store';
import { systemClock } from '../lib/clock';
import type { Config } from '../lib/config';
import { createLogger } from '../lib/log';
import { migrate } from '../lib/migrate';
import { connect } from '../lib/postgres';
import { dataConverter } from '../lib/payload-converter';
import { connectWorker } from '../lib/temporal';
import { workflowBundle } from './bundle';
import { exportHistories } from './history-exporter';
import { sweepStore } from './litter-sweeper';
import { StageMetrics } from './metrics';
import { serveMetrics } from './metrics-server';
import { temporalLogger } from './temporal-logger';
import { createComputeWorker, createControlWorker } from './worker';
import { stageSlots } from './worker-options';

export type Role = 'control' | 'compute';

export interface WorkerAddresses {
  readonly databaseUrl: string;
  readonly temporalAddress: string;
}

/** Runs one worker process until `signal` aborts, then drains it: running stages are told to stop and retried elsewhere. */
export async function runWorker(
  role: Role,
  config: Config,
  addresses: WorkerAddresses,
  signal: AbortSignal,
  ready: (metricsAddress: string | undefined) => void,
): Promise<void> {
  const log = createLogger(config, { role });
  const metrics = new StageMetrics();
  Runtime.install({
    logger: temporalLogger(log),
    shutdownSignals: [],
    ...(config.sdkMetrics === undefined
      ? {}
      : { telemetryOptions: { metrics: { prometheus: { bindAddress: `${config.sdkMetrics.host}:${config.sdkMetrics.port}` } } } }),
  });
  await mkdir(config.data, { recursive: true });
  const connection: NativeConnection = await connectWorker(config, addresses.temporalAddress);
  const database = connect(addresses.databaseUrl, { application_name: `almanac ${role}`, max: stageSlots(config) + 8 });
  const stopBackground = new AbortController();
  try {
    await migrate(database);
    await using server =
      config.metrics === undefined
        ? undefined
        : await serveMetrics(metrics.registry, config.metrics.host, config.metrics.port, sdkMetricsUrl(config));
    let background: Promise<void> = Promise.resolve();
    let close = (): Promise<void> => Promise.resolve();
    const resources = { config, connection, database };
    let worker;
    if (role === 'control') {
      worker = await createControlWorker(resources, await workflowBundle());
      const client = new Client({ connection, namespace: config.temporal.namespace, dataConverter });
      background = exportHistories(client, database, createLocalStore(config.data), log, stopBackground.signal);
    } else {
      ({ worker, close } = await createComputeWorker(resources, metrics));
      background = sweepStore({ store: createLocalStore(config.data), database, clock: systemClock }, log, stopBackground.signal);
    }
    const running = worker;
    const stop = (): void => {
      if (running.getState() === 'RUNNING') running.shutdown();
    };
    signal.addEventListener('abort', stop);
    const done = running.run();
    ready(server?.address);
    if (signal.aborted) stop();
    try {
      await done;
    } finally {
      stopBackground.abort();
      await background;
      await close();
    }
  } finally {
    stopBackground.abort();
    await database.end();
    await connection.close();
  }
}

function sdkMetricsUrl(config: Config): string | undefined {
  return config.sdkMetrics === undefined ? undefined : `http://${config.sdkMetrics.host}:${config.sdkMetrics.port}/metrics`;
}
