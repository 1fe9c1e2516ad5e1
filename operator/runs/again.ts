import { latestRun } from '../../activities/ledger/runs';
import { AlmanacError } from '../../pipelines/failures';
import { formatRun, type RunAddress } from '../../pipelines/run-id';
import { RUN_STATES } from '../../pipelines/status';
import type { EngineName } from '../../pipelines/types';
import type { OperatorSession } from '../session';
import type { Matrix, Params } from './code';
import { retryRun, type RetryAnswer } from './retry';

export interface AgainVerb {
  readonly address: RunAddress;
  /** Default `latest`. */
  readonly code?: Matrix['code'] | undefined;
  /** `pinned` keeps what the ingest stages read and the versions of the window before. Default `latest`. */
  readonly inputs?: Matrix['inputs'] | undefined;
  readonly params?: Params | undefined;
  /** Default: that of the run before. */
  readonly engine?: EngineName | undefined;
  readonly reason: string;
  /** Says what would be done. */
  readonly dryRun?: boolean | undefined;
}

/** Runs every stage of a closed run again as its next generation, by the code, inputs and params asked for. Throws `run.stale` for an open one. */
export async function runAgain(session: OperatorSession, verb: AgainVerb): Promise<RetryAnswer> {
  const { pipeline, window, branch } = verb.address;
  const name = formatRun(verb.address);
  const row = await latestRun(session.database, pipeline, window, branch);
  if (row === undefined) {
    throw new AlmanacError('run.unknown', `no run ${name} in the ledger that could be run again`, {
      next: `almanac run ${pipeline} --window ${window}`,
    });
  }
  if (RUN_STATES[row.state].open) {
    throw new AlmanacError('run.stale', `${name} is ${row.state}; a new generation needs the open one to end`, {
      next: `almanac cancel ${name} --reason …, or almanac retry ${name} --reason …`,
    });
  }
  const { code = 'latest', inputs = 'latest', params, engine, reason, dryRun } = verb;
  return retryRun(session, {
    address: verb.address,
    everything: true,
    code,
    inputs,
    params,
    engine,
    reason,
    dryRun,
    recordedAs: { verb: 'run --again', detail: {} },
  });
}
