/**
 * The audience index on DuckDB and on Spark, in one run: the state, the joins and counts and the report, as the stages compute them, over
 * the same versions. Each Spark stage is a step of a local EMR and a JVM of its own, on the same cores; what the orchestration around it
 * costs is the time from the request that submits the step until its result is known, less Spark's own. The reports must be equal.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import type pg from 'pg';
import { createDuckDbEngine } from '../activities/compute/duckdb-engine';
import { createDatasetStore } from '../activities/storage/datasets';
import { createLocalStore } from '../activities/storage/local-store';
import { systemClock } from '../lib/clock';
import { migrate } from '../lib/migrate';
import { packageRoot } from '../lib/package-root';
import { connect } from '../lib/postgres';
import { freePort } from '../operator/stack/ports';
import { startPostgres } from '../operator/stack/postgres-server';
import { audienceIndex } from '../pipelines/audience-index/pipeline';
import { machine, median, table } from './report';
import { POLL_SECONDS, sparkArm, type StepTimes } from './spark-arm';
import { almanacArm, STAGES, type Measurement, type Services } from './udb-arms';
import { BENCH_WINDOW, benchInputs } from './udb-data';
import { wholeNumber } from './whole-number';

const MEMORY_GIGABYTES = 4;

interface Repeat {
  readonly duckdb: Measurement;
  readonly spark: Measurement;
  readonly steps: readonly StepTimes[];
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rows: { type: 'string', default: '10000000' },
      repeats: { type: 'string', default: '3' },
      /** Where the generated rows are kept between runs; those of bench:udb are the same. */
      home: { type: 'string', default: path.join(os.tmpdir(), `almanac-bench-udb-${os.userInfo().username}`) },
      json: { type: 'boolean', default: false },
      verbose: { type: 'boolean', default: false },
    },
  });
  const [rows, repeats] = [wholeNumber('--rows', values.rows), wholeNumber('--repeats', values.repeats)];
  const say = (line: string): void => (values.json ? console.error(line) : console.log(line));
  const jobJar = installedJob();
  const cores = os.availableParallelism();
  const store = createLocalStore(path.join(values.home, 'data'));
  const engine = createDuckDbEngine({ scratch: path.join(values.home, 'spill'), maxChildren: 1, warm: 1 });
  await using ledger = await startLedger();
  const log = values.verbose ? say : (): void => undefined;
  const services: Services = { store, engine, datasets: createDatasetStore(store, systemClock), database: ledger.pool, log };
  try {
    const limits = { memoryBytes: MEMORY_GIGABYTES * 1e9, threads: cores };
    say(`${rows} state rows under ${values.home} (generated once)`);
    const inputs = await benchInputs(services, limits, rows);
    await using arm = await sparkArm({
      ...{ database: ledger.pool, store, jobJar, cores, home: ledger.home, memory: `${MEMORY_GIGABYTES}g` },
      tell: log,
    });
    // What runs in processes of its own would outlive an interrupted bench.
    for (const signal of ['SIGINT', 'SIGTERM'] as const)
      process.once(signal, () => {
        console.error('interrupted');
        void endAll(arm, ledger).finally(() => process.exit(1));
      });
    let generation = Math.trunc(Date.now() / 1000);
    const done: Repeat[] = [];
    await almanacArm(services, limits, inputs, generation++);
    while (done.length < repeats) {
      const duckdb = await almanacArm(services, limits, inputs, generation++);
      await arm.open(audienceIndex.id, BENCH_WINDOW.key, generation);
      const spark = await almanacArm(services, limits, inputs, generation++, arm);
      if (duckdb.report !== spark.report) throw new Error(`the reports differ: ${duckdb.report} on DuckDB, ${spark.report} on Spark`);
      done.push({ duckdb, spark, steps: arm.steps });
      say(`repeat ${done.length}: DuckDB ${duckdb.seconds.toFixed(2)} s, Spark ${spark.seconds.toFixed(2)} s`);
    }
    const head = { machine: machine(), rows, events: Math.floor(rows / 5), repeats, pollSeconds: POLL_SECONDS };
    console.log(values.json ? JSON.stringify({ ...head, results: done }, undefined, 2) : render(head, done));
  } finally {
    await engine.close();
  }
}

async function endAll(...all: readonly AsyncDisposable[]): Promise<void> {
  for (const one of all) await one[Symbol.asyncDispose]();
}

function render(head: { machine: string; rows: number; events: number; repeats: number }, done: readonly Repeat[]): string {
  const middle = (of: (repeat: Repeat) => number): number => median(done.map(of));
  const compared = (name: string, duckdb: number, spark: number): string[] => [
    name,
    duckdb.toFixed(2),
    spark.toFixed(2),
    (spark / duckdb).toFixed(2),
  ];
  const step = (id: string, of: (step: StepTimes) => number): number =>
    middle(({ steps }) => steps.filter(({ stage }) => id === 'all' || stage === id).reduce((sum, one) => sum + of(one), 0));
  const overhead = (id: string): string[] => [
    id,
    ...[
      (one: StepTimes) => one.seconds,
      (one: StepTimes) => one.sparkSeconds,
      (one: StepTimes) => one.seconds - one.sparkSeconds,
      (one: StepTimes) => one.before,
      (one: StepTimes) => one.jvm,
      (one: StepTimes) => one.after,
    ].map((of) => step(id, of).toFixed(2)),
  ];
  const peak = (steps: readonly StepTimes[]): number => Math.max(...steps.map(({ peakMemoryBytes }) => peakMemoryBytes ?? Number.NaN));
  return [
    `\n${head.machine}`,
    `${head.rows} state rows, ${head.events} events, medians of ${head.repeats}, seconds\n`,
    table(
      ['stage', 'DuckDB', 'Spark', 'ratio'],
      [
        ...STAGES.map((id) =>
          compared(
            id,
            middle(({ duckdb }) => duckdb.stages[id] ?? Number.NaN),
            middle(({ spark }) => spark.stages[id] ?? Number.NaN),
          ),
        ),
        compared(
          'all',
          middle(({ duckdb }) => duckdb.seconds),
          middle(({ spark }) => spark.seconds),
        ),
        compared(
          'all, cpu of the engine',
          middle(({ duckdb }) => duckdb.engineCpuSeconds),
          step('all', ({ cpuSeconds }) => cpuSeconds),
        ),
        compared(
          'peak memory, GB',
          middle(({ duckdb }) => duckdb.peakMemoryBytes / 1e9),
          middle(({ steps }) => peak(steps) / 1e9),
        ),
      ],
    ),
    `\nAround Spark: from the request that submits a step until its result is known, polled every ${POLL_SECONDS} s\n`,
    table(
      ['step', 'submit to result', "Spark's own", 'overhead', 'to the JVM', 'JVM to Spark', 'end to result'],
      [...STAGES, 'all'].map(overhead),
    ),
    `\nreports equal: ${done[0]?.duckdb.report ?? ''}`,
  ].join('\n');
}

/** Makes Spark and the job ready; what is missing on the machine is told by the installer. */
function installedJob(): string {
  const installer = path.join(packageRoot(), 'bin', 'spark.mjs');
  const { status, stdout } = spawnSync(process.execPath, [installer], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  if (status !== 0) throw new Error('there is no Spark; the reason is above');
  return (JSON.parse(stdout) as { jobJar: string }).jobJar;
}

interface Ledger extends AsyncDisposable {
  readonly pool: pg.Pool;
  readonly home: string;
}

/** A Postgres of its own in a temporary directory. */
async function startLedger(): Promise<Ledger> {
  const home = mkdtempSync(path.join(os.tmpdir(), 'almanac-bench-spark-'));
  chmodSync(home, 0o755);
  mkdirSync(path.join(home, 'emr-logs'));
  const server = await startPostgres({ dataDirectory: path.join(home, 'postgres'), port: await freePort() });
  const pool = connect(server.url);
  await migrate(pool);
  return {
    pool,
    home,
    async [Symbol.asyncDispose]() {
      await pool.end();
      await new Promise<void>((resolve) => {
        server.process.once('exit', () => resolve());
        server.process.kill('SIGINT');
      });
      rmSync(home, { recursive: true, force: true });
    },
  };
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
