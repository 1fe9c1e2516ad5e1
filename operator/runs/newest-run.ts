import { latestRun, type RunRow } from '../../activities/ledger/runs';
import { AlmanacError } from '../../pipelines/failures';
import { formatRun, type RunAddress } from '../../pipelines/run-id';
import type { OperatorSession } from '../session';

/** The newest generation of a run, which a verb is about. Throws `run.unknown`. */
export async function newestRun({ database }: Pick<OperatorSession, 'database'>, address: RunAddress): Promise<RunRow> {
  const row = await latestRun(database, address.pipeline, address.window, address.branch);
  if (row !== undefined) return row;
  throw new AlmanacError('run.unknown', `no run ${formatRun(address)} in the ledger`, { next: 'almanac runs lists them' });
}
