import type { BackfillRow, BackfillWindowRow } from '../../activities/ledger/backfills';
import { listAttempts } from '../../activities/ledger/attempts';
import { standingOutputs } from '../../activities/accept-window';
import { planReader } from '../../activities/ledger/plans';
import { latestRun, type RunRow } from '../../activities/ledger/runs';
import { canonicalJson } from '../../pipelines/canonical';
import { planFollowing, type BackfillWindow } from '../../pipelines/backfill-plan';
import { AlmanacError } from '../../pipelines/failures';
import { formatRun, MAIN_BRANCH } from '../../pipelines/run-id';
import { RUN_STATES } from '../../pipelines/status';
import type { Plan } from '../../pipelines/types';
import { parseWindow } from '../../pipelines/window';
import { startOfChain } from '../runs/chain';
import { startGeneration } from '../runs/generation';
import { claimUnder } from '../runs/head';
import { startRun } from '../runs/start';
import { stopRun } from '../runs/stop';
import type { OperatorSession } from '../session';
import { findStale, staleOf } from '../stale';
import { namesOf, windowFacts } from './facts';

/**
 * Starts the run of one window of a backfill, as planned: under its frozen plan, with the outputs it carries. Starting it twice is
 * the same as once; one that somebody else started since is as good. Throws what refuses it.
 */
export async function startWindow(
  session: OperatorSession,
  row: BackfillRow,
  { window, after }: Pick<BackfillWindowRow, 'window' | 'after'>,
): Promise<void> {
  const { database } = session;
  const { pipeline, hash, branch } = row;
  const plan = await planReader(database)(row.planHash);
  const common = { pipeline, window, branch, plan, who: `backfill ${hash}`, reason: `backfill ${hash}`, queue: 'backfill' as const };
  let latest = await latestRun(database, pipeline, window, branch);
  if (latest !== undefined && latest.run.generation > after) {
    // Its claimer may have died before the start.
    if (latest.state === 'claimed') await startRun(session, common);
    return;
  }
  if (latest !== undefined && RUN_STATES[latest.state].open) {
    // A run that somebody mended since goes on; the step looks at it again.
    if (latest.state !== 'held') return;
    await stopRun(session, { address: latest.run, verb: 'cancel', reason: `backfill ${hash} runs it again`, who: common.who });
    latest = await latestRun(database, pipeline, window, branch);
  }
  const under = await claimUnder(session, { pipeline, window, branch });
  const planned = await plannedOf(session, row, plan, window, after);
  // What a branch carries, and how its windows began, is of the run on `main`.
  const source = branch === MAIN_BRANCH ? latest : await latestRun(database, pipeline, window, MAIN_BRANCH);
  if (source === undefined || planned.carried.length === 0) {
    await startRun(session, {
      ...common,
      again: latest !== undefined || after > 0,
      bootstrap: source?.bootstrap,
      params: row.plan.request.params,
    });
    return;
  }
  await startPartly(session, row, source, { ...planned, after }, plan, under);
}

/** As it was planned; a window that came later, or is to be built once more on a branch, as it would be planned now. */
async function plannedOf(session: OperatorSession, row: BackfillRow, plan: Plan, window: string, after: number): Promise<BackfillWindow> {
  const planned = row.plan.windows.find((one) => one.window === window);
  if (row.branch === MAIN_BRANCH || (planned !== undefined && after === 0)) {
    if (planned !== undefined) return planned;
    throw new AlmanacError('internal', `backfill ${row.hash} has no window ${window}`, { next: 'almanac backfill plan again' });
  }
  const { request } = row.plan;
  const { pipeline, branch } = row;
  const stale = await findStale(session.database);
  const here = staleOf(stale, { pipeline, window, branch }) ?? staleOf(stale, { pipeline, window, branch: MAIN_BRANCH });
  return planFollowing(plan, request, await windowFacts(session, plan, request, parseWindow(plan.window, window), here));
}

async function startPartly(
  session: OperatorSession,
  row: BackfillRow,
  latest: RunRow,
  planned: BackfillWindow,
  plan: Plan,
  under: Awaited<ReturnType<typeof claimUnder>>,
): Promise<void> {
  const { database, datasets } = session;
  const { branch } = row;
  const standing = standingOutputs(await listAttempts(database, latest.run));
  const carried = planned.carried.map(({ stage, versions }) => {
    const kept = standing[stage];
    if (kept !== undefined && canonicalJson(namesOf(kept.output.versions)) === canonicalJson(versions))
      return { stage, state: 'carried' as const, output: kept.output, tainted: kept.tainted };
    throw new AlmanacError(
      'backfill.drift',
      `${formatRun(latest.run)}: the output of ${stage} that was to be carried, ${versions.join(', ')}, no longer stands`,
      {
        next: `almanac backfill cancel ${row.hash} --reason …, then plan again`,
      },
    );
  });
  const chain = { database, datasets, plan, branch };
  const { pins, origin, pinsTainted } = await startOfChain(chain, planned.window, latest.bootstrap);
  await startGeneration(session, {
    run: { ...latest.run, branch, generation: planned.after + 1 },
    plan,
    pins,
    pinsTainted,
    origin,
    from: latest,
    carried,
    matrix: {
      ...{ code: 'latest', inputs: 'latest', params: plan.params, backfill: row.hash },
      ...(plan.engine === undefined ? {} : { engine: plan.engine }),
    },
    verb: 'backfill',
    stage: undefined,
    reason: `backfill ${row.hash}`,
    detail: { backfill: row.hash, stages: planned.stages.map(({ stage, reason }) => `${stage}: ${reason}`) },
    who: `backfill ${row.hash}`,
    queue: 'backfill',
    under,
  });
}
