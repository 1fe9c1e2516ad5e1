/**
 * A compute worker in a process of its own: runs one ordered stage by the shell of the runner, tells each point it passes, and goes on only
 * when it is told to.
 */
import { CancelledFailure } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { createComputeStage } from '../../activities/compute/choose-engine';
import type { Engine } from '../../activities/compute/engine';
import { planReader, textReader } from '../../activities/ledger/plans';
import { runStage, type StageShell } from '../../activities/run-stage';
import { createDatasetStore } from '../../activities/storage/datasets';
import type { StageReceipt, StageTask } from '../../activities/tasks';
import { systemClock } from '../../lib/clock';
import { emrRunner, type RunnerPlace } from './emr-runner';

export interface StageOrder {
  readonly place: RunnerPlace;
  readonly task: StageTask;
}

export type StageReport = { readonly ready: true } | { readonly passed: string } | { readonly end: StageEnd };

export type StageEnd =
  | { readonly how: 'succeeded'; readonly adopted: boolean }
  | { readonly how: 'failed'; readonly code: string; readonly retryable: boolean; readonly message: string }
  | { readonly how: 'cancelled' };

export type StageWord = { readonly order: StageOrder } | { readonly go: true } | { readonly cancel: true };

/** Failures are part of the test. */
const logger = new DefaultLogger('ERROR');
const environment = new MockActivityEnvironment(undefined, { logger });
let goOn: () => void = () => undefined;

process.on('message', (word: StageWord) => {
  if ('order' in word) void serve(word.order);
  else if ('go' in word) goOn();
  else environment.cancel('CANCELLED');
});
process.once('disconnect', () => process.exit(1));
void report({ ready: true });

function report(message: StageReport): Promise<void> {
  return new Promise((resolve) => process.send?.(message, () => resolve()));
}

async function point(name: string): Promise<void> {
  const told = new Promise<void>((resolve) => (goOn = resolve));
  await report({ passed: name });
  await told;
}

async function serve({ place, task }: StageOrder): Promise<void> {
  await using runner = emrRunner(place);
  const { store, database } = runner.services;
  const unused = (): Promise<never> => Promise.reject(new Error('there is no such stage'));
  const engine: Engine = { session: unused, place: (_signal, body) => body(engine), close: () => Promise.resolve() };
  const shell: StageShell = {
    services: { store, datasets: createDatasetStore(store, systemClock), engine, database, clock: systemClock, text: textReader(database) },
    bodies: { compute: createComputeStage(runner.runner), ingest: unused, check: unused, sense: unused, publish: unused },
    worker: `host:${process.pid}`,
    limits: { memoryBytes: 500e6, threads: 1 },
    observer: { settled: () => undefined },
    plan: planReader(database),
    point,
  };
  let end: StageEnd;
  try {
    const { adopted } = (await environment.run(() => runStage(shell, task))) as StageReceipt;
    end = { how: 'succeeded', adopted };
  } catch (error) {
    end = failed(error);
  }
  await report({ end });
  process.disconnect();
}

function failed(error: unknown): StageEnd {
  if (error instanceof CancelledFailure) return { how: 'cancelled' };
  if (!(error instanceof ApplicationFailure)) return { how: 'failed', code: 'unknown', retryable: false, message: String(error) };
  return { how: 'failed', code: error.type ?? '', retryable: error.nonRetryable !== true, message: error.message };
}
