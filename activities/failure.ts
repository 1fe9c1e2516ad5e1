import { ApplicationFailure, ApplicationFailureCategory } from '@temporalio/common';
import { databaseFailure } from '../lib/database-failure';
import { unwritableFailure } from '../lib/file-failure';
import { AlmanacError, FAILURE_CLASSES, failureInfo, waits, type FailureInfo } from '../pipelines/failures';
import { POOL_PATIENCE_SECONDS } from '../pipelines/pools';
import { formatRun, retryCommand, type RunAddress } from '../pipelines/run-id';
import type { RunRef } from '../pipelines/types';

/** Postgres SQLSTATE classes of a server that went away or is not there yet; see its appendix A. */
const UNAVAILABLE_STATES = /^(08|57P0[1-5]|53300)/;
const UNAVAILABLE_ERRNOS = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EHOSTUNREACH']);
const FULL_ERRNOS = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** The stage something was thrown in; `accept` for the acceptance. */
export interface FailedStage {
  readonly run: RunAddress;
  readonly stage: string;
}

/** The one place where anything thrown becomes a failure with a code; what is thrown outside stages has no `place`. */
export function toAlmanacError(error: unknown, place?: FailedStage): AlmanacError {
  if (error instanceof AlmanacError) return error;
  const again = place === undefined ? 'repeat the command' : retryCommand(place.run, place.stage);
  const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : '';
  const message = error instanceof Error ? error.message : String(error);
  if (FULL_ERRNOS.has(code) || code === '53100') {
    return new AlmanacError('store.full', `the disk is full: ${message}`, {
      next: `free room (almanac dataset gc --older-than 0s deletes at once what no run and no table uses), then: ${again}`,
      cause: error,
    });
  }
  const known = databaseFailure(error) ?? unwritableFailure(error, again);
  if (known !== undefined) return known;
  if (
    UNAVAILABLE_STATES.test(code) ||
    UNAVAILABLE_ERRNOS.has(code) ||
    /Connection terminated|Client has encountered a connection error/.test(message)
  ) {
    return new AlmanacError('service.unavailable', `a service went away: ${message}`, {
      next: 'almanac status shows which; the stage retries by itself',
      cause: error,
    });
  }
  return new AlmanacError('internal', message, {
    next: place === undefined ? again : `${logsCommand(place)} shows what came before; to try again: ${again}`,
    cause: error,
  });
}

function logsCommand({ run, stage }: FailedStage): string {
  return `almanac logs ${formatRun(run)} ${stage}`;
}

/** How the runner goes on after a failed try. */
export interface RetryDecision {
  readonly retry: boolean;
  /** Milliseconds to the next try; undefined leaves it to the retry policy. */
  readonly delayMs?: number;
  /** Set when the stage waits rather than fails: until then its patience lasts. */
  readonly waitsUntil?: Date;
}

export interface TryHistory {
  /** When the first try of the order began: patience counts from here, but for the time it waited for permits. */
  readonly firstStartedAt: Date;
  /** When the platform first failed an earlier try of the order. Platform retries count from here, not from the start: a long stage is no outage. */
  readonly firstFailedAt?: Date | undefined;
  readonly resourceFailures: number;
  readonly patienceSeconds: number;
  /** How long the order waited for permits of a pool; nothing when it has none. */
  readonly permitDelay?: PermitDelay | undefined;
}

/** Milliseconds an order waited for permits: others' work, so neither its patience nor its platform retries pay for it. */
export interface PermitDelay {
  readonly sinceStart: number;
  readonly sinceFailure: number;
}

const NO_DELAY: PermitDelay = { sinceStart: 0, sinceFailure: 0 };

/** With what this try waited. */
export function laterBy({ sinceStart, sinceFailure }: PermitDelay, ms: number): PermitDelay {
  return { sinceStart: sinceStart + ms, sinceFailure: sinceFailure + ms };
}

/** Platform failures are retried for this long. */
const PLATFORM_RETRY_MS = 30 * 60 * 1000;
/** Between looks for data that are not there yet, unless the failure says otherwise. */
const WAIT_MS = 5000;

/** Pure: the failure table applied to one stage's history of tries. */
export function decideRetry(info: FailureInfo, history: TryHistory, now: Date): RetryDecision {
  const waited = history.permitDelay ?? NO_DELAY;
  if (waits(info.code)) {
    // For permits the order waits so long in all, whatever else it did between.
    const until =
      info.code === 'pool.full'
        ? now.getTime() + POOL_PATIENCE_SECONDS * 1000 - waited.sinceStart
        : history.firstStartedAt.getTime() + waited.sinceStart + history.patienceSeconds * 1000;
    const left = until - now.getTime();
    const again = typeof info.details.lookAgainMs === 'number' ? info.details.lookAgainMs : WAIT_MS;
    return left > 0 ? { retry: true, delayMs: Math.min(again, left), waitsUntil: new Date(until) } : { retry: false };
  }
  switch (FAILURE_CLASSES[info.class].retry) {
    case 'never':
      return { retry: false };
    case 'for-30-minutes':
      return { retry: now.getTime() - (history.firstFailedAt ?? now).getTime() - waited.sinceFailure < PLATFORM_RETRY_MS };
    case 'once-smaller':
      return { retry: history.resourceFailures === 0 };
  }
}

/** The failure as Temporal carries it: type = code, details = [FailureInfo]; expected ones make no noise in worker logs. */
export function toApplicationFailure(error: AlmanacError, decision: RetryDecision): ApplicationFailure {
  const info = failureInfo(error);
  return ApplicationFailure.create({
    message: info.message,
    type: info.code,
    nonRetryable: !decision.retry,
    details: [info],
    ...(decision.delayMs === undefined ? {} : { nextRetryDelay: decision.delayMs }),
    ...(info.class === 'data' || info.class === 'refused' || decision.waitsUntil !== undefined
      ? { category: ApplicationFailureCategory.BENIGN }
      : {}),
  });
}

/** What a zombie is told: its generation is closed, or the ledger knows another claim. */
export function fenced(run: RunRef): AlmanacError {
  return new AlmanacError(
    'run.fenced',
    `${run.pipeline}/${run.window} generation ${run.generation} is closed or was claimed by somebody else`,
    {
      next: `almanac show ${run.pipeline}/${run.window}`,
    },
  );
}
