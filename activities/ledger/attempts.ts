import type { Queryable } from '../../lib/postgres';
import { waits, type FailureInfo } from '../../pipelines/failures';
import type { AttemptState } from '../../pipelines/status';
import type { RunRef, StageKind, StageOutput, VersionRef } from '../../pipelines/types';
import type { ChildIdentity } from '../compute/engine';
import type { PermitDelay } from '../failure';
import { runKey } from './runs';

export interface AttemptRow {
  readonly stage: string;
  readonly attempt: number;
  readonly epoch: number;
  readonly kind: StageKind;
  readonly state: AttemptState;
  readonly stageHash: string;
  readonly worker: string | null;
  readonly child: ChildIdentity | null;
  /** A lost attempt that reported its end after all: its child serves others by now. */
  readonly reportedLate: boolean;
  readonly output: StageOutput | null;
  readonly failure: FailureInfo | null;
  readonly tainted: boolean;
  /** When it first found its data missing; null unless it ever waited. */
  readonly waitingSince: string | null;
  /** When its patience ends. */
  readonly waitsUntil: string | null;
  /** How often it looked and found its data missing. */
  readonly polls: number;
  readonly startedAt: string;
  readonly endedAt: string | null;
}

export interface AttemptOrder {
  readonly run: RunRef;
  readonly claim: string;
  readonly stage: string;
  readonly kind: StageKind;
  readonly epoch: number;
  readonly stageHash: string;
  /** `HOST:PID` of the worker. */
  readonly worker: string;
  readonly now: Date;
}

/** What an attempt needs to know before it begins, from one statement. */
export interface OpenedAttempt {
  readonly attempt: number;
  /** When this attempt began: a poll goes on with the attempt of the one before. */
  readonly startedAt: Date;
  /** What the poll before this one found missing; undefined unless this one takes up an attempt that waits. */
  readonly waitedFor: FailureInfo | undefined;
  readonly pins: Readonly<Record<string, VersionRef>>;
  readonly bootstrap: boolean;
  readonly origin: boolean;
  /** Outputs that stand, by stage. */
  readonly outputs: Readonly<Record<string, StageOutput>>;
  /** Output of this very order when an earlier try finished and its completion was lost. */
  readonly finished: { readonly attempt: number; readonly output: StageOutput } | undefined;
  /** Tries of this order that ended for want of memory or disk. */
  readonly resourceFailures: number;
  /** When the first try of this order began: patience counts from here. */
  readonly firstStartedAt: Date;
  /** When the platform first failed a try of this order: platform retries count from here. */
  readonly firstFailedAt: Date | undefined;
  /** How long tries of this order waited for permits before now. */
  readonly permitDelay: PermitDelay;
}

interface RawOpened {
  attempt: number | null;
  resumed_started_at: Date | null;
  waited_for: FailureInfo | null;
  pins: Record<string, VersionRef>;
  bootstrap: boolean;
  origin: boolean;
  outputs: Record<string, StageOutput> | null;
  finished_attempt: number | null;
  finished_output: StageOutput | null;
  resource_failures: number;
  first_started_at: Date | null;
  first_failed_at: Date | null;
  permit_wait_ms: number;
  permit_wait_ms_since_failure: number;
}

/**
 * Opens an attempt, or takes up the one of this order that waits: marks a claimed run running, declares older running attempts of
 * the stage lost, and reads what the body needs. Undefined when the ledger does not know this claim as an open run: the caller
 * is a zombie.
 *
 * Opening does not wait for the disk: a crash of the database may take the row of an attempt that has only begun. Whatever is
 * committed after it, by anyone, makes it durable; {@link restoreAttempt} writes it anew when it was lost. Taking up does wait,
 * since a row that fell back to `waiting` could be taken up a second time.
 */
export async function openAttempt(database: Queryable, order: AttemptOrder): Promise<OpenedAttempt | undefined> {
  const { rows } = await database.query<RawOpened>({
    name: 'open-attempt',
    text: `with run as (
        select * from almanac.run
        where pipeline = $1 and window_key = $2 and branch = $3 and generation = $4 and claim = $5 and state in ('claimed', 'running', 'held')
      ), begun as (
        update almanac.run r set state = case r.state when 'claimed' then 'running' else r.state end, started_at = $11, changed_at = $11
        from run where (r.pipeline, r.window_key, r.branch, r.generation) = (run.pipeline, run.window_key, run.branch, run.generation) and r.started_at is null
      ), earlier as (
        select a.* from almanac.attempt a, run
        where (a.pipeline, a.window_key, a.branch, a.generation) = (run.pipeline, run.window_key, run.branch, run.generation)
      ), mine as (
        select * from earlier where stage = $6
      ), finished as (
        select attempt, output from mine where epoch = $8 and state = 'succeeded' and stage_hash = $9 order by attempt desc limit 1
      ), fenced as (
        update almanac.attempt a set state = case a.state when 'waiting' then 'failed' else 'lost' end, ended_at = $11 from mine
        where (a.pipeline, a.window_key, a.branch, a.generation, a.stage, a.attempt) = ($1, $2, $3, $4, mine.stage, mine.attempt)
          and (mine.state = 'running' or (mine.state = 'waiting' and (mine.epoch, mine.stage_hash) <> ($8, $9))) and not exists (select from finished)
      ), resumed as (
        update almanac.attempt a set state = 'running', worker = $10, child = null, failure = null from run
        where (a.pipeline, a.window_key, a.branch, a.generation, a.stage, a.epoch, a.stage_hash) = ($1, $2, $3, $4, $6, $8, $9)
          and a.state = 'waiting' and not exists (select from finished)
        returning a.attempt, a.started_at
      ), opened as (
        insert into almanac.attempt (pipeline, window_key, branch, generation, stage, attempt, epoch, kind, state, stage_hash, worker, started_at)
        select $1, $2, $3, $4, $6, (select coalesce(max(attempt), 0) + 1 from mine), $8, $7, 'running', $9, $10, $11
        from run where not exists (select from finished) and not exists (select from resumed)
        returning attempt
      )
      select coalesce((select attempt from resumed), (select attempt from opened)) as attempt, (select started_at from resumed) as resumed_started_at,
        (select failure from mine where attempt = (select attempt from resumed)) as waited_for, run.pins, run.bootstrap, run.origin,
        (select jsonb_object_agg(stage, output) from (
           select distinct on (stage) stage, output from earlier where state in ('succeeded', 'skipped', 'carried') order by stage, attempt desc) s) as outputs,
        (select attempt from finished) as finished_attempt, (select output from finished) as finished_output,
        (select count(*)::int from mine where epoch = $8 and failure ->> 'class' = 'resource') as resource_failures,
        (select min(started_at) from mine where epoch = $8) as first_started_at,
        (select min(ended_at) from mine where epoch = $8 and (state = 'lost' or failure ->> 'class' = 'platform')) as first_failed_at,
        (select coalesce(sum(permit_wait_ms), 0) from mine where epoch = $8) as permit_wait_ms,
        (select coalesce(sum(permit_wait_ms), 0) from mine where epoch = $8 and attempt > (
           select min(attempt) from mine where epoch = $8 and (state = 'lost' or failure ->> 'class' = 'platform'))) as permit_wait_ms_since_failure,
        set_config('synchronous_commit', case when exists (select from resumed) then current_setting('synchronous_commit') else 'off' end, true)
      from run`,
    values: [...runKey(order.run), order.claim, order.stage, order.kind, order.epoch, order.stageHash, order.worker, order.now],
  });
  const row = rows[0];
  if (row === undefined) return undefined;
  return {
    attempt: row.attempt ?? row.finished_attempt ?? 0,
    startedAt: row.resumed_started_at ?? order.now,
    waitedFor: row.waited_for ?? undefined,
    pins: row.pins,
    bootstrap: row.bootstrap,
    origin: row.origin,
    outputs: row.outputs ?? {},
    finished:
      row.finished_output === null || row.finished_attempt === null
        ? undefined
        : { attempt: row.finished_attempt, output: row.finished_output },
    resourceFailures: row.resource_failures,
    firstStartedAt: row.first_started_at ?? order.now,
    firstFailedAt: row.first_failed_at ?? undefined,
    permitDelay: { sinceStart: row.permit_wait_ms, sinceFailure: row.permit_wait_ms_since_failure },
  };
}

export interface AttemptEnd {
  readonly run: RunRef;
  readonly stage: string;
  readonly attempt: number;
  /** When it was opened: after a crash another attempt may have its number. */
  readonly startedAt?: Date | undefined;
  /** `waiting` ends a poll, not the attempt. */
  readonly state: 'succeeded' | 'failed' | 'cancelled' | 'waiting';
  readonly output?: StageOutput | undefined;
  readonly failure?: FailureInfo | undefined;
  /** When the patience of a waiting one ends. */
  readonly waitsUntil?: Date | undefined;
  readonly lines: readonly { readonly at: Date; readonly line: string }[];
  readonly now: Date;
}

/** Closes an attempt with its output and log in one statement; false when it was declared lost meanwhile, which only notes that it ended. */
export async function closeAttempt(database: Queryable, end: AttemptEnd): Promise<boolean> {
  const { rows } = await database.query<{ closed: boolean }>({
    name: 'close-attempt',
    text: `with closed as (
        update almanac.attempt set state = $7, output = $8, failure = $9, ended_at = case when $7 = 'waiting' then null else $10::timestamptz end,
          tainted = tainted or coalesce(jsonb_array_length($8::jsonb #> '{gate,overridden}') > 0, false) or coalesce(($8::jsonb -> 'tainted')::boolean, false),
          waiting_since = case when $7 = 'waiting' then coalesce(waiting_since, $10) else waiting_since end, waits_until = coalesce($14, waits_until), polls = polls + $15
        where pipeline = $1 and window_key = $2 and branch = $3 and generation = $4 and stage = $5 and attempt = $6 and state = 'running'
          and ($13::timestamptz is null or started_at = $13)
        returning 1
      ), late as (
        update almanac.attempt set reported_late = true
        where pipeline = $1 and window_key = $2 and branch = $3 and generation = $4 and stage = $5 and attempt = $6 and state = 'lost'
      ), logged as (
        insert into almanac.log_line (pipeline, window_key, branch, generation, stage, attempt, at, line)
        select $1, $2, $3, $4, $5, $6, l.at, l.line from unnest($11::timestamptz[], $12::text[]) as l (at, line)
      )
      select exists (select from closed) as closed`,
    values: [
      ...runKey(end.run),
      end.stage,
      end.attempt,
      end.state,
      end.output === undefined ? null : JSON.stringify(end.output),
      end.failure === undefined ? null : JSON.stringify(end.failure),
      end.now,
      end.lines.map(({ at }) => at),
      end.lines.map(({ line }) => line),
      end.startedAt ?? null,
      end.waitsUntil ?? null,
      looks(end),
    ],
  });
  return rows[0]?.closed === true;
}

/** 1 when this end is that of a look that found the data missing. */
function looks({ failure }: AttemptEnd): number {
  return failure !== undefined && waits(failure.code) ? 1 : 0;
}

/** Writes an attempt whose row a crash took before it ended. False when its row is there, a newer attempt was opened, or the run is over. */
export async function restoreAttempt(database: Queryable, order: AttemptOrder, end: AttemptEnd): Promise<boolean> {
  const { rowCount } = await database.query(
    `insert into almanac.attempt (pipeline, window_key, branch, generation, stage, attempt, epoch, kind, state, stage_hash, worker, output, failure, started_at, ended_at, waiting_since, waits_until, polls, tainted)
     select $1, $2, $3, $4, $6, $7, $8, $9, $10, $11, $12, $13::jsonb, $14, $15, case when $10 = 'waiting' then null else $16::timestamptz end,
       case when $10 = 'waiting' then $16 end, $17, $18, coalesce(jsonb_array_length($13::jsonb #> '{gate,overridden}') > 0, false) or coalesce(($13::jsonb -> 'tainted')::boolean, false) from almanac.run
     where pipeline = $1 and window_key = $2 and branch = $3 and generation = $4 and claim = $5 and ended_at is null
       and not exists (select from almanac.attempt where pipeline = $1 and window_key = $2 and branch = $3 and generation = $4 and stage = $6 and attempt >= $7)
     on conflict do nothing`,
    [
      ...runKey(order.run),
      order.claim,
      order.stage,
      end.attempt,
      order.epoch,
      order.kind,
      end.state,
      order.stageHash,
      order.worker,
      end.output === undefined ? null : JSON.stringify(end.output),
      end.failure === undefined ? null : JSON.stringify(end.failure),
      order.now,
      end.now,
      end.waitsUntil ?? null,
      looks(end),
    ],
  );
  return rowCount === 1;
}

/** Notes which child computes an attempt, so that a cancel can prove it gone. */
export async function recordChild(database: Queryable, run: RunRef, stage: string, attempt: number, child: ChildIdentity): Promise<void> {
  await database.query(
    'update almanac.attempt set child = $7 where pipeline = $1 and window_key = $2 and branch = $3 and generation = $4 and stage = $5 and attempt = $6',
    [...runKey(run), stage, attempt, JSON.stringify(child)],
  );
}

interface RawAttempt {
  stage: string;
  attempt: number;
  epoch: number;
  kind: StageKind;
  state: AttemptState;
  stage_hash: string;
  worker: string | null;
  child: ChildIdentity | null;
  reported_late: boolean;
  output: StageOutput | null;
  failure: FailureInfo | null;
  tainted: boolean;
  waiting_since: Date | null;
  waits_until: Date | null;
  polls: number;
  started_at: Date;
  ended_at: Date | null;
}

/** All attempts of a generation, by stage and number. */
export async function listAttempts(database: Queryable, run: RunRef): Promise<AttemptRow[]> {
  const { rows } = await database.query<RawAttempt>(
    'select * from almanac.attempt where pipeline = $1 and window_key = $2 and branch = $3 and generation = $4 order by stage, attempt',
    runKey(run),
  );
  return rows.map((row) => ({
    stage: row.stage,
    attempt: row.attempt,
    epoch: row.epoch,
    kind: row.kind,
    state: row.state,
    stageHash: row.stage_hash,
    worker: row.worker,
    child: row.child,
    reportedLate: row.reported_late,
    output: row.output,
    failure: row.failure,
    tainted: row.tainted,
    waitingSince: row.waiting_since?.toISOString() ?? null,
    waitsUntil: row.waits_until?.toISOString() ?? null,
    polls: row.polls,
    startedAt: row.started_at.toISOString(),
    endedAt: row.ended_at?.toISOString() ?? null,
  }));
}

/** Writes an output that stands without an attempt: carried from an earlier generation, or named by `skip --use`. False when the attempt is there. */
export async function recordStanding(
  database: Queryable,
  run: RunRef,
  row: {
    stage: string;
    attempt: number;
    epoch: number;
    kind: StageKind;
    stageHash: string;
    state: 'carried' | 'skipped';
    output: StageOutput;
    tainted: boolean;
    now: Date;
  },
): Promise<boolean> {
  const { rowCount } = await database.query(
    `insert into almanac.attempt (pipeline, window_key, branch, generation, stage, attempt, epoch, kind, state, stage_hash, output, tainted, started_at, ended_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13) on conflict do nothing`,
    [
      ...runKey(run),
      row.stage,
      row.attempt,
      row.epoch,
      row.kind,
      row.state,
      row.stageHash,
      JSON.stringify(row.output),
      row.tainted,
      row.now,
    ],
  );
  return rowCount === 1;
}
