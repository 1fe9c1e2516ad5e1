import { addOverride, withdrawOverride } from '../../activities/quality/overrides';
import { listAttempts } from '../../activities/ledger/attempts';
import { planReader } from '../../activities/ledger/plans';
import { AlmanacError } from '../../pipelines/failures';
import { formatRun, type RunAddress } from '../../pipelines/run-id';
import type { Plan } from '../../pipelines/types';
import { holds } from '../../pipelines/verdict';
import { showChecks } from '../checks';
import { requireReason } from '../reason';
import type { OperatorSession } from '../session';
import { retryRun, type RetryAnswer } from './retry';
import { newestRun } from './newest-run';

export interface OverrideVerb {
  readonly address: RunAddress;
  readonly check: string;
  /** Until when the check may fail: of this run, and of every run of its chain that is judged before. */
  readonly until: Date;
  readonly reason: string;
}

export interface OverrideAnswer {
  readonly check: string;
  readonly stage: string;
  /** ISO instant. */
  readonly until: string;
  readonly retry: RetryAnswer;
}

/**
 * Lets a check that holds the run fail for a while, and judges the run again: it goes on, and everything it writes is tainted.
 * Throws `check.unknown`, `run.usage` for a check that does not hold the run, and `run.stale` when somebody was faster.
 */
export async function overrideCheck(session: OperatorSession, verb: OverrideVerb): Promise<OverrideAnswer> {
  const { database, clock, config } = session;
  const name = formatRun(verb.address);
  const reason = requireReason(verb.reason, 'override');
  const row = await newestRun(session, verb.address);
  const now = clock.now();
  const until = verb.until.toISOString();
  if (verb.until <= now) {
    throw new AlmanacError('run.usage', `${until} has passed; an override holds until a time to come`, {
      next: 'pass --until 24h, or a later time',
    });
  }
  const plan = await planReader(database)(row.planHash);
  const declared = checksOf(plan);
  const results = await judgedChecks(session, row.run);
  const failing = results.find(({ check, status, overridden }) => check === verb.check && holds({ status, overridden }));
  if (!declared.includes(verb.check)) {
    throw new AlmanacError('check.unknown', `${name} has no check ${verb.check}; it has ${declared.join(', ') || 'none'}`, {
      next: `almanac check show ${name}`,
    });
  }
  if (failing === undefined) {
    throw new AlmanacError('run.usage', `check ${verb.check} does not hold ${name}`, { next: `almanac why ${name}` });
  }
  const { stage } = failing;
  // Whoever was faster had the check judged anew: this judgement is then no longer the one that holds the run.
  const judged = (await listAttempts(database, row.run)).find((one) => one.stage === stage && one.attempt === failing.attempt);
  const id = await addOverride(database, { run: row.run, stage, check: verb.check, who: config.actor, reason, now, until: verb.until });
  try {
    const retry = await retryRun(session, {
      address: verb.address,
      stages: [stage],
      expectedGeneration: row.run.generation,
      expectedEpoch: judged?.epoch,
      reason,
      inputs: 'pinned',
      code: 'same',
      recordedAs: { verb: 'override', detail: { check: verb.check, until, override: id } },
    });
    return { check: verb.check, stage, until, retry };
  } catch (error) {
    // Without an answer the run may still be judged again, under this override; only a refusal takes it back.
    if (error instanceof AlmanacError && error.class === 'refused') await withdrawOverride(database, id, clock.now());
    throw error;
  }
}

function checksOf(plan: Plan): string[] {
  return plan.stages.flatMap(({ spec }) => (spec.kind === 'check' ? spec.suite.checks.map(({ id }) => id) : []));
}

/** Results of the run's newest judgements; none when nothing was judged yet. */
async function judgedChecks(session: OperatorSession, run: Parameters<typeof showChecks>[1]): ReturnType<typeof showChecks> {
  return showChecks(session.database, run).catch((error: unknown) => {
    if (error instanceof AlmanacError && error.code === 'check.unknown') return [];
    throw error;
  });
}
