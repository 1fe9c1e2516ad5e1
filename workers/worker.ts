import path from 'node:path';
import type pg from 'pg';
import { Worker, type NativeConnection } from '@temporalio/worker';
import { createComputeStage } from '../activities/compute/choose-engine';
import { createDuckDbEngines } from '../activities/compute/duckdb-engine';
import { ingestStage } from '../activities/compute/ingest-stage';
import { createControlActivities } from '../activities/control';
import { planReader, textReader } from '../activities/ledger/plans';
import { createPublishStage } from '../activities/publish/publish-stage';
import { createCheckStage } from '../activities/quality/check-stage';
import { runStage, type StageShell } from '../activities/run-stage';
import { senseStage } from '../activities/sense-stage';
import { createDatasetStore } from '../activities/storage/datasets';
import type { ObjectStore } from '../activities/storage/object-store';
import { heartbeating } from '../activities/heartbeat';
import type { OperatorActivities, StageActivities } from '../activities/tasks';
import { systemClock } from '../lib/clock';
import type { Config } from '../lib/config';
import { queueNames } from '../lib/queues';
import type { Emr } from './emr';
import { faultPoints } from './fault-points';
import type { StageMetrics } from './metrics';
import { controlOptions, stageOptions, WORKER_IDENTITY } from './worker-options';

export interface WorkerResources {
  readonly config: Config;
  readonly connection: NativeConnection;
  readonly database: pg.Pool;
  readonly store: ObjectStore;
  /** Undefined without EMR. */
  readonly emr?: Emr | undefined;
}

/** Workflows and short activities; those that do what operators do when they are given. */
export async function createControlWorker(
  resources: WorkerResources,
  bundle: { code: string },
  operator?: OperatorActivities,
): Promise<Worker> {
  const { config, connection, database, store, emr } = resources;
  const datasets = createDatasetStore(store, systemClock);
  const rounds = emr?.services;
  return Worker.create({
    ...controlOptions(config, connection),
    taskQueue: queueNames(config).control,
    workflowBundle: bundle,
    activities: {
      ...createControlActivities({ database, datasets, clock: systemClock, rounds }, faultPoints(process.env)),
      ...(operator === undefined
        ? {}
        : {
            lookAtSlots: () => heartbeating(() => operator.lookAtSlots()),
            stepBackfill: (hash: string) => heartbeating(() => operator.stepBackfill(hash)),
          }),
    },
  });
}

export interface ComputeWorker {
  /** One a queue. */
  readonly workers: readonly Worker[];
  /** Ends the children; call it after the workers stopped. */
  close(): Promise<void>;
}

/** Stages: ingest, sense, compute, check, publish. Live ones and those of backfills have queues and places of their own; idle places of backfills are lent to live ones. */
export async function createComputeWorker(resources: WorkerResources, metrics: StageMetrics): Promise<ComputeWorker> {
  const { config, connection, database, store, emr } = resources;
  const services = {
    store,
    datasets: createDatasetStore(store, systemClock),
    database,
    clock: systemClock,
    text: textReader(database),
  };
  const shell: Omit<StageShell, 'services'> = {
    bodies: {
      ingest: ingestStage,
      sense: senseStage,
      compute: createComputeStage(emr?.runner),
      check: createCheckStage({ judged: (...gate) => metrics.judged(...gate) }),
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
  const { places, backfillPlaces } = config.worker;
  const engines = createDuckDbEngines(path.join(config.home, 'spill'), { live: places, backfill: backfillPlaces });
  const workers: Worker[] = [];
  for (const queue of ['live', 'backfill'] as const) {
    const engine = engines[queue];
    const activities: StageActivities = { runStage: (task) => runStage({ ...shell, services: { ...services, engine } }, task) };
    workers.push(
      await Worker.create({
        ...stageOptions(config, connection, queue),
        taskQueue: queueNames(config, queue).stages,
        activities: { ...activities },
      }),
    );
  }
  return {
    workers,
    async close() {
      await engines.live.close();
    },
  };
}
