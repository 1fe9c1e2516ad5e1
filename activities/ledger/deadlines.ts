import type { Queryable } from '../../lib/postgres';
import type { DeadlineState, StageDuration } from '../../pipelines/deadline';
import type { AttemptState, RunState } from '../../pipelines/status';

/** A slot with a deadline that is not settled, and what is known of its window. */
export interface OpenDeadline {
  readonly pipeline: string;
  readonly nominal: string;
  readonly window: string;
  readonly due: Date;
  readonly windowEnd: Date;
  /** Undefined: it has no row yet. */
  readonly state: DeadlineState | undefined;
  readonly lookedAt: Date | undefined;
  /** The plan of its run, else that of its schedule. */
  readonly planHash: string;
  /** The newest run of the window on the main branch. */
  readonly run: { readonly generation: number; readonly state: RunState; readonly failedStages: readonly string[] } | undefined;
  readonly published: { readonly id: number; readonly at: Date } | undefined;
  readonly laterAt: Date | undefined;
}

interface RawOpenDeadline {
  pipeline: string;
  nominal: string;
  window_key: string;
  due: Date;
  window_end: Date;
  state: DeadlineState | null;
  looked_at: Date | null;
  plan_hash: string;
  generation: number | null;
  run_state: RunState | null;
  failed_stages: string[] | null;
  publication: number | null;
  published_at: Date | null;
  later_at: Date | null;
}

/** A deadline missed longer ago is not asked for its publication any more. */
const REMEMBERED = '35 days';

/**
 * Deadlines without their last word, in one statement. A slot that a pause kept back until its deadline was over, or settled, has
 * none: whoever paused knew.
 */
export async function openDeadlines(database: Queryable, now: Date): Promise<OpenDeadline[]> {
  const { rows } = await database.query<RawOpenDeadline>({
    name: 'open-deadlines',
    text: `select s.pipeline, s.nominal, s.window_key, s.publish_by as due, s.window_end, d.state, d.looked_at,
         coalesce(r.plan_hash, c.plan_hash) as plan_hash, r.generation, r.state as run_state,
         case when r.state = 'held' then array(select jsonb_object_keys(r.failure) order by 1) end as failed_stages,
         p.id as publication, p.flipped_at as published_at,
         (select min(l.flipped_at) from almanac.publication l
          where l.pipeline = s.pipeline and l.branch = 'main' and l.window_end > s.window_end and l.flipped_at is not null) as later_at
       from almanac.slot s
       join almanac.schedule c using (pipeline)
       left join almanac.deadline d using (pipeline, nominal)
       left join lateral (
         select * from almanac.run r where r.pipeline = s.pipeline and r.window_key = s.window_key and r.branch = 'main'
         order by r.generation desc limit 1) r on true
       left join lateral (
         select id, flipped_at from almanac.publication p where p.pipeline = s.pipeline and p.branch = 'main' and p.window_key = s.window_key
           and p.window_end = s.window_end and p.flipped_at is not null order by flipped_at limit 1) p on true
       where s.publish_by > $1::timestamptz - interval '${REMEMBERED}' and (
         d.state in ('pending', 'at-risk')
         or (d.state = 'missed' and d.published_at is null and p.id is not null)
         or (d.state is null and s.state <> 'paused' and s.outcome is distinct from 'skipped-paused' and not c.paused and s.publish_by > c.changed_at))
       order by s.publish_by, s.pipeline`,
    values: [now],
  });
  return rows.map((row) => ({
    pipeline: row.pipeline,
    nominal: row.nominal,
    window: row.window_key,
    due: row.due,
    windowEnd: row.window_end,
    state: row.state ?? undefined,
    lookedAt: row.looked_at ?? undefined,
    planHash: row.plan_hash,
    run:
      row.generation === null || row.run_state === null
        ? undefined
        : { generation: row.generation, state: row.run_state, failedStages: row.failed_stages ?? [] },
    published: row.publication === null || row.published_at === null ? undefined : { id: row.publication, at: row.published_at },
    laterAt: row.later_at ?? undefined,
  }));
}

/** Accepted runs whose durations tell how long a stage takes. */
const HISTORY_RUNS = 20;

/** How long the stages of pipelines took in their last accepted runs; time spent waiting for data or permits is left out. */
export async function stageDurations(database: Queryable, pipelines: readonly string[]): Promise<Map<string, Map<string, StageDuration>>> {
  const { rows } = await database.query<{ pipeline: string; stage: string; seconds: [number, number] }>(
    `select a.pipeline, a.stage,
       percentile_cont(array[0.5, 0.9]) within group (order by extract(epoch from a.ended_at - coalesce(a.permits_at, a.started_at))::float8) as seconds
     from unnest($1::text[]) as name (pipeline)
     cross join lateral (
       select r.* from almanac.run r where r.pipeline = name.pipeline and r.branch = 'main' and r.state = 'succeeded' and r.verb <> 'promote' and r.ended_at is not null
       order by r.ended_at desc limit ${HISTORY_RUNS}) r
     join almanac.attempt a on (a.pipeline, a.window_key, a.branch, a.generation) = (r.pipeline, r.window_key, r.branch, r.generation)
     where a.state = 'succeeded' and a.attempt > 0 and (a.polls = 0 or a.permits_at is not null) and a.output -> 'adopted' is distinct from 'true'
     group by 1, 2`,
    [pipelines],
  );
  const durations = new Map<string, Map<string, StageDuration>>();
  for (const { pipeline, stage, seconds } of rows) {
    const of = durations.get(pipeline) ?? new Map<string, StageDuration>();
    durations.set(pipeline, of.set(stage, { usual: seconds[0], late: seconds[1] }));
  }
  return durations;
}

export interface NewestAttempt {
  readonly stage: string;
  readonly state: AttemptState;
  readonly startedAt: Date;
}

/** The newest attempt of every stage of one run of the main branch. */
export async function newestAttempts(database: Queryable, pipeline: string, window: string, generation: number): Promise<NewestAttempt[]> {
  const { rows } = await database.query<{ stage: string; state: AttemptState; started_at: Date }>(
    `select distinct on (stage) stage, state, coalesce(permits_at, started_at) as started_at from almanac.attempt
     where pipeline = $1 and window_key = $2 and branch = 'main' and generation = $3 order by stage, attempt desc`,
    [pipeline, window, generation],
  );
  return rows.map(({ stage, state, started_at }) => ({ stage, state, startedAt: started_at }));
}

export interface DeadlineWrite {
  readonly pipeline: string;
  readonly nominal: string;
  readonly window: string;
  readonly windowEnd: Date;
  readonly due: Date;
  readonly state: DeadlineState;
  readonly eta: Date | undefined;
  readonly etaLate: Date | undefined;
  readonly path: readonly string[];
  readonly reason: string;
  readonly published: { readonly id: number; readonly at: Date } | undefined;
  readonly settledAt: Date | undefined;
}

/** Writes what a look decided; a deadline that was missed stays so and only learns when it was published after all. */
export async function writeDeadlines(database: Queryable, deadlines: readonly DeadlineWrite[], now: Date): Promise<void> {
  if (deadlines.length === 0) return;
  await database.query(
    `insert into almanac.deadline as d (pipeline, nominal, window_key, window_end, due, state, eta, eta_late, path, reason, publication, published_at,
       settled_at, looked_at)
     select pipeline, nominal, window_key, window_end, due, state, eta, eta_late, coalesce(path, '{}'), reason, publication, published_at, settled_at, $2
     from jsonb_to_recordset($1) as w (pipeline text, nominal text, window_key text, window_end timestamptz, due timestamptz, state text,
       eta timestamptz, eta_late timestamptz, path text[], reason text, publication bigint, published_at timestamptz, settled_at timestamptz)
     where exists (select from almanac.slot s where s.pipeline = w.pipeline and s.nominal = w.nominal)
     on conflict (pipeline, nominal) do update set
       state = case when d.state in ('pending', 'at-risk') then excluded.state else d.state end,
       reason = case when d.state in ('pending', 'at-risk') then excluded.reason else d.reason end,
       path = case when d.state in ('pending', 'at-risk') then excluded.path else d.path end,
       settled_at = coalesce(d.settled_at, excluded.settled_at),
       eta = excluded.eta, eta_late = excluded.eta_late, publication = excluded.publication, published_at = excluded.published_at, looked_at = $2`,
    [
      JSON.stringify(
        deadlines.map((row) => ({
          ...{ pipeline: row.pipeline, nominal: row.nominal, window_key: row.window, window_end: row.windowEnd, due: row.due },
          ...{ state: row.state, eta: row.eta ?? null, eta_late: row.etaLate ?? null, path: row.path, reason: row.reason },
          ...{ publication: row.published?.id ?? null, published_at: row.published?.at ?? null, settled_at: row.settledAt ?? null },
        })),
      ),
      now,
    ],
  );
}

/** A deadline as the ledger has it. Instants are ISO. */
export interface DeadlineRow {
  readonly pipeline: string;
  readonly nominal: string;
  readonly window: string;
  readonly due: string;
  readonly state: DeadlineState;
  readonly eta: string | null;
  readonly etaLate: string | null;
  readonly path: readonly string[];
  readonly reason: string;
  readonly publishedAt: string | null;
  readonly publication: number | null;
}

/** Deadlines that are due in [from, to), latest first. */
export async function listDeadlines(
  database: Queryable,
  filter: {
    readonly pipeline?: string | undefined;
    readonly from?: Date | undefined;
    readonly to?: Date | undefined;
    readonly limit: number;
  },
): Promise<DeadlineRow[]> {
  const { rows } = await database.query<{
    pipeline: string;
    nominal: string;
    window_key: string;
    due: Date;
    state: DeadlineState;
    eta: Date | null;
    eta_late: Date | null;
    path: string[];
    reason: string;
    published_at: Date | null;
    publication: number | null;
  }>(
    `select * from almanac.deadline where ($1::text is null or pipeline = $1) and ($2::timestamptz is null or due >= $2)
       and ($3::timestamptz is null or due < $3) order by due desc, pipeline limit $4`,
    [filter.pipeline ?? null, filter.from ?? null, filter.to ?? null, filter.limit],
  );
  return rows.map((row) => ({
    ...{ pipeline: row.pipeline, nominal: row.nominal, window: row.window_key, due: row.due.toISOString(), state: row.state },
    eta: row.eta?.toISOString() ?? null,
    etaLate: row.eta_late?.toISOString() ?? null,
    ...{ path: row.path, reason: row.reason },
    publishedAt: row.published_at?.toISOString() ?? null,
    publication: row.publication,
  }));
}
