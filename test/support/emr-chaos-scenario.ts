import { setTimeout as pause } from 'node:timers/promises';
import { endRounds } from '../../activities/compute/emr-sweep';
import { deliver } from '../../operator/stack/process-identity';
import type { RunRef } from '../../pipelines/types';
import { describeEmrKill, type EmrKill, type EmrMoment } from './emr-chaos-kills';
import type { ChaosStage, EmrChaosStack } from './emr-chaos-stack';
import type { StageWorker, WorkerEnd } from './emr-stage-worker';
import { until } from './until';

export interface EmrKillReport {
  readonly kill: EmrKill;
  /** Whether there was something to kill at that moment. */
  readonly hit: boolean;
  /** The generations it took. */
  readonly runs: readonly RunRef[];
  readonly ends: readonly string[];
  readonly seconds: number;
}

const DEADLINE_MS = 120_000;
const MOST_WORKERS = 12;
/** Of a job, so that it is met at work. */
const PAUSE_MS = 300;

export function describeEmrReport({ kill, hit, runs, ends, seconds }: EmrKillReport): string {
  return `${runs[0]?.window} ${hit ? '' : '(not met) '}${describeEmrKill(kill)}: ${ends.join(', ')}, ${seconds.toFixed(1)} s`;
}

/** Runs the left stage of a new window to its end, as Temporal would, while one kill befalls it. */
export async function playEmrKill(stack: EmrChaosStack, kill: EmrKill): Promise<EmrKillReport> {
  const began = performance.now();
  const run = await stack.newRun();
  const runs = [run];
  for (const fault of kill.faults) await stack.fault(fault);
  const blow = new Blow(stack, run, kill);
  const ends: string[] = [];
  const { epoch, cancelled } = await orders(stack, run, blow, ends);
  if (cancelled) {
    await stack.endRun(run, 'cancelled');
    await proven(stack, run);
    const again = { ...run, generation: run.generation + 1 };
    runs.push(again);
    await stack.claim(again);
    await finishStage(stack, again, 'left', 1, ends);
    await stack.endRun(again, 'succeeded');
  } else {
    await finishStage(stack, run, 'left', epoch, ends);
    await blow.over();
    await stack.endRun(run, 'succeeded');
  }
  await blow.over();
  await stack.forgetFaults();
  return { kill, hit: blow.hit, runs, ends, seconds: (performance.now() - began) / 1000 };
}

/** The orders up to the blow; the epoch of the one that goes on, and whether the stage was cancelled. */
async function orders(stack: EmrChaosStack, run: RunRef, blow: Blow, ends: string[]): Promise<{ epoch: number; cancelled: boolean }> {
  for (let tries = 0; tries < MOST_WORKERS && !blow.hit; tries += 1) {
    const worker = await stack.work(run, 'left', 1, stack.place(PAUSE_MS), (started) => blow.aimAt(started));
    const end = await Promise.race([worker.ended, blow.struck.then(() => 'struck' as const)]);
    const settled = end === 'struck' ? await blow.endOf(worker) : end;
    ends.push(settled.how === 'failed' ? settled.code : settled.how);
    if (settled.how === 'cancelled') return { epoch: 1, cancelled: true };
    if (settled.how === 'failed' && !settled.retryable)
      throw new Error(`${run.window}: ${settled.code} is not tried again: ${settled.message}`);
    if (settled.how === 'succeeded') break;
  }
  return { epoch: blow.newEpoch ? 2 : 1, cancelled: false };
}

/** Gives the order again until it is done. */
export async function finishStage(stack: EmrChaosStack, run: RunRef, stage: ChaosStage, epoch: number, ends: string[] = []): Promise<void> {
  for (let tries = 0; tries < MOST_WORKERS; tries += 1) {
    const worker = await stack.work(run, stage, epoch);
    const end = await worker.ended;
    ends.push(end.how === 'failed' ? end.code : end.how);
    if (end.how === 'succeeded') return;
    if (end.how !== 'failed' || !end.retryable) throw new Error(`${run.window} ${stage}: ${JSON.stringify(end)}`);
    await pause(100);
  }
  throw new Error(`${run.window} ${stage} is not done after ${MOST_WORKERS} workers: ${ends.join(', ')}`);
}

/** Ends what a run that is over left, and sees that no process of it is alive. */
async function proven(stack: EmrChaosStack, run: RunRef): Promise<void> {
  const proof = await endRounds(stack.runner.services, run, DEADLINE_MS);
  const open = proof.filter(({ ended }) => ended !== 'over');
  if (open.length > 0) throw new Error(`${run.window}: not seen to end: ${JSON.stringify(open)}`);
  const alive = stack.jobs(run);
  if (alive.length > 0) throw new Error(`${run.window}: Spark processes ${alive.join(', ')} outlive the cancel`);
}

/** One kill on its way. */
class Blow {
  hit = false;
  readonly struck: Promise<void>;
  #strike: () => void = () => undefined;
  #landing: Promise<unknown> = Promise.resolve();
  #waking: Promise<unknown> = Promise.resolve();
  #frozen: StageWorker | undefined;
  #aimed = false;

  constructor(
    private readonly stack: EmrChaosStack,
    private readonly run: RunRef,
    private readonly kill: EmrKill,
  ) {
    this.struck = new Promise((resolve) => (this.#strike = resolve));
  }

  get newEpoch(): boolean {
    return this.hit && this.kill.newEpoch;
  }

  /** Waits for the moment of the kill in the life of a worker. */
  aimAt(worker: StageWorker): void {
    const { moment } = this.kill;
    if ('point' in moment) {
      worker.atPoint = async (name) => {
        if (name !== `left:${moment.point}` || this.#aimed) return;
        this.#aimed = true;
        if (moment.ms === 0) await this.#fall(worker);
        else this.#landing = pause(moment.ms).then(() => this.#fall(worker));
      };
    } else this.#landing = this.#watch(worker, moment);
  }

  /** What became of the worker that was in charge when it fell. */
  async endOf(worker: StageWorker): Promise<WorkerEnd> {
    // Temporal gives the order of a worker that is silent to another one.
    if (this.#frozen === worker) return { how: 'died', stderr: '' };
    return worker.ended;
  }

  /** Wakes what is frozen still and waits until all is done that the kill brought about. */
  async over(): Promise<void> {
    await this.#landing;
    await this.#waking;
    if (this.#frozen === undefined) return;
    this.#frozen.kill('SIGCONT');
    await this.#frozen.ended;
    this.#frozen = undefined;
  }

  async #watch(worker: StageWorker, { act, ms }: Extract<EmrMoment, { readonly act: unknown }>): Promise<void> {
    const done = (): boolean => this.stack.notes(this.run).some((note) => note.act === act);
    await until('the act of the job, or the end of its worker', () => done() || worker.isOver, DEADLINE_MS, 5);
    if (!done() || this.#aimed) return;
    this.#aimed = true;
    await pause(ms);
    await this.#fall(worker);
  }

  async #fall(worker: StageWorker): Promise<void> {
    const { victim, frozenMs } = this.kill;
    if (victim === 'emr') {
      this.hit = true;
      await this.stack.killEmr();
      await pause(typeof frozenMs === 'number' ? frozenMs : 0);
      await this.stack.startEmr();
    } else if (victim === 'cluster') {
      const id = this.stack.clusterOf(this.run);
      this.hit = id !== undefined;
      if (id !== undefined) await this.stack.fault({ fault: 'lose-cluster', cluster: id });
    } else if (victim === 'spark' || victim === 'frozen-spark') this.#strikeSpark(victim === 'frozen-spark');
    else this.#strikeWorker(worker);
    this.#strike();
  }

  #strikeSpark(freezes: boolean): void {
    const pids = this.stack.jobs(this.run);
    this.hit = pids.length > 0;
    for (const pid of pids) deliver(-pid, freezes ? 'SIGSTOP' : 'SIGKILL');
    if (freezes)
      this.#waking = pause(this.kill.frozenMs === 'end' ? 1_000 : this.kill.frozenMs).then(() =>
        pids.forEach((pid) => deliver(-pid, 'SIGCONT')),
      );
  }

  #strikeWorker(worker: StageWorker): void {
    const { victim, frozenMs } = this.kill;
    this.hit = !worker.isOver;
    if (!this.hit) return;
    if (victim === 'cancelled-stage') return worker.cancel();
    if (victim !== 'frozen-worker') return worker.kill('SIGKILL');
    worker.kill('SIGSTOP');
    this.#frozen = worker;
    if (frozenMs !== 'end') this.#waking = pause(frozenMs).then(() => worker.kill('SIGCONT'));
  }
}
