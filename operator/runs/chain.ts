import { originClaims, type RunRow } from '../../activities/ledger/runs';
import type { DatasetStore } from '../../activities/storage/dataset-store';
import type { Manifest } from '../../activities/storage/manifest';
import type { Queryable } from '../../lib/postgres';
import { canonicalJson } from '../../pipelines/canonical';
import { AlmanacError } from '../../pipelines/failures';
import { isPrevious } from '../../pipelines/reads';
import { formatRun } from '../../pipelines/run-id';
import type { Plan, VersionRef } from '../../pipelines/types';
import { nextKey, previousKey } from '../../pipelines/window';

/** Guards the claims of one chain's origin against each other; spells "orig". */
const ORIGIN_LOCK = 0x6f726967;

/** What a run starts from: the pinned versions of the window before it, or the word that it is the first. */
export interface ChainStart {
  readonly pins: Readonly<Record<string, VersionRef>>;
  readonly origin: boolean;
  /** The accepted set that the pins are of is tainted, so what is computed from them is. */
  readonly pinsTainted: boolean;
}

/** Datasets the plan reads from the previous window, sorted. */
export function previousReads(plan: Plan): string[] {
  const names = new Set<string>();
  for (const { spec } of plan.stages) {
    if (spec.kind !== 'compute') continue;
    for (const read of Object.values(spec.reads ?? {})) if (isPrevious(read)) names.add(read.previous);
  }
  return [...names].sort();
}

interface Chain {
  readonly database: Queryable;
  readonly datasets: DatasetStore;
  readonly plan: Plan;
  readonly branch: string;
}

/**
 * Pins the predecessor's state. The first run of a chain is its origin, from its claim on; after that a window whose predecessor
 * is not accepted is refused (`chain.gap`), unless it bootstraps.
 */
export async function startOfChain(chain: Chain, window: string, bootstrap: boolean): Promise<ChainStart> {
  const { datasets, plan, branch } = chain;
  if (plan.chain !== 'ordered') return { pins: {}, origin: false, pinsTainted: false };
  const predecessor = await datasets.accepted(plan.pipeline, branch, previousKey(plan.window, window));
  if (bootstrap) {
    await requireNoneLater(chain, window);
    const accepted = await datasets.acceptedWindows(plan.pipeline, branch);
    return { pins: {}, origin: !accepted.some((key) => key < window), pinsTainted: false };
  }
  if (predecessor === undefined) {
    await requireOrigin(chain, window);
    return { pins: {}, origin: true, pinsTainted: false };
  }
  const pins: Record<string, VersionRef> = {};
  for (const dataset of previousReads(plan)) {
    const version = predecessor.versions.find((ref) => ref.dataset === dataset);
    if (version === undefined) {
      throw new AlmanacError(
        'chain.gap',
        `${plan.pipeline}/${predecessor.window} was accepted without dataset ${dataset}, which ${window} needs`,
        {
          next: `almanac run ${plan.pipeline} --window ${window} --bootstrap`,
        },
      );
    }
    requireSameSchema(plan, dataset, await datasets.manifest(version), window);
    pins[dataset] = version;
  }
  return { pins, origin: false, pinsTainted: predecessor.tainted === true && Object.keys(pins).length > 0 };
}

/**
 * Makes the caller's claim of an origin the only one of its chain: until the transaction of `database` ends, no other origin is
 * claimed. Throws `chain.gap` when there is one.
 */
export async function claimOrigin(chain: Chain, window: string, bootstrap: boolean): Promise<void> {
  const { database, plan, branch } = chain;
  await database.query('select pg_advisory_xact_lock($1, hashtext($2))', [ORIGIN_LOCK, `${plan.pipeline}/${branch}`]);
  if (bootstrap) await requireNoneLater(chain, window);
  else await requireOrigin(chain, window);
}

/** An origin that is not accepted yet would begin from nothing beside the state that a bootstrap of an earlier window computes. */
async function requireNoneLater({ database, plan, branch }: Chain, window: string): Promise<void> {
  const later = (await originClaims(database, plan.pipeline, branch)).find(
    ({ run, state }) => run.window > window && state !== 'succeeded',
  );
  if (later === undefined) return;
  const name = formatRun(later.run);
  throw new AlmanacError(
    'chain.gap',
    `${plan.pipeline}/${window} cannot be bootstrapped while the run of ${later.run.window}, which is ${later.state}, is the origin of the chain`,
    {
      next: `almanac ${later.state === 'held' ? 'abandon' : 'cancel'} ${name} --reason …, then the same command`,
      details: { origin: later.run.window, state: later.state },
    },
  );
}

/** Two origins would lose the earlier one's state to every later window: whichever was first, claimed or accepted, stays the only one. */
async function requireOrigin({ database, datasets, plan, branch }: Chain, window: string): Promise<void> {
  const own = await datasets.accepted(plan.pipeline, branch, window);
  if (own?.bootstrap === true) throw bootstrapped(plan, window);
  if (own?.origin === true) return;
  const accepted = await datasets.acceptedWindows(plan.pipeline, branch);
  if (accepted.length > 0) throw chainGap(plan, window, accepted);
  const origin = (await originClaims(database, plan.pipeline, branch)).find((row) => row.run.window !== window);
  if (origin !== undefined) throw originTaken(plan, window, origin);
}

function bootstrapped(plan: Plan, window: string): AlmanacError {
  const name = `${plan.pipeline}/${window}`;
  return new AlmanacError('chain.gap', `${name} was bootstrapped, and there is no accepted set of the window before it to go on from`, {
    next: `almanac run ${plan.pipeline} --window ${window} --again --bootstrap`,
  });
}

function chainGap(plan: Plan, window: string, accepted: readonly string[]): AlmanacError {
  const before = previousKey(plan.window, window);
  const last = accepted.filter((key) => key < window).at(-1);
  const fill = last === undefined ? undefined : nextKey(plan.window, last);
  const message =
    last === undefined
      ? `${plan.pipeline}/${window} lies before the chain's origin ${accepted[0] ?? ''}`
      : `${plan.pipeline}/${window} needs the accepted set of ${before}; the chain reaches ${last}`;
  return new AlmanacError('chain.gap', message, {
    next:
      fill === undefined || fill === window
        ? `almanac run ${plan.pipeline} --window ${window} --bootstrap`
        : `almanac run ${plan.pipeline} --window ${fill} --wait`,
    details: { needs: before, reaches: last ?? null },
  });
}

/** The chain begins with a run that has nothing accepted yet. */
function originTaken(plan: Plan, window: string, { run, state }: RunRow): AlmanacError {
  const name = formatRun(run);
  const later = window > run.window;
  const goOn =
    state === 'held' || state === 'lost'
      ? `almanac retry ${name} --reason …`
      : `almanac run ${plan.pipeline} --window ${run.window} --wait`;
  const giveUp = `almanac ${state === 'held' ? 'abandon' : 'cancel'} ${name} --reason …`;
  return new AlmanacError(
    'chain.gap',
    `${plan.pipeline}/${window} ${later ? 'needs what comes before it' : 'lies before the origin of its chain'}; the chain begins at ${run.window}, whose run is ${state}`,
    {
      next: later
        ? `${goOn}; once ${run.window} is accepted the windows after it follow`
        : `${giveUp} gives that origin up; then almanac run ${plan.pipeline} --window ${window}`,
      details: { needs: previousKey(plan.window, window), origin: run.window, state },
    },
  );
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
