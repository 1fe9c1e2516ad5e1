import { readRun, type RunRow } from '../../activities/ledger/runs';
import type { AttemptProof } from '../../activities/control';
import { AlmanacError } from '../../pipelines/failures';
import { formatRun, type RunAddress } from '../../pipelines/run-id';
import { RUN_STATES, type RunState } from '../../pipelines/status';
import type { RunRef } from '../../pipelines/types';
import { requireReason } from '../reason';
import type { OperatorSession } from '../session';
import { intendVerb, sendIntended } from './verb';
import { pollRun } from './wait';
import { newestRun } from './newest-run';

export interface StopVerb {
  readonly address: RunAddress;
  readonly verb: 'cancel' | 'abandon';
  readonly reason: string;
  /** Default: the person at the terminal. */
  readonly who?: string | undefined;
}

export interface StopAnswer {
  readonly run: RunRef;
  readonly state: RunState;
  /** How every begun attempt is known to do no more harm. */
  readonly proof: readonly AttemptProof[];
}

/** The longest an orderly stop takes: a lost worker is noticed after 10 s, its child gets 5 s. */
const STOP_DEADLINE_MS = 60_000;

/** Tells an open run to end and does not wait for that; one that has ended is left as it is. */
export async function tellToStop(session: OperatorSession, verb: StopVerb): Promise<void> {
  const reason = requireReason(verb.reason, verb.verb);
  const row = await newestRun(session, verb.address);
  if (!RUN_STATES[row.state].open) return;
  const asked = await intendVerb(session, row, { verb: verb.verb, who: verb.who, reason, detail: {} });
  await sendIntended(session, row, verb.verb, asked);
}

/** Ends an open run and waits for the proof; a run that is closed the same way already answers with its proof. */
export async function stopRun(session: OperatorSession, verb: StopVerb): Promise<StopAnswer> {
  const { database } = session;
  const name = formatRun(verb.address);
  const reason = requireReason(verb.reason, verb.verb);
  const row = await newestRun(session, verb.address);
  const wanted: RunState = verb.verb === 'cancel' ? 'cancelled' : 'abandoned';
  if (!RUN_STATES[row.state].open) {
    if (row.state === wanted) return answer(row);
    throw new AlmanacError('run.stale', `${name} already ended as ${row.state}; there is nothing to ${verb.verb}`, {
      next: `almanac show ${name}`,
    });
  }
  const asked = await intendVerb(session, row, { verb: verb.verb, who: verb.who, reason, detail: {} });
  try {
    await sendIntended(session, row, verb.verb, asked);
  } catch (error) {
    // Somebody who asked for the same was faster.
    const now = await readRun(database, row.run);
    if (now?.state === wanted) return answer(now);
    throw error;
  }
  const closed = await pollRun(database, row.run, ({ endedAt }) => endedAt !== null, STOP_DEADLINE_MS);
  if (closed === undefined) {
    throw new AlmanacError('service.unavailable', `${name} was told to stop and has not reported it within ${STOP_DEADLINE_MS / 1000} s`, {
      next: `almanac status, then almanac show ${name}`,
    });
  }
  return answer((await readRun(database, closed.run)) ?? closed);
}

function answer(row: RunRow): StopAnswer {
  return { run: row.run, state: row.state, proof: (row.proof as AttemptProof[] | null) ?? [] };
}
