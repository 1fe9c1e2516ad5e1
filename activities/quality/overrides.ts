/** Checks that operators let fail for a while, in the control schema. */
import type { Queryable } from '../../lib/postgres';
import type { RunRef } from '../../pipelines/types';
import type { Overruled } from '../../pipelines/verdict';

/** Overrides of a stage's checks on a chain, by check, that are neither over nor withdrawn. */
export async function readOverrides(
  database: Queryable,
  { pipeline, branch }: Pick<RunRef, 'pipeline' | 'branch'>,
  stage: string,
  now: Date,
): Promise<ReadonlyMap<string, readonly Overruled[]>> {
  const { rows } = await database.query<{ check: string; who: string; until: Date; reason: string }>(
    `select check_id as "check", who, until, reason from almanac.check_override
     where pipeline = $1 and branch = $2 and stage = $3 and until > $4 and withdrawn_at is null order by id`,
    [pipeline, branch, stage, now],
  );
  const found = new Map<string, Overruled[]>();
  for (const { check, who, until, reason } of rows) {
    found.set(check, [...(found.get(check) ?? []), { who, until: until.toISOString(), reason }]);
  }
  return found;
}

export interface NewOverride {
  readonly run: RunRef;
  readonly stage: string;
  readonly check: string;
  readonly who: string;
  readonly reason: string;
  readonly now: Date;
  readonly until: Date;
}

/** Puts an override on record; answers its id. */
export async function addOverride(database: Queryable, { run, stage, check, who, reason, now, until }: NewOverride): Promise<number> {
  const { rows } = await database.query<{ id: number }>(
    `insert into almanac.check_override (pipeline, window_key, branch, generation, stage, check_id, who, reason, since, until)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) returning id`,
    [run.pipeline, run.window, run.branch, run.generation, stage, check, who, reason, now, until],
  );
  const [row] = rows;
  if (row === undefined) throw new Error('an insert returned no id');
  return row.id;
}

/** Takes an override back: what is judged from now on is judged without it. */
export async function withdrawOverride(database: Queryable, id: number, now: Date): Promise<void> {
  await database.query('update almanac.check_override set withdrawn_at = coalesce(withdrawn_at, $2) where id = $1', [id, now]);
}
