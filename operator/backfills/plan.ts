import { branchBackfills, readBackfill, stageHistory, storeBackfill, type BackfillRow } from '../../activities/ledger/backfills';
import { planReader } from '../../activities/ledger/plans';
import { storePlan, storeTexts } from '../../activities/ledger/runs';
import { sha256 } from '../../lib/sha256';
import { estimateBackfill, type BackfillEstimate } from '../../pipelines/backfill-estimate';
import { backfillHash, planBackfill, type BackfillPlan, type BackfillRequest } from '../../pipelines/backfill-plan';
import { openBranch, type ChainHead } from '../../pipelines/chain-head';
import { AlmanacError } from '../../pipelines/failures';
import { installPoolsOf } from '../pools';
import { headOf } from '../runs/head';
import type { OperatorSession } from '../session';
import { backfillFacts } from './facts';

export interface PlannedBackfill {
  readonly hash: string;
  readonly plan: BackfillPlan;
  readonly concurrency: number;
  readonly estimate: BackfillEstimate;
}

/**
 * Notes what a backfill would do under its hash; starts nothing. Throws `pipeline.unknown`, `window.invalid`, `window.open`,
 * `run.usage`, `params.*`, `backfill.gap`, `backfill.branch`.
 */
export async function makeBackfill(session: OperatorSession, request: BackfillRequest, concurrency: number): Promise<PlannedBackfill> {
  const { database, config, clock } = session;
  const pipeline = (await session.project()).pipeline(request.pipeline);
  const today = pipeline.plan(request.params, request.engine);
  if (today.chain === 'ordered') requireOne(request.pipeline, concurrency);
  const plan = await planNow(session, request);
  if (plan.branch !== undefined)
    requireNoBranch(await headOf(session, request.pipeline), await branchBackfills(database, request.pipeline));
  const hash = backfillHash(plan, sha256);
  await storeTexts(database, pipeline.texts);
  await storePlan(database, today);
  await installPoolsOf(session, today);
  await storeBackfill(database, { hash, pipeline: request.pipeline, plan, concurrency, who: config.actor }, clock.now());
  return { hash, plan, concurrency, estimate: await estimate(session, plan, plan.windows, concurrency) };
}

/** What the same request would do now. */
export async function planNow(session: OperatorSession, request: BackfillRequest): Promise<BackfillPlan> {
  const plan = (await session.project()).pipeline(request.pipeline).plan(request.params, request.engine);
  return planBackfill(await backfillFacts(session, plan, request));
}

/** One branch of a pipeline at a time: what another one began from would be gone. Throws `backfill.branch`. */
export function requireNoBranch(head: ChainHead, backfills: ReadonlyMap<string, string>): void {
  const open = openBranch(head);
  if (open === undefined) return;
  const hash = backfills.get(open) ?? 'HASH';
  throw new AlmanacError('backfill.branch', `branch ${open} of ${head.pipeline}, of backfill ${hash}, is open; there is one at a time`, {
    next: `almanac backfill show ${hash}; almanac backfill promote ${hash} --reason … or almanac backfill discard ${hash} --reason … closes it`,
    details: { branch: open, backfill: hash },
  });
}

/** From the history of the pipeline's stages. */
export async function estimate(
  session: OperatorSession,
  plan: BackfillPlan,
  windows: BackfillPlan['windows'],
  concurrency: number,
): Promise<BackfillEstimate> {
  const stages = await planReader(session.database)(plan.planHash);
  return estimateBackfill(stages, windows, await stageHistory(session.database, plan.request.pipeline), concurrency);
}

/** Throws `backfill.unknown`. */
export async function findBackfill({ database }: Pick<OperatorSession, 'database'>, hash: string): Promise<BackfillRow> {
  const row = await readBackfill(database, hash);
  if (row !== undefined) return row;
  throw new AlmanacError('backfill.unknown', `no backfill ${hash}`, { next: 'almanac backfill list shows them' });
}

/** An ordered chain is built one window after the other. Throws `run.usage`. */
export function requireOne(pipeline: string, concurrency: number): void {
  if (concurrency === 1) return;
  throw new AlmanacError(
    'run.usage',
    `${pipeline} is an ordered chain: its windows are built one after the other, not ${concurrency} at a time`,
    {
      next: 'leave --concurrency out',
    },
  );
}
