import { emrFailure, overtaken, roundFailure } from '../../../activities/compute/emr-failures';
import { EmrFault, emrFault } from '../../../activities/compute/emr-fault';
import type { EffectRow } from '../../../activities/ledger/effects';
import { failureInfo } from '../../../pipelines/failures';

const RUN = { pipeline: 'p', window: '2026-01-02', branch: 'main', generation: 1 };
const ROW: EffectRow = {
  ...{
    run: RUN,
    stage: 'count',
    round: 2,
    candidate: 'c',
    attempt: 3,
    name: 'n',
    token: 't',
    state: 'failed',
    cluster: 'j-1',
    step: 's-1',
  },
  ...{
    intentAt: new Date(0),
    sentAt: null,
    endedAt: new Date(1),
    reason: 'Unknown Error.',
    logTail: 'the table is on fire',
    seconds: 4,
    cost: null,
  },
};

/** What the SDK throws. */
function thrown(name: string, more: { readonly status?: number; readonly code?: string; readonly message?: string } = {}): Error {
  const { status, code, message = `it says ${name}` } = more;
  return Object.assign(new Error(message), { name, ...(code && { code }), ...(status && { $metadata: { httpStatusCode: status } }) });
}

test.each([
  ['ThrottlingException', { status: 400 }, 'throttled'],
  ['RequestLimitExceeded', { status: 503 }, 'throttled'],
  [
    'ValidationException',
    { status: 400, message: "Maximum number of active steps(State = 'Running', 'Pending' or 'Cancel_Pending') for cluster exceeded." },
    'throttled',
  ],
  ['ValidationException', { status: 400, message: 'Steps cannot be empty.' }, 'refused'],
  ['CredentialsProviderError', {}, 'refused'],
  ['Error', { message: 'Region is missing' }, 'refused'],
  ['InvalidRequestException', { status: 400 }, 'refused'],
  ['AccessDeniedException', { status: 403 }, 'refused'],
  ['Error', { code: 'ECONNREFUSED' }, 'unreachable'],
  ['Error', { code: 'ENOTFOUND' }, 'unreachable'],
  ['Error', { code: 'ECONNRESET' }, 'doubt'],
  ['TimeoutError', {}, 'doubt'],
  ['InternalServerException', { status: 500 }, 'doubt'],
])('%s %j of a request is %s', async (name, more, kind) => {
  const fault: unknown = await emrFault('AddJobFlowSteps', () => Promise.reject(thrown(name, more))).catch((error: unknown) => error);
  expect(fault).toBeInstanceOf(EmrFault);
  expect(fault).toMatchObject({ kind, operation: 'AddJobFlowSteps', service: name });
});

test('what EMR refuses is the affair of who set it up; what it does not answer, or not to expired credentials, is tried again', () => {
  const fault = (kind: 'refused' | 'doubt' | 'throttled' | 'unreachable'): unknown =>
    emrFailure(new EmrFault(kind, 'RunJobFlow', 'ValidationException', 'no such role'), RUN, 'count');
  expect(fault('refused')).toMatchObject({
    code: 'emr.refused',
    class: 'user',
    message: 'EMR refused RunJobFlow: ValidationException: no such role',
    next: expect.stringContaining('almanac retry p/2026-01-02 --stage count'),
    details: { operation: 'RunJobFlow', service: 'ValidationException' },
  });
  for (const kind of ['doubt', 'throttled', 'unreachable'] as const)
    expect(fault(kind)).toMatchObject({ code: 'emr.unreachable', class: 'platform' });
  for (const service of ['ExpiredTokenException', 'UnrecognizedClientException', 'CredentialsProviderError'])
    expect(emrFailure(new EmrFault('refused', 'ListSteps', service, 'the token has expired'), RUN, 'count')).toMatchObject({
      code: 'emr.credentials',
      class: 'platform',
      message: `there are no valid credentials for EMR: ListSteps: ${service}: the token has expired`,
    });
  const other = new Error('not of EMR');
  expect(emrFailure(other, RUN, 'count')).toBe(other);
});

test.each([
  ['step', 'Unknown Error.', 'emr.step-failed', 'platform'],
  ['cluster', 'The master node was terminated. ', 'emr.cluster-lost', 'platform'],
  ['cancelled', 'Cancelled by user', 'emr.cancelled', 'refused'],
] as const)('a round that ended by its %s is told with the step, the reason and the log', (why, reason, code, kind) => {
  const failure = roundFailure({ ...ROW, reason }, why);
  expect(failure).toMatchObject({ code, class: kind, details: { cluster: 'j-1', step: 's-1', round: 2, seconds: 4 } });
  expect(failure.message).toContain(`step s-1 on cluster j-1`);
  expect(failure.message).toContain(`: ${reason}\nthe table is on fire`);
});

test.each([
  'java.lang.OutOfMemoryError: Java heap space',
  'Container killed by YARN for exceeding physical memory limits.',
  'exit code: 137',
])('a job that ended by %j wants memory, whichever of reason and log says so', (said) => {
  for (const more of [{ reason: said }, { logTail: `a\n${said}\nb` }])
    expect(failureInfo(roundFailure({ ...ROW, ...more }, 'step'))).toMatchObject({ code: 'emr.memory', class: 'resource' });
  // The machines went with the job, or somebody ended it: no more memory helps.
  expect(roundFailure({ ...ROW, reason: said }, 'cluster').code).toBe('emr.cluster-lost');
});

test('a round that came to no step says so', () => {
  expect(roundFailure({ ...ROW, step: null, cluster: null, reason: null, logTail: null }, 'cluster').message).toBe(
    'the cluster ended before step (not submitted) on cluster (none) did',
  );
});

test('a zombie is told of the one that took its place, as something to be tried again', () => {
  expect(overtaken(RUN)).toMatchObject({ code: 'service.unavailable', class: 'platform', next: 'almanac show p/2026-01-02' });
});
