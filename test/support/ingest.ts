import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createDuckDbEngine } from '../../activities/compute/duckdb-engine';
import type { Engine } from '../../activities/compute/engine';
import { ingestStage } from '../../activities/compute/ingest-stage';
import type { StageContext } from '../../activities/stage';
import { createDatasetStore } from '../../activities/storage/datasets';
import type { DatasetStore } from '../../activities/storage/dataset-store';
import { createLocalStore } from '../../activities/storage/local-store';
import type { Manifest } from '../../activities/storage/manifest';
import type { ObjectStore } from '../../activities/storage/object-store';
import { systemClock } from '../../lib/clock';
import { versionSelect } from '../../pipelines/duckdb-sql';
import type { AlmanacError } from '../../pipelines/failures';
import { quoteText } from '../../pipelines/quote-sql';
import type { DatasetSpec, IngestSpec, StageOutput } from '../../pipelines/types';
import { parseWindow } from '../../pipelines/window';

export const LIMITS = { memoryBytes: 512e6, threads: 2 };
export const EVENTS: DatasetSpec = { columns: { user_id: 'text', segment_id: 'bigint', ts: 'timestamp' } };
const FOREVER = new AbortController().signal;

export interface IngestOptions {
  readonly window?: string;
  readonly dataset?: DatasetSpec;
  readonly spec?: Partial<Omit<IngestSpec, 'kind' | 'writes'>>;
  readonly bootstrap?: boolean;
  readonly generation?: number;
  readonly timezone?: string;
  readonly now?: Date;
  readonly point?: (name: string) => Promise<void>;
  readonly signal?: AbortSignal;
  /** Stands between the stage and the bench's store, to inject a fault. */
  readonly store?: ObjectStore;
}

export interface IngestResult {
  readonly output: StageOutput;
  readonly manifest: Manifest;
  readonly accepted: readonly Record<string, unknown>[];
  readonly quarantined: readonly Record<string, unknown>[];
  readonly log: readonly string[];
}

/** An ingest stage over a data root of its own, with real DuckDB children. */
export class IngestBench {
  readonly root = mkdtempSync(path.join(tmpdir(), 'almanac-ingest-'));
  readonly store: ObjectStore = createLocalStore(path.join(this.root, 'data'));
  readonly datasets: DatasetStore = createDatasetStore(this.store, systemClock);
  readonly engine: Engine = createDuckDbEngine({ scratch: path.join(this.root, 'engine'), maxChildren: 1 });

  async close(): Promise<void> {
    await this.engine.close();
    rmSync(this.root, { recursive: true, force: true });
  }

  file(objectPath: string): string {
    return path.join(this.root, 'data', ...objectPath.split('/'));
  }

  /** Puts a file under the data root, as whoever delivers landing data does. */
  put(objectPath: string, body: string | Buffer): string {
    const file = this.file(objectPath);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, body);
    return file;
  }

  land(name: string, body: string | Buffer, day = '2026-03-10'): string {
    return this.put(`landing/events/dt=${day}/${name}`, body);
  }

  clear(): void {
    rmSync(path.join(this.root, 'data'), { recursive: true, force: true });
  }

  async ingest(options: IngestOptions = {}): Promise<IngestResult> {
    const { window = '2026-03-10', dataset = EVENTS, bootstrap = false, generation = 1, timezone = 'UTC', now } = options;
    const log: string[] = [];
    const spec: IngestSpec = { kind: 'ingest', writes: 'events', ...(options.spec ?? { landing: 'events', eventTime: 'ts' }) };
    const stage = { id: 'events', kind: 'ingest', needs: [], timeoutSeconds: 60, hash: 'stage-hash', spec } as const;
    const context: StageContext = {
      store: options.store ?? this.store,
      datasets: this.datasets,
      engine: this.engine,
      clock: now ? { now: () => now } : systemClock,
      text: () => Promise.reject(new Error('an ingest has no text')),
      get database(): never {
        throw new Error('an ingest touches no database');
      },
      run: { pipeline: 'test', window, branch: 'main', generation },
      plan: {
        hash: 'plan',
        pipeline: 'test',
        chain: 'independent',
        window: { every: 'day', timezone },
        params: {},
        datasets: { events: dataset },
        stages: [stage],
      },
      stage,
      window: parseWindow({ every: 'day', timezone }, window),
      attempt: 1,
      inputs: {},
      outputs: {},
      bootstrap,
      limits: LIMITS,
      signal: options.signal ?? FOREVER,
      computing: () => undefined,
      chose: () => undefined,
      log: (line) => log.push(line),
      point: options.point ?? (() => Promise.resolve()),
    };
    const output = await ingestStage(context);
    const [version] = output.versions;
    if (!version) throw new Error('the stage wrote no version');
    const manifest = await this.datasets.manifest(version);
    return { output, manifest, ...(await this.read(manifest)), log };
  }

  /** The code, message and details of a stage that must fail. */
  async failure(options: IngestOptions = {}): Promise<AlmanacError> {
    return this.ingest(options).then(
      () => {
        throw new Error('the stage did not fail');
      },
      (error: AlmanacError) => error,
    );
  }

  async query<T extends Record<string, unknown>>(sql: string): Promise<T[]> {
    return this.engine.session(LIMITS, FOREVER, (session) => session.rows<T>(sql, 1_000_000));
  }

  async exec(sql: string): Promise<void> {
    await this.engine.session(LIMITS, FOREVER, (session) => session.exec(sql));
  }

  private async read(manifest: Manifest): Promise<Pick<IngestResult, 'accepted' | 'quarantined'>> {
    const put = manifest.quarantine?.files ?? [];
    await using local = await this.store.localFiles([...manifest.files, ...put]);
    const paths = manifest.files.map((file) => local.path(file.path));
    const accepted = await this.query(`select * from (${versionSelect(manifest.columns, paths)}) order by all`);
    const aside = put.map((file) => quoteText(local.path(file.path)));
    const quarantined = aside.length === 0 ? [] : await this.query(`select * from read_parquet([${aside.join(', ')}]) order by file, line`);
    return { accepted, quarantined };
  }
}
