import { existsSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { createDatasetStore } from '../../activities/storage/datasets';
import { createLocalStore } from '../../activities/storage/local-store';
import type { VersionRef } from '../../pipelines/types';
import { systemClock } from '../../lib/clock';
import { sweepLitter } from '../../activities/storage/collection';
import { isRunning } from '../../operator/stack/process-identity';
import { PIPELINE, type ChaosStack } from './chaos-stack';

export const LIVE_TABLES = {
  audience_index: 'pixel_id, segment_id',
  audience_segments: 'segment_id',
  audience_pixels: 'pixel_id',
} as const;
export type LiveTableName = keyof typeof LIVE_TABLES;

/** What must be the same whatever was killed: every version of every day by name and digest, and what readers see at the end. */
export interface Outcome {
  readonly accepted: Readonly<Record<string, readonly VersionRef[]>>;
  readonly live: Readonly<Record<LiveTableName, readonly Record<string, unknown>[]>>;
}

export async function outcomeOf(chaos: ChaosStack, windows: readonly string[]): Promise<Outcome> {
  const datasets = createDatasetStore(createLocalStore(chaos.stack.data), systemClock);
  const database = await chaos.stack.database();
  const accepted: Record<string, VersionRef[]> = {};
  for (const window of windows) {
    const set = await datasets.accepted(PIPELINE, 'main', window);
    accepted[window] = [...(set?.versions ?? [])].sort((a, b) => (a.dataset < b.dataset ? -1 : 1));
  }
  const live: Partial<Record<LiveTableName, Record<string, unknown>[]>> = {};
  for (const [table, key] of Object.entries(LIVE_TABLES) as [LiveTableName, string][]) {
    live[table] = (await database.query<Record<string, unknown>>(`select * from ${table} order by ${key}`)).rows;
  }
  return { accepted, live: live as Outcome['live'] };
}

/** Whatever is not as it should be once all windows are done, as lines for a person; collects litter first. */
export async function complaints(chaos: ChaosStack, windows: readonly string[]): Promise<string[]> {
  return [
    ...(await ledgerComplaints(chaos, windows)),
    ...(await storeComplaints(chaos, windows)),
    ...(await partitionComplaints(chaos)),
    ...processComplaints(chaos),
  ];
}

async function ledgerComplaints(chaos: ChaosStack, windows: readonly string[]): Promise<string[]> {
  const database = await chaos.stack.database();
  const found: string[] = [];
  const runs = await database.query<{ window_key: string; generation: number; state: string }>(
    'select window_key, generation, state from almanac.run order by 1, 2',
  );
  const expected = windows.map((window) => `${window} generation 1 succeeded`);
  const actual = runs.rows.map((run) => `${run.window_key} generation ${run.generation} ${run.state}`);
  if (actual.join() !== expected.join()) found.push(`runs are ${actual.join(', ')}`);
  const open = await database.query<{ window_key: string; stage: string; attempt: number }>(
    "select window_key, stage, attempt from almanac.attempt where state = 'running'",
  );
  found.push(...open.rows.map((row) => `attempt ${row.attempt} of ${row.window_key} ${row.stage} still counts as running`));
  const failed = await database.query<{ window_key: string; stage: string; failure: { code: string; class: string; message: string } }>(
    "select window_key, stage, failure from almanac.attempt where failure is not null and failure ->> 'class' <> 'platform'",
  );
  found.push(
    ...failed.rows.map(
      ({ window_key, stage, failure }) => `${window_key} ${stage} failed with ${failure.code} (${failure.class}): ${failure.message}`,
    ),
  );
  const internal = await database.query<{ window_key: string; stage: string; message: string }>(
    "select window_key, stage, failure ->> 'message' as message from almanac.attempt where failure ->> 'code' = 'internal'",
  );
  found.push(
    ...internal.rows.map(({ window_key, stage, message }) => `${window_key} ${stage} failed for a reason without a code: ${message}`),
  );
  return found;
}

async function storeComplaints(chaos: ChaosStack, windows: readonly string[]): Promise<string[]> {
  const { data } = chaos.stack;
  const store = createLocalStore(data);
  const datasets = createDatasetStore(store, systemClock);
  const services = { store, datasets, clock: systemClock, database: await chaos.stack.database() };
  const found: string[] = [];
  // Nothing runs any more: hours later the first call marks, the second deletes.
  const later = { ...services, clock: { now: () => new Date(Date.now() + 2 * 3_600_000) } };
  await sweepLitter(later, { litter: 0, wait: 0 });
  const { marked } = await sweepLitter(later, { litter: 0, wait: 0 });
  found.push(...marked.map(({ what }) => `${what} is litter that a collection leaves`));
  found.push(...filesBelow(path.join(data, 'scratch')).map((file) => `${file} is left in scratch`));
  const named = new Set<string>();
  for (const window of windows) {
    const folder = `accepted/${PIPELINE}/main/${window}/`;
    const entries = (await store.list(folder)).length;
    if (entries !== 1) found.push(`${window} has ${entries} accepted sets`);
    for (const version of (await datasets.accepted(PIPELINE, 'main', window))?.versions ?? []) {
      const manifest = await datasets.manifest(version);
      for (const { path: file, bytes } of [...manifest.files, ...(manifest.quarantine?.files ?? [])]) {
        named.add(file);
        const there = existsSync(path.join(data, file)) ? statSync(path.join(data, file)).size : undefined;
        if (there !== bytes) found.push(`${file} has ${there ?? 'no'} bytes, its manifest says ${bytes}`);
      }
    }
  }
  for (const prefix of ['datasets', 'quarantine']) {
    for (const { path: file } of await store.list(prefix)) {
      if (file.endsWith('.parquet') && !named.has(file)) found.push(`${file} belongs to no accepted version`);
    }
  }
  return found;
}

/** Partitions are those of publications that may be read, and of no other. */
async function partitionComplaints(chaos: ChaosStack): Promise<string[]> {
  const database = await chaos.stack.database();
  const { rows } = await database.query<{ id: number; state: string }>(
    "select id, state from almanac.publication where state in ('loading', 'loaded', 'attached', 'live', 'retired', 'withdrawn') order by id",
  );
  const unfinished = rows
    .filter(({ state }) => state !== 'live' && state !== 'retired')
    .map(({ id, state }) => `publication ${id} is ${state}`);
  const expected = rows.flatMap(({ id }) => Object.keys(LIVE_TABLES).map((table) => `${table}_p${id}`)).sort();
  const partitions = await database.query<{ name: string }>(
    "select relname as name from pg_class where relnamespace = 'almanac_live'::regnamespace and relkind = 'r'",
  );
  const actual = partitions.rows.map(({ name }) => name).sort();
  const missing = expected.filter((name) => !actual.includes(name)).map((name) => `${name} is missing`);
  return [
    ...unfinished,
    ...missing,
    ...actual.filter((name) => !expected.includes(name)).map((name) => `${name} belongs to no publication that is kept`),
  ];
}

function processComplaints(chaos: ChaosStack): string[] {
  const stopped = chaos.processes().filter(({ state, identity }) => state !== 'running' || identity === undefined || !isRunning(identity));
  const living = new Set(chaos.processes().map(({ identity }) => String(identity?.pid)));
  // duckdb-PID-START-…: one for the children of live stages, one for those of backfills.
  const spills = readdirSync(path.join(chaos.stack.home, 'spill')).filter((name) => !living.has(name.split('-')[1] ?? ''));
  return [
    ...stopped.map(({ name, state }) => `${name} is ${state}`),
    ...(spills.length > 0 ? [`spill directories of dead workers are left: ${spills.join(', ')}`] : []),
    ...filesBelow(path.join(chaos.stack.home, 'spill')).map((file) => `${file} was spilled by a session that has ended`),
  ];
}

function filesBelow(directory: string): string[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { recursive: true, withFileTypes: true }).flatMap((entry) =>
    entry.isFile() ? [path.join(entry.parentPath, entry.name)] : [],
  );
}
