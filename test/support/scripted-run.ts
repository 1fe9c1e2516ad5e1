import { randomBytes } from 'node:crypto';
import { Client, type WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { Context } from '@temporalio/activity';
import { toApplicationFailure } from '../../activities/failure';
import type { CloseTask, ControlActivities, HoldTask, StageActivities, StageTask } from '../../activities/tasks';
import { dataConverter } from '../../lib/payload-converter';
import { AlmanacError } from '../../pipelines/failures';
import type { StageOutline } from '../../pipelines/types';
import { bundleWorkflows } from '../../workers/bundle';
import type { RunInput, RunResult } from '../../workflows/messages';
import { recordHistory } from './recorded-history';

/** What a scripted stage does when it is ordered. */
export type Script = (task: StageTask) => Promise<void>;

export interface ScriptedRun extends AsyncDisposable {
  readonly handle: WorkflowHandleWithFirstExecutionRunId<(input: RunInput) => Promise<RunResult>>;
  readonly client: Client;
  /** Orders in the order they came, as `stage#epoch`; `accept` for acceptances. */
  readonly orders: readonly string[];
  readonly holds: readonly HoldTask[];
  readonly closes: readonly CloseTask[];
}

Runtime.install({ logger: new DefaultLogger('ERROR') });

let bundle: ReturnType<typeof bundleWorkflows> | undefined;

export function dataFailure(message: string): Error {
  return toApplicationFailure(new AlmanacError('internal', message, { next: 'mend it' }), { retry: false });
}

/** Never ends by itself; stops when the run is cancelled. */
export const untilCancelled: Script = async () => {
  const beat = setInterval(() => Context.current().heartbeat(), 100);
  try {
    await Context.current().cancelled;
  } finally {
    clearInterval(beat);
  }
};

/** The real workflow on the real server; only what its activities do is scripted. */
export async function scriptedRun(outline: readonly StageOutline[], scripts: Readonly<Record<string, Script>>): Promise<ScriptedRun> {
  const address = process.env.ALMANAC_TEST_TEMPORAL_ADDRESS ?? '';
  const name = `run-${randomBytes(5).toString('hex')}`;
  const connection = await NativeConnection.connect({ address });
  const orders: string[] = [];
  const holds: HoldTask[] = [];
  const closes: CloseTask[] = [];
  const activities: StageActivities & ControlActivities = {
    async runStage(task) {
      orders.push(`${task.stage}#${task.epoch}`);
      await scripts[task.stage]?.(task);
      return { attempt: task.epoch, adopted: false, rows: 0, digests: [] };
    },
    async acceptWindow(task) {
      orders.push('accept');
      await scripts.accept?.({} as StageTask);
      if (task.closes !== true) return { sequence: 1 };
      closes.push({ ...task, outcome: 'succeeded' });
      return { sequence: 1, closed: true };
    },
    async recordHold(task) {
      holds.push(task);
    },
    async closeRun(task) {
      await scripts.close?.({} as StageTask);
      closes.push(task);
    },
  };
  bundle ??= bundleWorkflows();
  const worker = await Worker.create({
    connection,
    taskQueue: name,
    workflowBundle: await bundle,
    activities: { ...activities },
    dataConverter,
    maxHeartbeatThrottleInterval: '200 ms',
    defaultHeartbeatThrottleInterval: '200 ms',
  });
  const running = worker.run();
  const client = new Client({ connection, dataConverter });
  const input: RunInput = {
    run: { pipeline: name, window: '2026-01-01', branch: 'main', generation: 1 },
    claim: 'claim',
    planHash: 'plan',
    outline,
    carried: [],
    patienceSeconds: 0,
    stageQueue: name,
  };
  const handle = await client.workflow.start<(input: RunInput) => Promise<RunResult>>('runPipeline', {
    workflowId: name,
    taskQueue: name,
    args: [input],
  });
  return {
    handle,
    client,
    orders,
    holds,
    closes,
    async [Symbol.asyncDispose]() {
      try {
        await recordHistory(handle);
      } finally {
        await handle.terminate().catch(() => undefined);
        worker.shutdown();
        await running;
        await connection.close();
      }
    },
  };
}
