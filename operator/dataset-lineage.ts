import { formatRun } from '../pipelines/run-id';
import type { StaleVersion } from '../pipelines/stale';
import { resolveVersion, type DatasetServices, type VersionAddress } from './dataset-names';
import { findStale } from './stale';

export interface LineageVersion {
  readonly dataset: string;
  readonly window: string;
  readonly version: string;
  /** Steps away from the version asked for. */
  readonly depth: number;
  /** The run and stage that wrote it; null when the store no longer has it. */
  readonly run: string | null;
  readonly stage: string | null;
  readonly rows: number | null;
  /** Its window's accepted set follows a skip or a tainted window. */
  readonly tainted: boolean;
  /** Accepted, and built on rows that are no longer current. */
  readonly stale: boolean;
}

export interface Lineage {
  readonly version: {
    readonly dataset: string;
    readonly window: string;
    readonly version: string;
    readonly digest: string;
    readonly run: string;
    readonly stage: string;
    readonly tainted: boolean;
    /** Which of its inputs are no longer what it was built on; null unless it is stale. */
    readonly stale: StaleVersion | null;
  };
  /** What it was computed from, by version, nearest first. */
  readonly upstream: readonly LineageVersion[];
  /** Landing folders and reference files it and its upstream were read from. */
  readonly sources: readonly { readonly source: string; readonly dataset: string; readonly window: string }[];
  /** What was computed from it, nearest first. */
  readonly downstream: readonly LineageVersion[];
}

interface Row {
  dataset: string;
  window_key: string;
  version: string;
  depth: number;
  pipeline: string | null;
  branch: string | null;
  generation: number | null;
  stage: string | null;
  rows: number | null;
  tainted: boolean;
}

/** SQL: whether the version of that name is in a tainted accepted set of its own window. */
const taintedSql = (name: string): string =>
  `exists (select from almanac.accepted_version a join almanac.accepted_set s on s.pipeline = a.pipeline and s.branch = a.branch and s.window_key = a.window_key
           where s.tainted and a.window_key = a.version_window and (a.dataset, a.version_window, a.version) = (${name}))`;

/** Where a version came from and what became of it, up to `depth` steps. Throws `dataset.unknown`, `dataset.version-missing`. */
export async function lineageOf(services: DatasetServices, address: VersionAddress, depth: number): Promise<Lineage> {
  const { dataset, window, version, digest, provenance } = await resolveVersion(services, address);
  const start = [dataset, window, version, depth];
  const upstream = await services.database.query<Row>(walk('dataset', 'input'), start);
  const downstream = await services.database.query<Row>(walk('input', 'dataset'), start);
  const names = [{ dataset, window_key: window, version }, ...upstream.rows];
  const sources = await services.database.query<{ source: string; dataset: string; window: string }>(
    `select source, dataset, window_key as window from almanac.version_source
     where (dataset, window_key, version) in (select * from unnest($1::text[], $2::text[], $3::text[])) order by window_key desc, source`,
    [names.map((name) => name.dataset), names.map((name) => name.window_key), names.map((name) => name.version)],
  );
  const own = await services.database.query<{ tainted: boolean }>(
    `select ${taintedSql('$1::text, $2::text, $3::text')} as tainted`,
    start.slice(0, 3),
  );
  const stale = new Map((await findStale(services.database)).flatMap(({ versions }) => versions.map((one) => [keyOf(one), one] as const)));
  const view = (row: Row): LineageVersion => viewOf(row, stale.has(keyOf({ ...row, window: row.window_key })));
  const run = `${formatRun(provenance.run)}#${provenance.run.generation}`;
  return {
    version: {
      dataset,
      window,
      version,
      digest,
      run,
      stage: provenance.stage,
      tainted: own.rows[0]?.tainted === true,
      stale: stale.get(keyOf({ dataset, window, version })) ?? null,
    },
    upstream: upstream.rows.map(view),
    sources: sources.rows,
    downstream: downstream.rows.map(view),
  };
}

/** Follows inputs from one end of each to the other; a version reached twice is told once, at its least depth. */
function walk(from: 'dataset' | 'input', to: 'dataset' | 'input'): string {
  const columns = { dataset: ['dataset', 'window_key', 'version'], input: ['input_dataset', 'input_window', 'input_version'] } as const;
  const select = columns[to].map((column, index) => `e.${column} as ${columns.dataset[index] ?? column}`).join(', ');
  const join = columns[from].map((column, index) => `e.${column} = w.${columns.dataset[index] ?? column}`).join(' and ');
  return `with recursive walked as (
      select $1::text as dataset, $2::text as window_key, $3::text as version, 0 as depth
      union
      select ${select}, w.depth + 1 from walked w join almanac.version_input e on ${join} where w.depth < $4::int)
    select w.dataset, w.window_key, w.version, min(w.depth) as depth, v.pipeline, v.branch, v.generation, v.stage, v.rows,
      ${taintedSql('w.dataset, w.window_key, w.version')} as tainted
    from walked w left join almanac.dataset_version v using (dataset, window_key, version) where w.depth > 0
    group by w.dataset, w.window_key, w.version, v.pipeline, v.branch, v.generation, v.stage, v.rows order by depth, w.window_key desc, w.dataset`;
}

function keyOf({ dataset, window, version }: Pick<StaleVersion, 'dataset' | 'window' | 'version'>): string {
  return `${dataset}@${window}#${version}`;
}

function viewOf(row: Row, stale: boolean): LineageVersion {
  const { dataset, window_key: window, version, depth, stage, rows, tainted, pipeline, branch, generation } = row;
  const run =
    pipeline === null || branch === null || generation === null ? null : `${formatRun({ pipeline, window, branch })}#${generation}`;
  return { dataset, window, version, depth, run, stage, rows, tainted, stale };
}
