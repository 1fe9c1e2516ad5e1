import { readRun, type RunRow } from '../../activities/ledger/runs';
import { isProven, type AttemptProof } from '../../activities/attempt-proof';
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

/** The longest an orderly stop takes: a lost worker is noticed after 10 s, its child gets 5 s, a step on EMR 30 s. */
const STOP_DEADLINE_MS = 90_000;

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
    if (row.state === wanted) return answer((await provenRun(session, row.run)) ?? row);
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
    if (now?.state === wanted) return answer((await provenRun(session, row.run)) ?? now);
    throw error;
  }
  const closed = await provenRun(session, row.run);
  if (closed === undefined) {
    throw new AlmanacError('service.unavailable', `${name} was told to stop and has not reported it within ${STOP_DEADLINE_MS / 1000} s`, {
      next: `almanac status, then almanac show ${name}`,
    });
  }
  return answer(closed);
}

/** The run once it is closed and all that is known of it will not change; as it is when that takes too long; undefined while it is open even then. */
export async function provenRun({ database }: Pick<OperatorSession, 'database'>, run: RunRef): Promise<RunRow | undefined> {
  const proven = await pollRun(database, run, (row) => row.endedAt !== null && isProven(proofOf(row)), STOP_DEADLINE_MS);
  if (proven !== undefined) return proven;
  const row = await readRun(database, run);
  return row?.endedAt == null ? undefined : row;
}

/** How every begun attempt of a closed run is known to do no more harm. */
export function proofOf({ proof }: Pick<RunRow, 'proof'>): readonly AttemptProof[] {
  return (proof as AttemptProof[] | null) ?? [];
}

function answer(row: RunRow): StopAnswer {
  return { run: row.run, state: row.state, proof: proofOf(row) };
}
