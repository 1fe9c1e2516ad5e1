import { noteMover, openRunsFrom } from '../../activities/ledger/branches';
import { listSchedules } from '../../activities/ledger/schedules';
import type { BackfillRow } from '../../activities/ledger/backfills';
import { BACKFILL_STATES } from '../../pipelines/backfill-steps';
import { withIntent, withoutIntent, withPromoted } from '../../pipelines/chain-head';
import { AlmanacError } from '../../pipelines/failures';
import { formatRun } from '../../pipelines/run-id';
import { faultPoints } from '../../workers/fault-points';
import { requireReason } from '../reason';
import { headOf } from '../runs/head';
import type { OperatorSession } from '../session';
import { behindMain, branchStart } from './branch';
import { asMover, type Point } from './mover';
import { findBackfill } from './plan';
import { wakeBackfill, wrongState } from './verbs';

/**
 * Makes the branch of a backfill the head of its chain, in one step. Throws `backfill.behind` while `main` is ahead of it or a run of the
 * chain is open, `backfill.state` when it is not built, or somebody else is at it.
 */
export async function promoteBackfill(
  session: OperatorSession,
  hash: string,
  reason: string,
  point: Point = faultPoints(process.env),
): Promise<BackfillRow> {
  const said = requireReason(reason, 'backfill promote');
  return asMover(session, hash, 'promote', async (row) => {
    const { datasets, database, config } = session;
    // Somebody died over it: the head has moved, and the controller is to hear of it.
    if (BACKFILL_STATES[row.state].driven) await wakeBackfill(session, hash);
    if (row.state !== 'built') throw wrongState(row, 'promote');
    const intent = withIntent(await datasets.heads.settled(row.pipeline), row.branch);
    if (!(await datasets.heads.put(intent))) throw await overtaken(session, row);
    await point('promote:intended');
    try {
      await requireNothingOpen(session, row);
      await requireCaughtUp(session, row);
      // That look takes a while on a long chain, and a run that was claimed over it would be left behind.
      await requireNothingOpen(session, row);
    } catch (error) {
      await datasets.heads.put(withoutIntent(intent));
      throw error;
    }
    await noteMover(database, hash, config.actor, said);
    await point('promote:judged');
    if (!(await datasets.heads.put(withPromoted(intent, row.branch)))) throw await overtaken(session, row);
    await point('promote:moved');
    await headOf(session, row.pipeline);
    await point('promote:followed');
    await wakeBackfill(session, hash);
    return findBackfill(session, hash);
  });
}

/** What is open began from what would be gone: it is to end first. */
async function requireNothingOpen(session: OperatorSession, row: BackfillRow): Promise<void> {
  const [first, ...more] = await openRunsFrom(session.database, row.pipeline, row.branch, branchStart(row));
  if (first === undefined) return;
  const run = formatRun({ pipeline: row.pipeline, window: first.window, branch: first.branch });
  throw new AlmanacError(
    'backfill.behind',
    `${run} is ${first.state}${more.length === 0 ? '' : `, and ${more.length} more are open`}; nothing from ${branchStart(row)} on may be open when the head moves`,
    {
      next: await catchingUp(
        session,
        row,
        first.state === 'held'
          ? `almanac why ${run}; mend it, or almanac abandon ${run} --reason …`
          : `almanac show ${run}; let it end, or almanac cancel ${run} --reason …`,
      ),
      details: { open: [first, ...more] },
    },
  );
}

async function requireCaughtUp(session: OperatorSession, row: BackfillRow): Promise<void> {
  const behind = await behindMain(session, row);
  const [first] = behind;
  if (first === undefined) return;
  throw new AlmanacError(
    'backfill.behind',
    `${row.pipeline} went on since branch ${row.branch} was built: ${first.window} is ${first.why}${behind.length === 1 ? '' : `, and ${behind.length - 1} more`}`,
    {
      next: await catchingUp(session, row),
      details: { behind },
    },
  );
}

async function overtaken(session: OperatorSession, row: BackfillRow): Promise<AlmanacError> {
  return new AlmanacError('backfill.behind', `${row.pipeline} accepted a window at the moment branch ${row.branch} was to be promoted`, {
    next: await catchingUp(session, row),
  });
}

/** The way to a promotion. Where a schedule fires the chain goes on meanwhile, and of a short window it would always be ahead: it is paused. */
async function catchingUp({ database }: OperatorSession, { hash, pipeline }: BackfillRow, ...first: readonly string[]): Promise<string> {
  const fires = (await listSchedules(database)).some((schedule) => schedule.pipeline === pipeline && !schedule.paused);
  return [
    ...(fires ? [`almanac schedule pause ${pipeline} --reason … keeps its slots back`] : []),
    ...first,
    `almanac backfill resume ${hash} --reason … builds what is behind`,
    `almanac backfill promote ${hash} --reason …`,
    ...(fires ? [`almanac schedule unpause ${pipeline} --reason …`] : []),
  ].join('; then ');
}
