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
  planRetry({ plan, standing, stage: undefined, changedInputs: [], downstream: 'incomplete', ...over });

test('a failed stage is run again with those below it, and the rest is kept', () => {
  const { report: _report, udb: _udb, ...others } = standing;
  expect(ask({ standing: others, stage: 'udb' })).toEqual({
    reset: ['udb', 'report'],
    kept: ['adds', 'names'],
    reasons: { udb: 'asked', report: 'below' },
  });
});

test('a changed landing file re-runs its ingest and all below it', () => {
  expect(ask({ changedInputs: ['names'] })).toEqual({
    reset: ['names', 'report'],
    kept: ['adds', 'udb'],
    reasons: { names: 'input changed', report: 'below' },
  });
});

test('changed code re-runs the stage it changed and all below', () => {
  expect(ask({ standing: { ...standing, udb: 'older' } }).reset).toEqual(['udb', 'report']);
});

test('running a finished stage again makes what was built on it old', () => {
  expect(ask({ stage: 'udb' }).reset).toEqual(['udb', 'report']);
});

test('an output below a stage that is not done was built on what is being replaced, and is made again', () => {
  const { adds: _adds, ...others } = standing;
  expect(ask({ standing: others, stage: 'names' }).reset).toEqual(['adds', 'names', 'udb', 'report']);
});

test('nothing changed and nothing missing: nothing to run', () => {
  expect(ask({}).reset).toEqual([]);
});
