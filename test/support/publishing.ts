import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createDuckDbEngine } from '../../activities/compute/duckdb-engine';
import type { Engine } from '../../activities/compute/engine';
import { claimRun, storePlan } from '../../activities/ledger/runs';
import type { StageBody, StageContext } from '../../activities/stage';
import type { DatasetStore } from '../../activities/storage/dataset-store';
import { createDatasetStore } from '../../activities/storage/datasets';
import { createLocalStore } from '../../activities/storage/local-store';
import type { ObjectStore } from '../../activities/storage/object-store';
import { systemClock } from '../../lib/clock';
import { connect } from '../../lib/postgres';
import type pg from 'pg';
import type { DatasetSpec, Plan, PlanStage, PublishSpec, RunRef, StageOutput, VersionRef } from '../../pipelines/types';

export const PIPELINE = 'audience-index';

/** The three tables of the audience index, each row stamped with what it was published for. */
export const DATASETS: Readonly<Record<string, DatasetSpec>> = {
  report: { columns: { pixel_id: 'bigint', segment_id: 'bigint', index: 'double', stamp: 'bigint' }, key: ['pixel_id', 'segment_id'] },
  segments: { columns: { segment_id: 'bigint', segment_name: 'text', stamp: 'bigint' }, key: ['segment_id'] },
  pixels: { columns: { pixel_id: 'bigint', pixel_name: 'text', stamp: 'bigint' }, key: ['pixel_id'] },
};

export const TABLES: PublishSpec['tables'] = {
  audience_index: { from: 'report', key: ['pixel_id', 'segment_id'], indexes: [['segment_id']] },
  audience_segments: { from: 'segments', key: ['segment_id'] },
  audience_pixels: { from: 'pixels', key: ['pixel_id'] },
};

/** Rows of every dataset for one stamp, as DuckDB SQL. */
export type Rows = Readonly<Record<string, string>>;

/** `pixels` × `segments` joined rows, all with the stamp. */
export function stampedRows(stamp: number, pixels = 5, segments = 8): Rows {
  return {
    report: `select p.range as pixel_id, s.range as segment_id, (p.range + s.range) / 7.0 as "index", ${stamp}::BIGINT as stamp from range(${pixels}) p, range(${segments}) s`,
    segments: `select range as segment_id, 'segment ' || range as segment_name, ${stamp}::BIGINT as stamp from range(${segments})`,
    pixels: `select range as pixel_id, 'pixel ' || range as pixel_name, ${stamp}::BIGINT as stamp from range(${pixels})`,
  };
}

export interface PublishingOptions {
  readonly databaseUrl: string;
  /** Object store root; a temporary one when absent. */
  readonly root?: string;
  readonly datasets?: Readonly<Record<string, DatasetSpec>>;
  readonly tables?: PublishSpec['tables'];
  readonly pipeline?: string;
}

export interface AcceptedRun {
  readonly run: RunRef;
  readonly inputs: Readonly<Record<string, VersionRef>>;
}

/** A publish stage with everything it needs, real services all of them. */
export interface Publishing extends AsyncDisposable {
  readonly root: string;
  readonly pool: pg.Pool;
  readonly store: ObjectStore;
  readonly datasets: DatasetStore;
  readonly engine: Engine;
  readonly logged: string[];
  plan(): Plan;
  /** Claims the generation, writes one version a dataset and accepts them. */
  accept(window: string, rows: Rows, generation?: number): Promise<AcceptedRun>;
  context(accepted: AcceptedRun, more?: Partial<Pick<StageContext, 'attempt' | 'signal' | 'point' | 'plan' | 'stage'>>): StageContext;
  publish(body: StageBody, accepted: AcceptedRun, more?: Parameters<Publishing['context']>[1]): Promise<StageOutput>;
}

const MEMORY_BYTES = 512 * 1024 * 1024;

export function createPublishing(options: PublishingOptions): Publishing {
  const root = options.root ?? mkdtempSync(path.join(tmpdir(), 'almanac-publish-'));
  const pool = connect(options.databaseUrl);
  const store = createLocalStore(path.join(root, 'store'));
  const datasets = createDatasetStore(store, systemClock);
  const engine = createDuckDbEngine({ scratch: path.join(root, 'duckdb'), maxChildren: 2 });
  const specs = options.datasets ?? DATASETS;
  const pipeline = options.pipeline ?? PIPELINE;
  const limits = { memoryBytes: MEMORY_BYTES, threads: 2 };
  const logged: string[] = [];
  const stage: PlanStage = {
    id: 'publish',
    kind: 'publish',
    needs: [],
    timeoutSeconds: 600,
    hash: 'publish-hash',
    spec: { kind: 'publish', mode: 'newest', tables: options.tables ?? TABLES },
  };
  const plan: Plan = {
    hash: `plan-${pipeline}`,
    pipeline,
    chain: 'ordered',
    window: { every: 'day', timezone: 'UTC' },
    params: {},
    datasets: specs,
    stages: [stage],
  };

  async function writeVersion(run: RunRef, dataset: string, sql: string): Promise<VersionRef> {
    const file = path.join(await store.scratch(), 'rows.parquet');
    const count = await engine.session(limits, new AbortController().signal, async (session) => {
      await session.exec(`copy (${sql}) to '${file}' (format parquet)`);
      return (await session.rows<{ rows: string }>(`select count(*)::VARCHAR as "rows" from read_parquet('${file}')`))[0]?.rows;
    });
    const key = `${dataset}-g${run.generation}-${run.window}`;
    const columns = Object.entries(specs[dataset]?.columns ?? {}).map(([name, type]) => ({ name, type }));
    const manifest = await datasets.commit({
      dataset,
      window: run.window,
      key,
      digest: `digest of ${key}`,
      columns,
      files: [{ file, rows: Number(count) }],
      rowsIn: Number(count),
      provenance: { run, stage: dataset, attempt: 1, stageHash: 'hash', inputs: [] },
    });
    return { dataset, window: run.window, version: manifest.version, digest: manifest.digest };
  }

  const publishing: Publishing = {
    root,
    pool,
    store,
    datasets,
    engine,
    logged,
    plan: () => plan,
    async accept(window, rows, generation = 1) {
      const run: RunRef = { pipeline, window, branch: 'main', generation };
      await storePlan(pool, plan);
      await claimRun(pool, {
        run,
        claim: `claim-${generation}`,
        planHash: plan.hash,
        pins: {},
        bootstrap: false,
        origin: false,
        matrix: {},
        verb: 'run',
        who: 'test',
        now: new Date(),
      });
      const inputs: Record<string, VersionRef> = {};
      for (const [dataset, sql] of Object.entries(rows)) inputs[dataset] = await writeVersion(run, dataset, sql);
      await datasets.accept({ pipeline, branch: 'main', window, run, versions: Object.values(inputs), gates: { judge: 'PASS' } });
      return { run, inputs };
    },
    context({ run, inputs }, more = {}) {
      const end = new Date(Date.parse(`${run.window}T00:00:00Z`) + 86_400_000).toISOString();
      return {
        store,
        datasets,
        engine,
        database: pool,
        clock: systemClock,
        text: (hash) => Promise.reject(new Error(`no text ${hash}`)),
        run,
        plan,
        stage,
        window: { key: run.window, start: `${run.window}T00:00:00.000Z`, end },
        attempt: 1,
        inputs,
        outputs: {},
        bootstrap: false,
        limits,
        signal: new AbortController().signal,
        computing: () => undefined,
        chose: () => undefined,
        log: (line) => logged.push(line),
        point: () => Promise.resolve(),
        ...more,
      };
    },
    publish: (body, accepted, more) => body(publishing.context(accepted, more)),
    async [Symbol.asyncDispose]() {
      await engine.close();
      await pool.end();
      if (options.root === undefined) rmSync(root, { recursive: true, force: true });
    },
  };
  return publishing;
}

/** The n-th day of a fixed year as a window key, from 0. */
export function day(n: number): string {
  return new Date(Date.UTC(2026, 0, 1) + n * 86_400_000).toISOString().slice(0, 10);
}
