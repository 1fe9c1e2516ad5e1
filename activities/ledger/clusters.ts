import type { Queryable } from '../../lib/postgres';
import type { ClusterFacts } from '../../pipelines/cluster-effect';
import { ledgerPrefix } from '../../pipelines/effect';
import { formatRun } from '../../pipelines/run-id';
import type { RunRef } from '../../pipelines/types';
import { ledgerId } from './effects';
import { runKey } from './runs';

/** A cluster that a run made for itself, or is about to. */
export interface ClusterRow extends ClusterFacts {
  readonly run: RunRef;
  readonly number: number;
  readonly name: string;
  readonly intentAt: Date;
}

interface RawCluster {
  pipeline: string;
  window_key: string;
  branch: string;
  generation: number;
  number: number;
  name: string;
  cluster_id: string | null;
  intent_at: Date;
  sent_at: Date | null;
}

/** The cluster of a run that is not over, or the intent to make the next one; undefined when the run is over. */
export async function openCluster(database: Queryable, run: RunRef, now: Date): Promise<ClusterRow | undefined> {
  const open = await readOpen(database, run);
  if (open !== undefined) return open;
  const prefix = `${ledgerPrefix(await ledgerId(database))}${formatRun(run)} g${run.generation} c`;
  const { rows } = await database.query<RawCluster>(
    `insert into almanac.emr_cluster (pipeline, window_key, branch, generation, number, name, intent_at)
     select $1, $2, $3, $4, n, $5 || n, $6 from (
       select coalesce(max(number), 0) + 1 as n from almanac.emr_cluster where (pipeline, window_key, branch, generation) = ($1, $2, $3, $4)) next
     where exists (select from almanac.run where (pipeline, window_key, branch, generation) = ($1, $2, $3, $4) and ended_at is null)
       and not exists (select from almanac.emr_cluster where (pipeline, window_key, branch, generation) = ($1, $2, $3, $4) and ended_at is null)
     on conflict do nothing returning *`,
    [...runKey(run), prefix, now],
  );
  // Without a row the run is over, or another stage of it was first: who did not see that one's row means the same number.
  return rows[0] === undefined ? readOpen(database, run) : readCluster(rows[0]);
}

async function readOpen(database: Queryable, run: RunRef): Promise<ClusterRow | undefined> {
  const { rows } = await database.query<RawCluster>(
    `select c.* from almanac.emr_cluster c join almanac.run r using (pipeline, window_key, branch, generation)
     where (pipeline, window_key, branch, generation) = ($1, $2, $3, $4) and c.ended_at is null and r.ended_at is null order by number desc limit 1`,
    runKey(run),
  );
  return rows[0] && readCluster(rows[0]);
}

/** The row $5 of a run is open, and so is the run. */
const OPEN = `(pipeline, window_key, branch, generation, number) = ($1, $2, $3, $4, $5) and ended_at is null
  and exists (select from almanac.run where (pipeline, window_key, branch, generation) = ($1, $2, $3, $4) and ended_at is null)`;

/** Whoever may send a request for the cluster: of those who read the same row one. */
export async function claimSending(database: Queryable, { run, number, sentAt }: ClusterRow, now: Date): Promise<boolean> {
  const { rowCount } = await database.query(
    `update almanac.emr_cluster set sent_at = $7 where ${OPEN} and cluster_id is null and sent_at is not distinct from $6`,
    [...runKey(run), number, sentAt, now],
  );
  return rowCount === 1;
}

/** Takes back a claim whose request surely made nothing. */
export async function withdrawSending(database: Queryable, { run, number }: ClusterRow, sentAt: Date): Promise<void> {
  await database.query(`update almanac.emr_cluster set sent_at = null where ${OPEN} and cluster_id is null and sent_at = $6`, [
    ...runKey(run),
    number,
    sentAt,
  ]);
}

/** Notes which cluster it is; false when it is another one already, it is over, or its run is. */
export async function noteCluster(database: Queryable, { run, number }: ClusterRow, cluster: string): Promise<boolean> {
  const { rowCount } = await database.query(
    `update almanac.emr_cluster set cluster_id = $6 where ${OPEN} and coalesce(cluster_id, $6) = $6`,
    [...runKey(run), number, cluster],
  );
  return rowCount === 1;
}

/** Notes that a cluster is over, whoever made it. */
export async function endCluster(database: Queryable, cluster: string, reason: string | undefined, now: Date): Promise<void> {
  await database.query('update almanac.emr_cluster set ended_at = $2, reason = $3 where cluster_id = $1 and ended_at is null', [
    cluster,
    now,
    reason ?? null,
  ]);
}

/** Notes that an intent came to a cluster that is over. */
export async function endIntent(database: Queryable, { run, number }: ClusterRow, cluster: string, now: Date): Promise<void> {
  await database.query(
    `update almanac.emr_cluster set cluster_id = coalesce(cluster_id, $6), ended_at = $7
     where (pipeline, window_key, branch, generation, number) = ($1, $2, $3, $4, $5) and ended_at is null`,
    [...runKey(run), number, cluster, now],
  );
}

/** The run of a row c is open, or a round on its cluster is. */
const WANTED = `exists (select from almanac.run r
  where (r.pipeline, r.window_key, r.branch, r.generation) = (c.pipeline, c.window_key, c.branch, c.generation)
    and (r.ended_at is null or exists (select from almanac.effect e where e.cluster_id = c.cluster_id and e.ended_at is null)))`;

/** Notes as over what nobody wants and is none of the clusters that go on: it ended by itself, or never came to be. */
export async function endUnwantedClusters(database: Queryable, alive: readonly string[], now: Date): Promise<void> {
  await database.query(
    `update almanac.emr_cluster c set ended_at = $2, reason = 'its run is over'
     where ended_at is null and (cluster_id is null or cluster_id <> all($1)) and not ${WANTED}`,
    [alive, now],
  );
}

/** Of clusters by name: whose they are, as far as somebody wants them. `cluster` is null while only their name is on record. */
export async function wantedClusters(database: Queryable): Promise<ReadonlyMap<string, string | null>> {
  const { rows } = await database.query<{ name: string; cluster_id: string | null }>(
    `select c.name, c.cluster_id from almanac.emr_cluster c where c.ended_at is null and ${WANTED}`,
  );
  return new Map(rows.map(({ name, cluster_id }) => [name, cluster_id]));
}

function readCluster(row: RawCluster): ClusterRow {
  return {
    run: { pipeline: row.pipeline, window: row.window_key, branch: row.branch, generation: row.generation },
    number: row.number,
    name: row.name,
    cluster: row.cluster_id,
    intentAt: row.intent_at,
    sentAt: row.sent_at,
  };
}
