import { AlmanacError } from '../pipelines/failures';
import { formatRun, type RunAddress } from '../pipelines/run-id';
import type { RunRef } from '../pipelines/types';
import type { ActionState } from './runs/actions';
import type { OperatorSession } from './session';

export interface AuditFilter {
  readonly run?: (RunAddress & { readonly generation?: number }) | undefined;
  readonly who?: string | undefined;
  readonly since?: Date | undefined;
  readonly limit: number;
}

/** Something an operator did. */
export interface AuditedAction {
  readonly id: number;
  /** ISO instant. */
  readonly at: string;
  readonly who: string;
  readonly verb: string;
  /** What it was done to: a run, a pool by name, or the schedule of a pipeline. */
  readonly run: RunRef | null;
  readonly pool: string | null;
  readonly schedule: string | null;
  readonly stage: string | null;
  readonly reason: string | null;
  /** `undone`: it was taken back. */
  readonly state: ActionState | 'undone';
  readonly detail: Readonly<Record<string, unknown>>;
}

interface Row extends Omit<AuditedAction, 'at'> {
  readonly at: Date;
}

/** What was done, newest first. Throws `run.unknown` for a run of which nothing is on record. */
export async function audit({ database }: Pick<OperatorSession, 'database'>, filter: AuditFilter): Promise<AuditedAction[]> {
  const { run, who, since, limit } = filter;
  const { rows } = await database.query<Row>(
    `select id::int as id, at, who, verb, pool, stage, reason, detail,
       case when window_key is null then pipeline end as schedule,
       case when window_key is not null then json_build_object('pipeline', pipeline, 'window', window_key, 'branch', branch, 'generation', generation) end as run,
       case when undone_at is not null then 'undone' else state end as state
     from almanac.action
     where ($1::text is null or (pipeline = $1 and window_key = $2 and branch = $3)) and ($4::int is null or generation = $4)
       and ($5::text is null or who = $5) and ($6::timestamptz is null or at >= $6)
     order by id desc limit $7`,
    [run?.pipeline ?? null, run?.window ?? null, run?.branch ?? null, run?.generation ?? null, who ?? null, since ?? null, limit],
  );
  if (rows.length === 0 && run !== undefined && who === undefined && since === undefined) {
    throw new AlmanacError('run.unknown', `nothing is on record of a run ${formatRun(run)}`, { next: 'almanac runs lists them' });
  }
  return rows.map(({ at, ...rest }) => ({ ...rest, at: at.toISOString() }));
}
