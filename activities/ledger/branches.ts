import type pg from 'pg';
import { transaction, type Queryable } from '../../lib/postgres';
import type { BranchState, ChainHead } from '../../pipelines/chain-head';
import { ATTEMPT_STATES, type AttemptState } from '../../pipelines/status';
import type { VersionRef } from '../../pipelines/types';

/** One ledger follows the heads of a chain at a time; spells "head". */
const FOLLOW_LOCK = 0x68656164;
const UNIQUE_VIOLATION = '23505';
/** Claims of the very generations that a promotion makes may come in between. */
const TRIES = 10;

const STANDING = (Object.keys(ATTEMPT_STATES) as AttemptState[]).filter((state) => ATTEMPT_STATES[state].stands);

interface Branch {
  readonly pipeline: string;
  readonly branch: string;
  readonly from: string;
  readonly head: number;
  readonly now: Date;
}

/**
 * Brings the ledger to where the head of a chain is: what became of its branches, and what that means for runs, sets, metrics and
 * backfills. Each branch in one transaction; doing it again, or late, changes nothing.
 */
export async function followHead(database: pg.Pool, head: ChainHead, now: Date): Promise<void> {
  if (head.number === 0) return;
  const known = await knownBranches(database, head.pipeline);
  const behind = Object.entries(head.branches)
    .filter(([name, { state }]) => known.get(name) !== state)
    .sort(([, a], [, b]) => a.at - b.at);
  for (const [branch, { from, state, at }] of behind)
    await follow(database, { pipeline: head.pipeline, branch, from, head: at, now }, state);
}

async function knownBranches(database: Queryable, pipeline: string): Promise<Map<string, BranchState>> {
  const { rows } = await database.query<{ branch: string; state: BranchState }>(
    'select branch, state from almanac.chain_branch where pipeline = $1',
    [pipeline],
  );
  return new Map(rows.map(({ branch, state }) => [branch, state]));
}

async function follow(database: pg.Pool, of: Branch, state: BranchState): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      await transaction(database, async (client) => {
        await client.query('select pg_advisory_xact_lock($1, hashtext($2))', [FOLLOW_LOCK, of.pipeline]);
        if ((await knownBranches(client, of.pipeline)).get(of.branch) === state) return;
        if (state === 'promoted') await promote(client, of);
        if (state === 'discarded') await discard(client, of);
        await client.query(
          `insert into almanac.chain_branch values ($1, $2, $3, $4, $5, $6)
           on conflict (pipeline, branch) do update set state = excluded.state, head = excluded.head, changed_at = excluded.changed_at`,
          [of.pipeline, of.branch, of.from, state, of.head, of.now],
        );
      });
      return;
    } catch (error) {
      if ((error as { code?: string }).code !== UNIQUE_VIOLATION || tries === TRIES) throw error;
    }
  }
}

/** What was of the branch is of `main` from now on. */
async function promote(client: pg.PoolClient, { pipeline, branch, from, head, now }: Branch): Promise<void> {
  const names = [pipeline, branch, from];
  // A catalog that was rebuilt since has them under `main` already.
  await client.query(
    `delete from almanac.accepted_set where pipeline = $1 and branch = 'main' and window_key collate "C" >= $3
       and exists (select from almanac.accepted_set where pipeline = $1 and branch = $2)`,
    names,
  );
  await client.query(
    `insert into almanac.accepted_set (pipeline, branch, window_key, sequence, since, generation, gates, bootstrap, origin, tainted, accepted_at, run_branch)
     select pipeline, 'main', window_key, sequence, since, generation, gates, bootstrap, origin, tainted, accepted_at, run_branch
     from almanac.accepted_set where pipeline = $1 and branch = $2`,
    [pipeline, branch],
  );
  await client.query(
    `insert into almanac.accepted_version (pipeline, branch, window_key, dataset, version_window, version)
     select pipeline, 'main', window_key, dataset, version_window, version from almanac.accepted_version where pipeline = $1 and branch = $2`,
    [pipeline, branch],
  );
  await client.query('delete from almanac.accepted_set where pipeline = $1 and branch = $2', [pipeline, branch]);
  await promoteRuns(client, { pipeline, branch, from, head, now });
  await client.query(
    `update almanac.check_metric m set accepted = exists (select from almanac.accepted_version a
       where (a.pipeline, a.branch, a.window_key, a.dataset, a.version) = (m.pipeline, m.branch, m.window_key, m.dataset, m.version))
     where pipeline = $1 and branch = 'main' and window_key >= $2`,
    [pipeline, from],
  );
  await client.query(
    `insert into almanac.check_metric (pipeline, branch, window_key, dataset, metric, params_hash, version, label, params, value, row_count, generation, stage, measured_at, accepted, state, detail)
     select pipeline, 'main', window_key, dataset, metric, params_hash, version, label, params, value, row_count, generation, stage, measured_at, true, state, detail
     from almanac.check_metric where pipeline = $1 and branch = $2 and accepted
     on conflict (pipeline, branch, dataset, metric, params_hash, window_key, version) do update set accepted = true`,
    [pipeline, branch],
  );
  await moveBackfill(client, { pipeline, branch, from, head, now }, 'publishing', 'promote');
}

/**
 * The newest accepted run of each window becomes a closed generation of `main`, above all that either had, with its outputs carried;
 * the controller runs the stages again that publish, where the tables show something else.
 */
async function promoteRuns(client: pg.PoolClient, { pipeline, branch, from, head, now }: Branch): Promise<void> {
  const { rows } = await client.query<{ window_key: string; generation: number; next: number }>(
    `select r.window_key, r.generation,
       (select max(generation) + 1 from almanac.run o where o.pipeline = r.pipeline and o.window_key = r.window_key and o.branch in ('main', $2)) as next
     from almanac.run r join almanac.accepted_set a on (a.pipeline, a.window_key, a.generation, a.run_branch, a.branch) = (r.pipeline, r.window_key, r.generation, r.branch, 'main')
     where r.pipeline = $1 and r.branch = $2 and r.window_key collate "C" >= $3`,
    [pipeline, branch, from],
  );
  const mover = (
    await client.query<{ hash: string; who: string; reason: string | null }>(
      "select hash, who, reason from almanac.backfill where pipeline = $1 and branch = $2 and state <> 'planned' order by started_at desc limit 1",
      [pipeline, branch],
    )
  ).rows[0];
  const made = `unnest($3::text[], $4::int[], $5::int[]) as m (window_key, generation, next)`;
  const windows = [rows.map((row) => row.window_key), rows.map((row) => row.generation), rows.map((row) => row.next)];
  await client.query(
    `insert into almanac.run (pipeline, window_key, branch, generation, state, claim, plan_hash, pins, bootstrap, origin, matrix, verb, who, reason,
       claimed_at, started_at, changed_at, ended_at, pins_tainted)
     select r.pipeline, r.window_key, 'main', m.next, 'succeeded', gen_random_uuid()::text, r.plan_hash, r.pins, r.bootstrap, r.origin,
       (r.matrix - 'over' - 'queue') || jsonb_build_object('promoted', $2::text, 'head', $6::int), 'promote', coalesce($8, r.who), coalesce($9, r.reason),
       $7, $7, $7, $7, r.pins_tainted
     from almanac.run r join ${made} on (r.window_key, r.generation) = (m.window_key, m.generation) where r.pipeline = $1 and r.branch = $2`,
    [pipeline, branch, ...windows, head, now, mover?.who ?? null, mover?.reason ?? null],
  );
  await client.query(
    `insert into almanac.action (pipeline, window_key, branch, generation, at, who, verb, reason, detail)
     select $1, m.window_key, 'main', m.next, $6, coalesce($7, 'controller'), 'promote', $8, jsonb_build_object('branch', $2::text, 'backfill', $9::text)
     from ${made}`,
    [pipeline, branch, ...windows, now, mover?.who ?? null, mover?.reason ?? null, mover?.hash ?? null],
  );
  await client.query(
    `insert into almanac.attempt (pipeline, window_key, branch, generation, stage, attempt, epoch, kind, state, stage_hash, output, tainted, started_at, ended_at)
     select a.pipeline, a.window_key, 'main', a.next, a.stage, 0, 0, a.kind, case a.state when 'skipped' then 'skipped' else 'carried' end, a.stage_hash, a.output,
       a.tainted, $6, $6
     from (select distinct on (a.window_key, a.stage) a.*, m.next from almanac.attempt a join ${made} on (a.window_key, a.generation) = (m.window_key, m.generation)
           where a.pipeline = $1 and a.branch = $2 order by a.window_key, a.stage, a.attempt desc) a
     where a.state = any($7)`,
    [pipeline, branch, ...windows, now, STANDING],
  );
  await client.query(
    `insert into almanac.check_result (pipeline, window_key, branch, generation, stage, attempt, check_id, dataset, status, observed, low, high, method, n, score, failed_rows,
       sample, message, owner, judged_at, overridden_by, overridden_until, override_reason)
     select c.pipeline, c.window_key, 'main', m.next, c.stage, 0, c.check_id, c.dataset, c.status, c.observed, c.low, c.high, c.method, c.n, c.score, c.failed_rows, c.sample,
       c.message, c.owner, c.judged_at, c.overridden_by, c.overridden_until, c.override_reason
     from (select distinct on (window_key, generation, stage, check_id) * from almanac.check_result where pipeline = $1 and branch = $2
           order by window_key, generation, stage, check_id, attempt desc) c
     join ${made} on (c.window_key, c.generation) = (m.window_key, m.generation)`,
    [pipeline, branch, ...windows],
  );
}

/** Nothing of the branch is current any more; its versions are left to collection. */
async function discard(client: pg.PoolClient, of: Branch): Promise<void> {
  await client.query('delete from almanac.accepted_set where pipeline = $1 and branch = $2', [of.pipeline, of.branch]);
  await client.query('update almanac.check_metric set accepted = false where pipeline = $1 and branch = $2 and accepted', [
    of.pipeline,
    of.branch,
  ]);
  await moveBackfill(client, of, 'discarded', 'discard');
}

/** Who did it and why is on record where the verb was told: the head moves only after that. */
async function moveBackfill(
  client: pg.PoolClient,
  { pipeline, branch, now }: Branch,
  state: 'publishing' | 'discarded',
  verb: string,
): Promise<void> {
  await client.query(
    `with moved as (
       update almanac.backfill set state = $3, changed_at = $5, failure = null, ended_at = case when $3 = 'discarded' then $5::timestamptz end
       where pipeline = $1 and branch = $2 and state not in ('publishing', 'done', 'discarded') returning hash, who, reason)
     insert into almanac.backfill_event (hash, at, who, verb, reason, detail)
     select hash, $5, who, $4, reason, jsonb_build_object('state', $3::text) from moved`,
    [pipeline, branch, state, verb, now],
  );
}

/** Open runs of a chain from a window on, on `main` or on a branch of it, as `WINDOW[~BRANCH]` of their ids. */
export async function openRunsFrom(
  database: Queryable,
  pipeline: string,
  branch: string,
  from: string,
): Promise<{ readonly window: string; readonly branch: string; readonly state: string }[]> {
  const { rows } = await database.query<{ window: string; branch: string; state: string }>(
    `select window_key as window, branch, state from almanac.run
     where pipeline = $1 and branch in ('main', $2) and window_key collate "C" >= $3 and ended_at is null order by window_key, branch`,
    [pipeline, branch, from],
  );
  return rows;
}

/** Who is about to promote or discard the branch and why: what the ledger tells of it once the head has moved, whoever finishes it. */
export async function noteMover(database: Queryable, hash: string, who: string, reason: string): Promise<void> {
  await database.query("update almanac.backfill set who = $2, reason = $3 where hash = $1 and state not in ('done', 'discarded')", [
    hash,
    who,
    reason,
  ]);
}

/** What the newest publication of a window shows that went live and was not taken back; undefined without one. */
export async function publishedVersions(database: Queryable, pipeline: string, window: string): Promise<VersionRef[] | undefined> {
  const { rows } = await database.query<{ versions: Record<string, VersionRef> }>(
    `select versions from almanac.publication where pipeline = $1 and branch = 'main' and window_key = $2 and flipped_at is not null and state <> 'withdrawn'
     order by id desc limit 1`,
    [pipeline, window],
  );
  return rows[0] === undefined ? undefined : Object.values(rows[0].versions);
}
