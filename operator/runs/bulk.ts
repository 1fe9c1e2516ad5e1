import { listRuns } from '../../activities/ledger/runs';
import { toAlmanacError } from '../../activities/failure';
import { AlmanacError, failureInfo, FAILURE_CLASSES, type FailureInfo } from '../../pipelines/failures';
import { RUN_STATES, type RunState } from '../../pipelines/status';
import type { RunRef } from '../../pipelines/types';
import { requirePipeline, requireRange } from '../names';
import { requireReason } from '../reason';
import type { OperatorSession } from '../session';
import { retryRun, type RetryVerb } from './retry';
import { stopRun } from './stop';

export interface BulkVerb {
  readonly verb: 'retry' | 'cancel' | 'abandon';
  readonly pipeline: string;
  readonly state: RunState;
  /** First and last window, both included. */
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly reason: string;
  /** Else nothing is done but the preview. */
  readonly yes: boolean;
  /** Of a retry. */
  readonly options?: Pick<RetryVerb, 'inputs' | 'code' | 'downstream' | 'params' | 'engine'> | undefined;
}

/** What became of one run of a bulk verb; `would` in a preview. */
export interface BulkResult {
  readonly run: RunRef;
  /** When the verb looked. */
  readonly was: RunState;
  readonly did: 'would' | 'done' | 'failed';
  readonly failure: FailureInfo | null;
}

export interface BulkAnswer {
  readonly verb: BulkVerb['verb'];
  readonly preview: boolean;
  readonly results: readonly BulkResult[];
  /** The worst exit code of all. */
  readonly exitCode: number;
}

/** More windows than a pipeline has in a lifetime of days. */
const MOST_RUNS = 100_000;

/** One verb for the newest generation of every window of a range in one state, oldest first; each run has its own answer. Throws `pipeline.unknown`, `window.invalid`, `run.usage`. */
export async function bulk(session: OperatorSession, verb: BulkVerb): Promise<BulkAnswer> {
  const reason = requireReason(verb.reason, verb.verb);
  const { pipeline, state, from, to } = verb;
  await requirePipeline(session, pipeline);
  await requireRange(session, pipeline, from, to);
  requireOpenTo(verb.verb, state);
  const listed = await listRuns(session.database, { pipeline, state, from, to, limit: MOST_RUNS });
  const rows = listed.sort((a, b) => (a.run.window < b.run.window ? -1 : 1));
  const results: BulkResult[] = [];
  for (const { run, state: was } of rows) {
    results.push(verb.yes ? await once(session, verb, run, was, reason) : { run, was, did: 'would', failure: null });
  }
  const codes = results.map(({ failure }) => (failure === null ? 0 : FAILURE_CLASSES[failure.class].exitCode));
  return { verb: verb.verb, preview: !verb.yes, results, exitCode: Math.max(0, ...codes) };
}

/** Refuses, before any of them is tried, what no run in that state takes. */
function requireOpenTo(verb: BulkVerb['verb'], state: RunState): void {
  if (verb === 'retry' || (verb === 'abandon' ? state === 'held' : RUN_STATES[state].open)) return;
  throw new AlmanacError('run.usage', `no run that is ${state} can be ${verb === 'abandon' ? 'abandoned' : 'cancelled'}`, {
    next: verb === 'abandon' ? 'use --state held' : 'use --state running, held or claimed',
  });
}

async function once(session: OperatorSession, verb: BulkVerb, run: RunRef, was: RunState, reason: string): Promise<BulkResult> {
  try {
    if (verb.verb === 'retry') await retryRun(session, { ...verb.options, address: run, reason });
    else await stopRun(session, { address: run, verb: verb.verb, reason });
    return { run, was, did: 'done', failure: null };
  } catch (error) {
    return { run, was, did: 'failed', failure: failureInfo(toAlmanacError(error)) };
  }
}
