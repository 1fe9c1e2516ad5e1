import { readBackfill, stageHistory, storeBackfill, type BackfillRow } from '../../activities/ledger/backfills';
import { planReader } from '../../activities/ledger/plans';
import { storePlan, storeTexts } from '../../activities/ledger/runs';
import { sha256 } from '../../lib/sha256';
import { estimateBackfill, type BackfillEstimate } from '../../pipelines/backfill-estimate';
import { backfillHash, planBackfill, type BackfillPlan, type BackfillRequest } from '../../pipelines/backfill-plan';
import { AlmanacError } from '../../pipelines/failures';
import type { OperatorSession } from '../session';
import { installPoolsOf } from '../pools';
import { headOf } from '../runs/head';
import { backfillFacts } from './facts';

export interface PlannedBackfill {
  readonly hash: string;
  readonly plan: BackfillPlan;
  readonly concurrency: number;
  readonly estimate: BackfillEstimate;
}

/**
 * Notes what a backfill would do under its hash; starts nothing. Throws `pipeline.unknown`, `window.invalid`, `window.open`,
 * `run.usage`, `backfill.gap`, `backfill.branch`.
 */
export async function makeBackfill(session: OperatorSession, request: BackfillRequest, concurrency: number): Promise<PlannedBackfill> {
  const { database, config, clock } = session;
  const pipeline = (await session.project()).pipeline(request.pipeline);
  const today = pipeline.plan();
  if (today.chain === 'ordered') requireOne(request.pipeline, concurrency);
  const plan = await planNow(session, request);
  const hash = backfillHash(plan, sha256);
  await storeTexts(database, pipeline.texts);
  await storePlan(database, today);
  await installPoolsOf(session, today);
  await storeBackfill(database, { hash, pipeline: request.pipeline, plan, concurrency, who: config.actor }, clock.now());
  return { hash, plan, concurrency, estimate: await estimate(session, plan, plan.windows, concurrency) };
}

/** What the same request would do now. */
export async function planNow(session: OperatorSession, request: BackfillRequest): Promise<BackfillPlan> {
  const plan = (await session.project()).pipeline(request.pipeline).plan();
  return planBackfill(await backfillFacts(session, plan, request));
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
