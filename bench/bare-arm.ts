import { fork, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import path from 'node:path';
import type { Client } from '@temporalio/client';
import type { BareRole } from './bare-worker';
import type { BareShape } from './bare-workflows';
import type { Shape } from './overhead-shapes';

const WORKFLOW_QUEUE = 'bare-control';
const ACTIVITY_QUEUE = 'bare-live';
const START_DEADLINE_MS = 120_000;

/** Bare Temporal on the same server: one process for workflows, one for activities, as Almanac has. */
export interface BareArm extends AsyncDisposable {
  /** Answers the ids of the runs once all are closed. */
  run(shape: Shape): Promise<string[]>;
}

export async function startBareArm(client: Client, temporalAddress: string): Promise<BareArm> {
  const workers = [start('workflows', temporalAddress, WORKFLOW_QUEUE), start('activities', temporalAddress, ACTIVITY_QUEUE)];
  await Promise.all(workers.map(({ ready }) => ready));
  return {
    async run({ stages, wide, runs }) {
      const input: BareShape = { stages, wide, activityQueue: ACTIVITY_QUEUE };
      const ids = Array.from({ length: runs }, () => `bare/${randomUUID()}`);
      await Promise.all(
        ids.map((workflowId) => client.workflow.execute('bareRun', { workflowId, taskQueue: WORKFLOW_QUEUE, args: [input] })),
      );
      return ids;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(workers.map(({ child }) => end(child)));
    },
  };
}

function start(role: BareRole, address: string, queue: string): { child: ChildProcess; ready: Promise<void> } {
  const child = fork(path.join(__dirname, 'bare-worker.js'), [role, address, queue], { stdio: ['ignore', 2, 2, 'ipc'] });
  const ready = new Promise<void>((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`the bare worker for ${role} is not ready after ${START_DEADLINE_MS / 1000} s`)),
      START_DEADLINE_MS,
    );
    child.once('message', () => {
      clearTimeout(timer);
      resolve();
    });
    child.once('exit', (code) => reject(new Error(`the bare worker for ${role} ended with ${String(code)}`)));
  });
  return { child, ready };
}

function end(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve();
    child.once('exit', () => resolve());
    if (child.connected) child.disconnect();
  });
}
