import type { RunRow } from '../../activities/ledger/runs';
import { recordTaken } from '../../activities/ledger/taken';
import { AlmanacError } from '../../pipelines/failures';
import { faultPoints } from '../../workers/fault-points';
import type { Asked, VerbAnswer } from '../../workflows/messages';
import type { OperatorSession } from '../session';
import { intendAction, refuseAction } from './actions';
import { sendVerb } from './execution';

export interface Intention {
  readonly verb: string;
  readonly stage?: string | undefined;
  readonly reason: string;
  readonly detail: Readonly<Record<string, unknown>>;
  /** Default: the person at the terminal. */
  readonly who?: string | undefined;
}

/**
 * Puts a verb for an open run on record before it is sent, so that who, when and why survive a sender that dies. The answer
 * settles it; without one the next order of the run does, or its end, if the verb was never taken.
 */
export async function intendVerb(session: OperatorSession, row: RunRow, intention: Intention): Promise<Asked> {
  const { database, clock, config } = session;
  const { verb, stage, reason, detail, who = config.actor } = intention;
  const action = await intendAction(database, { run: row.run, verb, who, stage, reason, detail, now: clock.now() });
  await faultPoints(process.env)(`${verb}:intended`);
  return { claim: row.claim, who, reason, action };
}

/** Sends an intended verb; what it led to is on record when this returns. Throws `run.stale`, or `run.running`, when the run refuses it. */
export async function sendIntended<R extends Asked>(
  session: OperatorSession,
  row: RunRow,
  update: string,
  request: R,
  planHash?: string,
): Promise<VerbAnswer> {
  const { database, clock } = session;
  const actions = request.action === undefined ? [] : [request.action];
  let answer: VerbAnswer;
  try {
    answer = await sendVerb(await session.temporal(), row, update, request);
  } catch (error) {
    // Without an answer the run may still take it.
    if (error instanceof AlmanacError && error.class === 'refused') await refuseAction(database, row.run, actions);
    throw error;
  }
  await faultPoints(process.env)(`${update}:sent`);
  const taken = { woken: answer.woken, plans: planHash === undefined ? 0 : answer.plans, actions };
  await recordTaken(database, { run: row.run, claim: row.claim, planHash: planHash ?? row.planHash, taken }, clock.now());
  return answer;
}
