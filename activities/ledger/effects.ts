import type pg from 'pg';
import { transaction, type Queryable } from '../../lib/postgres';
import { effectName, type EffectFacts, type EffectState } from '../../pipelines/effect';
import { formatRun } from '../../pipelines/run-id';
import type { RunRef } from '../../pipelines/types';
import { runKey } from './runs';

/** One round of a Spark job on record. */
export interface EffectRow extends EffectFacts {
  readonly run: RunRef;
  readonly stage: string;
  readonly round: number;
  readonly candidate: string;
  /** The newest attempt that took it up. */
  readonly attempt: number;
  readonly name: string;
  /** Store path; null until the order of the job lies there, which is before it is submitted. */
  readonly token: string | null;
  /** Where it is submitted; null before it ever was. */
  readonly cluster: string | null;
  readonly intentAt: Date;
  readonly endedAt: Date | null;
  readonly reason: string | null;
  readonly logTail: string | null;
  readonly seconds: number | null;
  readonly cost: number | null;
}

export interface EffectOrder {
  readonly run: RunRef;
  readonly stage: string;
  readonly attempt: number;
  readonly candidate: string;
  readonly now: Date;
}

interface RawEffect {
  pipeline: string;
  window_key: string;
  branch: string;
  generation: number;
  stage: string;
  round: number;
  candidate: string;
  attempt: number;
  name: string;
  token_path: string | null;
  state: EffectState;
  cluster_id: string | null;
  step_id: string | null;
  intent_at: Date;
  sent_at: Date | null;
  ended_at: Date | null;
  reason: string | null;
  log_tail: string | null;
  seconds: number | null;
  cost: number | null;
}

/** The run is open and the attempt $6 of stage $5 runs: what every write of an attempt about its effect asks for. */
const ATTEMPT_RUNS = `exists (select from almanac.run r where (r.pipeline, r.window_key, r.branch, r.generation) = ($1, $2, $3, $4) and r.ended_at is null)
  and exists (select from almanac.attempt a where (a.pipeline, a.window_key, a.branch, a.generation, a.stage, a.attempt) = ($1, $2, $3, $4, $5, $6) and a.state = 'running')`;

/** Nobody goes on with it: its run is over, or its stage has an output that stands. */
const UNWANTED = `(exists (select from almanac.run r where (r.pipeline, r.window_key, r.branch, r.generation) = (e.pipeline, e.window_key, e.branch, e.generation) and r.ended_at is not null)
  or (select a.state from almanac.attempt a where (a.pipeline, a.window_key, a.branch, a.generation, a.stage) = (e.pipeline, e.window_key, e.branch, e.generation, e.stage)
      order by a.attempt desc limit 1) in ('succeeded', 'skipped', 'carried'))`;

/** What this ledger calls itself on clusters. */
export async function ledgerId(database: Queryable): Promise<string> {
  const { rows } = await database.query<{ id: string }>('select id from almanac.ledger');
  const [row] = rows;
  if (row === undefined) throw new Error('the control schema has no row in almanac.ledger');
  return row.id;
}

/**
 * Takes up the open round of a stage, whatever it computes, or the one that completed the same candidate; else opens the next. Undefined for a
 * zombie: its run is closed, or its attempt does not run any more.
 */
export async function takeUpEffect(database: pg.Pool, order: EffectOrder): Promise<EffectRow | undefined> {
  const { run, stage, attempt, candidate, now } = order;
  return transaction(database, async (client) => {
    const { rows: runs } = await client.query<{ id: string; epoch: number }>(
      `select l.id, a.epoch from almanac.ledger l, almanac.run r join almanac.attempt a using (pipeline, window_key, branch, generation)
       where (pipeline, window_key, branch, generation) = ($1, $2, $3, $4) and r.ended_at is null
         and a.stage = $5 and a.attempt = $6 and a.state = 'running' for share of r for no key update of a`,
      [...runKey(run), stage, attempt],
    );
    const [own] = runs;
    if (own === undefined) return undefined;
    const { rows } = await client.query<RawEffect>(
      `select * from almanac.effect where (pipeline, window_key, branch, generation, stage) = ($1, $2, $3, $4, $5) order by round desc limit 1 for update`,
      [...runKey(run), stage],
    );
    const [newest] = rows;
    if (newest !== undefined && newest.ended_at === null) {
      await client.query(
        `update almanac.effect set attempt = $7, epoch = $8 where (pipeline, window_key, branch, generation, stage, round) = ($1, $2, $3, $4, $5, $6)`,
        [...runKey(run), stage, newest.round, attempt, own.epoch],
      );
      return readEffect({ ...newest, attempt });
    }
    if (newest?.state === 'completed' && newest.candidate === candidate) return readEffect(newest);
    const round = (newest?.round ?? 0) + 1;
    const { rows: opened } = await client.query<RawEffect>(
      `insert into almanac.effect (pipeline, window_key, branch, generation, stage, round, candidate, epoch, attempt, name, state, intent_at)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'intended', $11) returning *`,
      [
        ...runKey(run),
        stage,
        round,
        candidate,
        own.epoch,
        attempt,
        effectName(own.id, candidate, round, `${formatRun(run)} g${run.generation} ${stage}`),
        now,
      ],
    );
    return opened[0] && readEffect(opened[0]);
  });
}

/** A change of a round; what is absent stays. */
export interface EffectChange {
  readonly state?: EffectState;
  readonly token?: string;
  /** Null: the round is on no cluster. */
  readonly cluster?: string | null;
  readonly step?: string | null;
  readonly sentAt?: Date | null;
  /** Set with a final state. */
  readonly endedAt?: Date;
  readonly reason?: string | undefined;
  readonly logTail?: string | undefined;
  readonly seconds?: number | undefined;
  readonly cost?: number | undefined;
}

const CHANGE = `state = coalesce($8, e.state), cluster_id = case when $20 then $9 else e.cluster_id end, step_id = coalesce($10, e.step_id),
  sent_at = case when $11 then $12::timestamptz else e.sent_at end, submitted_at = case when $10 is null then e.submitted_at else coalesce(e.submitted_at, $7) end,
  ended_at = coalesce($13, e.ended_at), reason = coalesce($14, e.reason), log_tail = coalesce($15, e.log_tail), seconds = coalesce($16, e.seconds),
  cost = coalesce($17, e.cost), token_path = coalesce($19, e.token_path)`;

function changeValues(row: EffectRow, attempt: number, change: EffectChange, now: Date): unknown[] {
  return [
    ...runKey(row.run),
    row.stage,
    attempt,
    now,
    change.state ?? null,
    change.cluster ?? null,
    change.step ?? null,
    change.sentAt !== undefined,
    change.sentAt ?? null,
    change.endedAt ?? null,
    change.reason ?? null,
    change.logTail ?? null,
    change.seconds ?? null,
    change.cost ?? null,
    row.round,
    change.token ?? null,
    change.cluster !== undefined,
  ];
}

/** Writes for the attempt that has it; undefined when that is a zombie or the round is over. */
export async function changeEffect(database: Queryable, row: EffectRow, change: EffectChange, now: Date): Promise<EffectRow | undefined> {
  const { rows } = await database.query<RawEffect>(
    `update almanac.effect e set ${CHANGE}
     where (pipeline, window_key, branch, generation, stage, round) = ($1, $2, $3, $4, $5, $18) and attempt = $6 and ended_at is null and ${ATTEMPT_RUNS}
     returning *`,
    changeValues(row, row.attempt, change, now),
  );
  return rows[0] && readEffect(rows[0]);
}

/** Writes about a round that nobody wants any more; undefined when somebody does, or it is over. */
export async function changeUnwanted(database: Queryable, row: EffectRow, change: EffectChange, now: Date): Promise<EffectRow | undefined> {
  const { rows } = await database.query<RawEffect>(
    `update almanac.effect e set ${CHANGE}
     where (pipeline, window_key, branch, generation, stage, round) = ($1, $2, $3, $4, $5, $18) and attempt >= $6 and ended_at is null and ${UNWANTED}
     returning *`,
    changeValues(row, 0, change, now),
  );
  return rows[0] && readEffect(rows[0]);
}

/** All rounds of a generation. */
export async function listEffects(database: Queryable, run: RunRef): Promise<EffectRow[]> {
  const { rows } = await database.query<RawEffect>(
    'select * from almanac.effect where (pipeline, window_key, branch, generation) = ($1, $2, $3, $4) order by stage, round',
    runKey(run),
  );
  return rows.map(readEffect);
}

/** Open rounds that nobody wants any more, the oldest first. */
export async function listUnwanted(database: Queryable, limit: number): Promise<EffectRow[]> {
  const { rows } = await database.query<RawEffect>(
    `select e.* from almanac.effect e where e.ended_at is null and ${UNWANTED} order by e.intent_at limit $1`,
    [limit],
  );
  return rows.map(readEffect);
}

/** Which of these names are rounds that are open. */
export async function openEffectNames(database: Queryable, names: readonly string[]): Promise<ReadonlySet<string>> {
  const { rows } = await database.query<{ name: string }>('select name from almanac.effect where ended_at is null and name = any($1)', [
    names,
  ]);
  return new Set(rows.map(({ name }) => name));
}

function readEffect(row: RawEffect): EffectRow {
  return {
    run: { pipeline: row.pipeline, window: row.window_key, branch: row.branch, generation: row.generation },
    stage: row.stage,
    round: row.round,
    candidate: row.candidate,
    attempt: row.attempt,
    name: row.name,
    token: row.token_path,
    state: row.state,
    cluster: row.cluster_id,
    step: row.step_id,
    intentAt: row.intent_at,
    sentAt: row.sent_at,
    endedAt: row.ended_at,
    reason: row.reason,
    logTail: row.log_tail,
    seconds: row.seconds,
    cost: row.cost,
  };
}
