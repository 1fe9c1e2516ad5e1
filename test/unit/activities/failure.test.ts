import { decideRetry, laterBy, toAlmanacError, toApplicationFailure } from '../../../activities/failure';
import { AlmanacError, failureInfo, type FailureClass, type FailureInfo } from '../../../pipelines/failures';
import { POOL_PATIENCE_SECONDS } from '../../../pipelines/pools';

const now = new Date('2026-01-01T00:10:00Z');
const info = (failureClass: FailureClass): FailureInfo => ({
  code: 'internal',
  class: failureClass,
  message: 'm',
  next: 'n',
  details: {},
});
const history = { firstStartedAt: new Date('2026-01-01T00:00:00Z'), resourceFailures: 0, patienceSeconds: 0 };

test.each(['data', 'user', 'timeout', 'refused', 'missing'] as const)('a failure of class %s is not retried', (failureClass) => {
  expect(decideRetry(info(failureClass), history, now).retry).toBe(false);
});

test('a platform failure is retried for 30 minutes, not N times', () => {
  const failing = { ...history, firstFailedAt: new Date('2026-01-01T00:00:00Z') };
  expect(decideRetry(info('platform'), failing, now).retry).toBe(true);
  expect(decideRetry(info('platform'), failing, new Date('2026-01-01T00:30:00Z')).retry).toBe(false);
});

test('a stage that worked for an hour before the platform failed is tried again', () => {
  expect(decideRetry(info('platform'), history, new Date('2026-01-01T01:00:00Z')).retry).toBe(true);
});

test('a resource failure is retried once', () => {
  expect(decideRetry(info('resource'), history, now).retry).toBe(true);
  expect(decideRetry(info('resource'), { ...history, resourceFailures: 1 }, now).retry).toBe(false);
});

test('a missing landing window is looked for again while patience lasts', () => {
  const missing: FailureInfo = { ...info('data'), code: 'landing.missing' };
  const waitsUntil = new Date('2026-01-01T01:00:00Z');
  expect(decideRetry(missing, { ...history, patienceSeconds: 3600 }, now)).toEqual({ retry: true, delayMs: 5000, waitsUntil });
  expect(decideRetry(missing, { ...history, patienceSeconds: 601 }, now)).toMatchObject({ retry: true, delayMs: 1000 });
  expect(decideRetry(missing, { ...history, patienceSeconds: 600 }, now)).toEqual({ retry: false });
});

test('patience is for what time may mend, and for nothing else', () => {
  expect(decideRetry(info('data'), { ...history, patienceSeconds: 3600 }, now)).toEqual({ retry: false });
});

test.each([
  [Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }), 'service.unavailable'],
  [Object.assign(new Error('terminating connection due to administrator command'), { code: '57P01' }), 'service.unavailable'],
  [new Error('Connection terminated unexpectedly'), 'service.unavailable'],
  [Object.assign(new Error('write'), { code: 'ENOSPC' }), 'store.full'],
  [Object.assign(new Error('write'), { code: 'EFBIG' }), 'store.full'],
  [new Error('boom'), 'internal'],
])('%s becomes a failure with a code', (error, code) => {
  expect(toAlmanacError(error)).toMatchObject({ code, cause: error });
});

test('what stops a stage without a code of its own names the command that goes on with it', () => {
  const place = { run: { pipeline: 'plays', window: '2026-01-02', branch: 'main' }, stage: 'add' };
  const command = 'almanac retry plays/2026-01-02 --stage add --reason …';
  expect(toAlmanacError(Object.assign(new Error('write'), { code: 'ENOSPC' }), place).next).toBe(
    `free room (almanac dataset gc --older-than 0s deletes at once what no run and no table uses), then: ${command}`,
  );
  expect(toAlmanacError(new Error('boom'), place).next).toBe(
    `almanac logs plays/2026-01-02 add shows what came before; to try again: ${command}`,
  );
  expect(toAlmanacError(new Error('boom')).next).toBe('repeat the command');
});

describe('a folder that cannot be written to', () => {
  const errno = (code: string, syscall: string, path: string, dest?: string): Error =>
    Object.assign(new Error(`${code}: no, ${syscall} '${path}'`), { code, syscall, path, ...(dest && { dest }) });

  test.each([
    ['EPERM', 'open', '/data/scratch/put-1', '/data/scratch'],
    ['EACCES', 'open', '/data/scratch/put-1', '/data/scratch'],
    ['EROFS', 'mkdir', '/data/datasets', '/data/datasets'],
    ['ENOTDIR', 'mkdir', '/data/datasets/udb', '/data/datasets/udb'],
    ['EEXIST', 'mkdir', '/data/scratch', '/data/scratch'],
    ['EACCES', 'scandir', '/data/datasets', '/data/datasets'],
  ])('%s of %s holds soon and names it', (code, syscall, path, folder) => {
    const error = toAlmanacError(errno(code, syscall, path));
    expect(error).toMatchObject({ code: 'store.unwritable', class: 'resource', details: { folder, errno: code } });
    expect(error.message).toContain(`cannot work in ${folder}: ${code}`);
    expect(error.next).toMatch(new RegExp(`${folder}.*; then: repeat the command$`));
    expect(decideRetry(failureInfo(error), { ...history, resourceFailures: 1 }, now)).toEqual({ retry: false });
  });

  test('a link that is refused names the folder it was to be in', () => {
    expect(toAlmanacError(errno('EPERM', 'link', '/data/scratch/a', '/data/datasets/d/x.json'))).toMatchObject({
      details: { folder: '/data/datasets/d' },
    });
  });

  test.each([errno('EACCES', 'spawn node', '/usr/bin/node'), errno('EACCES', 'connect', '/run/pg'), errno('EISDIR', 'read', '/data/x')])(
    '%s is another matter',
    (error) => {
      expect(toAlmanacError(error).code).toBe('internal');
    },
  );
});

test.each([
  ['28P01', 'password authentication failed for user "ann"'],
  ['28000', 'role "ann" does not exist'],
  ['3D000', 'database "sales" does not exist'],
])('a database that will never let us in (%s) is a matter of configuration', (code, message) => {
  const error = toAlmanacError(Object.assign(new Error(message), { code }));
  expect(error).toMatchObject({ code: 'config.invalid', class: 'user', details: { variable: 'DATABASE_URL', code } });
  expect(error.message).toContain(message);
  expect(error.next).toContain('DATABASE_URL');
});

test('Temporal carries the code as type and the whole failure as detail', () => {
  const error = new AlmanacError('chain.gap', 'no state', { next: 'almanac run', details: { needs: '2011-11-01' } });
  const failure = toApplicationFailure(error, { retry: false });
  expect(failure).toMatchObject({ type: 'chain.gap', nonRetryable: true, details: [failureInfo(error)] });
});

test('a stage in the line of a pool waits for days, whatever patience the run has, and looks again when its position says', () => {
  const details = { lookAgainMs: 2000 };
  const full = failureInfo(new AlmanacError('pool.full', 'not yet', { next: 'almanac pool show p', details }));
  const waits = decideRetry(full, { ...history, patienceSeconds: 0 }, now);
  expect(waits).toMatchObject({ retry: true, delayMs: 2000 });
  expect((waits.waitsUntil?.getTime() ?? 0) - now.getTime()).toBe(POOL_PATIENCE_SECONDS * 1000);
  const waited = (ms: number) => decideRetry(full, { ...history, permitDelay: { sinceStart: ms, sinceFailure: 0 } }, now);
  expect(waited(POOL_PATIENCE_SECONDS * 1000 - 1)).toMatchObject({ retry: true, delayMs: 1 });
  expect(waited(POOL_PATIENCE_SECONDS * 1000)).toEqual({ retry: false });
});

describe('what an order waited for permits', () => {
  const HOUR = 3_600_000;
  const later = (ms: number): Date => new Date(history.firstStartedAt.getTime() + ms);

  test('is not taken from the patience of its data, which does not begin anew either', () => {
    const missing: FailureInfo = { ...info('data'), code: 'landing.missing' };
    const patient = { ...history, patienceSeconds: 3600, permitDelay: { sinceStart: 5 * HOUR, sinceFailure: 0 } };
    expect(decideRetry(missing, patient, later(5 * HOUR))).toEqual({ retry: true, delayMs: 5000, waitsUntil: later(6 * HOUR) });
    expect(decideRetry(missing, patient, later(6 * HOUR))).toEqual({ retry: false });
  });

  test('is not taken from the half hour of a platform failure; what it waited before that one adds nothing', () => {
    const failing = { ...history, firstFailedAt: later(HOUR), permitDelay: { sinceStart: 5 * HOUR, sinceFailure: 4 * HOUR } };
    expect(decideRetry(info('platform'), failing, later(5.4 * HOUR)).retry).toBe(true);
    expect(decideRetry(info('platform'), failing, later(5.5 * HOUR)).retry).toBe(false);
  });
});

test('what a try waited counts with what those before it waited', () => {
  expect(laterBy({ sinceStart: 5, sinceFailure: 2 }, 3)).toEqual({ sinceStart: 8, sinceFailure: 5 });
});
