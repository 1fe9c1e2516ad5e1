import { planRetry, type RetryQuestion } from '../../../pipelines/retry-plan';
import type { Plan, PlanStage } from '../../../pipelines/types';

function stage(id: string, needs: string[], hash = `h-${id}`): PlanStage {
  return { id, kind: 'compute', needs, hash, timeoutSeconds: 60, spec: { kind: 'compute' } };
}
const plan: Plan = {
  hash: 'p',
  pipeline: 'air',
  chain: 'ordered',
  window: { every: 'day', timezone: 'UTC' },
  params: {},
  datasets: {},
  stages: [stage('adds', []), stage('names', []), stage('udb', ['adds']), stage('report', ['udb', 'names'])],
};
const standing = { adds: 'h-adds', names: 'h-names', udb: 'h-udb', report: 'h-report' };
const ask = (over: Partial<RetryQuestion>): ReturnType<typeof planRetry> =>
  planRetry({ plan, standing, stages: [], changedInputs: [], downstream: 'incomplete', ...over });

test('a failed stage is run again with those below it, and the rest is kept', () => {
  const { report: _report, udb: _udb, ...others } = standing;
  expect(ask({ standing: others, stages: ['udb'] })).toEqual({
    reset: ['udb', 'report'],
    waits: [],
    held: [],
    kept: ['adds', 'names'],
    reasons: { udb: 'asked', report: 'below' },
  });
});

test('a changed landing file re-runs its ingest and all below it', () => {
  expect(ask({ changedInputs: ['names'] })).toEqual({
    reset: ['names', 'report'],
    waits: [],
    held: [],
    kept: ['adds', 'udb'],
    reasons: { names: 'input changed', report: 'below' },
  });
});

test('changed code re-runs the stage it changed and all below', () => {
  expect(ask({ standing: { ...standing, udb: 'older' } }).reset).toEqual(['udb', 'report']);
});

test('running a finished stage again makes what was built on it old', () => {
  expect(ask({ stages: ['udb'] }).reset).toEqual(['udb', 'report']);
});

test('an output below a stage that is not done was built on what is being replaced, and is made again', () => {
  const { adds: _adds, ...others } = standing;
  expect(ask({ standing: others, stages: ['names'] }).reset).toEqual(['adds', 'names', 'udb', 'report']);
});

test('nothing changed and nothing missing: nothing to run', () => {
  expect(ask({}).reset).toEqual([]);
});

describe('of an open run', () => {
  /** Both ingests failed; nothing below them began. */
  const progress = { adds: 'failed', names: 'failed', udb: 'waiting', report: 'waiting' } as const;

  test('only what was asked for and what it lets go on runs; other failed stages stay held, and what needs them waits', () => {
    expect(ask({ standing: {}, stages: ['adds'], progress })).toEqual({
      reset: ['adds', 'udb'],
      waits: ['report'],
      held: ['names'],
      kept: [],
      reasons: { adds: 'asked', udb: 'below', report: 'below' },
    });
  });

  test('all failed stages may be asked for at once', () => {
    expect(ask({ standing: {}, stages: ['adds', 'names'], progress })).toMatchObject({
      reset: ['adds', 'names', 'udb', 'report'],
      held: [],
      waits: [],
      reasons: { adds: 'asked', names: 'asked' },
    });
  });

  test('a failed stage whose input changed runs without being asked for', () => {
    expect(ask({ standing: {}, stages: ['adds'], changedInputs: ['names'], progress })).toMatchObject({ held: [], waits: [] });
  });

  test('of a closed run nothing stays held: its next generation runs whatever is not done', () => {
    expect(ask({ standing: {}, stages: ['adds'] }).reset).toEqual(['adds', 'names', 'udb', 'report']);
  });
});
