import path from 'node:path';
import type pg from 'pg';
import { Worker, type NativeConnection } from '@temporalio/worker';
import { computeStage } from '../activities/compute/compute-stage';
import { createDuckDbEngine } from '../activities/compute/duckdb-engine';
import { ingestStage } from '../activities/compute/ingest-stage';
import { createControlActivities } from '../activities/control';
import { planReader, textReader } from '../activities/ledger/plans';
import { createPublishStage } from '../activities/publish/publish-stage';
import { checkStage } from '../activities/quality/check-stage';
import { runStage, type StageShell } from '../activities/run-stage';
import { createDatasetStore } from '../activities/storage/datasets';
import { createLocalStore } from '../activities/storage/local-store';
import { heartbeating } from '../activities/heartbeat';
import type { ClockActivities, StageActivities } from '../activities/tasks';
import { systemClock } from '../lib/clock';
import type { Config } from '../lib/config';
import { queueNames } from '../lib/queues';
import { faultPoints } from './fault-points';
import type { StageMetrics } from './metrics';
import { controlOptions, stageOptions, WORKER_IDENTITY } from './worker-options';

export interface WorkerResources {
  readonly config: Config;
  readonly connection: NativeConnection;
  readonly database: pg.Pool;
}

/** Workflows and short activities; those of the clock when there is one. */
export async function createControlWorker(resources: WorkerResources, bundle: { code: string }, clock?: ClockActivities): Promise<Worker> {
  const { config, connection, database } = resources;
  const store = createLocalStore(config.data);
  const datasets = createDatasetStore(store, systemClock);
  return Worker.create({
    ...controlOptions(config, connection),
    taskQueue: queueNames(config).control,
    workflowBundle: bundle,
    activities: {
      ...createControlActivities({ database, datasets, clock: systemClock }, faultPoints(process.env)),
      ...(clock === undefined ? {} : { lookAtSlots: () => heartbeating(() => clock.lookAtSlots()) }),
    },
  });
}

export interface ComputeWorker {
  readonly worker: Worker;
  /** Ends the children; call it after the worker stopped. */
  close(): Promise<void>;
}

/** Stages: ingest, compute, check, publish. */
export async function createComputeWorker(resources: WorkerResources, metrics: StageMetrics): Promise<ComputeWorker> {
  const { config, connection, database } = resources;
  const store = createLocalStore(config.data);
  const engine = createDuckDbEngine({ scratch: path.join(config.home, 'spill'), maxChildren: config.worker.places });
  const services = {
    store,
    datasets: createDatasetStore(store, systemClock),
    engine,
    database,
    clock: systemClock,
    text: textReader(database),
  };
  const shell: StageShell = {
    services,
    bodies: {
      ingest: ingestStage,
      compute: computeStage,
      check: checkStage,
      publish: createPublishStage({
        flipped: (pipeline, seconds) => metrics.flipped(pipeline, seconds),
        waitedForLock: (pipeline, seconds) => metrics.waitedForLock(pipeline, seconds),
      }),
    },
    worker: WORKER_IDENTITY,
    limits: { memoryBytes: config.worker.memoryBytes, threads: config.worker.threads },
    observer: metrics,
    plan: planReader(database),
    point: faultPoints(process.env),
  };
  const activities: StageActivities = {
    runStage: (task) => runStage(shell, task),
  };
  const worker = await Worker.create({
    ...stageOptions(config, connection),
    taskQueue: queueNames(config).stages,
    activities: { ...activities },
  });
  return { worker, close: () => engine.close() };
}
