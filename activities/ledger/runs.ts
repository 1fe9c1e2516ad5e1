import type { Queryable } from '../../lib/postgres';
import type { FailureInfo } from '../../pipelines/failures';
import type { Outcome } from '../../pipelines/frontier';
import type { RunState } from '../../pipelines/status';
import type { Plan, RunRef, VersionRef } from '../../pipelines/types';

/** One generation of a run as the ledger knows it; times are ISO instants. */
export interface RunRow {
  readonly run: RunRef;
  readonly state: RunState;
  readonly claim: string;
  readonly planHash: string;
  readonly pins: Readonly<Record<string, VersionRef>>;
  readonly bootstrap: boolean;
  readonly origin: boolean;
  /** A pinned version is of a tainted accepted set: so is what this run makes of it. */
  readonly pinsTainted: boolean;
  readonly matrix: Readonly<Record<string, unknown>>;
  readonly verb: string;
  readonly who: string;
  readonly reason: string | null;
  readonly failure: Readonly<Record<string, FailureInfo>> | null;
  readonly proof: unknown;
  readonly claimedAt: string;
  readonly startedAt: string | null;
  readonly changedAt: string;
  readonly endedAt: string | null;
  readonly historyPath: string | null;
}

interface RawRun {
  pipeline: string;
  window_key: string;
  branch: string;
  generation: number;
  state: RunState;
  claim: string;
  plan_hash: string;
  pins: Record<string, VersionRef>;
  bootstrap: boolean;
  origin: boolean;
  pins_tainted: boolean;
  matrix: Record<string, unknown>;
  verb: string;
  who: string;
  reason: string | null;
  failure: Record<string, FailureInfo> | null;
  proof: unknown;
  claimed_at: Date;
  started_at: Date | null;
  changed_at: Date;
  ended_at: Date | null;
  history_path: string | null;
}

function fromRaw(row: RawRun): RunRow {
  return {
    run: { pipeline: row.pipeline, window: row.window_key, branch: row.branch, generation: row.generation },
    state: row.state,
    claim: row.claim,
    planHash: row.plan_hash,
    pins: row.pins,
    bootstrap: row.bootstrap,
    origin: row.origin,
    pinsTainted: row.pins_tainted,
    matrix: row.matrix,
    verb: row.verb,
    who: row.who,
    reason: row.reason,
    failure: row.failure,
    proof: row.proof,
    claimedAt: row.claimed_at.toISOString(),
    startedAt: row.started_at?.toISOString() ?? null,
    changedAt: row.changed_at.toISOString(),
    endedAt: row.ended_at?.toISOString() ?? null,
    historyPath: row.history_path,
  };
}

/** The four values every ledger key starts with. */
export function runKey(run: RunRef): [string, string, string, number] {
  return [run.pipeline, run.window, run.branch, run.generation];
}

export async function storeTexts(database: Queryable, texts: ReadonlyMap<string, string>): Promise<void> {
  if (texts.size === 0) return;
  await database.query('insert into almanac.text (hash, body) select * from unnest($1::text[], $2::text[]) on conflict do nothing', [
    [...texts.keys()],
    [...texts.values()],
  ]);
}

export async function storePlan(database: Queryable, plan: Plan): Promise<void> {
  await database.query('insert into almanac.plan (hash, pipeline, body) values ($1, $2, $3) on conflict do nothing', [
    plan.hash,
    plan.pipeline,
    JSON.stringify(plan),
  ]);
}

export interface RunClaim {
  readonly run: RunRef;
  readonly claim: string;
  readonly planHash: string;
  readonly pins: Readonly<Record<string, VersionRef>>;
  readonly bootstrap: boolean;
  readonly origin: boolean;
  /** Default: false. */
  readonly pinsTainted?: boolean | undefined;
  readonly matrix: Readonly<Record<string, unknown>>;
  readonly verb: string;
  readonly who: string;
  readonly reason?: string | undefined;
  /** What the action that goes with the claim says. Default: the caller records its action itself. */
  readonly detail?: Readonly<Record<string, unknown>> | undefined;
  readonly now: Date;
}

/**
 * Claims a generation; false when somebody else has it. The one point where racing starters are told apart. With a `detail` the
 * operator's action is on record with the claim or not at all.
 */
export async function claimRun(database: Queryable, claim: RunClaim): Promise<boolean> {
  const { rows } = await database.query<{ claimed: boolean }>({
    name: 'claim-run',
    text: `with claimed as (
        insert into almanac.run (pipeline, window_key, branch, generation, state, claim, plan_hash, pins, bootstrap, origin, matrix, verb, who, reason, claimed_at, changed_at, pins_tainted)
        values ($1, $2, $3, $4, 'claimed', $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $14, $16) on conflict do nothing
        returning 1
      ), acted as (
        insert into almanac.action (pipeline, window_key, branch, generation, at, who, verb, reason, detail)
        select $1, $2, $3, $4, $14, $12, $11, $13, $15 from claimed where $15::jsonb is not null
      )
      select exists (select from claimed) as claimed`,
    values: [
      ...runKey(claim.run),
      claim.claim,
      claim.planHash,
      JSON.stringify(claim.pins),
      claim.bootstrap,
      claim.origin,
      JSON.stringify(claim.matrix),
      claim.verb,
      claim.who,
      claim.reason ?? null,
      claim.now,
      claim.detail === undefined ? null : JSON.stringify(claim.detail),
      claim.pinsTainted === true,
    ],
  });
  return rows[0]?.claimed === true;
}

export async function latestRun(database: Queryable, pipeline: string, window: string, branch: string): Promise<RunRow | undefined> {
  const { rows } = await database.query<RawRun>(
    'select * from almanac.run where pipeline = $1 and window_key = $2 and branch = $3 order by generation desc limit 1',
    [pipeline, window, branch],
  );
  return rows[0] === undefined ? undefined : fromRaw(rows[0]);
}

export async function readRun(database: Queryable, run: RunRef): Promise<RunRow | undefined> {
  const { rows } = await database.query<RawRun>(
    'select * from almanac.run where pipeline = $1 and window_key = $2 and branch = $3 and generation = $4',
    runKey(run),
  );
  return rows[0] === undefined ? undefined : fromRaw(rows[0]);
}

/** Every generation that is not over, of all or of one branch of a pipeline, oldest claim first. */
export async function listOpenRuns(database: Queryable, of?: Pick<RunRef, 'pipeline' | 'branch'>): Promise<RunRow[]> {
  const { rows } = await database.query<RawRun>(
    'select * from almanac.run where ended_at is null and ($1::text is null or (pipeline, branch) = ($1, $2)) order by claimed_at',
    [of?.pipeline ?? null, of?.branch ?? null],
  );
  return rows.map(fromRaw);
}

/** Notes what the last retry of an open run took from before and what anew; what else is on record of its start stays. */
export async function recordMatrix(database: Queryable, run: RunRef, matrix: object): Promise<void> {
  await database.query(
    'update almanac.run set matrix = matrix || $5 where pipeline = $1 and window_key = $2 and branch = $3 and generation = $4',
    [...runKey(run), JSON.stringify(matrix)],
  );
}

/** The newest generation of each window of a chain that claims to be its origin and was not given up, earliest window first. */
export async function originClaims(database: Queryable, pipeline: string, branch: string): Promise<RunRow[]> {
  const { rows } = await database.query<RawRun>(
    `select * from (
       select distinct on (window_key) * from almanac.run where pipeline = $1 and branch = $2 order by window_key, generation desc) newest
     where origin and state not in ('cancelled', 'abandoned') order by window_key collate "C"`,
    [pipeline, branch],
  );
  return rows.map(fromRaw);
}

export interface RunFilter {
  readonly pipeline?: string | undefined;
  readonly state?: RunState | undefined;
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly limit: number;
}

/** A run of a list. */
export interface ListedRun extends RunRow {
  /** What it wrote follows a skip or tainted pins. */
  readonly tainted: boolean;
}

/** The newest generation of every window that passes the filter, newest change first. */
export async function listRuns(database: Queryable, filter: RunFilter): Promise<ListedRun[]> {
  const { rows } = await database.query<RawRun & { tainted: boolean }>(
    `select r.*, r.pins_tainted or exists (
       select from (select distinct on (a.stage) a.state, a.tainted from almanac.attempt a
                    where (a.pipeline, a.window_key, a.branch, a.generation) = (r.pipeline, r.window_key, r.branch, r.generation) order by a.stage, a.attempt desc) newest
       where newest.tainted and newest.state in ('succeeded', 'skipped', 'carried')) as tainted
     from almanac.run r
     where ($1::text is null or pipeline = $1) and ($2::text is null or state = $2)
       and ($3::text is null or window_key >= $3) and ($4::text is null or window_key <= $4)
       and not exists (select from almanac.run n where n.pipeline = r.pipeline and n.window_key = r.window_key and n.branch = r.branch and n.generation > r.generation)
     order by changed_at desc limit $5`,
    [filter.pipeline ?? null, filter.state ?? null, filter.from ?? null, filter.to ?? null, filter.limit],
  );
  return rows.map((row) => ({ ...fromRaw(row), tainted: row.tainted }));
}

/**
 * Puts hold `number` of the run on record with its failures, unless a verb ended it already or a later one is there: holds and
 * verbs may reach the ledger in any order, and more than once.
 */
export async function holdRun(
  database: Queryable,
  run: RunRef,
  claim: string,
  failures: Readonly<Record<string, FailureInfo>>,
  now: Date,
  number = 1,
): Promise<void> {
  await database.query(
    `update almanac.run set state = 'held', hold = $8, failure = $6, changed_at = $7
     where pipeline = $1 and window_key = $2 and branch = $3 and generation = $4 and claim = $5 and ended_at is null and hold < $8 and woken < $8`,
    [...runKey(run), claim, JSON.stringify(failures), now, number],
  );
}

/**
 * Ends the run once, noting the execution whose history is to be exported; a second close, or one by another claim, changes nothing.
 * Verbs that are merely intended were not taken, and will not be.
 */
export async function endRun(
  database: Queryable,
  run: RunRef,
  claim: string,
  outcome: Outcome | 'lost',
  proof: unknown,
  temporalRunId: string | null,
  now: Date,
): Promise<void> {
  await database.query({
    name: 'end-run',
    text: `with ended as (
      update almanac.run set state = $6, proof = $7, changed_at = $8, ended_at = $8, temporal_run_id = $9, failure = case when $6 = 'succeeded' then null else failure end
     where pipeline = $1 and window_key = $2 and branch = $3 and generation = $4 and claim = $5 and ended_at is null
      returning 1
    )
    update almanac.action set state = 'refused'
    where pipeline = $1 and window_key = $2 and branch = $3 and generation = $4 and state = 'intended' and exists (select from ended)`,
    values: [...runKey(run), claim, outcome, proof === undefined ? null : JSON.stringify(proof), now, temporalRunId],
  });
}

/** Puts a better proof on record of a run that has ended. */
export async function changeProof(database: Queryable, run: RunRef, claim: string, proof: unknown): Promise<void> {
  await database.query(
    `update almanac.run set proof = $6
     where pipeline = $1 and window_key = $2 and branch = $3 and generation = $4 and claim = $5 and ended_at is not null`,
    [...runKey(run), claim, JSON.stringify(proof)],
  );
}
