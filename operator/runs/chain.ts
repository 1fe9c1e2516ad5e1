import type { DatasetStore } from '../../activities/storage/dataset-store';
import type { Manifest } from '../../activities/storage/manifest';
import { canonicalJson } from '../../pipelines/canonical';
import { AlmanacError } from '../../pipelines/failures';
import type { Plan, VersionRef } from '../../pipelines/types';
import { nextKey, previousKey } from '../../pipelines/window';

/** What a run starts from: the pinned versions of the window before it, or the word that it is the first. */
export interface ChainStart {
  readonly pins: Readonly<Record<string, VersionRef>>;
  readonly origin: boolean;
}

/** Datasets the plan reads from the previous window, sorted. */
export function previousReads(plan: Plan): string[] {
  const names = new Set<string>();
  for (const { spec } of plan.stages) {
    if (spec.kind !== 'compute') continue;
    for (const read of Object.values(spec.reads ?? {})) if (typeof read !== 'string') names.add(read.previous);
  }
  return [...names].sort();
}

/**
 * Pins the predecessor's state. The first run of a chain is its origin; after that a window whose predecessor is not
 * accepted is refused (`chain.gap`), unless it bootstraps.
 */
export async function startOfChain(
  datasets: DatasetStore,
  plan: Plan,
  branch: string,
  window: string,
  bootstrap: boolean,
): Promise<ChainStart> {
  if (plan.chain !== 'ordered') return { pins: {}, origin: false };
  const accepted = await datasets.acceptedWindows(plan.pipeline, branch);
  const before = previousKey(plan.window, window);
  const predecessor = await datasets.accepted(plan.pipeline, branch, before);
  if (bootstrap || predecessor === undefined) {
    const earlier = accepted.filter((key) => key < window);
    const own = accepted.includes(window) ? await datasets.accepted(plan.pipeline, branch, window) : undefined;
    if (bootstrap || accepted.length === 0 || own?.origin === true) return { pins: {}, origin: earlier.length === 0 };
    throw chainGap(plan, window, before, earlier, accepted);
  }
  const pins: Record<string, VersionRef> = {};
  for (const dataset of previousReads(plan)) {
    const version = predecessor.versions.find((ref) => ref.dataset === dataset);
    if (version === undefined) {
      throw new AlmanacError('chain.gap', `${plan.pipeline}/${before} was accepted without dataset ${dataset}, which ${window} needs`, {
        next: `almanac run ${plan.pipeline} --window ${window} --bootstrap`,
      });
    }
    requireSameSchema(plan, dataset, await datasets.manifest(version), window);
    pins[dataset] = version;
  }
  return { pins, origin: false };
}

function chainGap(plan: Plan, window: string, before: string, earlier: readonly string[], accepted: readonly string[]): AlmanacError {
  const last = earlier.at(-1);
  const fill = last === undefined ? undefined : nextKey(plan.window, last);
  const message =
    last === undefined
      ? `${plan.pipeline}/${window} lies before the chain's origin ${accepted[0] ?? ''}`
      : `${plan.pipeline}/${window} needs the accepted set of ${before}; the chain reaches ${last}`;
  return new AlmanacError('chain.gap', message, {
    next:
      fill === undefined
        ? `almanac run ${plan.pipeline} --window ${window} --bootstrap`
        : `almanac run ${plan.pipeline} --window ${fill} --wait`,
    details: { needs: before, reaches: last ?? null },
  });
}

/** State is carried on only under the declaration it was written under. */
function requireSameSchema(plan: Plan, dataset: string, state: Manifest, window: string): void {
  const declared = plan.datasets[dataset];
  const columns = Object.entries(declared?.columns ?? {}).map(([name, type]) => ({ name, type }));
  const buckets = declared?.buckets === undefined ? null : { by: declared.buckets.by, count: declared.buckets.count };
  if (canonicalJson([columns, buckets]) === canonicalJson([state.columns.map(({ name, type }) => ({ name, type })), state.buckets ?? null]))
    return;
  throw new AlmanacError(
    'chain.schema',
    `${dataset}@${state.window} was written as ${describe(state.columns, state.buckets)}, and is declared as ${describe(columns, declared?.buckets)}`,
    {
      next: `almanac run ${plan.pipeline} --window ${window} --bootstrap computes it anew under the declaration`,
      details: { dataset },
    },
  );
}

function describe(columns: readonly { readonly name: string; readonly type: string }[], buckets: Manifest['buckets']): string {
  const list = columns.map(({ name, type }) => `${name} ${type}`).join(', ');
  return buckets === undefined ? `(${list})` : `(${list}) in ${buckets.count} buckets by ${buckets.by}`;
}
