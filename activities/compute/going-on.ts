/**
 * Where an ingest of every folder goes on from. What it chooses changes the cost of a run, never its rows: any window will do whose
 * state was made, by the code of today, from exactly the files that lie up to it today.
 */
import { canonicalJson } from '../../pipelines/canonical';
import { columnsOf } from '../../pipelines/duckdb-sql';
import { AlmanacError } from '../../pipelines/failures';
import { writtenBy } from '../../pipelines/graph';
import { isPrevious } from '../../pipelines/reads';
import type { LandingFile, PlanStage, VersionRef } from '../../pipelines/types';
import { dateOf } from '../../pipelines/window-grid';
import type { StageContext } from '../stage';
import type { Manifest } from '../storage/manifest';

/** Accepted windows that are looked at: those whose state retention keeps are about as many. */
const WINDOWS_TRIED = 40;

/** An accepted window before this one, with the files it stands for and its versions of what is carried. */
export interface EarlierWindow {
  readonly window: string;
  readonly landing: readonly LandingFile[];
  readonly versions: readonly VersionRef[];
}

type GoingOnContext = Pick<StageContext, 'datasets' | 'plan' | 'run' | 'window' | 'signal'>;

/** Windows whose state could be carried on, newest first: untainted, not collected, and made by stages of the same hash. */
export async function* earlierWindows(context: GoingOnContext, dataset: string): AsyncGenerator<EarlierWindow> {
  const { datasets, plan, run, window } = context;
  const carried = carriedSince(plan.stages, dataset);
  const writers = new Map(plan.stages.map((stage) => [writtenBy(stage.spec), stage]));
  const before = (await datasets.acceptedWindows(plan.pipeline, run.branch)).filter((key) => key < window.key).reverse();
  for (const key of before.slice(0, WINDOWS_TRIED)) {
    context.signal.throwIfAborted();
    const set = await datasets.accepted(plan.pipeline, run.branch, key);
    if (set === undefined || set.tainted === true) continue;
    const versions: VersionRef[] = [];
    let landing: readonly LandingFile[] | undefined;
    for (const name of [dataset, ...carried]) {
      const version = set.versions.find((ref) => ref.dataset === name);
      const manifest = version && (await manifestOf(datasets, version));
      if (version === undefined || manifest === undefined || !isOfToday(manifest, writers.get(name), plan.datasets[name])) break;
      if (name === dataset) landing = manifest.provenance.landing;
      else versions.push(version);
    }
    if (landing !== undefined && versions.length === carried.length) yield { window: key, landing, versions };
  }
}

/** Whether these are exactly the files that lie in the folders up to a window today. */
export function isPrefix(
  landing: readonly LandingFile[],
  all: readonly (Pick<LandingFile, 'path' | 'sha256'> & { readonly window?: { readonly key: string } })[],
  window: string,
): boolean {
  const now = new Map(all.flatMap((file) => ((file.window?.key ?? '') <= dateOf(window) ? [[file.path, file.sha256]] : [])));
  return now.size === landing.length && landing.every(({ path, sha256 }) => now.get(path) === sha256);
}

/** Datasets that stages read as carried since this ingest's. */
function carriedSince(stages: readonly PlanStage[], dataset: string): string[] {
  const names = new Set<string>();
  for (const { spec } of stages) {
    if (spec.kind !== 'compute') continue;
    for (const read of Object.values(spec.reads ?? {})) if (isPrevious(read) && read.since === dataset) names.add(read.previous);
  }
  return [...names].sort();
}

function isOfToday(
  { provenance, columns }: Manifest,
  writer: PlanStage | undefined,
  declared: StageContext['plan']['datasets'][string] | undefined,
): boolean {
  if (declared === undefined || provenance.stageHash !== writer?.hash) return false;
  return canonicalJson(columns.map(({ name, type }) => ({ name, type }))) === canonicalJson(columnsOf(declared));
}

async function manifestOf(datasets: StageContext['datasets'], version: VersionRef): Promise<Manifest | undefined> {
  try {
    return await datasets.manifest(version);
  } catch (error) {
    if (error instanceof AlmanacError && error.code === 'dataset.version-missing') return undefined;
    throw error;
  }
}
