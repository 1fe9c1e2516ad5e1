import { changeBackfill, readBackfill } from '../../activities/ledger/backfills';
import { toAlmanacError } from '../../activities/failure';
import type { BackfillStep } from '../../activities/tasks';
import type { BackfillState } from '../../pipelines/backfill-steps';
import { AlmanacError, failureInfo, type FailureInfo } from '../../pipelines/failures';
import type { OperatorSession } from '../session';

/** Who did what nobody told the backfill to, in its events. */
export const CONTROLLER = 'controller';

/** Tries of a step that fails, a quarter of a minute in all, before the backfill halts with what it failed with. */
const TRIES = 6;
/** A service that is away comes back, and is told of by itself. */
const OUTAGES = ['service.unavailable', 'stack.unreachable', 'stack.down'];

interface Halt {
  readonly hash: string;
  readonly from: readonly BackfillState[];
  readonly reason: string;
  readonly failure: FailureInfo | undefined;
}

/** Halts a backfill unless an operator moved it meanwhile, which the next step sees. */
export async function halt(session: OperatorSession, { hash, from, reason, failure }: Halt): Promise<BackfillStep> {
  const change = { hash, from, to: 'halted', who: CONTROLLER, verb: 'halted', reason, failure } as const;
  return { idle: await changeBackfill(session.database, change, session.clock.now()), changed: true };
}

/**
 * A step that fails for now is made again. One that fails so often fails for good: the backfill halts and tells why, or a cancel, which
 * nothing may turn back, tells why and goes on trying.
 */
export async function orHalt(
  session: OperatorSession,
  hash: string,
  tries: number,
  step: () => Promise<BackfillStep>,
): Promise<BackfillStep> {
  try {
    return await step();
  } catch (error) {
    const { code, message } = toAlmanacError(error);
    const row = tries < TRIES || OUTAGES.includes(code) ? undefined : await readBackfill(session.database, hash);
    if (row === undefined) throw error;
    const reason = `its step failed ${tries} times: ${message}`;
    const next = { next: `mend it, then almanac backfill resume ${hash} --reason …; the log of the control worker says more` };
    const failure = failureInfo(new AlmanacError(code, message, next));
    if (row.state === 'running' || row.state === 'pausing' || row.state === 'publishing')
      return halt(session, { hash, from: [row.state], reason, failure });
    if (row.state === 'cancelling' && tries === TRIES) {
      const untold = failureInfo(new AlmanacError(code, message, { next: 'mend it; the cancel goes on by itself' }));
      const change = { hash, from: [row.state], to: row.state, who: CONTROLLER, verb: 'cancel fails', reason: row.reason, failure: untold };
      await changeBackfill(session.database, change, session.clock.now());
    }
    throw error;
  }
}
