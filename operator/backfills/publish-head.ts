import { changeBackfill, type BackfillRow } from '../../activities/ledger/backfills';
import { planReader } from '../../activities/ledger/plans';
import { publishedVersions } from '../../activities/ledger/branches';
import { latestRun } from '../../activities/ledger/runs';
import type { BackfillStep } from '../../activities/tasks';
import { AlmanacError } from '../../pipelines/failures';
import { formatRun, MAIN_BRANCH } from '../../pipelines/run-id';
import { RUN_STATES } from '../../pipelines/status';
import type { Plan } from '../../pipelines/types';
import { retryRun } from '../runs/retry';
import { startRun } from '../runs/start';
import type { OperatorSession } from '../session';
import { branchStart } from './branch';

const CONTROLLER = 'controller';

/**
 * Brings the live tables to a head that moved, one window at a time, oldest first: publishes again what shows other rows than
 * the accepted set. A window whose run is held over that is told of as every hold is, and left to its operator.
 */
export async function publishStep(session: OperatorSession, row: BackfillRow): Promise<BackfillStep> {
  const { database, clock } = session;
  const held: string[] = [];
  for (const window of await dueWindows(session, row)) {
    const address = { pipeline: row.pipeline, window, branch: MAIN_BRANCH };
    const run = await latestRun(database, row.pipeline, window, MAIN_BRANCH);
    if (run === undefined) continue;
    if (run.state === 'held') {
      held.push(formatRun(address));
      continue;
    }
    if (RUN_STATES[run.state].open) {
      // Its claimer may have died before the start.
      if (run.state === 'claimed') await startRun(session, { pipeline: row.pipeline, window });
      return { idle: false, changed: false };
    }
    const stages = (await planReader(database)(run.planHash)).stages.filter(({ kind }) => kind === 'publish').map(({ id }) => id);
    try {
      const reason = `backfill ${row.hash}: branch ${row.branch} was promoted`;
      await retryRun(session, {
        address,
        stages,
        inputs: 'pinned',
        code: 'same',
        reason,
        recordedAs: { verb: 'publish head', detail: {} },
      });
    } catch (error) {
      // Somebody runs it meanwhile, which publishes as well: the next step looks again.
      if (!(error instanceof AlmanacError) || error.code !== 'run.stale') throw error;
    }
    return { idle: false, changed: true };
  }
  const reason = held.length === 0 ? row.reason : `${held.join(', ')} is held before it is published`;
  await changeBackfill(database, { hash: row.hash, from: ['publishing'], to: 'done', who: CONTROLLER, verb: 'done', reason }, clock.now());
  return { idle: true, changed: true };
}

/** Windows of the new head whose live rows are others: of a table that shows the newest window that one, else all that were built. */
async function dueWindows({ database, datasets }: OperatorSession, row: BackfillRow): Promise<string[]> {
  const mode = publishMode(await planReader(database)(row.planHash));
  if (mode === undefined) return [];
  const accepted = await datasets.acceptedWindows(row.pipeline, MAIN_BRANCH);
  const windows = mode === 'newest' ? accepted.slice(-1) : accepted.filter((window) => window >= branchStart(row));
  const due: string[] = [];
  for (const window of windows) {
    const published = await publishedVersions(database, row.pipeline, window);
    const set = await datasets.accepted(row.pipeline, MAIN_BRANCH, window);
    const differs = (dataset: string, digest: string): boolean =>
      set?.versions.some((version) => version.dataset === dataset && version.digest !== digest) === true;
    if (published === undefined || published.some(({ dataset, digest }) => differs(dataset, digest))) due.push(window);
  }
  return due;
}

function publishMode({ stages }: Plan): string | undefined {
  for (const { spec } of stages) if (spec.kind === 'publish') return spec.mode;
  return undefined;
}
