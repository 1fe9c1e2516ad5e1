import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { computeStage } from '../../activities/compute/compute-stage';
import { createDuckDbEngine } from '../../activities/compute/duckdb-engine';
import type { Engine } from '../../activities/compute/engine';
import { ingestStage } from '../../activities/compute/ingest-stage';
import { checkStage } from '../../activities/quality/check-stage';
import type { StageBody } from '../../activities/stage';
import type { DatasetStore } from '../../activities/storage/dataset-store';
import { createDatasetStore } from '../../activities/storage/datasets';
import { createLocalStore } from '../../activities/storage/local-store';
import type { ObjectStore } from '../../activities/storage/object-store';
import { systemClock } from '../../lib/clock';
import { migrate } from '../../lib/migrate';
import { packageRoot } from '../../lib/package-root';
import { sha256 } from '../../lib/sha256';
import { versionSelect } from '../../pipelines/duckdb-sql';
import { graphOf, layers } from '../../pipelines/graph';
import { buildPlan } from '../../pipelines/plan';
import type { PipelineSpec, Plan, StageOutput, VersionRef } from '../../pipelines/types';
import { parseWindow } from '../../pipelines/window';
import { testDatabase, type TestDatabase } from './postgres';

export type Rows = readonly Readonly<Record<string, unknown>>[];

export interface BenchRun {
  readonly outputs: Readonly<Record<string, StageOutput>>;
  readonly versions: Readonly<Record<string, VersionRef>>;
  readonly log: readonly string[];
}

/** A text of a pipeline as it stands in the repository. */
export function textOf(spec: Pick<PipelineSpec, 'id'>, file: string): string {
  return readFileSync(path.join(packageRoot(), 'pipelines', spec.id, 'sql', file), 'utf8');
}

/** A pipeline's stages run one after the other with the real bodies, engine, store and control schema; what passed is accepted, not published. */
export class PipelineBench implements AsyncDisposable {
  readonly root = mkdtempSync(path.join(tmpdir(), 'almanac-pipeline-'));
  readonly store: ObjectStore;
  readonly datasets: DatasetStore;
  readonly #engine: Engine = createDuckDbEngine({ scratch: path.join(this.root, 'engine'), maxChildren: 1 });
  readonly #texts = new Map<string, string>();
  readonly plan: Plan;
  #generation = 0;
  /** What the windows of an ordered chain carry on. */
  #pins: Readonly<Record<string, VersionRef>> = {};

  private constructor(
    spec: PipelineSpec,
    readonly database: TestDatabase,
    changes: Readonly<Record<string, string>>,
    open: (folder: string) => ObjectStore,
    private readonly compute: StageBody,
  ) {
    this.store = open(path.join(this.root, 'data'));
    this.datasets = createDatasetStore(this.store, systemClock);
    const folder = path.join(packageRoot(), 'pipelines', spec.id, 'sql');
    const files = new Map(readdirSync(folder).map((name) => [name, changes[name] ?? textOf(spec, name)]));
    for (const text of files.values()) this.#texts.set(sha256(text), text);
    this.plan = buildPlan(spec, files, {}, sha256);
  }

  /** `changes` are texts in place of files of `pipelines/ID/sql`; `open` answers with a store, by default one of files; `compute` by default DuckDB. */
  static async open(
    spec: PipelineSpec,
    changes: Readonly<Record<string, string>> = {},
    open: (folder: string) => ObjectStore = createLocalStore,
    compute: StageBody = computeStage,
  ): Promise<PipelineBench> {
    const database = await testDatabase();
    await migrate(database.pool);
    return new PipelineBench(spec, database, changes, open, compute);
  }

  /** Absolute path of a file under the data root; its folder is made. */
  file(objectPath: string): string {
    const file = path.join(this.root, 'data', ...objectPath.split('/'));
    mkdirSync(path.dirname(file), { recursive: true });
    return file;
  }

  put(objectPath: string, body: string | Buffer): void {
    writeFileSync(this.file(objectPath), body);
  }

  /** Moves what {@link put} left below `landing` and `reference` into the store, where that is none of files. */
  async land(): Promise<void> {
    for (const source of ['landing', 'reference']) {
      const folder = path.join(this.root, 'data', source);
      if (!existsSync(folder)) continue;
      for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile()) continue;
        const file = path.join(entry.parentPath, entry.name);
        await this.store.adoptFile(file, path.relative(path.join(this.root, 'data'), file));
      }
    }
  }

  remove(objectPath: string): void {
    rmSync(path.join(this.root, 'data', ...objectPath.split('/')), { recursive: true, force: true });
  }

  /** Runs all stages but the publication and accepts the window; with `bootstrap` states come from all that landed. Throws what a stage throws. */
  async run(windowKey: string, bootstrap = false): Promise<BenchRun> {
    const { plan } = this;
    const bodies: Partial<Record<string, StageBody>> = { ingest: ingestStage, compute: this.compute, check: checkStage };
    const window = parseWindow(plan.window, windowKey);
    const run = { pipeline: plan.pipeline, window: window.key, branch: 'main', generation: (this.#generation += 1) };
    const outputs: Record<string, StageOutput> = {};
    const versions: Record<string, VersionRef> = {};
    const log: string[] = [];
    for (const id of layers(graphOf(Object.fromEntries(plan.stages.map((stage) => [stage.id, stage.spec])))).flat()) {
      const stage = plan.stages.find((one) => one.id === id);
      const body = stage && bodies[stage.kind];
      if (stage === undefined || body === undefined) continue;
      const output = await body({
        store: this.store,
        datasets: this.datasets,
        engine: this.#engine,
        database: this.database.pool,
        clock: systemClock,
        text: (hash) => Promise.resolve(this.#texts.get(hash) ?? ''),
        run,
        plan,
        stage,
        window,
        attempt: 1,
        inputs: { ...this.#pins, ...versions },
        outputs: { ...outputs },
        bootstrap,
        limits: { memoryBytes: 1e9, threads: 2 },
        signal: new AbortController().signal,
        computing: () => undefined,
        chose: () => undefined,
        log: (line) => log.push(`${id}: ${line}`),
        point: () => Promise.resolve(),
      });
      outputs[id] = output;
      for (const version of output.versions) versions[version.dataset] = version;
    }
    await this.datasets.accept({
      pipeline: plan.pipeline,
      branch: 'main',
      window: window.key,
      run,
      versions: Object.values(versions),
      gates: {},
    });
    if (plan.chain === 'ordered')
      this.#pins = Object.fromEntries(Object.values(versions).map((version) => [`previous:${version.dataset}`, version]));
    return { outputs, versions, log };
  }

  /** Rows of a version in the order of all columns. */
  async rows(version: VersionRef | undefined): Promise<Rows> {
    if (version === undefined) throw new Error('there is no such version');
    const manifest = await this.datasets.manifest(version);
    await using local = await this.store.localFiles(manifest.files);
    const files = manifest.files.map((file) => local.path(file.path));
    return await this.query(`from (${versionSelect(manifest.columns, files)}) order by all`);
  }

  /** Any query, in a child of the engine; bigints are texts. */
  query(sql: string): Promise<Rows> {
    return this.#engine.session({ memoryBytes: 1e9, threads: 2 }, new AbortController().signal, (session) => session.rows(sql, 100_000));
  }

  exec(...statements: readonly string[]): Promise<void> {
    return this.#engine.session({ memoryBytes: 1e9, threads: 2 }, new AbortController().signal, async (session) => {
      for (const statement of statements) await session.exec(statement);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#engine.close();
    await this.database[Symbol.asyncDispose]();
    rmSync(this.root, { recursive: true, force: true });
  }
}
