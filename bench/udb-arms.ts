/** The arms of bench:udb: the same texts as compute stages, which bench:spark has on Spark too, and in bare DuckDB. */
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import type pg from 'pg';
import { computeStage } from '../activities/compute/compute-stage';
import type { Engine, SessionLimits } from '../activities/compute/engine';
import type { StageBody, StageContext } from '../activities/stage';
import type { DatasetStore } from '../activities/storage/dataset-store';
import type { ObjectStore } from '../activities/storage/object-store';
import { manifestPath } from '../activities/storage/store-paths';
import { systemClock } from '../lib/clock';
import { packageRoot } from '../lib/package-root';
import { audienceIndex } from '../pipelines/audience-index/pipeline';
import { combineDigests, digestSql, type DigestPart } from '../pipelines/digest-sql';
import { columnsOf, versionSelect } from '../pipelines/duckdb-sql';
import { sparkVariant } from '../pipelines/engine-texts';
import { quoteName, quoteText } from '../pipelines/quote-sql';
import { readDataset } from '../pipelines/reads';
import { renderSql, windowValues } from '../pipelines/sql-text';
import type { ComputeSpec, DatasetSpec, Plan, PlanStage, RunRef, VersionRef } from '../pipelines/types';
import { BENCH_WINDOW } from './udb-data';

export const STAGES = ['updateUdb', 'countOverlaps', 'aggregate'] as const;
const DATASETS: Readonly<Record<string, DatasetSpec>> = audienceIndex.datasets;
const never = new AbortController().signal;

export interface Services {
  readonly store: ObjectStore;
  readonly datasets: DatasetStore;
  readonly engine: Engine;
  readonly database: pg.Pool;
  log(line: string): void;
}

export interface Measurement {
  readonly seconds: number;
  /** Of the engine's child and of this process: what a busy machine does not change. */
  readonly cpuSeconds: number;
  /** Of what computes alone. */
  readonly engineCpuSeconds: number;
  /** By stage id, in the order they ran. */
  readonly stages: Readonly<Record<string, number>>;
  readonly peakMemoryBytes: number;
  /** Digest of the report's rows: both arms must arrive at the same. */
  readonly report: string;
}

function specOf(stage: string): ComputeSpec & { readonly sql: string; readonly writes: string } {
  const spec: unknown = Object.entries(audienceIndex.stages).find(([id]) => id === stage)?.[1];
  const compute = spec as ComputeSpec | undefined;
  if (compute?.kind !== 'compute' || compute.sql === undefined || compute.writes === undefined)
    throw new Error(`audience-index has no compute stage ${stage}`);
  return { ...compute, sql: compute.sql, writes: compute.writes };
}

function textOf(file: string): string {
  return readFileSync(textPath(file), 'utf8');
}

function textPath(file: string): string {
  return path.join(packageRoot(), 'pipelines', audienceIndex.id, 'sql', file);
}

function seconds(since: number): number {
  return (performance.now() - since) / 1000;
}

function ownCpuSeconds(since: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since);
  return (user + system) / 1e6;
}

/** How the stages of an arm are computed. */
export interface StageArm {
  readonly body: StageBody;
  begin?(stage: string, run: RunRef): Promise<void>;
  /** What the arm wants to know of a stage that ended, before what it wrote is removed. */
  ended?(stage: string, run: RunRef, version: VersionRef | undefined): Promise<void>;
}

const ON_DUCKDB: StageArm = { body: computeStage };

/** The arm with the stages as they are. */
export async function almanacArm(
  services: Services,
  limits: SessionLimits,
  inputs: Readonly<Record<string, VersionRef>>,
  generation: number,
  arm = ON_DUCKDB,
): Promise<Measurement> {
  const run: RunRef = { pipeline: audienceIndex.id, window: BENCH_WINDOW.key, branch: 'main', generation };
  const begun = performance.now();
  const cpu = process.cpuUsage();
  let childCpuSeconds = 0;
  const known: Record<string, VersionRef> = { ...inputs };
  const stages: Record<string, number> = {};
  const written: VersionRef[] = [];
  let peakMemoryBytes = 0;
  for (const id of STAGES) {
    await arm.begin?.(id, run);
    const started = performance.now();
    const output = await arm.body(stageContext(services, limits, id, known, run));
    stages[id] = seconds(started);
    await arm.ended?.(id, run, output.versions[0]);
    childCpuSeconds += output.cpuSeconds ?? 0;
    peakMemoryBytes = Math.max(peakMemoryBytes, output.peakMemoryBytes ?? 0);
    for (const version of output.versions) known[version.dataset] = version;
    written.push(...output.versions);
  }
  const total = seconds(begun);
  const cpuSeconds = childCpuSeconds + ownCpuSeconds(cpu);
  for (const version of written) await removeVersion(services, version);
  return {
    seconds: total,
    cpuSeconds,
    engineCpuSeconds: childCpuSeconds,
    stages,
    peakMemoryBytes,
    report: known['report']?.digest ?? 'none',
  };
}

function stageContext(
  services: Services,
  limits: SessionLimits,
  id: string,
  inputs: Readonly<Record<string, VersionRef>>,
  run: RunRef,
): StageContext {
  const spec = specOf(id);
  const variant = sparkVariant(spec.sql);
  const texts = { sqlHash: spec.sql, ...(existsSync(textPath(variant)) && { sparkHash: variant }) };
  const stage: PlanStage = { id, kind: 'compute', needs: [], timeoutSeconds: 3600, hash: id, spec, ...texts };
  const plan: Plan = {
    hash: 'bench',
    pipeline: audienceIndex.id,
    chain: 'ordered',
    window: { every: 'day', timezone: 'UTC' },
    params: {},
    datasets: DATASETS,
    stages: [stage],
  };
  return {
    ...services,
    clock: systemClock,
    text: (file) => Promise.resolve(textOf(file)),
    run,
    plan,
    stage,
    window: BENCH_WINDOW,
    attempt: 1,
    inputs,
    outputs: {},
    bootstrap: false,
    limits,
    signal: never,
    computing: () => undefined,
    chose: () => undefined,
    log: (line) => services.log(`  ${id}: ${line}`),
    point: () => Promise.resolve(),
  };
}

/** Each repeat computes anew, so what it wrote goes. */
async function removeVersion({ datasets, store }: Services, version: VersionRef): Promise<void> {
  const manifest = await datasets.manifest(version);
  await store.delete(manifestPath(version));
  for (const file of manifest.files) await store.delete(file.path);
}

/** The arm without any care: the same texts over the same files, one Parquet file after the other. */
export async function bareArm(
  { store, datasets, engine }: Services,
  limits: SessionLimits,
  inputs: Readonly<Record<string, VersionRef>>,
  directory: string,
): Promise<Measurement> {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  const files: Record<string, readonly string[]> = {};
  for (const [name, version] of Object.entries(inputs))
    files[name] = (await datasets.manifest(version)).files.map((file) => store.place(file.path));
  const begun = performance.now();
  const cpu = process.cpuUsage();
  const stages: Record<string, number> = {};
  const usage = await engine.session(limits, never, async (session) => {
    for (const id of STAGES) {
      const started = performance.now();
      const spec = specOf(id);
      for (const [alias, read] of Object.entries(spec.reads ?? {})) {
        const dataset = readDataset(read);
        const from = files[typeof read === 'string' ? dataset : `previous:${dataset}`] ?? [];
        await session.exec(
          `create or replace view ${quoteName(alias)} as ${versionSelect(columnsOf(DATASETS[dataset] ?? { columns: {} }), from)}`,
        );
      }
      const file = path.join(directory, `${spec.writes}.parquet`);
      await session.exec(
        `copy (${renderSql(textOf(spec.sql), windowValues(BENCH_WINDOW), spec.sql)}\n) to ${quoteText(file)} (format parquet)`,
      );
      files[spec.writes] = [file];
      stages[id] = seconds(started);
    }
    return session.usage();
  });
  const total = seconds(begun);
  const cpuSeconds = usage.cpuSeconds + ownCpuSeconds(cpu);
  const report = await reportDigest(engine, limits, path.join(directory, 'report.parquet'));
  rmSync(directory, { recursive: true, force: true });
  return { seconds: total, cpuSeconds, engineCpuSeconds: usage.cpuSeconds, stages, peakMemoryBytes: usage.peakMemoryBytes, report };
}

async function reportDigest(engine: Engine, limits: SessionLimits, file: string): Promise<string> {
  const columns = columnsOf(DATASETS['report'] ?? { columns: {} });
  const parts = await engine.session(limits, never, (session) =>
    session.rows<DigestPart & Record<string, unknown>>(digestSql(`(${versionSelect(columns, [file])})`, columns)),
  );
  return combineDigests(columns, parts);
}
