import type { SettledAttempt } from '../../../activities/run-stage';
import type { StageOutput } from '../../../pipelines/types';
import { StageMetrics } from '../../../workers/metrics';
import { parseExposition, sampleOf, samplesOf, type Family } from '../../support/exposition';

const OUTPUT: StageOutput = { versions: [], rowsIn: 10, rowsOut: 7, bytesIn: 1000, bytesOut: 300, cpuSeconds: 0.5, peakMemoryBytes: 1e8 };
const SETTLED: SettledAttempt = {
  pipeline: 'plays',
  stage: 'read',
  kind: 'ingest',
  engine: 'duckdb',
  outcome: 'succeeded',
  seconds: 0.3,
  output: OUTPUT,
};
const stage = { pipeline: 'plays', stage: 'read' };

let metrics: StageMetrics;

beforeEach(() => {
  metrics = new StageMetrics();
});

async function scraped(): Promise<ReadonlyMap<string, Family>> {
  return parseExposition(await metrics.registry.metrics());
}

test('before the first stage every metric is described and none has a value', async () => {
  const families = [...(await scraped()).values()];
  expect(families.length).toBeGreaterThan(8);
  for (const { help, samples } of families) expect([help, samples]).toEqual([expect.stringMatching(/\.$/), []]);
});

test('attempts add up what they read, wrote and cost; memory is that of the newest', async () => {
  metrics.settled(SETTLED);
  metrics.settled({ ...SETTLED, seconds: 4000, output: { ...OUTPUT, peakMemoryBytes: 5e7 } });
  const families = await scraped();
  const value = (name: string, labels = {}): number => sampleOf(families, name, { ...stage, ...labels }).value;
  expect(value('almanac_stage_attempts_total', { kind: 'ingest', outcome: 'succeeded' })).toBe(2);
  expect(value('almanac_stage_duration_seconds_bucket', { le: '0.5', engine: 'duckdb', outcome: 'succeeded' })).toBe(1);
  expect(value('almanac_stage_duration_seconds_bucket', { le: '+Inf', kind: 'ingest' })).toBe(2);
  expect(value('almanac_stage_duration_seconds_sum')).toBe(4000.3);
  expect(value('almanac_stage_rows_total', { direction: 'in' })).toBe(20);
  expect(value('almanac_stage_rows_total', { direction: 'out' })).toBe(14);
  expect(value('almanac_stage_bytes_total', { direction: 'in' })).toBe(2000);
  expect(value('almanac_stage_bytes_total', { direction: 'out' })).toBe(600);
  expect(value('almanac_stage_cpu_seconds_total')).toBe(1);
  expect(value('almanac_stage_peak_memory_bytes')).toBe(5e7);
});

test('a failed attempt counts under its code and writes no rows', async () => {
  metrics.settled({ ...SETTLED, outcome: 'failed', output: undefined, failureCode: 'landing.columns' });
  const families = await scraped();
  expect(sampleOf(families, 'almanac_stage_failures_total').labels).toEqual({ ...stage, code: 'landing.columns' });
  expect(sampleOf(families, 'almanac_stage_attempts_total', { outcome: 'failed' }).value).toBe(1);
  expect(samplesOf(families, 'almanac_stage_rows_total')).toEqual([]);
});

test('an adopted output is an attempt whose rows were counted before', async () => {
  metrics.settled(SETTLED);
  metrics.settled({ ...SETTLED, outcome: 'adopted' });
  const families = await scraped();
  expect(sampleOf(families, 'almanac_stage_attempts_total', { outcome: 'adopted' }).value).toBe(1);
  expect(sampleOf(families, 'almanac_stage_rows_total', { direction: 'in' }).value).toBe(10);
});

test('quarantined rows count by reason', async () => {
  metrics.settled({ ...SETTLED, output: { ...OUTPUT, quarantined: { malformed: 3, late: 1 } } });
  const families = await scraped();
  expect(sampleOf(families, 'almanac_quarantined_rows_total', { ...stage, reason: 'malformed' }).value).toBe(3);
  expect(sampleOf(families, 'almanac_quarantined_rows_total', { ...stage, reason: 'late' }).value).toBe(1);
});

test('results of checks count by status, not by check, and gates by their worst status, those that fail too', async () => {
  metrics.judged('plays', 'judge', ['PASS', 'FAIL', 'PASS'], 'FAIL');
  metrics.judged('plays', 'judge', ['PASS'], 'PASS');
  const families = await scraped();
  const counts = (name: string): unknown[] => samplesOf(families, name).map(({ labels, value }) => [labels, value]);
  expect(counts('almanac_gate_verdicts_total')).toEqual([
    [{ pipeline: 'plays', stage: 'judge', status: 'FAIL' }, 1],
    [{ pipeline: 'plays', stage: 'judge', status: 'PASS' }, 1],
  ]);
  expect(counts('almanac_check_results_total')).toEqual([
    [{ pipeline: 'plays', stage: 'judge', status: 'PASS' }, 3],
    [{ pipeline: 'plays', stage: 'judge', status: 'FAIL' }, 1],
  ]);
});

test('a publication tells its flip and its waits for locks', async () => {
  metrics.flipped('plays', 0.004);
  metrics.waitedForLock('plays', 0);
  const families = await scraped();
  expect(sampleOf(families, 'almanac_flip_seconds_sum', { pipeline: 'plays' }).value).toBe(0.004);
  expect(sampleOf(families, 'almanac_attach_lock_wait_seconds_bucket', { pipeline: 'plays', le: '0.001' }).value).toBe(1);
});

test('a thousand windows of one stage cost no more series than one', async () => {
  metrics.settled(SETTLED);
  const series = async (): Promise<number> => [...(await scraped()).values()].flatMap(({ samples }) => samples).length;
  const before = await series();
  // As docs/metrics.md says: 18 of its outcome and 6 of its figures.
  expect(before).toBe(18 + 6);
  for (let day = 0; day < 1000; day++) metrics.settled({ ...SETTLED, seconds: day / 7, output: { ...OUTPUT, publication: day } });
  expect(await series()).toBe(before);
  metrics.flipped('plays', 1);
  metrics.waitedForLock('plays', 1);
  expect(await series()).toBe(before + 22);
});

test('the read cache counts what it had, what it fetched and what made room', async () => {
  for (const bytes of [10, 20]) metrics.reads.fetched(bytes);
  metrics.reads.taken(20);
  metrics.reads.evicted(10);
  const values = async (name: string) => (await scraped()).get(name)?.samples.map(({ labels, value }) => [labels.event, value]);
  expect(await values('almanac_read_cache_objects_total')).toEqual([
    ['fetched', 2],
    ['hit', 1],
    ['evicted', 1],
  ]);
  expect(await values('almanac_read_cache_bytes_total')).toEqual([
    ['fetched', 30],
    ['hit', 20],
    ['evicted', 10],
  ]);
});
