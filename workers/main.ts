import { mkdir } from 'node:fs/promises';
import { Client } from '@temporalio/client';
import type pg from 'pg';
import { Runtime, type NativeConnection, type Worker } from '@temporalio/worker';
import { openStore, requireStore } from '../activities/storage/open-store';
import type { OperatorActivities } from '../activities/tasks';
import { systemClock } from '../lib/clock';
import type { Config } from '../lib/config';
import { createLogger, type Logger } from '../lib/log';
import { migrate } from '../lib/migrate';
import { connect } from '../lib/postgres';
import { dataConverter } from '../lib/payload-converter';
import { connectWorker } from '../lib/temporal';
import { AlmanacError } from '../pipelines/failures';
import { reconcileBackfills } from './backfill-reconciler';
import { workflowBundle } from './bundle';
import { openEmr } from './emr';
import { sweepEffects } from './emr-sweeper';
import { exportHistories } from './history-exporter';
import { reconcileLeases } from './lease-reconciler';
import { LedgerGauges } from './ledger-gauges';
import { sweepStore } from './litter-sweeper';
import { queueNames } from '../lib/queues';
import { StageMetrics } from './metrics';
import { SdkMetrics, sdkTelemetry } from './metrics-sdk';
import { serveMetrics, type MetricsServer } from './metrics-server';
import { sendNotices, type ProjectHooks } from './notifier';
import { periodically } from './periodic';
import { Presence } from './presence';
import { temporalLogger } from './temporal-logger';
import { reconcileSlots } from './slot-reconciler';
import { createComputeWorker, createControlWorker } from './worker';
import { stageSlots } from './worker-options';

/** How often a worker looks whether its session still says that it is at work. */
const PRESENT_EVERY_MS = 1000;

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
  operator?: OperatorActivities,
  project?: () => Promise<ProjectHooks>,
): Promise<void> {
  const log = createLogger(config, { role });
  Runtime.install({
    logger: temporalLogger(log),
    shutdownSignals: [],
    ...(config.sdkMetrics === undefined ? {} : sdkTelemetry(config.sdkMetrics)),
  });
  if (config.s3 === undefined) await mkdir(config.data, { recursive: true });
  await requireStore(config);
  const connection: NativeConnection = await connectWorker(config, addresses.temporalAddress);
  const database = connect(addresses.databaseUrl, { application_name: `almanac ${role}`, max: stageSlots(config) + 8 });
  const stopBackground = new AbortController();
  try {
    await using presence = new Presence(addresses.databaseUrl, role);
    await presence.assure();
    await migrate(database);
    const metrics = new StageMetrics();
    await using ledger = role === 'control' ? ledgerGauges(addresses.databaseUrl, log) : undefined;
    await using server = await metricsServer(config, ledger ?? metrics, log);
    let background: Promise<unknown> = Promise.resolve();
    let close = (): Promise<void> => Promise.resolve();
    const store = await openStore(config, metrics.reads);
    const emr = await openEmr(config, { database, store });
    const resources = { config, connection, database, store, emr };
    let workers: readonly Worker[];
    if (role === 'control') {
      workers = [await createControlWorker(resources, await workflowBundle(), operator)];
      const client = new Client({ connection, namespace: config.temporal.namespace, dataConverter });
      background = Promise.all([
        exportHistories(client, database, store, log, stopBackground.signal),
        reconcileLeases({ database, client, clock: systemClock, log }, stopBackground.signal),
        ...(emr === undefined ? [] : [sweepEffects(emr.services, emr.config, log, stopBackground.signal)]),
        ...(operator === undefined ? [] : reconcilers({ operator, client, database, config, log }, stopBackground.signal)),
        ...(project === undefined
          ? []
          : [sendNotices({ database, clock: systemClock, log, environment: process.env, project }, stopBackground.signal)]),
      ]);
    } else {
      ({ workers, close } = await createComputeWorker(resources, metrics));
      background = sweepStore({ store, database, clock: systemClock }, log, stopBackground.signal);
    }
    const running = workers;
    const stop = (): void => {
      for (const worker of running) if (worker.getState() === 'RUNNING') worker.shutdown();
    };
    signal.addEventListener('abort', stop);
    const found: { outdated?: AlmanacError } = {};
    background = Promise.all([
      background,
      staysPresent({ presence, database, log }, stopBackground.signal, (error) => {
        found.outdated = error;
        stop();
      }),
    ]);
    // One that fails takes the others with it: half a process would look alive.
    const done = Promise.allSettled(running.map((worker) => worker.run().finally(stop)));
    ready(server?.address);
    if (signal.aborted) stop();
    try {
      for (const end of await done) if (end.status === 'rejected') throw end.reason;
      if (found.outdated !== undefined) throw found.outdated;
    } finally {
      stopBackground.abort();
      await background;
      await close();
      emr?.close();
    }
  } finally {
    stopBackground.abort();
    await database.end();
    await connection.close();
  }
}

/** A worker whose session was lost was not seen meanwhile: one that a newer build migrated for is `outdated`. */
function staysPresent(
  { presence, database, log }: { readonly presence: Presence; readonly database: pg.Pool; readonly log: Logger },
  signal: AbortSignal,
  outdated: (error: AlmanacError) => void,
): Promise<void> {
  return periodically(
    PRESENT_EVERY_MS,
    signal,
    async () => {
      if (await presence.assure()) await migrate(database);
    },
    (error) => {
      log.warn({ error: String(error) }, 'the session that says this worker is at work was lost');
      if (error instanceof AlmanacError && error.code === 'deploy.outdated') outdated(error);
    },
  );
}

/** What doubles the durable workflows of a stack, whatever became of them. */
function reconcilers(
  resources: {
    readonly operator: OperatorActivities;
    readonly client: Client;
    readonly database: pg.Pool;
    readonly config: Config;
    readonly log: Logger;
  },
  signal: AbortSignal,
): Promise<void>[] {
  const { operator, client, database, config, log } = resources;
  const controlQueue = queueNames(config).control;
  return [
    reconcileSlots({ clock: operator, client, controlQueue, log }, signal),
    reconcileBackfills({ database, client, controlQueue, log }, signal),
  ];
}

function ledgerGauges(databaseUrl: string, log: Logger): LedgerGauges {
  const failed = (error: unknown): void => log.warn({ error: String(error) }, 'the ledger could not be read for the metrics');
  return new LedgerGauges({ databaseUrl, clock: systemClock, failed });
}

/** Undefined when the configuration names no place for it. */
async function metricsServer(config: Config, metrics: StageMetrics | LedgerGauges, log: Logger): Promise<MetricsServer | undefined> {
  if (config.metrics === undefined) return undefined;
  const { registry } = metrics;
  const failed = (error: unknown): void => log.warn({ error: String(error) }, 'the metrics of the Temporal SDK could not be read');
  const sdk = config.sdkMetrics === undefined ? undefined : SdkMetrics.of(registry, config.sdkMetrics, failed);
  const refresh = metrics instanceof LedgerGauges ? () => metrics.refresh() : undefined;
  return serveMetrics({ registry, refresh, sdk }, config.metrics);
}
