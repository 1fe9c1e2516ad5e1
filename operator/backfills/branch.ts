import type { BackfillRow } from '../../activities/ledger/backfills';
import { branchBackfills } from '../../activities/ledger/backfills';
import { withBranch } from '../../pipelines/chain-head';
import { AlmanacError } from '../../pipelines/failures';
import { MAIN_BRANCH } from '../../pipelines/run-id';
import { headOf } from '../runs/head';
import type { OperatorSession } from '../session';
import { findStale } from '../stale';
import { requireNoBranch } from './plan';

/** A window that a branch is still to be given. */
export interface BehindWindow {
  readonly window: string;
  readonly why: 'not built' | 'accepted anew on main' | 'stale';
}

/** Opens the branch of a backfill in the head of its chain, once. Throws `backfill.branch`, and `backfill.state` for a closed one. */
export async function forkBranch(session: OperatorSession, row: BackfillRow): Promise<void> {
  const { datasets, database } = session;
  const from = branchStart(row);
  for (;;) {
    const head = await headOf(session, row.pipeline);
    const own = head.branches[row.branch];
    if (own?.state === 'open') return;
    if (own !== undefined) {
      throw new AlmanacError('backfill.state', `branch ${row.branch} of ${row.pipeline} was ${own.state}`, {
        next: `almanac backfill plan ${row.pipeline} --from ${row.plan.request.from} --to ${row.plan.request.to} plans another one`,
      });
    }
    requireNoBranch(head, await branchBackfills(database, row.pipeline));
    await datasets.heads.put(withBranch(head, row.branch, from));
  }
}

/** The window that the branch of a backfill forks at. */
export function branchStart({ hash, plan }: BackfillRow): string {
  if (plan.branch !== undefined) return plan.branch.from;
  throw new AlmanacError('backfill.state', `backfill ${hash} builds in place, on no branch: what it builds is current at once`, {
    next: `almanac backfill show ${hash}`,
  });
}

/** Windows that `main` has and the branch has not, that `main` accepted anew since the branch built them, and that are stale on the branch. */
export async function behindMain({ datasets, database }: OperatorSession, row: BackfillRow): Promise<BehindWindow[]> {
  const { pipeline, branch } = row;
  const from = branchStart(row);
  const stale = new Set(
    (await findStale(database)).flatMap((one) => (one.pipeline === pipeline && one.branch === branch ? [one.window] : [])),
  );
  const behind: BehindWindow[] = [];
  for (const window of await datasets.acceptedWindows(pipeline, MAIN_BRANCH)) {
    if (window < from) continue;
    const own = await datasets.accepted(pipeline, branch, window);
    const main = await datasets.accepted(pipeline, MAIN_BRANCH, window);
    if (own === undefined) behind.push({ window, why: 'not built' });
    else if ((main?.since ?? 0) > (own.over ?? 0)) behind.push({ window, why: 'accepted anew on main' });
    else if (stale.has(window)) behind.push({ window, why: 'stale' });
  }
  return behind;
}
