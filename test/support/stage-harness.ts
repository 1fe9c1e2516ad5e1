import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { createDuckDbEngine } from '../../activities/compute/duckdb-engine';
import type { ChildIdentity, Engine, SessionLimits } from '../../activities/compute/engine';
import type { StageContext } from '../../activities/stage';
import type { DatasetStore } from '../../activities/storage/dataset-store';
import { createDatasetStore } from '../../activities/storage/datasets';
import { createLocalStore } from '../../activities/storage/local-store';
import type { ObjectStore } from '../../activities/storage/object-store';
import { systemClock } from '../../lib/clock';
import { digestSql, combineDigests, type DigestPart } from '../../pipelines/digest-sql';
import { columnsOf, versionSelect } from '../../pipelines/duckdb-sql';
import { bucketExpression } from '../../pipelines/bucket-sql';
import { quoteText } from '../../pipelines/quote-sql';
import { sparkVariant } from '../../pipelines/engine-texts';
import type { ComputeSpec, DatasetSpec, EngineName, VersionRef, Window } from '../../pipelines/types';

const DAY: Window = { key: '2026-11-20', start: '2026-11-20T00:00:00Z', end: '2026-11-21T00:00:00Z' };

export interface StageRequest {
  readonly spec: Omit<ComputeSpec, 'kind'>;
  /** Texts by the name the spec gives them. */
  readonly texts?: Readonly<Record<string, string>>;
  readonly inputs?: Readonly<Record<string, VersionRef>>;
  readonly bootstrap?: boolean;
  readonly limits?: SessionLimits;
  readonly signal?: AbortSignal;
  readonly generation?: number;
  readonly params?: Readonly<Record<string, string | number | boolean>>;
  /** What the run was told with `--engine`. */
  readonly engine?: EngineName;
  readonly point?: (name: string) => Promise<void>;
}

export interface HarnessContext extends StageContext {
  readonly lines: string[];
  readonly children: ChildIdentity[];
  readonly engines: EngineName[];
}

/** A real engine and store in a temporary directory, and contexts of one compute stage over them. */
export class StageHarness implements AsyncDisposable {
  readonly directory = mkdtempSync(path.join(tmpdir(), 'almanac-stage-'));
  readonly datasets: DatasetStore;
  readonly engine: Engine = createDuckDbEngine({ scratch: path.join(this.directory, 'spill'), maxChildren: 1 });
  /** Never connected: compute stages do not speak to Postgres. */
  readonly database = new pg.Pool();

  readonly store: ObjectStore;

  /** `open` answers with a store that keeps what it needs of this machine below a folder; by default one of files. */
  constructor(
    readonly specs: Readonly<Record<string, DatasetSpec>>,
    open: (folder: string) => ObjectStore = createLocalStore,
  ) {
    this.store = open(path.join(this.directory, 'data'));
    this.datasets = createDatasetStore(this.store, systemClock);
  }

  /** Writes a version as an ingest would: `rows` is a select of the dataset's columns. */
  async version(dataset: string, rows: string, window = DAY.key): Promise<VersionRef> {
    const spec = this.specs[dataset];
    if (!spec) throw new Error(`no dataset ${dataset}`);
    const scratch = await this.store.scratch();
    const columns = columnsOf(spec);
    const buckets = spec.buckets ? Array.from({ length: spec.buckets.count }, (_, bucket) => bucket) : [undefined];
    const parts: DigestPart[] = [];
    const files = await this.engine.session({ memoryBytes: 1e9, threads: 2 }, new AbortController().signal, async (session) => {
      await session.exec(`create table landed as ${rows}`);
      const written = [];
      for (const bucket of buckets) {
        const file = path.join(scratch, `${bucket ?? 'all'}.parquet`);
        const where =
          bucket === undefined || !spec.buckets ? '' : ` where ${bucketExpression(spec.buckets.by, spec.buckets.count)} = ${bucket}`;
        await session.exec(`copy (from landed${where}) to ${quoteText(file)} (format parquet)`);
        const [part] = await session.rows<DigestPart & Record<string, unknown>>(digestSql(`read_parquet(${quoteText(file)})`, columns));
        if (!part) throw new Error('a digest query returned nothing');
        parts.push(part);
        if (part.rows !== '0') written.push({ file, rows: Number(part.rows), ...(bucket !== undefined && { bucket }) });
      }
      return written;
    });
    const digest = combineDigests(columns, parts);
    const manifest = await this.datasets.commit({
      dataset,
      window,
      key: `test${digest.slice(-20)}`,
      digest,
      columns,
      ...(spec.buckets && { buckets: spec.buckets }),
      files,
      rowsIn: 0,
      provenance: { run: this.context({ spec: {} }).run, stage: 'test', attempt: 1, stageHash: 'test', inputs: [] },
    });
    rmSync(scratch, { recursive: true });
    return { dataset, window, version: manifest.version, digest: manifest.digest };
  }

  /** All rows of a version, ordered, as an engine session returns them. */
  async rows(ref: VersionRef | undefined): Promise<Record<string, unknown>[]> {
    if (!ref) throw new Error('the stage wrote no version');
    const manifest = await this.datasets.manifest(ref);
    await using local = await this.store.localFiles(manifest.files);
    const select = versionSelect(
      manifest.columns,
      manifest.files.map((file) => local.path(file.path)),
    );
    return await this.engine.session({ memoryBytes: 1e9, threads: 1 }, new AbortController().signal, (session) =>
      session.rows(`from (${select}) order by all`),
    );
  }

  context(request: StageRequest): HarnessContext {
    const texts = request.texts ?? {};
    const spec: ComputeSpec = { kind: 'compute', ...request.spec };
    const lines: string[] = [];
    const children: ChildIdentity[] = [];
    const engines: EngineName[] = [];
    const variant = (member: string, file: string | undefined): Record<string, string> => {
      const name = file === undefined ? undefined : sparkVariant(file);
      return name === undefined || texts[name] === undefined ? {} : { [member]: name };
    };
    const stage = {
      id: 'compute',
      kind: 'compute' as const,
      needs: [],
      timeoutSeconds: 60,
      hash: JSON.stringify([{ ...spec, engine: undefined }, texts, request.params]),
      spec,
      ...(spec.sql !== undefined && { sqlHash: spec.sql }),
      ...(spec.bootstrap !== undefined && { bootstrapHash: spec.bootstrap }),
      ...variant('sparkHash', spec.sql),
      ...variant('sparkBootstrapHash', spec.bootstrap),
    };
    return {
      store: this.store,
      datasets: this.datasets,
      engine: this.engine,
      database: this.database,
      clock: systemClock,
      text: (hash) => (texts[hash] === undefined ? Promise.reject(new Error(`no text ${hash}`)) : Promise.resolve(texts[hash])),
      run: { pipeline: 'example', window: DAY.key, branch: 'main', generation: request.generation ?? 1 },
      plan: {
        hash: 'plan',
        pipeline: 'example',
        chain: 'ordered',
        window: { every: 'day', timezone: 'UTC' },
        params: request.params ?? {},
        datasets: this.specs,
        stages: [stage],
        ...(request.engine && { engine: request.engine }),
      },
      stage,
      window: DAY,
      attempt: 1,
      inputs: request.inputs ?? {},
      outputs: {},
      bootstrap: request.bootstrap ?? false,
      limits: request.limits ?? { memoryBytes: 500e6, threads: 2 },
      signal: request.signal ?? new AbortController().signal,
      computing: (child) => void children.push(child),
      chose: (engine) => void engines.push(engine),
      log: (line) => void lines.push(line),
      point: request.point ?? (() => Promise.resolve()),
      lines,
      children,
      engines,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.engine.close();
    await this.database.end();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
