import { AlmanacError } from '../../pipelines/failures';
import { formatRun, retryCommand } from '../../pipelines/run-id';
import type { RunRef } from '../../pipelines/types';
import type { EffectRow } from '../ledger/effects';
import { EmrFault } from './emr-fault';

/** What a zombie is told, and one whose row a crash of the ledger took. Retried: who is in order then finds everything as it was left. */
export function overtaken(run: RunRef): AlmanacError {
  return new AlmanacError('service.unavailable', `another attempt of ${formatRun(run)} has the job by now, or the ledger lost this one`, {
    next: `almanac show ${formatRun(run)}`,
  });
}

/** What is said of credentials that are not there, have expired, or are not known; they are renewed while stages wait. */
const CREDENTIALS =
  /^(ExpiredToken|ExpiredTokenException|UnrecognizedClientException|InvalidSignatureException|CredentialsProviderError|TokenProviderError)$/;

/** A failure of a stage that EMR gave, as its class decides about a retry; anything else as it is. */
export function emrFailure(error: unknown, run: RunRef, stage: string): unknown {
  if (!(error instanceof EmrFault)) return error;
  const said = `${error.operation}: ${error.service === '' ? '' : `${error.service}: `}${error.message}`;
  if (CREDENTIALS.test(error.service)) {
    return new AlmanacError('emr.credentials', `there are no valid credentials for EMR: ${said}`, {
      next: 'renew them where the AWS SDK looks (role, profile, environment); the stage looks again by itself and adopts its step',
      details: { operation: error.operation, service: error.service },
      cause: error,
    });
  }
  if (error.kind === 'refused') {
    return new AlmanacError('emr.refused', `EMR refused ${said}`, {
      next: `almanac doctor, then: ${retryCommand(run, stage)}`,
      details: { operation: error.operation, service: error.service },
      cause: error,
    });
  }
  return new AlmanacError('emr.unreachable', `EMR does not answer ${said}`, {
    next: 'almanac doctor asks EMR; the stage looks again by itself and adopts its step',
    cause: error,
  });
}

const MEMORY = /OutOfMemoryError|exceeding (physical |virtual )?memory limits|exit code:? 137|Cannot allocate memory/;

/** The failure of a round that ended otherwise than COMPLETED. */
export function roundFailure(row: EffectRow, why: 'step' | 'cluster' | 'cancelled'): AlmanacError {
  const { run, stage, cluster, step, reason, logTail } = row;
  const place = `step ${step ?? '(not submitted)'} on cluster ${cluster ?? '(none)'}`;
  const said = `${reason === null ? '' : `: ${reason}`}${logTail === null || logTail === '' ? '' : `\n${logTail}`}`;
  const details = { cluster, step, round: row.round, seconds: row.seconds };
  const retry = retryCommand(run, stage);
  if (why === 'cancelled') {
    return new AlmanacError('emr.cancelled', `${place} was cancelled, not by Almanac${said}`, {
      next: `ask who did, then: ${retry}`,
      details,
    });
  }
  if (why === 'cluster') {
    const next = 'the stage is tried again by itself, on a new cluster where runs make their own';
    return new AlmanacError('emr.cluster-lost', `the cluster ended before ${place} did${said}`, { next, details });
  }
  if (MEMORY.test(`${reason ?? ''}${logTail ?? ''}`)) {
    const next = `more memory for executors in job.sparkArguments of the settings, or more buckets; then: ${retry}`;
    return new AlmanacError('emr.memory', `${place} needs more memory${said}`, { next, details });
  }
  return new AlmanacError('emr.step-failed', `${place} failed${said}`, { next: `mend what its log says; then: ${retry}`, details });
}
