import { createHash } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { ListClustersCommand, type EMRClient } from '@aws-sdk/client-emr';
import { Sha256 } from '@aws-crypto/sha256-js';
import { SignatureV4 } from '@smithy/signature-v4';
import { CREDENTIAL, emrClient, testEmr, type TestEmr } from '../../support/emr-local';

const TEMPORARY = { accessKeyId: 'ASIATEMP', secretAccessKey: 'temporary', sessionToken: 'a-token' };
const EXPIRED = { accessKeyId: 'ASIAOLD', secretAccessKey: 'old', sessionToken: 'an-old-token' };

let emr: TestEmr;
beforeAll(async () => {
  emr = await testEmr({ credentials: [CREDENTIAL, TEMPORARY, { ...EXPIRED, expiresAt: Date.now() - 1000 }] });
});
afterAll(() => emr[Symbol.asyncDispose]());

async function ask(client: EMRClient): Promise<unknown> {
  try {
    return await client.send(new ListClustersCommand({}));
  } finally {
    client.destroy();
  }
}

it('the SDK is let in with a known key, and with a temporary one', async () => {
  await expect(ask(emrClient(emr.endpoint))).resolves.toMatchObject({ Clusters: [] });
  await expect(ask(emrClient(emr.endpoint, { credentials: TEMPORARY }))).resolves.toMatchObject({ Clusters: [] });
});

it.each([
  [
    'another secret',
    { credentials: { ...CREDENTIAL, secretAccessKey: 'wrong' } },
    'InvalidSignatureException',
    /does not match the signature you provided/,
  ],
  [
    'an unknown key',
    { credentials: { ...CREDENTIAL, accessKeyId: 'AKIANOBODY' } },
    'UnrecognizedClientException',
    /security token included in the request is invalid/,
  ],
  [
    'another session token',
    { credentials: { ...TEMPORARY, sessionToken: 'other' } },
    'UnrecognizedClientException',
    /security token included in the request is invalid/,
  ],
  [
    'a token nobody gave',
    { credentials: { ...CREDENTIAL, sessionToken: 'other' } },
    'UnrecognizedClientException',
    /security token included in the request is invalid/,
  ],
  ['an expired token', { credentials: EXPIRED }, 'ExpiredTokenException', /token included in the request is expired/],
  [
    'a clock that is late',
    { systemClockOffset: -6 * 60_000 },
    'InvalidSignatureException',
    /^Signature expired: \d{8}T\d{6}Z is now earlier than \d{8}T\d{6}Z \(\d{8}T\d{6}Z - 5 min\.\)$/,
  ],
  [
    'a clock that is early',
    { systemClockOffset: 6 * 60_000 },
    'InvalidSignatureException',
    /^Signature not yet current: \d{8}T\d{6}Z is still later than/,
  ],
  ['another region', { region: 'eu-west-1' }, 'InvalidSignatureException', /scoped to a valid region, not 'eu-west-1'/],
] as const)('the SDK is refused with %s', async (_what, config, name, message) => {
  await expect(ask(emrClient(emr.endpoint, config))).rejects.toMatchObject({
    name,
    message: expect.stringMatching(message),
    $metadata: { httpStatusCode: 400, requestId: expect.stringMatching(/^[0-9a-f-]{36}$/) },
  });
});

it('an SDK that may try again mends its clock by the date of the answer', async () => {
  await expect(ask(emrClient(emr.endpoint, { systemClockOffset: -3_600_000, maxAttempts: 2 }))).resolves.toMatchObject({ Clusters: [] });
});

interface Answer {
  readonly status: number | undefined;
  readonly body: Record<string, unknown>;
}

function send(headers: Record<string, string>, body: string, path = '/'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(`${emr.endpoint}${path}`, { method: 'POST', headers }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      response.once('end', () => resolve({ status: response.statusCode, body: JSON.parse(text || '{}') as Record<string, unknown> }));
    });
    request.once('error', reject);
    request.end(body);
  });
}

async function signed(body: string, more: Record<string, string> = {}): Promise<Record<string, string>> {
  const { host, port, hostname } = new URL(emr.endpoint);
  const signer = new SignatureV4({ credentials: CREDENTIAL, region: 'us-east-1', service: 'elasticmapreduce', sha256: Sha256 });
  const headers = { host, 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': 'ElasticMapReduce.ListClusters', ...more };
  return (await signer.sign({ method: 'POST', protocol: 'http:', hostname, port: Number(port), path: '/', headers, body })).headers;
}

it('what was not signed, or not all of it, is refused', async () => {
  expect(await send({ 'x-amz-target': 'ElasticMapReduce.ListClusters' }, '{}')).toMatchObject({
    status: 400,
    body: { __type: 'MissingAuthenticationTokenException', message: 'Missing Authentication Token' },
  });
  expect((await send({ authorization: 'Bearer x' }, '{}')).body).toMatchObject({ __type: 'IncompleteSignatureException' });
  expect((await send({ authorization: 'AWS4-HMAC-SHA256 Credential=a' }, '{}')).body).toMatchObject({
    __type: 'IncompleteSignatureException',
    message: "Authorization header requires 'Signature' parameter.",
  });
});

it('a body, a header or a path that changed after it was signed is refused', async () => {
  const headers = await signed('{}');
  expect((await send(headers, '{}')).status).toBe(200);
  expect((await send(headers, '{"Marker":"x"}')).body).toMatchObject({ __type: 'InvalidSignatureException' });
  expect((await send({ ...headers, 'x-amz-target': 'ElasticMapReduce.RunJobFlow' }, '{}')).body).toMatchObject({
    __type: 'InvalidSignatureException',
  });
  expect((await send(headers, '{}', '/other')).body).toMatchObject({ __type: 'InvalidSignatureException' });
  // The hash a client declares is no proof of the body it sends.
  const declared = await signed('{}', { 'x-amz-content-sha256': createHash('sha256').update('{}').digest('hex') });
  expect((await send(declared, '{}')).status).toBe(200);
  expect((await send(declared, '{"Marker":"x"}')).body).toMatchObject({ __type: 'InvalidSignatureException' });
});

it('an operation that is not served, and a body that is no JSON, are told apart', async () => {
  const unknown = await signed('{}', { 'x-amz-target': 'ElasticMapReduce.CreateStudio' });
  expect(await send(unknown, '{}')).toMatchObject({ status: 400, body: { __type: 'UnknownOperationException' } });
  expect((await send(await signed('{'), '{')).body).toMatchObject({ __type: 'SerializationException' });
  const body = '{"ClusterStates":"WAITING"}';
  expect((await send(await signed(body), body)).body).toMatchObject({
    __type: 'SerializationException',
    message: 'clusterStates is not of the type array',
  });
});
