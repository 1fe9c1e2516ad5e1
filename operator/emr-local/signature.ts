import { createHash, timingSafeEqual } from 'node:crypto';
import { Sha256 } from '@aws-crypto/sha256-js';
import { SignatureV4 } from '@smithy/signature-v4';
import { AwsError } from './aws-error';

/** A key pair the server takes. Never logged. */
export interface Credential {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Of temporary credentials. */
  readonly sessionToken?: string;
  /** Milliseconds since 1970 from which on a session token is refused. */
  readonly expiresAt?: number;
}

export interface SignedRequest {
  readonly method: string;
  readonly path: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

export interface Verifier {
  readonly credentials: readonly Credential[];
  readonly region: string;
  /** Milliseconds since 1970. */
  readonly now: number;
}

const SERVICE = 'elasticmapreduce';
const ALGORITHM = 'AWS4-HMAC-SHA256';
const SKEW_MINUTES = 5;

/** Resolves when the request is signed (Signature Version 4) by a known credential that is valid now. Throws AwsError as AWS refuses. */
export async function verifySignature(request: SignedRequest, verifier: Verifier): Promise<void> {
  const authorization = request.headers.authorization;
  if (authorization === undefined) throw new AwsError('MissingAuthenticationTokenException', 'Missing Authentication Token');
  const claim = parseAuthorization(authorization);
  const date = request.headers['x-amz-date'];
  const signedAt = parseDate(date);
  if (date === undefined || signedAt === undefined)
    throw incomplete("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.");
  const credential = verifier.credentials.find(({ accessKeyId }) => accessKeyId === claim.accessKeyId);
  // Nothing is told apart for somebody whose key is not known.
  if (credential === undefined || request.headers['x-amz-security-token'] !== credential.sessionToken)
    throw new AwsError('UnrecognizedClientException', 'The security token included in the request is invalid.');
  checkScope(claim, date, verifier.region);
  checkSkew(date, signedAt, verifier.now);
  await compareSignatures(request, claim, credential, signedAt, verifier.region);
  // Told only to who has the secret.
  if (credential.expiresAt !== undefined && credential.expiresAt <= verifier.now)
    throw new AwsError('ExpiredTokenException', 'The security token included in the request is expired');
}

interface Claim {
  readonly accessKeyId: string;
  readonly date: string;
  readonly region: string;
  readonly service: string;
  readonly terminator: string;
  readonly signedHeaders: readonly string[];
  readonly signature: string;
}

function parseAuthorization(text: string): Claim {
  if (!text.startsWith(`${ALGORITHM} `)) throw incomplete(`Unsupported AWS 'algorithm': '${text.split(' ', 1)[0] ?? ''}'.`);
  const parts = Object.fromEntries(
    text
      .slice(ALGORITHM.length + 1)
      .split(',')
      .map((part) => part.trim().split(/=(.*)/s) as [string, string | undefined]),
  );
  const { Credential: credential, SignedHeaders: headers, Signature: signature } = parts;
  for (const [name, value] of Object.entries({ Credential: credential, Signature: signature, SignedHeaders: headers }))
    if (!value) throw incomplete(`Authorization header requires '${name}' parameter.`);
  const [accessKeyId = '', date = '', region = '', service = '', terminator = ''] = (credential ?? '').split('/');
  return { accessKeyId, date, region, service, terminator, signedHeaders: (headers ?? '').split(';'), signature: signature ?? '' };
}

function checkScope(claim: Claim, date: string, region: string): void {
  if (claim.service !== SERVICE) throw invalid(`Credential should be scoped to correct service: '${SERVICE}'. `);
  if (claim.region !== region) throw invalid(`Credential should be scoped to a valid region, not '${claim.region}'. `);
  if (claim.terminator !== 'aws4_request')
    throw invalid(`Credential should be scoped with a valid terminator: 'aws4_request', not '${claim.terminator}'. `);
  if (!date.startsWith(claim.date))
    throw invalid(
      `Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '${claim.date}' != '${date.slice(0, 8)}', from '${date}'.`,
    );
}

function checkSkew(date: string, signedAt: number, now: number): void {
  const limit = SKEW_MINUTES * 60_000;
  const at = longDate(now);
  if (signedAt < now - limit)
    throw invalid(`Signature expired: ${date} is now earlier than ${longDate(now - limit)} (${at} - ${SKEW_MINUTES} min.)`);
  if (signedAt > now + limit)
    throw invalid(`Signature not yet current: ${date} is still later than ${longDate(now + limit)} (${at} + ${SKEW_MINUTES} min.)`);
}

/** Signs what the client says it signed, and compares. */
async function compareSignatures(
  request: SignedRequest,
  claim: Claim,
  credential: Credential,
  signedAt: number,
  region: string,
): Promise<void> {
  const { signedHeaders } = claim;
  const declared = request.headers['x-amz-content-sha256'];
  const bodyIsAsDeclared = declared === undefined || declared === createHash('sha256').update(request.body).digest('hex');
  if (!signedHeaders.includes('host') || !signedHeaders.includes('x-amz-date') || !bodyIsAsDeclared) throw mismatch();
  const headers = Object.fromEntries(signedHeaders.map((name) => [name, request.headers[name] ?? '']));
  const signer = new SignatureV4({
    credentials: { accessKeyId: credential.accessKeyId, secretAccessKey: credential.secretAccessKey, ...token(credential) },
    region,
    service: SERVICE,
    sha256: Sha256,
    applyChecksum: false,
  });
  const signed = await signer.sign(
    { method: request.method, protocol: 'http:', hostname: '', path: request.path, headers, body: request.body },
    { signingDate: new Date(signedAt), signableHeaders: new Set(signedHeaders) },
  );
  const expected = parseAuthorization(signed.headers.authorization ?? '').signature;
  if (!sameText(expected, claim.signature)) throw mismatch();
}

function token({ sessionToken }: Credential): { readonly sessionToken?: string } {
  return sessionToken === undefined ? {} : { sessionToken };
}

function sameText(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}

/** `20260131T235959Z` in milliseconds since 1970. */
function parseDate(text: string | undefined): number | undefined {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text ?? '');
  if (!match) return undefined;
  const [, year, month, day, hour, minute, second] = match;
  const time = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  return Number.isNaN(time) ? undefined : time;
}

function longDate(time: number): string {
  return new Date(time).toISOString().replace(/[-:]|\.\d+/g, '');
}

function incomplete(message: string): AwsError {
  return new AwsError('IncompleteSignatureException', message);
}

function invalid(message: string): AwsError {
  return new AwsError('InvalidSignatureException', message);
}

function mismatch(): AwsError {
  return invalid(
    'The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.',
  );
}
