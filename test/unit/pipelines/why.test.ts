import type { FailureInfo } from '../../../pipelines/failures';
import type { StageOutline } from '../../../pipelines/types';
import { why, type WhyAttempt, type WhyRun } from '../../../pipelines/why';

const outline: StageOutline[] = [
  { id: 'read', kind: 'ingest', needs: [], timeoutSeconds: 30 },
  { id: 'names', kind: 'ingest', needs: [], timeoutSeconds: 30 },
  { id: 'count', kind: 'compute', needs: ['names', 'read'], timeoutSeconds: 30 },
];
const run: WhyRun = {
  name: 'plays/2026-01-02',
  pipeline: 'plays',
  window: '2026-01-02',
  state: 'running',
  failure: null,
  claimedAt: '2026-01-03T00:00:00.000Z',
  changedAt: '2026-01-03T00:00:01.000Z',
  endedAt: null,
};
const missing: FailureInfo = {
  code: 'landing.missing',
  class: 'data',
  message: 'The landing folder landing/plays/dt=2026-01-02/ is missing or empty.',
  next: 'n',
  details: {},
};
const running: WhyAttempt = {
  stage: 'read',
  attempt: 1,
  state: 'running',
  worker: 'host:7',
  failure: null,
  startedAt: '2026-01-03T00:00:01.000Z',
  endedAt: null,
  waitingSince: null,
  waitsUntil: null,
  polls: 0,
};
const waiting: WhyAttempt = {
  ...running,
  state: 'waiting',
  failure: missing,
  waitingSince: '2026-01-03T00:00:02.000Z',
  waitsUntil: '2026-01-03T06:00:01.000Z',
  polls: 3,
};

test('a stage that waits for its data says for what, since when, until when, how often it looked, and what to do', () => {
  expect(why(run, outline, [waiting])).toEqual({
    waitsFor:
      'the data of stage read until 2026-01-03T06:00:01.000Z (looked 3 times, landing.missing: The landing folder landing/plays/dt=2026-01-02/ is missing or empty)',
    since: '2026-01-03T00:00:02.000Z',
    next: 'nothing once that is mended, it goes on by itself; almanac cancel plays/2026-01-02 --reason … ends the wait',
  });
});

test('what computes comes first, what waits beside it is not forgotten', () => {
  const { waitsFor, since } = why(run, outline, [
    { ...waiting, polls: 1 },
    { ...running, stage: 'names' },
  ]);
  expect(waitsFor).toMatch(/^stage names on host:7; the data of stage read until .* \(looked once, landing\.missing: /);
  expect(since).toBe(running.startedAt);
});

test('a poll under way is a running stage', () => {
  expect(why(run, outline, [{ ...waiting, state: 'running', failure: null }])).toMatchObject({
    waitsFor: 'stage read on host:7',
    next: 'almanac logs plays/2026-01-02 read',
  });
});

test.each([
  ['claimed', 'a control worker to take it', 'almanac run plays --window 2026-01-02'],
  ['held', 'an operator: stage read failed with landing.missing: ', 'almanac retry plays/2026-01-02 --stage read --reason …'],
  ['succeeded', 'nothing: it succeeded', null],
  ['cancelled', 'nothing: it was cancelled', 'almanac retry plays/2026-01-02 --reason …'],
] as const)('a run that is %s waits for %s', (state, waitsFor, next) => {
  const answer = why({ ...run, state, failure: state === 'held' ? { read: missing } : null }, outline, [{ ...waiting, state: 'failed' }]);
  expect(answer.waitsFor).toContain(waitsFor);
  expect(answer.next).toBe(next);
});

test('between two tries the reason for the next one is said, and before the first the stage that has no place yet', () => {
  const lost: WhyAttempt = { ...running, state: 'lost', endedAt: '2026-01-03T00:00:09.000Z' };
  expect(why(run, outline, [lost])).toMatchObject({ waitsFor: 'the next try of stage read (its worker was lost)', since: lost.endedAt });
  expect(why(run, outline, [])).toMatchObject({ waitsFor: 'a place for stage read, names' });
});

test('a verb that was sent and not heard of since is told with what the open run waits for', () => {
  const verb = { verb: 'retry', stage: 'read', who: 'ann', at: '2026-01-03T01:00:00.000Z', state: 'intended' } as const;
  const told = why(
    run,
    outline,
    [running],
    [verb, { ...verb, verb: 'skip', state: 'done' }, { ...verb, verb: 'cancel', state: 'refused' }],
  );
  expect(told.waitsFor).toBe(
    `${why(run, outline, [running]).waitsFor}; whether retry read of ann (2026-01-03T01:00:00.000Z) was taken is not known yet`,
  );
});

test('an ended run waits for no verb', () => {
  const ended: WhyRun = { ...run, state: 'succeeded', endedAt: '2026-01-03T02:00:00.000Z' };
  const verb = { verb: 'retry', stage: null, who: 'ann', at: '2026-01-03T01:00:00.000Z', state: 'intended' } as const;
  expect(why(ended, outline, [], [verb])).toEqual(why(ended, outline, []));
});

test('a stage that waits for permits says its position, who holds them and where to look', () => {
  const full: FailureInfo = { code: 'pool.full', class: 'timeout', message: 'stage read waits', next: 'n', details: {} };
  const holders = [
    { run: 'plays/2026-01-01', stage: 'read', since: '2026-01-02T23:00:00.000Z' },
    { run: 'games/2026-01-01', stage: 'load', since: '2026-01-02T23:30:00.000Z' },
  ];
  const permits = {
    stage: 'read',
    pool: 'warehouse',
    permits: 1,
    size: 2,
    position: 3,
    of: 7,
    since: '2026-01-03T00:00:01.500Z',
    placeSince: null,
    holders,
  };
  expect(why(run, outline, [{ ...waiting, failure: full, permits }])).toEqual({
    waitsFor:
      'a permit of pool warehouse for stage read (position 3 of 7, held by plays/2026-01-01 read since 2026-01-02T23:00:00.000Z and 1 more)',
    since: '2026-01-03T00:00:01.500Z',
    next: 'almanac pool show warehouse',
  });
  // It says so as well while it looks.
  expect(why(run, outline, [{ ...running, permits }])).toMatchObject({ next: 'almanac pool show warehouse' });
  const many = { ...permits, permits: 3, position: 1, of: 1, holders: [] };
  expect(why(run, outline, [{ ...waiting, failure: full, permits: many }]).waitsFor).toBe(
    '3 permits of pool warehouse for stage read (position 1 of 1, the pool has 2)',
  );
  const turn = { ...permits, position: 1, placeSince: '2026-01-03T00:00:05.000Z' };
  expect(why(run, outline, [{ ...running, worker: 'host:7', permits: turn }])).toEqual({
    waitsFor: 'a place on host:7 for stage read (its turn for a permit of pool warehouse came 2026-01-03T00:00:05.000Z)',
    since: '2026-01-03T00:00:01.500Z',
    next: 'almanac status',
  });
});

test('an acceptance that is tried and fails says with what, how often, and what mends it', () => {
  const done = [running, { ...running, stage: 'names' }, { ...running, stage: 'count' }].map((one) => ({
    ...one,
    state: 'succeeded' as const,
    endedAt: '2026-01-03T00:00:02.000Z',
  }));
  const failing = {
    order: 'its acceptance',
    tries: 7,
    code: 'store.unwritable',
    message: 'no folder.',
    next: 'give it the folder',
  } as const;
  expect(why({ ...run, failing }, outline, done)).toEqual({
    waitsFor: 'its acceptance, tried 7 times and failed, last with store.unwritable: no folder',
    ...{ since: run.changedAt, next: 'give it the folder' },
  });
  expect(why({ ...run, failing: { ...failing, order: 'its close', tries: 1, next: null } }, outline, done)).toMatchObject({
    waitsFor: 'its close, tried once and failed, last with store.unwritable: no folder',
    next: 'almanac status',
  });
  expect(why(run, outline, done).waitsFor).toBe('its acceptance');
});
