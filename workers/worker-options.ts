import os from 'node:os';
import type { NativeConnection, WorkerOptions } from '@temporalio/worker';
import type { Config } from '../lib/config';
import type { StageQueue } from '../lib/queues';
import { dataConverter } from '../lib/payload-converter';

/** `HOST:PID`, the identity of this process in Temporal and on every attempt. */
export const WORKER_IDENTITY = `${os.hostname()}:${process.pid}`;

/** Heartbeats throttled by default would make a cancel take 4 to 20 s to arrive. */
const HEARTBEAT_THROTTLE = '500 ms';
/** How long a task of a run waits for the worker that has the run in memory before any other may take it: what a killed worker costs. */
const STICKY_WAIT = '2 seconds';

/**
 * Stages taken for each place. Only as many as there are places compute at a time (the engine's children); those beyond wait for other
 * disks, for Postgres, or for a child to be free, which costs next to nothing.
 */
const STAGES_PER_PLACE = 4;

type Options = Omit<WorkerOptions, 'taskQueue'>;

/** Of the configuration, what decides how a worker polls. */
type PollConfig = Pick<Config, 'temporal' | 'queue' | 'build'>;

function common(config: PollConfig, connection: NativeConnection): Options {
  return {
    connection,
    namespace: config.temporal.namespace,
    dataConverter,
    maxHeartbeatThrottleInterval: HEARTBEAT_THROTTLE,
    defaultHeartbeatThrottleInterval: HEARTBEAT_THROTTLE,
    identity: WORKER_IDENTITY,
    ...deployment(config),
  };
}

/**
 * Where two builds run side by side, each run stays with the build that its first task came to; what says otherwise in `workflows/` goes on
 * with whatever build is current. The deployment is that of the stack: its queues.
 */
function deployment({ build, queue }: PollConfig): Pick<Options, 'workerDeploymentOptions'> {
  if (build === undefined) return {};
  return {
    workerDeploymentOptions: {
      ...{ version: { deploymentName: queue, buildId: build }, useWorkerVersioning: true, defaultVersioningBehavior: 'PINNED' },
    },
  };
}

/** For workflows and short activities. */
export function controlOptions(config: PollConfig, connection: NativeConnection): Options {
  return { ...common(config, connection), maxCachedWorkflows: 500, stickyQueueScheduleToStartTimeout: STICKY_WAIT };
}

/** For stages of one queue. */
export function stageOptions(config: PollConfig & Pick<Config, 'worker'>, connection: NativeConnection, queue: StageQueue): Options {
  return {
    ...common(config, connection),
    maxConcurrentActivityTaskExecutions: slotsOf(config, queue),
    shutdownGraceTime: '2 seconds',
  };
}

/** How many stages a compute worker has begun and not ended, at most, of all queues. */
export function stageSlots(config: Pick<Config, 'worker'>): number {
  return slotsOf(config, 'live') + slotsOf(config, 'backfill');
}

/** Live stages may compute in places of backfills as well. */
function slotsOf({ worker: { places, backfillPlaces } }: Pick<Config, 'worker'>, queue: StageQueue): number {
  return queue === 'live' ? places * STAGES_PER_PLACE + backfillPlaces : backfillPlaces * STAGES_PER_PLACE;
}
