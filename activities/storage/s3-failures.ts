import { AlmanacError, type FailureCode } from '../../pipelines/failures';
import { codeOf } from './error-code';

/** What was asked of S3, for messages. */
export interface S3Question {
  readonly bucket: string;
  /** Key or prefix; undefined for the bucket itself. */
  readonly key?: string;
  /** The permission it takes, like `s3:GetObject`. */
  readonly action: string;
}

const UNREACHABLE = new Set('ECONNREFUSED ECONNRESET EPIPE ETIMEDOUT ENOTFOUND EAI_AGAIN EHOSTUNREACH ENETUNREACH EPROTO'.split(' '));

/** Name of the error of a body that is not what it should be. */
const BROKEN = 'BrokenBody';

/** Names of S3's answers and of the SDK's own errors. */
const NAMES: Readonly<Record<string, FailureCode>> = {
  NoSuchBucket: 'store.bucket-missing',
  RequestTimeTooSkewed: 'store.clock',
  ExpiredToken: 'store.credentials',
  ExpiredTokenException: 'store.credentials',
  TokenRefreshRequired: 'store.credentials',
  InvalidToken: 'store.credentials',
  InvalidAccessKeyId: 'store.credentials',
  SignatureDoesNotMatch: 'store.credentials',
  CredentialsProviderError: 'store.credentials',
  AccessDenied: 'store.denied',
  AllAccessDisabled: 'store.denied',
  AccountProblem: 'store.denied',
  InvalidObjectState: 'store.denied',
  PermanentRedirect: 'store.region',
  AuthorizationHeaderMalformed: 'store.region',
  IllegalLocationConstraintException: 'store.region',
  SlowDown: 'store.throttled',
  Throttling: 'store.throttled',
  ThrottlingException: 'store.throttled',
  RequestLimitExceeded: 'store.throttled',
  TooManyRequestsException: 'store.throttled',
  BadDigest: 'store.damaged',
  InvalidDigest: 'store.damaged',
  XAmzContentSHA256Mismatch: 'store.damaged',
  XAmzContentChecksumMismatch: 'store.damaged',
  NoSuchKey: 'store.damaged',
  NotFound: 'store.damaged',
  [BROKEN]: 'store.damaged',
  TimeoutError: 'store.unreachable',
  RequestTimeout: 'store.unreachable',
};

const NEXT: Readonly<Partial<Record<FailureCode, string>>> = {
  'store.bucket-missing': 'create it, or correct ALMANAC_DATA; `almanac doctor` looks again',
  'store.clock': 'set the clock of this machine (NTP); stages retry by themselves',
  'store.credentials': 'renew them where the AWS SDK looks (role, profile, environment); stages retry by themselves for 30 minutes',
  'store.damaged': 'retry; if it stays, restore it from the versions of the bucket, or run its window again',
  'store.region': 'set ALMANAC_S3_REGION to the region of the bucket',
  'store.throttled': 'nothing: stages retry by themselves',
  'store.unreachable': '`almanac doctor` asks it again; stages retry by themselves for 30 minutes',
};

/** HTTP status of an answer of S3; undefined for anything else. */
export function statusOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('$metadata' in error)) return undefined;
  const { $metadata: metadata } = error;
  if (typeof metadata !== 'object' || metadata === null || !('httpStatusCode' in metadata)) return undefined;
  return typeof metadata.httpStatusCode === 'number' ? metadata.httpStatusCode : undefined;
}

/** Whether S3 has no such object. */
export function isAbsent(error: unknown): boolean {
  return statusOf(error) === 404 && nameOf(error) !== 'NoSuchBucket' && nameOf(error) !== 'NoSuchUpload';
}

/** Bytes came that are not those that were asked for. */
export function brokenBody(message: string): Error {
  return Object.assign(new Error(message), { name: BROKEN });
}

/** What S3 or its client threw, with a code; anything else as it is. */
export function s3Failure(error: unknown, question: S3Question): unknown {
  if (error instanceof AlmanacError) return error;
  const code = codeFor(error);
  if (code === undefined) return error;
  const { bucket, key, action } = question;
  const place = key === undefined ? `the bucket ${bucket}` : `s3://${bucket}/${key}`;
  const said = `${nameOf(error)}: ${messageOf(error)}`;
  return new AlmanacError(code, `${sentence(code, place, action)} (${said})`, {
    next: NEXT[code] ?? `allow ${action} on ${place}, and kms:Decrypt and kms:GenerateDataKey on its key; \`almanac doctor\` looks again`,
    details: { bucket, ...(key === undefined ? {} : { key }), action, status: statusOf(error) ?? null },
    // S3 quotes the signed request in its answers, session token and all: only the words go on.
    cause: new Error(said),
  });
}

function codeFor(error: unknown): FailureCode | undefined {
  const name = nameOf(error);
  const known = NAMES[name];
  if (known !== undefined) return known;
  const status = statusOf(error);
  if (/^KMS/.test(name)) return 'store.denied';
  if (/^Region is missing/.test(messageOf(error))) return 'store.region';
  if (/^Checksum mismatch/.test(messageOf(error))) return 'store.damaged';
  if (status === 301) return 'store.region';
  if (status === 403) return 'store.denied';
  if (status === 429) return 'store.throttled';
  if (status !== undefined && status >= 500) return 'store.unreachable';
  return UNREACHABLE.has(codeOf(error) ?? '') || /socket hang up|aborted/.test(messageOf(error)) ? 'store.unreachable' : undefined;
}

function sentence(code: FailureCode, place: string, action: string): string {
  switch (code) {
    case 'store.bucket-missing':
      return `There is no bucket for ${place}`;
    case 'store.clock':
      return `S3 refuses ${action} of ${place}, for the clock of this machine is wrong`;
    case 'store.credentials':
      return `There are no valid credentials for ${action} of ${place}`;
    case 'store.damaged':
      return `What S3 has of ${place} is not there or not whole`;
    case 'store.denied':
      return `S3 does not allow ${action} of ${place}`;
    case 'store.region':
      return `${place} is not in the region that was asked`;
    case 'store.throttled':
      return `S3 asked to slow down again and again at ${action} of ${place}`;
    default:
      return `S3 did not answer ${action} of ${place}`;
  }
}

/** By its shape, for errors of another realm too. */
export function nameOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'name' in error ? String(error.name) : 'Error';
}

function messageOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'message' in error ? String(error.message) : String(error);
}
