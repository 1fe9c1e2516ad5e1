import { s3Failure } from '../../../activities/storage/s3-failures';
import { AlmanacError } from '../../../pipelines/failures';

const QUESTION = { bucket: 'lake', key: 'a/b', action: 's3:GetObject' };

function answer(name: string, status: number, message = 'said so'): Error {
  return Object.assign(new Error(message), { name, $metadata: { httpStatusCode: status } });
}

test.each<[string, Error, string, string]>([
  ['no bucket', answer('NoSuchBucket', 404), 'store.bucket-missing', 'user'],
  ['denied', answer('AccessDenied', 403), 'store.denied', 'user'],
  ['a head that is denied has no name', answer('UnknownError', 403), 'store.denied', 'user'],
  ['a key of KMS', answer('KMS.DisabledException', 400), 'store.denied', 'user'],
  ['another region', answer('PermanentRedirect', 301), 'store.region', 'user'],
  ['another region in the signature', answer('AuthorizationHeaderMalformed', 400), 'store.region', 'user'],
  ['no region', new Error('Region is missing'), 'store.region', 'user'],
  ['expired credentials', answer('ExpiredToken', 400), 'store.credentials', 'platform'],
  [
    'no credentials',
    Object.assign(new Error('Could not load credentials'), { name: 'CredentialsProviderError' }),
    'store.credentials',
    'platform',
  ],
  ['clocks', answer('RequestTimeTooSkewed', 403), 'store.clock', 'platform'],
  ['throttled', answer('SlowDown', 503), 'store.throttled', 'platform'],
  ['an error of the service', answer('InternalError', 500), 'store.unreachable', 'platform'],
  ['nobody listens', Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }), 'store.unreachable', 'platform'],
  ['silence', Object.assign(new Error('late'), { name: 'TimeoutError' }), 'store.unreachable', 'platform'],
  ['an object that is gone', answer('NoSuchKey', 404), 'store.damaged', 'platform'],
])('%s has a code, names the place, and says what mends it', (_what, error, code, kind) => {
  const failure = s3Failure(error, QUESTION);
  expect(failure).toMatchObject({ code, class: kind, message: expect.stringContaining('s3://lake/a/b'), next: expect.stringMatching(/./) });
});

test('what is none of S3 stays as it is, and what has a code keeps it', () => {
  const full = Object.assign(new Error('full'), { code: 'ENOSPC' });
  expect(s3Failure(full, QUESTION)).toBe(full);
  const coded = new AlmanacError('store.damaged', 'x', { next: 'y' });
  expect(s3Failure(coded, QUESTION)).toBe(coded);
});

test('the signed request that S3 quotes goes nowhere', () => {
  const error = Object.assign(answer('SignatureDoesNotMatch', 403), {
    CanonicalRequest: 'x-amz-security-token:SESSION',
    StringToSign: 'SECRET',
    AWSAccessKeyId: 'AKIA',
  });
  const failure = s3Failure(error, QUESTION) as AlmanacError;
  const told = JSON.stringify([failure, failure.message, failure.details, failure.cause, Object.getOwnPropertyNames(failure.cause)]);
  for (const secret of ['SESSION', 'SECRET', 'AKIA', 'CanonicalRequest']) expect(told).not.toContain(secret);
});
