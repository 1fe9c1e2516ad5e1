import { CancelledFailure, Context } from '@temporalio/activity';
import { transaction, type Queryable } from '../lib/postgres';
import { chosenEngine } from '../pipelines/engine-choice';
import { AlmanacError, failureInfo } from '../pipelines/failures';
import { touchesPii } from '../pipelines/pii';
import { formatRun, retryCommand } from '../pipelines/run-id';
import { versionsFor } from '../pipelines/standing-versions';
import type { Plan, PlanStage, RunRef, StageKind, StageOutput, VersionRef } from '../pipelines/types';
import { parseWindow } from '../pipelines/window';
import type { ChildIdentity, Engine, SessionLimits } from './compute/engine';
import { decideRetry, fenced, laterBy, toAlmanacError, toApplicationFailure } from './failure';
import {
  closeAttempt,
  openAttempt,
  recordChild,
  restoreAttempt,
  type AttemptEnd,
  type AttemptOrder,
  type OpenedAttempt,
} from './ledger/attempts';
import { freeOlderPermits } from './ledger/pools';
import { recordCarried } from './ledger/taken';
import { permitsOf } from './permits';
import { recordVersion } from './storage/catalog';
import type { StageBody, StageContext, StageServices } from './stage';
import { leasedUntimed, stopSignal, type StopSignal } from './stop-signal';
import type { StageReceipt, StageTask } from './tasks';

/** Told about every settled attempt; the workers' metrics listen. */
export interface StageObserver {
  settled(event: SettledAttempt): void;
}

export interface SettledAttempt {
  readonly pipeline: string;
  readonly stage: string;
  readonly kind: StageKind;
  readonly engine: string;
  readonly outcome: 'succeeded' | 'failed' | 'cancelled' | 'adopted';
  readonly seconds: number;
  readonly output?: StageOutput | undefined;
  readonly failureCode?: string | undefined;
}

export interface StageShell {
  readonly services: StageServices;
  readonly bodies: Readonly<Record<StageKind, StageBody>>;
  /** `HOST:PID`, written on every attempt. */
  readonly worker: string;
  readonly limits: SessionLimits;
  readonly observer: StageObserver;
  plan(hash: string): Promise<Plan>;
  point(name: string): Promise<void>;
}

/** A second try after a resource failure gets this share of the memory and one thread. */
const SMALLER_SHARE = 0.5;

/** Runs one ordered stage: the part all kinds share. */
export async function runStage(shell: StageShell, task: StageTask): Promise<StageReceipt> {
  const { services } = shell;
  const begun = services.clock.now();
  const plan = await shell.plan(task.planHash);
  const stage = plan.stages.find(({ id }) => id === task.stage);
  if (stage === undefined)
    throw toApplicationFailure(new AlmanacError('internal', `plan ${plan.hash} has no stage ${task.stage}`, { next: 'almanac validate' }), {
      retry: false,
    });
  const order: AttemptOrder = {
    run: task.run,
    claim: task.claim,
    stage: stage.id,
    kind: stage.kind,
    epoch: task.epoch,
    stageHash: stage.hash,
    worker: shell.worker,
    now: begun,
  };
  const opened = await open(services.database, order, task, stage);
  let ranOn = engineOf(stage);
  const report = (outcome: SettledAttempt['outcome'], more: Pick<SettledAttempt, 'output' | 'failureCode'> = {}): void =>
    shell.observer.settled({
      pipeline: task.run.pipeline,
      stage: stage.id,
      kind: stage.kind,
      engine: more.output?.engine ?? ranOn,
      outcome,
      seconds: (services.clock.now().getTime() - begun.getTime()) / 1000,
      ...more,
    });
  if (opened.finished !== undefined) {
    report('adopted', { output: opened.finished.output });
    return receipt(opened.finished.attempt, opened.finished.output, true);
  }

  const lines: { at: Date; line: string }[] = [];
  const stop = stopSignal(stage.timeoutSeconds);
  const permits = permitsOf(services.database, services.clock, order, opened.attempt, stage, takesPlace(stage, plan));
  // Whether Temporal gives the order again.
  let goesOn = false;
  const end = async (
    state: AttemptEnd['state'],
    more: Pick<AttemptEnd, 'output' | 'failure' | 'waitsUntil'> = {},
    database: Queryable = services.database,
  ): Promise<boolean> => {
    const ended = {
      run: task.run,
      stage: stage.id,
      attempt: opened.attempt,
      startedAt: opened.startedAt,
      state,
      lines,
      now: services.clock.now(),
      ...more,
    };
    const close = async (client: Queryable): Promise<boolean> =>
      (await closeAttempt(client, ended)) || restoreAttempt(client, order, ended);
    return permits === undefined ? close(database) : permits.closing(goesOn, database, close);
  };
  try {
    const body = (engine: Engine): Promise<StageOutput> =>
      shell.bodies[stage.kind](stageContext(shell, task, plan, stage, opened, engine, stop, lines, (name) => void (ranOn = name)));
    const engine = leasedUntimed(services.engine, stop);
    const output = await (permits === undefined ? body(engine) : permits.holding(engine, stop.signal, body));
    await shell.point(`${stage.id}:before-close`);
    const manifests = await Promise.all(output.versions.map((version) => services.datasets.manifest(version)));
    if (manifests.length === 0) await end('succeeded', { output });
    else
      await transaction(services.database, async (client) => {
        // What a cancelled or overtaken attempt wrote is not noted: whoever follows notes what stands.
        if (await end('succeeded', { output }, client)) for (const manifest of manifests) await recordVersion(client, manifest);
      });
    await shell.point(`${stage.id}:after-close`);
    report(output.adopted === true ? 'adopted' : 'succeeded', { output });
    return receipt(opened.attempt, output, output.adopted === true);
  } catch (thrown) {
    const now = services.clock.now();
    if (stop.reason() === 'cancelled') {
      await end('cancelled');
      report('cancelled');
      throw new CancelledFailure('stopped on request');
    }
    const error =
      stop.reason() === 'timeout'
        ? stageTimeout(task.run, stage, thrown)
        : stop.reason() === 'lost'
          ? workerLost(thrown)
          : toAlmanacError(thrown, task);
    const failure = failureInfo(error);
    const permitDelay = laterBy(opened.permitDelay, permits?.waitedMs() ?? 0);
    const decision = decideRetry(failure, { ...opened, permitDelay, patienceSeconds: task.patienceSeconds }, now);
    const { waitsUntil } = decision;
    goesOn = decision.retry;
    // A poll that finds what the one before found is worth no line.
    if (waitsUntil === undefined || failure.message !== opened.waitedFor?.message)
      lines.push({ at: now, line: `${failure.code}: ${failure.message}` });
    if (waitsUntil !== undefined) await end('waiting', { failure, waitsUntil });
    else {
      await end('failed', { failure });
      report('failed', { failureCode: failure.code });
    }
    throw toApplicationFailure(error, decision);
  } finally {
    stop.release();
  }
}

/** What does the work until a compute stage chooses, for the metrics; a sense stage only looks. */
function engineOf({ kind, spec }: PlanStage): string {
  if (spec.kind === 'compute') return spec.engine === 'none' ? 'none' : 'duckdb';
  return kind === 'publish' ? 'postgres' : kind === 'sense' ? 'none' : 'duckdb';
}

/** Whether the stage may compute in a place of this worker; what surely computes on EMR holds none. */
function takesPlace(stage: PlanStage, { engine: forced }: Plan): boolean {
  const { spec } = stage;
  if (spec.kind === 'compute' && chosenEngine({ declared: spec.engine, forced, bytesIn: 0 }) === 'spark') return false;
  return engineOf(stage) !== 'none';
}

async function open(
  database: StageServices['database'],
  order: AttemptOrder,
  task: StageTask,
  { pool }: PlanStage,
): Promise<OpenedAttempt> {
  let opened: OpenedAttempt | undefined;
  try {
    await recordCarried(database, task, order.now);
    opened = await openAttempt(database, order);
    if (pool === undefined && opened !== undefined && opened.attempt > 1)
      await freeOlderPermits(database, { run: order.run, stage: order.stage, attempt: opened.attempt });
  } catch (error) {
    // Nothing is on record yet; the retry policy bounds how long we go on.
    throw toApplicationFailure(toAlmanacError(error, order), { retry: true });
  }
  if (opened !== undefined) return opened;
  throw toApplicationFailure(fenced(order.run), { retry: false });
}

function stageContext(
  shell: StageShell,
  task: StageTask,
  plan: Plan,
  stage: PlanStage,
  opened: OpenedAttempt,
  engine: Engine,
  stop: StopSignal,
  lines: { at: Date; line: string }[],
  chose: StageContext['chose'],
): StageContext {
  const { services } = shell;
  const inputs: Record<string, VersionRef> = Object.fromEntries(versionsFor(plan.stages, stage.id, opened.outputs));
  for (const [dataset, version] of Object.entries(opened.pins)) inputs[`previous:${dataset}`] = version;
  const smaller =
    opened.resourceFailures === 0
      ? shell.limits
      : { memoryBytes: Math.floor(shell.limits.memoryBytes * SMALLER_SHARE), threads: 1, configuredBytes: shell.limits.memoryBytes };
  const limits = touchesPii(plan, stage) ? { ...smaller, maskValues: true } : smaller;
  return {
    ...services,
    engine,
    run: task.run,
    plan,
    stage,
    window: parseWindow(plan.window, task.run.window),
    attempt: opened.attempt,
    inputs,
    outputs: opened.outputs,
    bootstrap: opened.bootstrap,
    limits,
    signal: stop.signal,
    computing(child: ChildIdentity) {
      Context.current().heartbeat({ attempt: opened.attempt, child });
      recordChild(services.database, task.run, stage.id, opened.attempt, child).catch((error: unknown) => {
        lines.push({ at: services.clock.now(), line: `the child's identity could not be recorded: ${String(error)}` });
      });
    },
    chose,
    log(line: string) {
      lines.push({ at: services.clock.now(), line });
    },
    point: (name) => shell.point(`${stage.id}:${name}`),
  };
}

function stageTimeout(run: RunRef, stage: PlanStage, cause: unknown): AlmanacError {
  return new AlmanacError('stage.timeout', `stage ${stage.id} was stopped after its ${stage.timeoutSeconds} s`, {
    next: `almanac logs ${formatRun(run)} ${stage.id} shows what took so long; mend it or raise timeoutSeconds, then: ${retryCommand(run, stage.id)}`,
    cause,
  });
}

function workerLost(cause: unknown): AlmanacError {
  return new AlmanacError('service.unavailable', 'the worker is shutting down or lost its order', {
    next: 'nothing: another worker takes over',
    cause,
  });
}

function receipt(attempt: number, output: StageOutput, adopted: boolean): StageReceipt {
  return { attempt, adopted, rows: output.rowsOut, digests: output.versions.map(({ dataset, digest }) => `${dataset}=${digest}`) };
}
