/**
 * What the care around a computation costs: update and report of audience-index as compute stages (buckets, digests,
 * counts, nulls, ranges, exact key uniqueness, durable commits) beside the same SQL texts in bare DuckDB, one process,
 * COPY to Parquet. The arms alternate; medians are compared, and their results must be equal.
 */
import { existsSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { createDuckDbEngine } from '../activities/compute/duckdb-engine';
import type { SessionLimits } from '../activities/compute/engine';
import { createDatasetStore } from '../activities/storage/datasets';
import { createLocalStore } from '../activities/storage/local-store';
import { systemClock } from '../lib/clock';
import { machine, median, table } from './report';
import { almanacArm, bareArm, STAGES, type Measurement, type Services } from './udb-arms';
import { benchInputs } from './udb-data';
import { wholeNumber } from './whole-number';

const ROOMY = 4e9;
const TIGHT = 1e9;
const GOAL = 1.6;

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(2)} GB`;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rows: { type: 'string', default: '10000000' },
      repeats: { type: 'string', default: '5' },
      /** Where the generated rows are kept between runs. */
      home: { type: 'string', default: path.join(os.tmpdir(), `almanac-bench-udb-${os.userInfo().username}`) },
      json: { type: 'boolean', default: false },
      /** Exit 1 when the ratio misses the goal. */
      check: { type: 'boolean', default: false },
      verbose: { type: 'boolean', default: false },
    },
  });
  const rows = wholeNumber('--rows', values.rows);
  const repeats = wholeNumber('--repeats', values.repeats);
  const { home } = values;
  const say = (line: string): void => (values.json ? console.error(line) : console.log(line));
  if (!existsSync(home)) say(`generating ${rows} state rows under ${home} (once)`);
  const store = createLocalStore(path.join(home, 'data'));
  const services: Services = {
    store,
    datasets: createDatasetStore(store, systemClock),
    engine: createDuckDbEngine({ scratch: path.join(home, 'spill'), maxChildren: 1, warm: 1 }),
    database: new pg.Pool(),
    log: (line) => {
      if (values.verbose) say(line);
    },
  };
  try {
    const threads = os.availableParallelism();
    const roomy: SessionLimits = { memoryBytes: ROOMY, threads };
    const tight: SessionLimits = { memoryBytes: TIGHT, threads };
    const inputs = await benchInputs(services, roomy, rows);
    const directory = path.join(home, 'bare');
    let generation = Math.trunc(Date.now() / 1000);
    const bare: Measurement[] = [];
    const almanac: Measurement[] = [];
    for (let repeat = 0; repeat <= repeats; repeat++) {
      const one = await bareArm(services, roomy, inputs, directory);
      const other = await almanacArm(services, roomy, inputs, generation++);
      if (one.report !== other.report) throw new Error(`the reports differ: ${one.report} bare, ${other.report} in stages`);
      say(
        `${repeat === 0 ? 'warm-up' : `repeat ${repeat}`}: bare ${one.seconds.toFixed(2)} s (cpu ${one.cpuSeconds.toFixed(2)}), stages ${other.seconds.toFixed(2)} s (cpu ${other.cpuSeconds.toFixed(2)})`,
      );
      if (repeat === 0) continue;
      bare.push(one);
      almanac.push(other);
    }
    const small = await almanacArm(services, tight, inputs, generation++);
    if (small.report !== almanac[0]?.report) throw new Error('with 1 GB of memory the report is another');

    const middle = (of: readonly Measurement[], stage: string): number => median(of.map((one) => one.stages[stage] ?? Number.NaN));
    const whole = { bare: median(bare.map((one) => one.seconds)), almanac: median(almanac.map((one) => one.seconds)) };
    const cpu = (of: readonly Measurement[]): number => median(of.map((one) => one.cpuSeconds));
    const ratio = whole.almanac / whole.bare;
    if (values.json) {
      console.log(
        JSON.stringify({ machine: machine(), rows, repeats, ratio, goal: GOAL, bare, almanac, oneGigabyte: small }, undefined, 2),
      );
    } else {
      const line = (name: string, a: number, b: number, c: number): string[] => [
        name,
        a.toFixed(2),
        b.toFixed(2),
        (b / a).toFixed(2),
        c.toFixed(2),
      ];
      console.log(`\n${machine()}\n${rows} state rows, ${Math.floor(rows / 5)} events, medians of ${repeats}, seconds\n`);
      console.log(
        table(
          ['stage', 'bare', 'stages', 'ratio', 'stages, 1 GB'],
          [
            ...STAGES.map((id) => line(id, middle(bare, id), middle(almanac, id), small.stages[id] ?? Number.NaN)),
            line('all', whole.bare, whole.almanac, small.seconds),
            line('all, cpu', cpu(bare), cpu(almanac), small.cpuSeconds),
          ],
        ),
      );
      const peak = (of: readonly Measurement[]): string => gigabytes(median(of.map((one) => one.peakMemoryBytes)));
      console.log(`\npeak memory: bare ${peak(bare)}, stages ${peak(almanac)}, stages with a limit of 1 GB ${peak([small])}`);
      console.log(`ratio ${ratio.toFixed(2)}, goal at most ${GOAL}; reports equal: ${small.report}`);
    }
    if (values.check && ratio > GOAL) process.exitCode = 1;
  } finally {
    await services.engine.close();
    await services.database.end();
  }
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
