import { randomInt } from 'node:crypto';
import { appendFileSync, closeSync, fstatSync, mkdirSync, openSync, readSync, rmSync } from 'node:fs';
import path from 'node:path';
import type { Clock } from '../../lib/clock';
import type { Cluster, Step, StepFailure } from './cluster';
import type { ClusterStore } from './cluster-store';
import { localCommand, type Tools } from './command';
import { invalidRequest } from './aws-error';
import { exceptionLine } from './exception-line';
import { logFileUri, type LogKeeper } from './log-keeper';
import { elapse, lostMeanwhile, MASTER_LOST, stepEnded, stepStarted, terminate, type Change, type Timing } from './machine';
import { ID_LENGTH } from './new-cluster';
import { perform } from './operations';
import type { Operation } from './requests';
import { isEnded } from './states';
import { endStepProcesses, StepProcess } from './step-process';

export interface ControlPlaneOptions {
  readonly store: ClusterStore;
  readonly logs: LogKeeper;
  readonly tools: Tools;
  /** Of the steps. */
  readonly environment: NodeJS.ProcessEnv;
  readonly region: string;
  readonly timing: Timing;
  readonly pageSize: number;
  readonly clock: Clock;
  /** Hears every change of a state, and what went wrong. */
  readonly tell: (line: string) => void;
}

const TICK_MS = 50;
const STOP_GRACE_MS = 5000;
const TAIL_BYTES = 64 * 1024;
const ID_LETTERS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ';

/** The clusters and their steps: decides by the pure machine, writes down, then does what follows. Requests are served one after another. */
export class ControlPlane {
  readonly #options: ControlPlaneOptions;
  readonly #clusters = new Map<string, Cluster>();
  readonly #processes = new Map<string, StepProcess>();
  readonly #copying = new Set<Promise<void>>();
  #timer: NodeJS.Timeout | undefined;
  #closing = false;

  constructor(options: ControlPlaneOptions) {
    this.#options = options;
  }

  /** Takes up what a server before left: ends its steps, whose clusters are lost. */
  async open(): Promise<void> {
    const { store, clock } = this.#options;
    for (const cluster of store.readAll()) {
      this.#clusters.set(cluster.id, cluster);
      if (isEnded(cluster.state)) continue;
      for (const { id, state, process } of cluster.steps)
        if (state === 'RUNNING' || state === 'CANCEL_PENDING') await endStepProcesses(id, process);
      this.#apply(lostMeanwhile(cluster, (step) => this.#logFile(cluster, step), clock.now().getTime()));
    }
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  /** Does an operation; returns the body of its answer. Throws AwsError as the service refuses. */
  perform(operation: Operation, body: unknown): Readonly<Record<string, unknown>> | undefined {
    const { region, pageSize, clock } = this.#options;
    const now = clock.now().getTime();
    const newId = (kind: 'j' | 's'): string => `${kind}-${Array.from({ length: ID_LENGTH }, () => ID_LETTERS[randomInt(36)]).join('')}`;
    const outcome = perform(operation, body, { clusters: this.#clusters, region, now, newId, pageSize });
    for (const change of outcome.changes) this.#apply(change);
    return outcome.response;
  }

  /** Takes a cluster's machines away, as an interruption of spot instances does. */
  loseCluster(id: string): void {
    const cluster = this.#clusters.get(id);
    if (cluster === undefined) throw invalidRequest(`Cluster id '${id}' is not valid.`);
    this.#apply(terminate(cluster, MASTER_LOST, this.#options.clock.now().getTime()));
  }

  /** Ends every process of a step, by force after a grace. What is written down stays as it is: the next server finds clusters lost. */
  async close(): Promise<void> {
    this.#closing = true;
    clearInterval(this.#timer);
    const processes = [...this.#processes.values()];
    for (const process of processes) process.interrupt();
    const timer = setTimeout(() => processes.forEach((process) => process.kill()), STOP_GRACE_MS);
    await Promise.all(processes.map(({ ended }) => ended));
    clearTimeout(timer);
    await Promise.all(this.#copying);
  }

  #tick(): void {
    const now = this.#options.clock.now().getTime();
    for (const cluster of this.#clusters.values()) {
      if (isEnded(cluster.state)) continue;
      try {
        this.#apply(elapse(cluster, now, this.#options.timing));
      } catch (error) {
        this.#options.tell(`${cluster.id}: ${messageOf(error)}`);
      }
    }
  }

  /** Written down before anybody hears of it and before anything is done about it. */
  #apply({ cluster, commands }: Change): void {
    const before = this.#clusters.get(cluster.id);
    if (cluster !== before) this.#options.store.write(cluster);
    this.#clusters.set(cluster.id, cluster);
    this.#tellOf(before, cluster);
    for (const { do: what, step } of commands) {
      if (what === 'start') this.#start(cluster.id, step);
      else if (what === 'keep-logs') this.#keepLogs(cluster.id, step);
      else if (what === 'kill') this.#processes.get(step)?.kill();
      else this.#processes.get(step)?.interrupt();
    }
  }

  #start(clusterId: string, stepId: string): void {
    const step = this.#step(clusterId, stepId);
    if (step?.state !== 'RUNNING' || this.#closing) return;
    const { store, tools, environment } = this.#options;
    const directory = store.stepDirectory(clusterId, stepId);
    const command = localCommand(step.jar, tools);
    try {
      mkdirSync(directory, { recursive: true });
      note(directory, typeof command === 'string' ? command : `startExec '${[command.file, ...command.args].join(' ')}'`);
      if (typeof command === 'string') return this.#ended(clusterId, stepId, new Error(command));
      const scratch = path.join(directory, 'scratch');
      const process = new StepProcess({
        cluster: clusterId,
        step: stepId,
        command,
        directory,
        environment: { ...environment, SPARK_LOCAL_DIRS: scratch },
      });
      this.#processes.set(stepId, process);
      void process.ended.then(
        (end) => this.#ended(clusterId, stepId, end),
        (error: unknown) => this.#options.tell(`${stepId}: ${messageOf(error)}`),
      );
      const cluster = this.#clusters.get(clusterId);
      if (cluster !== undefined) this.#apply(stepStarted(cluster, stepId, process.identity));
      process.release();
    } catch (error) {
      this.#processes.get(stepId)?.kill();
      this.#ended(clusterId, stepId, error instanceof Error ? error : new Error(String(error)));
    }
  }

  #ended(clusterId: string, stepId: string, end: number | NodeJS.Signals | Error): void {
    this.#processes.delete(stepId);
    const cluster = this.#clusters.get(clusterId);
    const step = this.#step(clusterId, stepId);
    // A server that stops has lost its clusters; the next one says so.
    if (this.#closing || cluster === undefined || step === undefined) return;
    const directory = this.#options.store.stepDirectory(clusterId, stepId);
    try {
      note(directory, end === 0 ? 'Step succeeded' : `Step failed: ${endText(end)}`);
      rmSync(path.join(directory, 'scratch'), { recursive: true, force: true });
      const failure = this.#failureOf(cluster, step, directory, end);
      this.#apply(stepEnded(cluster, stepId, { succeeded: end === 0, failure }, this.#options.clock.now().getTime()));
    } catch (error) {
      this.#options.tell(`${clusterId} ${stepId}: ${messageOf(error)}`);
    }
  }

  #failureOf(cluster: Cluster, step: Step, directory: string, end: number | NodeJS.Signals | Error): StepFailure {
    const logFile = this.#logFile(cluster, step);
    const message = end instanceof Error ? end.message : exceptionLine(tail(path.join(directory, 'stderr')));
    return {
      reason: 'Unknown Error.',
      ...(message === undefined ? {} : { message }),
      ...(logFile === undefined ? {} : { logFile }),
    };
  }

  #logFile({ id, request }: Cluster, step: Step): string | undefined {
    return request.LogUri === undefined ? undefined : logFileUri(request.LogUri, id, step.id, 'stderr');
  }

  /** After the step is told of, as EMR does; where it fails the logs stay in the state directory. */
  #keepLogs(clusterId: string, step: string): void {
    const logUri = this.#clusters.get(clusterId)?.request.LogUri;
    if (logUri === undefined) return;
    const { logs, store, tell } = this.#options;
    const directory = store.stepDirectory(clusterId, step);
    const copied = logs
      .keep(logUri, clusterId, step, directory)
      .catch((error: unknown) => tell(`${clusterId} ${step}: its logs stay in ${directory}: ${messageOf(error)}`))
      .finally(() => this.#copying.delete(copied));
    this.#copying.add(copied);
  }

  #step(clusterId: string, stepId: string): Step | undefined {
    return this.#clusters.get(clusterId)?.steps.find(({ id }) => id === stepId);
  }

  #tellOf(before: Cluster | undefined, after: Cluster): void {
    const { tell } = this.#options;
    if (before?.state !== after.state)
      tell(`${after.id} ${after.state}${after.reason.message === undefined ? '' : `: ${after.reason.message}`}`);
    for (const step of after.steps) {
      const known = before?.steps.find(({ id }) => id === step.id);
      if (known?.state !== step.state) tell(`${after.id} ${step.id} ${step.state}${known === undefined ? `: ${step.name}` : ''}`);
    }
  }
}

function endText(end: number | NodeJS.Signals | Error): string {
  if (end instanceof Error) return end.message;
  return typeof end === 'number' ? `exit code ${end}` : `ended by ${end}`;
}

function note(directory: string, line: string): void {
  appendFileSync(path.join(directory, 'controller'), `${line}\n`);
}

/** The end of a file, which may not be there. */
function tail(file: string): string {
  let handle: number;
  try {
    handle = openSync(file, 'r');
  } catch {
    return '';
  }
  try {
    const { size } = fstatSync(handle);
    const buffer = Buffer.alloc(Math.min(size, TAIL_BYTES));
    readSync(handle, buffer, 0, buffer.length, size - buffer.length);
    return buffer.toString('utf8');
  } finally {
    closeSync(handle);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
