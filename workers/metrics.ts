import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { SettledAttempt, StageObserver } from '../activities/run-stage';
import type { ReadObserver } from '../activities/storage/read-cache';
import type { CheckStatus } from '../pipelines/types';

/** Stage durations reach from milliseconds (adopted) to hours (backfills). */
const DURATION_BUCKETS = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600];

/**
 * What one compute worker saw its stages do since it started; docs/metrics.md is the contract with dashboards. Labels take values from
 * declarations and tables only, never windows, runs or messages, so that the number of series is bounded.
 */
export class StageMetrics implements StageObserver {
  readonly registry = new Registry();

  private readonly duration = new Histogram({
    name: 'almanac_stage_duration_seconds',
    help: 'Wall-clock time of one attempt of a stage, from its order to its report.',
    labelNames: ['pipeline', 'stage', 'kind', 'engine', 'outcome'],
    buckets: DURATION_BUCKETS,
    registers: [this.registry],
  });
  private readonly attempts = this.counter('almanac_stage_attempts_total', 'Attempts that ended.', [
    'pipeline',
    'stage',
    'kind',
    'outcome',
  ]);
  private readonly failures = this.counter('almanac_stage_failures_total', 'Attempts that failed, by failure code.', [
    'pipeline',
    'stage',
    'code',
  ]);
  private readonly rows = this.counter('almanac_stage_rows_total', 'Rows read and written; an adopted output counts nothing.', [
    'pipeline',
    'stage',
    'direction',
  ]);
  private readonly bytes = this.counter('almanac_stage_bytes_total', 'Bytes read and written; an adopted output counts nothing.', [
    'pipeline',
    'stage',
    'direction',
  ]);
  private readonly cpu = this.counter('almanac_stage_cpu_seconds_total', 'CPU time of the children that computed.', ['pipeline', 'stage']);
  private readonly memory = new Gauge({
    name: 'almanac_stage_peak_memory_bytes',
    help: 'Peak resident memory of the child in the newest attempt that computed.',
    labelNames: ['pipeline', 'stage'],
    registers: [this.registry],
  });
  private readonly quarantined = this.counter('almanac_quarantined_rows_total', 'Rows that ingest put aside, by reason.', [
    'pipeline',
    'stage',
    'reason',
  ]);
  private readonly verdicts = this.counter(
    'almanac_gate_verdicts_total',
    'Verdicts of check stages, also of those that failed: the worst status of the suite.',
    ['pipeline', 'stage', 'status'],
  );
  private readonly results = this.counter(
    'almanac_check_results_total',
    'Results of checks, by status, also of gates that failed; a gate that is judged again counts again.',
    ['pipeline', 'stage', 'status'],
  );
  private readonly flip = new Histogram({
    name: 'almanac_flip_seconds',
    help: 'Time of the transaction that moves the pointer of a publication.',
    labelNames: ['pipeline'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1],
    registers: [this.registry],
  });
  private readonly lockWait = new Histogram({
    name: 'almanac_attach_lock_wait_seconds',
    help: 'Time one publication waited for locks on live tables.',
    labelNames: ['pipeline'],
    buckets: [0.001, 0.01, 0.1, 0.5, 1, 5, 30],
    registers: [this.registry],
  });

  private readonly cacheObjects = this.counter('almanac_read_cache_objects_total', 'Objects of a bucket that the read cache met.', [
    'event',
  ]);
  private readonly cacheBytes = this.counter('almanac_read_cache_bytes_total', 'Bytes of those objects.', ['event']);

  /** Of a bucket's objects. */
  readonly reads: ReadObserver = {
    taken: (bytes) => this.cached('hit', bytes),
    fetched: (bytes) => this.cached('fetched', bytes),
    evicted: (bytes) => this.cached('evicted', bytes),
  };

  settled(event: SettledAttempt): void {
    const { pipeline, stage, kind, engine, outcome, output } = event;
    this.duration.observe({ pipeline, stage, kind, engine, outcome }, event.seconds);
    this.attempts.inc({ pipeline, stage, kind, outcome });
    if (event.failureCode !== undefined) this.failures.inc({ pipeline, stage, code: event.failureCode });
    if (output === undefined || outcome === 'adopted') return;
    this.rows.inc({ pipeline, stage, direction: 'in' }, output.rowsIn);
    this.rows.inc({ pipeline, stage, direction: 'out' }, output.rowsOut);
    this.bytes.inc({ pipeline, stage, direction: 'in' }, output.bytesIn);
    this.bytes.inc({ pipeline, stage, direction: 'out' }, output.bytesOut);
    if (output.cpuSeconds !== undefined) this.cpu.inc({ pipeline, stage }, output.cpuSeconds);
    if (output.peakMemoryBytes !== undefined) this.memory.set({ pipeline, stage }, output.peakMemoryBytes);
    for (const [reason, count] of Object.entries(output.quarantined ?? {})) this.quarantined.inc({ pipeline, stage, reason }, count);
  }

  /** One gate judged: a result for each of its checks, and what comes of them. */
  judged(pipeline: string, stage: string, statuses: readonly CheckStatus[], gate: CheckStatus): void {
    for (const status of statuses) this.results.inc({ pipeline, stage, status });
    this.verdicts.inc({ pipeline, stage, status: gate });
  }

  flipped(pipeline: string, seconds: number): void {
    this.flip.observe({ pipeline }, seconds);
  }

  waitedForLock(pipeline: string, seconds: number): void {
    this.lockWait.observe({ pipeline }, seconds);
  }

  private cached(event: 'hit' | 'fetched' | 'evicted', bytes: number): void {
    this.cacheObjects.inc({ event });
    this.cacheBytes.inc({ event }, bytes);
  }

  private counter<L extends string>(name: string, help: string, labelNames: L[]): Counter<L> {
    return new Counter({ name, help, labelNames, registers: [this.registry] });
  }
}
