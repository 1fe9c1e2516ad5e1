import type pg from 'pg';
import { transaction, type Queryable } from '../../lib/postgres';
import type { AcceptedSet, Manifest } from './manifest';
import { standsOn, type ChainHead } from '../../pipelines/chain-head';
import { allHeads } from './chain-heads';
import type { ObjectStore } from './object-store';
import { listReplays, type Replay } from './replays';
import { ACCEPTED, acceptedPath, DATASETS, parseAcceptedPath, parseManifestPath, parseReplayPath, REPLAYS } from './store-paths';

/** Guards rebuilds against each other; spells "cata". */
const REINDEX_LOCK = 0x63617461;

/** Notes a committed version in the catalog. The store is the truth: may run twice, late, or be lost until a reindex. */
export async function recordVersion(database: Queryable, manifest: Manifest): Promise<void> {
  const { dataset, window, version, provenance } = manifest;
  const { inputs } = provenance;
  const reasons = Object.entries(manifest.quarantine?.rows ?? {});
  // One statement, so that a version is noted wholly and costs one round trip.
  await database.query(
    `with noted as (
       insert into almanac.dataset_version (dataset, window_key, version, digest, pipeline, branch, generation, stage, stage_hash, rows, bytes, files, rows_in, bootstrap, written_at)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) on conflict do nothing),
     inputs as (
       insert into almanac.version_input (dataset, window_key, version, input_dataset, input_window, input_version, input_digest)
       select $1, $2, $3, * from unnest($16::text[], $17::text[], $18::text[], $22::text[]) on conflict do nothing),
     reasons as (
       insert into almanac.quarantine select $1, $2, $3, * from unnest($19::text[], $20::bigint[]) on conflict do nothing)
     insert into almanac.version_source select $1, $2, $3, * from unnest($21::text[]) on conflict do nothing`,
    [
      dataset,
      window,
      version,
      manifest.digest,
      provenance.run.pipeline,
      provenance.run.branch,
      provenance.run.generation,
      provenance.stage,
      provenance.stageHash,
      manifest.rows,
      manifest.bytes,
      manifest.files.length,
      manifest.rowsIn,
      provenance.bootstrap === true,
      manifest.writtenAt,
      inputs.map((input) => input.dataset),
      inputs.map((input) => input.window),
      inputs.map((input) => input.version),
      reasons.map(([reason]) => reason),
      reasons.map(([, rows]) => rows),
      sourcesOf(manifest),
      inputs.map((input) => input.digest),
    ],
  );
}

/** Datasets of the accepted sets of `main` that the catalog knows, by window. */
export async function acceptedDatasets(
  database: Queryable,
  pipeline: string,
  windows: readonly string[],
): Promise<ReadonlyMap<string, readonly string[]>> {
  const { rows } = await database.query<{ window: string; datasets: string[] }>(
    `select s.window_key as "window", array(
       select a.dataset from almanac.accepted_version a where (a.pipeline, a.branch, a.window_key) = (s.pipeline, s.branch, s.window_key)) as datasets
     from almanac.accepted_set s where s.pipeline = $1 and s.branch = 'main' and s.window_key = any ($2::text[])`,
    [pipeline, windows],
  );
  return new Map(rows.map(({ window, datasets }) => [window, datasets]));
}

/** Digests of what windows of `main` accept of these datasets, by `DATASET@WINDOW`. */
export async function acceptedDigests(
  database: Queryable,
  datasets: readonly string[],
  windows: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const { rows } = await database.query<{ place: string; digest: string }>(
    `select a.dataset || '@' || a.window_key as place, v.digest
     from almanac.accepted_version a join almanac.dataset_version v on v.dataset = a.dataset and v.window_key = a.version_window and v.version = a.version
     where a.branch = 'main' and a.dataset = any ($1::text[]) and a.window_key = any ($2::text[])`,
    [datasets, windows],
  );
  return new Map(rows.map(({ place, digest }) => [place, digest]));
}

/** Notes what is current in a window; an older set than the one noted changes nothing. */
export async function recordAccepted(database: Queryable, set: AcceptedSet): Promise<void> {
  if (set.nothing) return;
  // One statement, so that a set is noted wholly and costs one round trip. Counting what is gone makes the delete come first.
  await database.query({
    name: 'record-accepted',
    text: `with known as (
        select sequence, same_rows, tainted from almanac.accepted_set where pipeline = $1 and branch = $2 and window_key = $3
      ), noted as (
        insert into almanac.accepted_set as noted (pipeline, branch, window_key, sequence, since, generation, gates, bootstrap, origin, tainted, accepted_at, run_branch, same_rows)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $16, coalesce((
          select $4 = sequence + 1 and (sequence = 1 or same_rows) and not tainted and not exists (
            select from unnest($12::text[], $15::text[]) as made_current (dataset, digest)
            full join (select a.dataset, v.digest from almanac.accepted_version a
              left join almanac.dataset_version v on v.dataset = a.dataset and v.window_key = a.version_window and v.version = a.version
              where a.pipeline = $1 and a.branch = $2 and a.window_key = $3) was using (dataset)
            where made_current.digest is distinct from was.digest)
          from known), false))
        on conflict (pipeline, branch, window_key) do update set sequence = excluded.sequence, since = excluded.since, generation = excluded.generation,
          gates = excluded.gates, bootstrap = excluded.bootstrap, origin = excluded.origin, tainted = excluded.tainted, accepted_at = excluded.accepted_at,
          run_branch = excluded.run_branch, same_rows = excluded.same_rows
        where noted.sequence < excluded.sequence
        returning 1
      ), gone as (
        delete from almanac.accepted_version where pipeline = $1 and branch = $2 and window_key = $3 and exists (select from noted) returning 1
      )
      insert into almanac.accepted_version
      select $1, $2, $3, dataset, version_window, version
      from (select count(*) from gone) as g cross join unnest($12::text[], $13::text[], $14::text[]) as made_current (dataset, version_window, version)
      where exists (select from noted)`,
    values: [
      set.pipeline,
      set.branch,
      set.window,
      set.sequence,
      set.since,
      set.run.generation,
      JSON.stringify(set.gates),
      set.bootstrap === true,
      set.origin === true,
      set.tainted === true,
      set.at,
      set.versions.map((ref) => ref.dataset),
      set.versions.map((ref) => ref.window),
      set.versions.map((ref) => ref.version),
      set.versions.map((ref) => ref.digest),
      set.run.branch,
    ],
  });
}

/** Notes rows that were replayed; the store is the truth. */
export async function recordReplay(database: Queryable, replay: Replay): Promise<void> {
  await database.query('insert into almanac.replay values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) on conflict do nothing', [
    replay.dataset,
    replay.window,
    replay.number,
    replay.file.path,
    replay.file.rows,
    JSON.stringify(replay.reasons),
    replay.from.window,
    replay.from.version,
    replay.who,
    replay.reason ?? null,
    replay.at,
  ]);
}

/** Rebuilds the catalog from the store alone, in one transaction; readers see the old one until it ends. */
export async function reindex(store: ObjectStore, database: pg.Pool): Promise<{ versions: number; windows: number }> {
  return transaction(database, async (client) => {
    await client.query('select pg_advisory_xact_lock($1)', [REINDEX_LOCK]);
    // Concurrent notes wait, and then find what the rebuild saw or add to it.
    await client.query('lock table almanac.dataset_version, almanac.accepted_set in share row exclusive mode');
    await client.query('delete from almanac.accepted_set');
    await client.query('delete from almanac.version_input');
    await client.query('delete from almanac.dataset_version');
    let versions = 0;
    for (const { path } of await store.list(DATASETS)) {
      if (!parseManifestPath(path)) continue;
      const manifest = await readJson<Manifest>(store, path);
      if (!manifest) continue;
      await recordVersion(client, manifest);
      versions += 1;
    }
    await client.query('delete from almanac.replay');
    const replayed = new Set((await store.list(REPLAYS)).flatMap(({ path }) => parseReplayPath(path)?.dataset ?? []));
    for (const dataset of replayed) for (const replay of await listReplays(store, dataset)) await recordReplay(client, replay);
    const newest = new Map<string, { pipeline: string; branch: string; window: string; sequence: number }>();
    for (const { path } of await store.list(ACCEPTED)) {
      const entry = parseAcceptedPath(path);
      if (!entry) continue;
      const name = `${entry.pipeline}/${entry.branch}/${entry.window}`;
      if (entry.sequence > (newest.get(name)?.sequence ?? 0)) newest.set(name, entry);
    }
    let windows = 0;
    const heads: ReadonlyMap<string, ChainHead> = await allHeads(store);
    for (const { pipeline, branch: home, window, sequence } of newest.values()) {
      const head = heads.get(pipeline);
      const branch = head === undefined ? home : standsOn(head, home, window);
      const set = branch === undefined ? undefined : await readJson<AcceptedSet>(store, acceptedPath(pipeline, home, window, sequence));
      if (branch === undefined || !set || set.nothing) continue;
      await recordAccepted(client, { ...set, branch });
      windows += 1;
    }
    return { versions, windows };
  });
}

/** Removes versions that were collected; their inputs, sources and quarantine go with them. */
export async function forgetVersions(
  database: pg.Pool,
  versions: readonly Pick<Manifest, 'dataset' | 'window' | 'version'>[],
): Promise<void> {
  const names = [versions.map(({ dataset }) => dataset), versions.map(({ window }) => window), versions.map(({ version }) => version)];
  for (const table of ['version_input', 'dataset_version']) {
    await database.query(
      `delete from almanac.${table} where (dataset, window_key, version) in (select * from unnest($1::text[], $2::text[], $3::text[]))`,
      names,
    );
  }
}

async function readJson<T>(store: ObjectStore, path: string): Promise<T | undefined> {
  const body = await store.get(path);
  return body && (JSON.parse(body.toString('utf8')) as T);
}

/** `landing/SOURCE` or `reference/FILE` of what was read; a replay by its whole path, since it counts which of them were, also by a gate. */
function sourcesOf(manifest: Manifest): string[] {
  const sources = (manifest.provenance.landing ?? []).map(({ path }) =>
    path.startsWith(REPLAYS) ? path : path.split('/').slice(0, 2).join('/'),
  );
  return [...new Set([...sources, ...(manifest.provenance.cleaned?.replays ?? [])])];
}
