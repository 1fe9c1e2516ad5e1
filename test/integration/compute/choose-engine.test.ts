import { createComputeStage } from '../../../activities/compute/choose-engine';
import type { SparkRunner } from '../../../activities/compute/spark-runner';
import type { DatasetSpec } from '../../../pipelines/types';
import { StageHarness, type StageRequest } from '../../support/stage-harness';

const plays: DatasetSpec = { columns: { user_id: 'text', plays: 'bigint' } };
const TEXTS = { 'count.sql': 'select user_id, plays from events', 'count.spark.sql': 'select `user_id`, plays from events' };

let harness: StageHarness;
beforeAll(() => {
  harness = new StageHarness({ events: plays, report: plays, cut: { ...plays, buckets: { by: 'user_id', count: 2 } } });
});
afterAll(() => harness[Symbol.asyncDispose]());

const stage = createComputeStage(undefined);

async function requestOf(engine: StageRequest['spec']['engine'], generation: number): Promise<StageRequest> {
  const events = await harness.version('events', `select 'u' || n as user_id, n as plays from range(10) as r(n)`);
  return {
    spec: { reads: { events: 'events' }, sql: 'count.sql', writes: 'report', ...(engine === undefined ? {} : { engine }) },
    texts: TEXTS,
    inputs: { events },
    generation,
  };
}

it('fails a stage that is to run on Spark where no runner is, saying who wanted Spark and what mends it', async () => {
  const forced = harness.context({ ...(await requestOf('duckdb', 1)), engine: 'spark' });
  await expect(stage(forced)).rejects.toMatchObject({
    code: 'engine.unconfigured',
    class: 'user',
    message: 'Stage compute is to be computed on Spark (the run was started with --engine spark), and this worker knows no EMR.',
    next: expect.stringContaining('almanac retry example/2026-11-20 --stage compute --engine duckdb --reason') as string,
  });
  expect(forced.engines).toEqual(['spark']);
  for (const engine of ['spark', { sparkAbove: '1B' }] as const)
    await expect(stage(harness.context(await requestOf(engine, 1)))).rejects.toMatchObject({ code: 'engine.unconfigured' });
  expect(await harness.store.list('datasets/report/')).toEqual([]);
});

it('computes on DuckDB what the run forces there and what the rule finds small, saying why', async () => {
  const forced = harness.context({ ...(await requestOf('spark', 2)), engine: 'duckdb' });
  const output = await stage(forced);
  expect(output.rowsOut).toBe(10);
  expect(output.engine).toBeUndefined();
  expect(forced.engines).toEqual(['duckdb']);
  expect(forced.lines[0]).toBe('computes on DuckDB: the run was started with --engine duckdb');

  const small = harness.context(await requestOf({ sparkAbove: '1GB' }, 3));
  await stage(small);
  expect(small.lines[0]).toMatch(/^computes on DuckDB: its inputs hold \d+ bytes, which is not above the 1GB of sparkAbove$/);

  const silent = harness.context(await requestOf(undefined, 4));
  await stage(silent);
  expect(silent.lines.some((line) => line.startsWith('computes on'))).toBe(false);
});

it('lets Spark run a text bucket by bucket into a table without buckets only by a variant for Spark', async () => {
  const request = await requestOf(undefined, 6);
  const cut = await harness.version('cut', `select 'u' as user_id, 1 as plays`);
  const spec: StageRequest['spec'] = { reads: { events: 'cut' }, sql: 'count.sql', writes: 'report', each: 'bucket' };
  const asked: SparkRunner = { run: () => Promise.reject(new Error('the runner was asked')) };
  const onSpark = (texts: Readonly<Record<string, string>>, writes = 'report'): Promise<unknown> =>
    createComputeStage(asked)(harness.context({ ...request, spec: { ...spec, writes }, inputs: { cut }, texts, engine: 'spark' }));
  await expect(onSpark({ 'count.sql': TEXTS['count.sql'] })).rejects.toMatchObject({
    code: 'compute.bucket',
    next: expect.stringContaining('Write count.spark.sql beside count.sql') as string,
  });
  await expect(onSpark(TEXTS)).rejects.toThrow('the runner was asked');
  await expect(onSpark({ 'count.sql': TEXTS['count.sql'] }, 'cut')).rejects.toThrow('the runner was asked');
});

it('leaves a join point alone whatever the run forces', async () => {
  const context = harness.context({ spec: { engine: 'none' }, engine: 'spark' });
  expect(await stage(context)).toEqual({ versions: [], rowsIn: 0, rowsOut: 0, bytesIn: 0, bytesOut: 0 });
  expect(context.engines).toEqual([]);
});

it('adopts what an earlier attempt finished before it asks for a runner or reads a text', async () => {
  const request = await requestOf(undefined, 5);
  const first = await stage(harness.context(request));
  const never: SparkRunner = { run: () => Promise.reject(new Error('the runner was asked')) };
  for (const body of [stage, createComputeStage(never)]) {
    const later = { ...harness.context({ ...request, engine: 'spark' }), text: () => Promise.reject(new Error('the text was read')) };
    expect(await body(later)).toEqual({ ...withoutUsage(first), adopted: true });
  }
});

function withoutUsage<T extends { cpuSeconds?: number; peakMemoryBytes?: number }>(output: T): Partial<T> {
  const { cpuSeconds: _cpu, peakMemoryBytes: _peak, ...rest } = output;
  return rest as Partial<T>;
}
