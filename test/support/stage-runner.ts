import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ApplicationFailure } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import type pg from 'pg';
import { acceptWindow, standingOutputs } from '../../activities/accept-window';
import { computeStage } from '../../activities/compute/compute-stage';
import { createDuckDbEngine } from '../../activities/compute/duckdb-engine';
import { ingestStage } from '../../activities/compute/ingest-stage';
import { listAttempts } from '../../activities/ledger/attempts';
import { claimRun, storePlan } from '../../activities/ledger/runs';
import { checkStage } from '../../activities/quality/check-stage';
import { runStage, type StageShell } from '../../activities/run-stage';
import type { StageServices } from '../../activities/stage';
import { createDatasetStore } from '../../activities/storage/datasets';
import { createLocalStore } from '../../activities/storage/local-store';
import type { AcceptedSet } from '../../activities/storage/manifest';
import { systemClock } from '../../lib/clock';
import { sha256 } from '../../lib/sha256';
import { layers, graphOf } from '../../pipelines/graph';
import { buildPlan } from '../../pipelines/plan';
import type { PipelineSpec, Plan, RunRef, StageOutput } from '../../pipelines/types';
import { StageMetrics } from '../../workers/metrics';

const LIMITS = { memoryBytes: 500e6, threads: 2 };

/** Runs windows of a pipeline through the shell of the runner, stage after stage, over a real store, engine and ledger; without Temporal. */
export class StageRunner implements AsyncDisposable {
  readonly directory = mkdtempSync(path.join(tmpdir(), 'almanac-runner-'));
  readonly store = createLocalStore(path.join(this.directory, 'data'));
  readonly datasets = createDatasetStore(this.store, systemClock);
  readonly engine = createDuckDbEngine({ scratch: path.join(this.directory, 'spill'), maxChildren: 1 });
  readonly metrics = new StageMetrics();
  #generation = 0;

  constructor(readonly pool: pg.Pool) {}

  land(source: string, day: string, file: string, text: string): void {
    const folder = path.join(this.directory, 'data', 'landing', source, `dt=${day}`);
    mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(folder, file), text);
  }

  /** The next generation of a window, claimed; `texts` are those of its SQL files by name. */
  async claim(spec: PipelineSpec, window: string, texts: Readonly<Record<string, string>> = {}): Promise<ClaimedRun> {
    this.#generation += 1;
    const run: RunRef = { pipeline: spec.id, window, branch: 'main', generation: this.#generation };
    const plan = buildPlan(spec, new Map(Object.entries(texts)), {}, sha256);
    const claim = `claim-${this.#generation}`;
    const frozen = { pins: {}, bootstrap: false, origin: false, matrix: {} };
    await storePlan(this.pool, plan);
    await claimRun(this.pool, { run, claim, planHash: plan.hash, ...frozen, verb: 'run', who: 'test', now: new Date() });
    const byHash = new Map(Object.values(texts).map((text) => [sha256(text), text]));
    return new ClaimedRun(this, run, plan, claim, (hash) => Promise.resolve(byHash.get(hash) ?? ''));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.engine.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export class ClaimedRun {
  constructor(
    private readonly runner: StageRunner,
    readonly run: RunRef,
    readonly plan: Plan,
    private readonly claim: string,
    private readonly text: StageServices['text'],
  ) {}

  /** One try of one stage; `point` may end it anywhere. Rejects with what Temporal would be told. */
  async stage(id: string, point: (name: string) => Promise<void> = () => Promise.resolve()): Promise<void> {
    const { store, datasets, engine, pool, metrics } = this.runner;
    const shell: StageShell = {
      services: { store, datasets, engine, database: pool, clock: systemClock, text: this.text },
      bodies: { ingest: ingestStage, compute: computeStage, check: checkStage, sense: unused, publish: unused },
      worker: 'host:1',
      limits: LIMITS,
      observer: metrics,
      plan: () => Promise.resolve(this.plan),
      point,
    };
    const task = { run: this.run, claim: this.claim, planHash: this.plan.hash, stage: id, epoch: 1, patienceSeconds: 0 };
    await new MockActivityEnvironment().run(() => runStage(shell, task));
  }

  /** The failure of a stage that must fail. */
  async failure(id: string): Promise<ApplicationFailure> {
    const error = await this.stage(id).then(
      () => new Error(`stage ${id} did not fail`),
      (thrown: unknown) => thrown,
    );
    if (error instanceof ApplicationFailure) return error;
    throw error;
  }

  /** All stages in an order they can run in, then the acceptance. */
  async finish(): Promise<AcceptedSet> {
    const specs = Object.fromEntries(this.plan.stages.map(({ id, spec }) => [id, spec]));
    for (const id of layers(graphOf(specs)).flat()) await this.stage(id);
    return this.accept();
  }

  async accept(): Promise<AcceptedSet> {
    const { datasets, pool } = this.runner;
    const shell = {
      ...{ services: { datasets, database: pool, clock: systemClock }, plan: () => Promise.resolve(this.plan) },
      ...{ execution: () => 'none', overtaken: () => false, point: () => Promise.resolve() },
    };
    const taken = { woken: 0, plans: 0, actions: [] };
    await acceptWindow(shell, { run: this.run, claim: this.claim, planHash: this.plan.hash, taken, closes: true });
    const accepted = await datasets.accepted(this.run.pipeline, 'main', this.run.window);
    if (accepted === undefined) throw new Error('nothing was accepted');
    return accepted;
  }

  /** What each stage left. */
  async outputs(): Promise<Record<string, StageOutput>> {
    const standing = standingOutputs(await listAttempts(this.runner.pool, this.run));
    return Object.fromEntries(Object.entries(standing).map(([id, { output }]) => [id, output]));
  }
}

function unused(): Promise<never> {
  return Promise.reject(new Error('there is no such stage'));
}
