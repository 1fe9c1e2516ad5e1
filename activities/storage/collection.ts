import type pg from 'pg';
import type { Clock } from '../../lib/clock';
import {
  collectable,
  type CurrentSet,
  type StoredObject,
  type StoredVersion,
  type StoreState,
  type VersionName,
} from '../../pipelines/retention';
import { standsOn } from '../../pipelines/chain-head';
import { RUN_STATES, type RunState } from '../../pipelines/status';
import type { RunRef } from '../../pipelines/types';
import { forgetVersions } from './catalog';
import { allHeads } from './chain-heads';
import type { AcceptedSet, Manifest } from './manifest';
import type { ObjectStore } from './object-store';
import {
  ACCEPTED,
  DATASETS,
  manifestOfExport,
  manifestPath,
  parseAcceptedPath,
  parseManifestPath,
  QUARANTINE,
  SCRATCH,
} from './store-paths';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
/** However little age is asked for: a writer names its file and puts its manifest within this. */
const YOUNGEST_LITTER = 10 * 60_000;

export interface CollectionServices {
  readonly store: ObjectStore;
  readonly database: pg.Pool;
  readonly clock: Clock;
}

/** Milliseconds, each overridable by tests and operators. */
export interface CollectionOptions {
  /** How long an unaccepted version stays. Default 7 days. */
  readonly candidates?: number;
  /** How long a file without a manifest stays, but 10 minutes at least. While a run is open, scratch stays a day at least. Default 1 day. */
  readonly litter?: number;
  /** How long something must have been found unused before it is deleted. Default 1 hour. */
  readonly wait?: number;
  /** Says what would be done. */
  readonly dryRun?: boolean;
}

export interface CollectionReport {
  /** Deleted by this call: found unused now and by a call at least the wait ago. */
  readonly deleted: readonly CollectedItem[];
  /** Found unused, not deleted yet. */
  readonly marked: readonly CollectedItem[];
  readonly deletedBytes: number;
}

export interface CollectedItem {
  /** `DATASET@WINDOW#VERSION`, or a path in the store. */
  readonly what: string;
  readonly reason: 'retention' | 'unaccepted' | 'litter';
}

interface Candidate extends CollectedItem {
  /** What is marked: the manifest of a version, or the file itself. */
  readonly path: string;
  /** In the order they are deleted, so that a killed collection leaves litter, never a manifest without its files. */
  readonly paths: readonly string[];
  readonly version?: VersionName;
}

/**
 * Removes what nobody can need: versions of the datasets `states` beyond retention, versions that were never accepted,
 * litter of killed writers. In two phases, so that a run opening meanwhile is seen: one call marks, a later one deletes
 * what is still unused.
 */
export async function collectStore(
  services: CollectionServices,
  states: ReadonlySet<string>,
  options: CollectionOptions = {},
): Promise<CollectionReport> {
  return collect(services, states, 'everything', options);
}

/**
 * Removes only what killed writers left: files without a manifest, and empty scratch folders an hour old. Needs to know no
 * pipeline, so any process may do it.
 */
export async function sweepLitter(services: CollectionServices, options: CollectionOptions = {}): Promise<CollectionReport> {
  const report = await collect(services, new Set(), 'litter', options);
  if (options.dryRun !== true) await services.store.removeEmptyScratch(new Date(services.clock.now().getTime() - HOUR));
  return report;
}

async function collect(
  services: CollectionServices,
  states: ReadonlySet<string>,
  scope: 'everything' | 'litter',
  options: CollectionOptions,
): Promise<CollectionReport> {
  const { candidates = 7 * DAY, litter = DAY, wait = HOUR, dryRun = false } = options;
  const { database, clock } = services;
  const now = clock.now();
  const { state, bytes } = await readStore(services, states);
  const found = candidatesOf(
    collectable(state, {
      now,
      candidates,
      litter: Math.max(litter, YOUNGEST_LITTER),
      scratch: state.openRuns.length > 0 ? Math.max(litter, DAY) : Math.max(litter, YOUNGEST_LITTER),
    }),
    scope,
  );
  const { rows } = await database.query<{ path: string; marked_at: Date }>('select path, marked_at from almanac.gc_mark');
  const marks = new Map(rows.map(({ path, marked_at }) => [path, marked_at.getTime()]));
  const due = found.filter(({ path }) => {
    const marked = marks.get(path);
    return marked !== undefined && now.getTime() - marked >= wait;
  });
  const waiting = found.filter((candidate) => !due.includes(candidate));
  if (!dryRun) {
    await deleteAll(services, due);
    // A sweep looked at files alone; what it did not look at keeps its mark.
    if (scope === 'everything')
      await database.query('delete from almanac.gc_mark where path <> all ($1::text[])', [waiting.map(({ path }) => path)]);
    await database.query('insert into almanac.gc_mark select path, $2 from unnest($1::text[]) as path on conflict do nothing', [
      waiting.map(({ path }) => path),
      now,
    ]);
  }
  const told = ({ what, reason }: Candidate): CollectedItem => ({ what, reason });
  const deletedBytes = due.flatMap(({ paths }) => paths).reduce((sum, path) => sum + (bytes.get(path) ?? 0), 0);
  return { deleted: due.map(told), marked: waiting.map(told), deletedBytes };
}

async function deleteAll({ database, store }: CollectionServices, due: readonly Candidate[]): Promise<void> {
  for (const { paths } of due) for (const path of paths) await store.delete(path);
  await forgetVersions(
    database,
    due.flatMap(({ version }) => (version ? [version] : [])),
  );
  await database.query('delete from almanac.gc_mark where path = any ($1::text[])', [due.map(({ path }) => path)]);
}

function candidatesOf({ versions, litter }: ReturnType<typeof collectable>, scope: 'everything' | 'litter'): Candidate[] {
  const files = litter.map((path): Candidate => ({ what: path, reason: 'litter', path, paths: [path] }));
  if (scope === 'litter') return files;
  const whole = versions.map(({ version, reason }): Candidate => {
    const path = manifestPath(version);
    return { what: `${version.dataset}@${version.window}#${version.version}`, reason, path, paths: [path, ...version.files], version };
  });
  return [...whole, ...files];
}

/** Objects are listed before manifests, and open runs are asked for last: what appears meanwhile is seen by the later look. */
async function readStore(
  { store, database }: CollectionServices,
  states: ReadonlySet<string>,
): Promise<{ state: StoreState; bytes: ReadonlyMap<string, number> }> {
  const objects: StoredObject[] = [];
  const bytes = new Map<string, number>();
  for (const prefix of [DATASETS, QUARANTINE, SCRATCH]) {
    for (const { path, modifiedAt, bytes: size } of await store.list(prefix)) {
      bytes.set(path, size);
      const window = prefix === SCRATCH ? undefined : path.split('/')[2];
      if (!parseManifestPath(path)) objects.push({ path, modifiedAt, ...(window === undefined ? {} : { window }) });
    }
  }
  const versions = await storedVersions(store);
  const current = await currentSets(store);
  const openRuns = await readOpenRuns(database);
  return { state: { objects, versions, current, states, openRuns, named: await namedVersions(database, openRuns) }, bytes };
}

async function storedVersions(store: ObjectStore): Promise<StoredVersion[]> {
  const versions: StoredVersion[] = [];
  const listed = await store.list(DATASETS);
  const exports = new Map<string, string[]>();
  for (const { path } of listed) {
    const manifest = manifestOfExport(path);
    if (manifest !== undefined) exports.set(manifest, [...(exports.get(manifest) ?? []), path]);
  }
  for (const { path } of listed) {
    const body = parseManifestPath(path) && (await store.get(path));
    if (!body) continue;
    const { dataset, window, version, files, quarantine, provenance, writtenAt } = JSON.parse(body.toString('utf8')) as Manifest;
    const paths = [...[...files, ...(quarantine?.files ?? [])].map((file) => file.path), ...(exports.get(path) ?? [])];
    const { from } = provenance.cleaned ?? {};
    versions.push({
      ...{ dataset, window, version, files: paths, run: provenance.run, writtenAt: new Date(writtenAt) },
      ...(from === undefined ? {} : { from }),
    });
  }
  return versions;
}

/** Those of a branch that was discarded, and of `main` where a branch was promoted, are current no more. */
async function currentSets(store: ObjectStore): Promise<CurrentSet[]> {
  const heads = await allHeads(store);
  const newest = new Map<string, { path: string; sequence: number; branch: string }>();
  for (const { path } of await store.list(ACCEPTED)) {
    const entry = parseAcceptedPath(path);
    if (!entry) continue;
    const head = heads.get(entry.pipeline);
    const branch = head === undefined ? entry.branch : standsOn(head, entry.branch, entry.window);
    if (branch === undefined) continue;
    const name = `${entry.pipeline}/${entry.branch}/${entry.window}`;
    if (entry.sequence > (newest.get(name)?.sequence ?? 0)) newest.set(name, { path, sequence: entry.sequence, branch });
  }
  const sets: CurrentSet[] = [];
  for (const { path, branch } of newest.values()) {
    const body = await store.get(path);
    const set = body && (JSON.parse(body.toString('utf8')) as AcceptedSet);
    if (set && !set.nothing) sets.push({ ...set, branch });
  }
  return sets;
}

async function readOpenRuns(database: pg.Pool): Promise<RunRef[]> {
  const open = (Object.keys(RUN_STATES) as RunState[]).filter((state) => RUN_STATES[state].open);
  const { rows } = await database.query<RunRef>(
    'select pipeline, window_key as "window", branch, generation from almanac.run where state = any ($1::text[])',
    [open],
  );
  return rows;
}

/** What open runs pinned, sensed and carried over, and what publications that can be live again were made from. */
async function namedVersions(database: pg.Pool, openRuns: readonly RunRef[]): Promise<VersionName[]> {
  const runs = [
    openRuns.map((run) => run.pipeline),
    openRuns.map((run) => run.window),
    openRuns.map((run) => run.branch),
    openRuns.map((run) => run.generation),
  ];
  const open = '(pipeline, window_key, branch, generation) in (select * from unnest($1::text[], $2::text[], $3::text[], $4::int[]))';
  const { rows } = await database.query<{ version: VersionName }>(
    `select pin.value as version from almanac.run, jsonb_each(pins) as pin where ${open}
     union all
     select version from almanac.attempt, jsonb_array_elements(output -> 'versions') as version where ${open}
     union all
     select version from almanac.attempt, jsonb_array_elements(output -> 'sensed') as found, jsonb_array_elements(found -> 'versions') as version where ${open}
     union all
     select version.value from almanac.publication, jsonb_each(versions) as version where state not in ('collected', 'failed', 'superseded')`,
    runs,
  );
  return rows.map(({ version }) => version);
}
