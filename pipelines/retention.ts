/**
 * What may be removed from the object store. Pure: the state of the store goes in, a list with reasons comes out. What
 * is listed is only a candidate: a collection removes it when a later look finds it still listed.
 */
import type { RunRef, VersionRef } from './types';
import { dateOf } from './window-grid';

/** Newest accepted windows of a chain whose state is kept. */
const KEPT_WINDOWS = 35;

export type VersionName = Pick<VersionRef, 'dataset' | 'window' | 'version'>;

export interface StoredVersion extends VersionName {
  /** Paths of its data and quarantine files. */
  readonly files: readonly string[];
  readonly run: RunRef;
  readonly writtenAt: Date;
  /** The version that a gate put rows of aside to make this one: it is judged again after a mend, and stays as long. */
  readonly from?: VersionName;
}

/** The current accepted set of a window. */
export interface CurrentSet {
  readonly pipeline: string;
  readonly branch: string;
  readonly window: string;
  readonly versions: readonly VersionName[];
}

export interface StoredObject {
  readonly path: string;
  readonly window?: string;
  readonly modifiedAt: Date;
}

export interface StoreState {
  readonly versions: readonly StoredVersion[];
  readonly current: readonly CurrentSet[];
  /** Versions something open or live names: pins and outputs of open runs, publications. */
  readonly named: readonly VersionName[];
  /** Runs that have not ended; everything they wrote stays, and files in their windows too. */
  readonly openRuns: readonly RunRef[];
  /** Files under data, quarantine and scratch. */
  readonly objects: readonly StoredObject[];
  /** Datasets carried from window to window. */
  readonly states: ReadonlySet<string>;
}

export interface CollectionAges {
  readonly now: Date;
  /** Milliseconds an unaccepted version stays: for a retry, or a look at what a gate refused. */
  readonly candidates: number;
  /** Milliseconds a file without a manifest stays; longer than the longest stage runs. */
  readonly litter: number;
  /** The same for scratch files, which tell of no window, so an open run's cannot be told from others. */
  readonly scratch: number;
}

export interface CollectableVersion {
  readonly version: StoredVersion;
  readonly reason: 'retention' | 'unaccepted';
}

export interface Collectable {
  readonly versions: readonly CollectableVersion[];
  readonly litter: readonly string[];
}

export function collectable(store: StoreState, ages: CollectionAges): Collectable {
  const kept = keptVersions(store);
  const acceptedAnywhere = new Set(store.current.flatMap(({ versions }) => versions.map(nameOf)));
  const open = new Set(store.openRuns.map(runOf));
  const openWindows = new Set(store.openRuns.map(({ window }) => window));
  const versions: CollectableVersion[] = [];
  for (const version of store.versions) {
    if (kept.has(nameOf(version)) || open.has(runOf(version.run))) continue;
    if (acceptedAnywhere.has(nameOf(version))) versions.push({ version, reason: 'retention' });
    else if (older(version.writtenAt, ages.now, ages.candidates)) versions.push({ version, reason: 'unaccepted' });
  }
  // A version's files go with it, never as litter: an unreadable half of it would remain if the collection is killed.
  const owned = new Set(store.versions.flatMap(({ files }) => files));
  const litter = store.objects.filter(
    ({ path, window, modifiedAt }) =>
      !owned.has(path) &&
      !(window !== undefined && openWindows.has(window)) &&
      older(modifiedAt, ages.now, window === undefined ? ages.scratch : ages.litter),
  );
  return { versions, litter: litter.map(({ path }) => path) };
}

/** Windows of a chain whose state is kept: the newest, and the first accepted one of every month to start a rebuild from. */
export function keptWindows(accepted: readonly string[], count = KEPT_WINDOWS): Set<string> {
  const ascending = [...accepted].sort();
  const kept = new Set(count > 0 ? ascending.slice(-count) : []);
  const months = new Set<string>();
  for (const window of ascending) {
    const month = dateOf(window).slice(0, 'YYYY-MM'.length);
    if (!months.has(month)) kept.add(window);
    months.add(month);
  }
  return kept;
}

function keptVersions(store: StoreState): Set<string> {
  const kept = new Set(store.named.map(nameOf));
  const chains = new Map<string, string[]>();
  for (const { pipeline, branch, window } of store.current) {
    const chain = `${pipeline}~${branch}`;
    chains.set(chain, [...(chains.get(chain) ?? []), window]);
  }
  const windows = new Map([...chains].map(([chain, accepted]) => [chain, keptWindows(accepted)]));
  for (const { pipeline, branch, window, versions } of store.current) {
    const whole = windows.get(`${pipeline}~${branch}`)?.has(window) === true;
    for (const version of versions) if (whole || !store.states.has(version.dataset)) kept.add(nameOf(version));
  }
  for (const version of store.versions) if (version.from !== undefined && kept.has(nameOf(version))) kept.add(nameOf(version.from));
  return kept;
}

function older(instant: Date, now: Date, age: number): boolean {
  return now.getTime() - instant.getTime() > age;
}

function nameOf({ dataset, window, version }: VersionName): string {
  return `${dataset}@${window}#${version}`;
}

function runOf({ pipeline, window, branch, generation }: RunRef): string {
  return `${pipeline}/${window}~${branch}#${generation}`;
}
