import { warnWithoutEmr } from '../../../cli/engine-option';
import { createIo } from '../../../cli/io';
import { runCli } from '../../../cli/main';
import { renderPlan } from '../../../cli/render-backfill';
import { renderRetry } from '../../../cli/render-retry';
import type { PlannedBackfill } from '../../../operator/backfills/plan';
import type { RetryAnswer } from '../../../operator/runs/retry';
import type { EngineName } from '../../../pipelines/types';

test.each([
  ['run', 'plays', '--window', '2026-01-01'],
  ['run', 'plays', '--window', '2026-01-01', '--again', '--dry-run'],
  ['retry', 'plays/2026-01-01', '--reason', 'x'],
  ['backfill', 'plan', 'plays', '--from', '2026-01-01', '--to', '2026-01-02'],
])('almanac %s … --engine refuses an engine there is not, naming those there are', async (...argv) => {
  let err = '';
  const stream = { write: (text: string) => (err += text) };
  expect(await runCli([...argv, '--engine', 'none'], { stdout: stream, stderr: stream })).toBe(2);
  expect(err).toContain("argument 'none' is invalid. Allowed choices are duckdb, spark.");
});

test('who asks for Spark where no EMR is known is told before anything starts, and nobody else', () => {
  const told: string[] = [];
  const streams = { stdout: { write: () => undefined }, stderr: { write: (text: string) => told.push(text) } };
  const io = createIo({ streams, json: () => false, projectDirectory: () => '.', openSession: () => Promise.reject(new Error('unused')) });
  warnWithoutEmr(io, {}, 'duckdb');
  warnWithoutEmr(io, {}, undefined);
  warnWithoutEmr(io, { emr: { settings: 'emr.json' } }, 'spark');
  expect(told).toEqual([]);
  warnWithoutEmr(io, {}, 'spark');
  expect(told).toEqual([expect.stringContaining('ALMANAC_EMR_SETTINGS is not set here')]);
});

test('a retry and a plan of a backfill say on which engine all is computed', () => {
  const answer = (engine?: EngineName): RetryAnswer => ({
    run: { pipeline: 'plays', window: '2026-01-02', branch: 'main', generation: 2 },
    stages: [],
    plan: { reset: [], waits: [], held: [], kept: [], reasons: {} },
    inputs: 'pinned',
    code: 'same',
    matrix: { code: 'same', inputs: 'pinned', params: 'same', values: { floor: 2 }, ...(engine && { engine }) },
    changes: [],
    unread: [],
    codeDiffers: [],
    builtOn: [],
  });
  expect(renderRetry(answer('spark')).split('\n')[0]).toMatch(/same params \(floor=2\), on Spark$/);
  expect(renderRetry(answer()).split('\n')[0]).toMatch(/same params \(floor=2\)$/);
  const planned = (engine?: EngineName): PlannedBackfill => {
    const range = { pipeline: 'plays', from: '2026-01-01', to: '2026-01-02', reprocess: 'all', fromStage: null, order: 'forward' } as const;
    const request = { ...range, ...(engine && { engine }) };
    const plan = { request, chain: 'independent', planHash: 'p', params: {}, pins: [], windows: [], left: [] } as const;
    return { hash: 'abc', plan, concurrency: 1, estimate: { minutes: 0, bytes: 0, noHistory: [] } };
  };
  expect(renderPlan(planned('duckdb'))).toContain('computes on DuckDB, whatever its stages declare');
  expect(renderPlan(planned())).not.toContain('whatever its stages declare');
});
