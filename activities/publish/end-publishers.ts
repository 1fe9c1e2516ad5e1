import type { RunRef } from '../../pipelines/types';
import type { Queryable } from '../../lib/postgres';

/** Ends the sessions of all publishers of a run: what they hold is free, and whoever of them lives on has lost its transaction. */
export async function endPublishers(database: Queryable, run: RunRef): Promise<void> {
  await database.query(
    `select pg_terminate_backend(a.pid, 5000) from almanac.publication p
     join pg_stat_activity a on a.pid = p.backend_pid and a.backend_start = p.backend_start
     where p.pipeline = $1 and p.window_key = $2 and p.branch = $3 and p.generation = $4 and a.pid <> pg_backend_pid()`,
    [run.pipeline, run.window, run.branch, run.generation],
  );
}
