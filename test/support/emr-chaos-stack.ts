/** A ledger, a store, and a local EMR in a process of its own over a Spark without a JVM: what the workers of a kill test share. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import os from 'node:os';
import path from 'node:path';
import { sweepEmr, type Swept } from '../../activities/compute/emr-sweep';
import { claimRun, endRun, storePlan, storeTexts } from '../../activities/ledger/runs';
import { createDatasetStore } from '../../activities/storage/datasets';
import { createLocalStore } from '../../activities/storage/local-store';
import type { Manifest } from '../../activities/storage/manifest';
import { systemClock } from '../../lib/clock';
import type { TransientCluster } from '../../lib/emr-settings';
import { migrate } from '../../lib/migrate';
import type { Cluster } from '../../operator/emr-local/cluster';
import type { FaultOrder } from '../../operator/emr-local/faults';
import type { EmrLocalOptions } from '../../operator/emr-local/server';
import { combineDigests } from '../../pipelines/digest-sql';
import { columnsOf } from '../../pipelines/duckdb-sql';
import { formatRun } from '../../pipelines/run-id';
import type { DatasetSpec, Plan, RunRef, VersionRef } from '../../pipelines/types';
import { CREDENTIAL } from './emr-local';
import { emrRunner, type RunnerPlace, type TestRunner } from './emr-runner';
import { StageWorker } from './emr-stage-worker';
import { fakeSpark, type FakeSpark, type JobNote } from './fake-spark';
import type { TestDatabase } from './postgres';
import { processesNaming } from './processes';
import { startSource } from './source-process';
import { writeRows } from './written-rows';

const PIPELINE = 'chaos';
export const STAGES = ['left', 'right'] as const;
export type ChaosStage = (typeof STAGES)[number];
const CLAIM = 'mine';
const FACTS: DatasetSpec = { columns: { id: 'bigint', word: 'text', amount: 'bigint' } };
const SUMS: DatasetSpec = { columns: { word: 'text', facts: 'bigint', amount: 'bigint' }, key: ['word'] };
const TEXT = `select word, count(*) as facts, sum(amount) as amount from facts group by word;`;
const GENERATED = `select i as id, 'w' || (i * i % 97) as word, i % 13 as amount from range(5000) as r(i)`;

const stage = (id: ChaosStage): Plan['stages'][number] => ({
  id,
  kind: 'compute',
  needs: [],
  timeoutSeconds: 600,
  hash: `hash-${id}`,
  spec: { kind: 'compute', reads: { facts: { previous: 'facts' } }, sql: 'sums.sql', writes: id },
  sqlHash: 'sums',
});

/** Two stages beside each other, of the same rows. */
const PLAN: Plan = {
  hash: 'chaos-plan',
  pipeline: PIPELINE,
  engine: 'spark',
  chain: 'ordered',
  window: { every: 'day', timezone: 'UTC' },
  params: {},
  datasets: { facts: FACTS, left: SUMS, right: SUMS },
  stages: STAGES.map(stage),
};

const machines = (role: 'MASTER' | 'CORE' | 'TASK', onDemand: number, spot: number): TransientCluster['fleets'][number] => ({
  ...{ role, onDemand, spot, instances: [{ type: 'm5.xlarge', weight: 1 }], spotTimeoutMinutes: 10 },
});

export class EmrChaosStack implements AsyncDisposable {
  readonly directory = mkdtempSync(path.join(os.tmpdir(), 'almanac-emr-chaos-'));
  readonly root = path.join(this.directory, 'data');
  readonly store = createLocalStore(this.root);
  readonly datasets = createDatasetStore(this.store, systemClock);
  readonly spark: FakeSpark = fakeSpark(this.directory);
  readonly workers: StageWorker[] = [];
  #windows = 0;
  #emr: ChildProcess | undefined;
  #endpoint = '';
  #spare: StageWorker | undefined;
  #facts: VersionRef | undefined;
  #runner: TestRunner | undefined;

  private constructor(readonly database: TestDatabase) {}

  static async start(database: TestDatabase): Promise<EmrChaosStack> {
    process.env['AWS_ACCESS_KEY_ID'] = CREDENTIAL.accessKeyId;
    process.env['AWS_SECRET_ACCESS_KEY'] = CREDENTIAL.secretAccessKey;
    const stack = new EmrChaosStack(database);
    await migrate(database.pool);
    await storePlan(database.pool, PLAN);
    await storeTexts(database.pool, new Map([['sums', TEXT]]));
    await stack.startEmr();
    await stack.#writeFacts();
    stack.#runner = emrRunner(stack.place());
    return stack;
  }

  /** As a worker knows it; jobs take about twice `pauseMs`. */
  place(pauseMs = 0, claims = true): RunnerPlace {
    const transient: TransientCluster = {
      ...{ release: 'emr-7.1.0', logs: `file://${this.directory}/logs`, serviceRole: 'EMR_DefaultRole' },
      ...{ instanceProfile: 'EMR_EC2_DefaultRole', subnets: [], bootstrap: [], configurations: [], tags: {}, idleSeconds: 900, steps: 4 },
      fleets: [machines('MASTER', 1, 0), machines('CORE', 1, 0), machines('TASK', 0, 2)],
    };
    const sparkArguments = this.spark.options({ pauseMs, claims });
    return { databaseUrl: this.database.url, root: this.root, endpoint: this.#endpoint, transient, sparkArguments };
  }

  get runner(): TestRunner {
    if (this.#runner === undefined) throw new Error('the stack was not started');
    return this.#runner;
  }

  /** The next window, claimed. */
  async newRun(): Promise<RunRef> {
    this.#windows += 1;
    const window = new Date(Date.UTC(2026, 0, this.#windows)).toISOString().slice(0, 10);
    const run = { pipeline: PIPELINE, window, branch: 'main', generation: 1 };
    await this.claim(run);
    return run;
  }

  async claim(run: RunRef): Promise<void> {
    if (this.#facts === undefined) throw new Error('the stack was not started');
    const pins = { facts: this.#facts };
    const frozen = { planHash: PLAN.hash, pins, bootstrap: false, origin: false, matrix: {}, verb: 'run', who: 'test', now: new Date() };
    if (!(await claimRun(this.database.pool, { run, claim: CLAIM, ...frozen }))) throw new Error('the generation is claimed');
  }

  async endRun(run: RunRef, outcome: 'succeeded' | 'cancelled'): Promise<void> {
    await endRun(this.database.pool, run, CLAIM, outcome, undefined, null, new Date());
  }

  /** A worker that runs the stage; another is made ready meanwhile. */
  async work(
    run: RunRef,
    of: ChaosStage,
    epoch: number,
    place = this.place(),
    prepare?: (worker: StageWorker) => void,
  ): Promise<StageWorker> {
    const worker = this.#spare ?? new StageWorker();
    this.#spare = new StageWorker();
    this.workers.push(worker);
    prepare?.(worker);
    await worker.start({ place, task: { run, claim: CLAIM, planHash: PLAN.hash, stage: of, epoch, patienceSeconds: 0 } });
    return worker;
  }

  async fault(order: FaultOrder): Promise<void> {
    const headers = { 'content-type': 'application/json' };
    const { ok } = await fetch(`${this.#endpoint}/faults`, { method: 'POST', headers, body: JSON.stringify(order) });
    if (!ok) throw new Error('the fault was refused');
  }

  /** Of what was ordered: that nothing of one window befalls the next. */
  async forgetFaults(): Promise<void> {
    await fetch(`${this.#endpoint}/faults`, { method: 'DELETE' });
  }

  async startEmr(): Promise<void> {
    const { process: started, greeting } = startSource('emr-local-child.ts');
    const options: EmrLocalOptions = {
      stateDirectory: path.join(this.directory, 'state'),
      port: this.#endpoint === '' ? 0 : Number(new URL(this.#endpoint).port),
      credentials: [CREDENTIAL],
      region: 'us-east-1',
      tools: { sparkSubmit: this.spark.sparkSubmit, cores: 1 },
      timing: { provisionMs: 30, bootstrapMs: 30, shutdownMs: 30 },
      faults: true,
    };
    started.send(options);
    const { endpoint } = (await greeting) as { endpoint: string };
    this.#emr = started;
    this.#endpoint = endpoint;
  }

  async killEmr(): Promise<void> {
    const killed = this.#emr;
    if (killed === undefined) return;
    killed.kill('SIGKILL');
    if (killed.exitCode === null && killed.signalCode === null) await once(killed, 'exit');
  }

  /** All clusters as the local EMR wrote them down. */
  clusters(): readonly Cluster[] {
    const folder = path.join(this.directory, 'state', 'clusters');
    return readdirSync(folder)
      .filter((name) => name.endsWith('.json'))
      .map((name) => JSON.parse(readFileSync(path.join(folder, name), 'utf8')) as Cluster);
  }

  /** What the jobs of a run did until now. */
  notes(run: RunRef): readonly JobNote[] {
    const steps = new Set(this.clusters().flatMap((cluster) => cluster.steps.filter(({ name }) => names(name, run)).map(({ id }) => id)));
    return this.spark.notes().filter(({ step }) => steps.has(step));
  }

  /** Pids of the jobs of a run that are alive; each leads a group of its own. */
  jobs(run: RunRef): readonly number[] {
    const alive = new Set(processesNaming(this.directory));
    return [...new Set(this.notes(run).map(({ pid }) => pid))].filter((pid) => alive.has(pid));
  }

  /** The clusters of a generation, over or not. */
  clustersOf(run: RunRef): readonly Cluster[] {
    return this.clusters().filter(({ request }) => names(request.Name, run));
  }

  /** The cluster of a run that is not over. */
  clusterOf(run: RunRef): string | undefined {
    return this.clustersOf(run).find(({ endedAt }) => endedAt === undefined)?.id;
  }

  /** The versions of a stage that a generation wrote; a window has those of all its generations. */
  async versions({ window, generation }: RunRef, of: ChaosStage): Promise<Manifest[]> {
    const folder = `datasets/${of}/${window}/`;
    const names = (await this.store.list(folder)).flatMap((entry) => /^([^/]+)\.json$/.exec(entry.path.slice(folder.length))?.[1] ?? []);
    const manifests = await Promise.all(names.map((version) => this.datasets.manifest({ dataset: of, window, version })));
    return manifests.filter(({ provenance }) => provenance.run.generation === generation);
  }

  async sweep(): Promise<Swept> {
    const failures: unknown[] = [];
    const options = { cluster: undefined, failed: (error: unknown) => void failures.push(error) };
    const swept = await sweepEmr(this.runner.services, options, new AbortController().signal);
    if (failures.length > 0) throw failures[0];
    return swept;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const worker of [...this.workers, ...(this.#spare === undefined ? [] : [this.#spare])]) if (!worker.isOver) worker.kill('SIGKILL');
    // One that is closed in order ends the steps.
    if (this.#emr?.connected === true) {
      this.#emr.disconnect();
      await once(this.#emr, 'exit');
    }
    await this.#runner?.[Symbol.asyncDispose]();
    rmSync(this.directory, { recursive: true, force: true });
  }

  async #writeFacts(): Promise<void> {
    const scratch = await this.store.scratch();
    mkdirSync(scratch, { recursive: true });
    const file = path.join(scratch, 'facts.parquet');
    const { profile } = await writeRows(GENERATED, [], FACTS, file);
    const columns = columnsOf(FACTS);
    const run = { pipeline: PIPELINE, window: '2025-12-31', branch: 'main', generation: 1 };
    const manifest = await this.datasets.commit({
      ...{ dataset: 'facts', window: run.window, key: 'facts', digest: combineDigests(columns, [profile.digest]), columns },
      ...{ files: [{ file, rows: profile.rows }], rowsIn: 0 },
      provenance: { run, stage: 'facts', attempt: 1, stageHash: 'facts', inputs: [] },
    });
    rmSync(scratch, { recursive: true, force: true });
    this.#facts = { dataset: 'facts', window: run.window, version: manifest.version, digest: manifest.digest };
  }
}

/** Whether a step or a cluster is of a generation. */
function names(name: string, run: RunRef): boolean {
  return name.includes(` ${formatRun(run)} g${run.generation} `);
}
