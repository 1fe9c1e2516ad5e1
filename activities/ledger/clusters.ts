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
  const { rows } = await database.query<RawCluster>(
    'select * from almanac.emr_cluster where (pipeline, window_key, branch, generation) = ($1, $2, $3, $4) and ended_at is null order by number desc limit 1',
    runKey(run),
  );
  if (rows[0] !== undefined) return readCluster(rows[0]);
  const prefix = `${ledgerPrefix(await ledgerId(database))}${formatRun(run)} g${run.generation} c`;
  const { rows: opened } = await database.query<RawCluster>(
    `insert into almanac.emr_cluster (pipeline, window_key, branch, generation, number, name, intent_at)
     select $1, $2, $3, $4, n, $5 || n, $6 from (
       select coalesce(max(number), 0) + 1 as n from almanac.emr_cluster where (pipeline, window_key, branch, generation) = ($1, $2, $3, $4)) next
     where exists (select from almanac.run where (pipeline, window_key, branch, generation) = ($1, $2, $3, $4) and ended_at is null)
     returning *`,
    [...runKey(run), prefix, now],
  );
  return opened[0] && readCluster(opened[0]);
}

/** False when it is over, or its run is. */
export async function changeCluster(
  database: Queryable,
  { run, number }: ClusterRow,
  change: { readonly sentAt?: Date | null; readonly cluster?: string },
): Promise<boolean> {
  const { rowCount } = await database.query(
    `update almanac.emr_cluster set sent_at = case when $6 then $7::timestamptz else sent_at end, cluster_id = coalesce($8, cluster_id)
     where (pipeline, window_key, branch, generation, number) = ($1, $2, $3, $4, $5) and ended_at is null
       and exists (select from almanac.run where (pipeline, window_key, branch, generation) = ($1, $2, $3, $4) and ended_at is null)`,
    [...runKey(run), number, change.sentAt !== undefined, change.sentAt ?? null, change.cluster ?? null],
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

/** Of clusters by name: whose they are, as far as somebody wants them. `cluster` is null while only their name is on record. */
export async function wantedClusters(database: Queryable): Promise<ReadonlyMap<string, string | null>> {
  const { rows } = await database.query<{ name: string; cluster_id: string | null }>(
    `select c.name, c.cluster_id from almanac.emr_cluster c join almanac.run r using (pipeline, window_key, branch, generation)
     where c.ended_at is null and (r.ended_at is null or exists (
       select from almanac.effect e where e.cluster_id = c.cluster_id and e.ended_at is null))`,
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
