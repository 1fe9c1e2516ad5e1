import { AlmanacError } from '../../pipelines/failures';
import type { RunRef } from '../../pipelines/types';
import type { PublishSession } from './publish-session';

/** A generation in another state has ended; what still acts for it is a zombie. */
const OPEN_STATES: readonly string[] = ['claimed', 'running', 'held'];

/**
 * Throws `publish.fenced` unless the run is the newest claimed generation of its window and still open. Locks its row
 * against a cancel until the transaction ends: a cancel comes before this flip, and stops it, or after.
 */
export async function assertCurrent(session: Pick<PublishSession, 'client'>, run: RunRef): Promise<void> {
  const { rows } = await session.client.query<{ generation: number; state: string }>(
    'select generation, state from almanac.run where pipeline = $1 and window_key = $2 and branch = $3 and generation >= $4 order by generation for share',
    [run.pipeline, run.window, run.branch, run.generation],
  );
  const newest = rows.at(-1);
  const why =
    newest === undefined
      ? 'the ledger does not know it'
      : newest.generation > run.generation
        ? `generation ${newest.generation} was claimed since`
        : !OPEN_STATES.includes(newest.state)
          ? `it is ${newest.state}`
          : undefined;
  if (why === undefined) return;
  const name = `${run.pipeline}/${run.window}`;
  throw new AlmanacError('publish.fenced', `${name} generation ${run.generation} may not publish: ${why}`, {
    next: `almanac show ${name}`,
    details: { run },
  });
}
