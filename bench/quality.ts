/**
 * What a suite costs beside the SQL a person would write for it: 60 metrics of one version with states, samples of failing rows and a
 * reading of each, against the same metrics as exactly in the fewest statements: one SELECT of all aggregates and one a grouping. The
 * arms alternate over the same Parquet file; medians are compared, and the CPU time, which other load of the machine leaves alone.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { createDuckDbEngine } from '../activities/compute/duckdb-engine';
import type { EngineSession } from '../activities/compute/engine';
import { measure } from '../activities/quality/measure';
import { quoteText } from '../pipelines/quote-sql';
import { suiteMetrics } from '../pipelines/suite-sql';
import type { CheckDeclaration, DatasetSpec, Metric } from '../pipelines/types';
import { machine, median, table } from './report';

const GOAL = 1.5;
const MEMORY = 2e9;
const NUMBERS = Array.from({ length: 7 }, (_, i) => `x${i}`);
const TEXTS = ['s0', 's1', 's2'];
const DATASETS: Record<string, DatasetSpec> = {
  wide: {
    columns: {
      id: 'bigint',
      ...Object.fromEntries(NUMBERS.map((name) => [name, 'double' as const])),
      ...Object.fromEntries(TEXTS.map((name) => [name, 'text' as const])),
    },
    key: ['id'],
  },
};

interface Rivals {
  readonly measure: Metric;
  /** An aggregate of the shared SELECT, or a statement. */
  readonly bare: string;
}

/** Each metric beside what a person would write. */
function suite(): Rivals[] {
  const numbers = NUMBERS.flatMap((column): Rivals[] => [
    { measure: { metric: 'completeness', column }, bare: `count(${column})` },
    { measure: { metric: 'mean', column }, bare: `avg(${column})` },
    { measure: { metric: 'standard-deviation', column }, bare: `stddev_pop(${column})` },
    { measure: { metric: 'minimum', column }, bare: `min(${column})` },
    { measure: { metric: 'maximum', column }, bare: `max(${column})` },
    { measure: { metric: 'within', column, min: 0, max: 1000 }, bare: `count(*) filter (where ${column} between 0 and 1000)` },
  ]);
  const texts = TEXTS.flatMap((column): Rivals[] => [
    { measure: { metric: 'completeness', column }, bare: `count(${column})` },
    { measure: { metric: 'max-length', column }, bare: `max(length(${column}))` },
    {
      measure: { metric: 'pattern-match', column, patterns: ['^v[0-9]+$'] },
      bare: `count(*) filter (where regexp_matches(${column}, '^v[0-9]+$'))`,
    },
    {
      measure: { metric: 'contained-in', column, values: ['v0', 'v1', 'v2', 'v3'] },
      bare: `count(*) filter (where ${column} in ('v0', 'v1', 'v2', 'v3'))`,
    },
  ]);
  const grouped = (columns: string, of: string): string => `select ${of} from (select count(*) as n from wide group by ${columns})`;
  const others: Rivals[] = [
    { measure: { metric: 'primary-key', columns: ['id'] }, bare: grouped('id', 'sum(n - 1)') },
    { measure: { metric: 'uniqueness', columns: ['x0'] }, bare: grouped('x0', 'count(*) filter (where n = 1) / sum(n)') },
    { measure: { metric: 'entropy', columns: ['s0'] }, bare: grouped('s0', 'ln(sum(n)) - sum(n * ln(n)) / sum(n)') },
    { measure: { metric: 'histogram', column: 's1' }, bare: 'select s1, count(*) from wide group by s1' },
    { measure: { metric: 'exact-quantile', column: 'x1', quantile: 0.95 }, bare: 'quantile_cont(x1, 0.95)' },
    { measure: { metric: 'correlation', columns: ['x2', 'x3'] }, bare: 'corr(x2, x3)' },
  ];
  return [...numbers, ...texts, ...others];
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rows: { type: 'string', default: '10000000' },
      repeats: { type: 'string', default: '5' },
      json: { type: 'boolean', default: false },
      /** Exit 1 when the ratio misses the goal. */
      check: { type: 'boolean', default: false },
    },
  });
  const home = mkdtempSync(path.join(os.tmpdir(), 'almanac-bench-quality-'));
  const engine = createDuckDbEngine({ scratch: path.join(home, 'spill'), maxChildren: 1 });
  try {
    const report = await engine.session({ memoryBytes: MEMORY, threads: 2 }, new AbortController().signal, async (session) => {
      await prepare(session, path.join(home, 'wide.parquet'), Number(values.rows));
      const timed = await arms(session, Number(values.repeats));
      return {
        ...timed,
        ratio: ratio(timed, 'seconds'),
        cpuRatio: ratio(timed, 'cpuSeconds'),
        peakMemoryBytes: (await session.usage()).peakMemoryBytes,
      };
    });
    const lines = [['bare fused SQL', report.bare] as const, ['suite', report.suite] as const].map(([name, runs]) => [
      name,
      `${median(runs.map(({ seconds }) => seconds)).toFixed(2)} s`,
      `${median(runs.map(({ cpuSeconds }) => cpuSeconds)).toFixed(2)} s`,
    ]);
    process.stdout.write(
      values.json
        ? `${JSON.stringify({ rows: Number(values.rows), metrics: suite().length, ...report })}\n`
        : `${machine()}\n${values.rows} rows, ${suite().length} metrics\n\n${table(['arm', 'median', 'of CPU'], lines)}\n\n${report.ratio.toFixed(2)} times the bare SQL, ${report.cpuRatio.toFixed(2)} times its CPU (goal ${GOAL}); peak memory ${(report.peakMemoryBytes / 1e9).toFixed(2)} GB of ${MEMORY / 1e9}\n`,
    );
    if (values.check && report.ratio > GOAL) process.exitCode = 1;
  } finally {
    await engine.close();
    rmSync(home, { recursive: true, force: true });
  }
}

async function prepare(session: EngineSession, file: string, rows: number): Promise<void> {
  const numbers = NUMBERS.map(
    (name, i) => `case when hash(i + ${i}) % 1000 = 0 then null else (hash(i * ${i + 3}) % 100000) / 100.0 end::double as ${name}`,
  );
  const texts = TEXTS.map((name, i) => `'v' || (hash(i + ${i}) % 4) as ${name}`);
  await session.exec(
    `copy (select i::bigint as id, ${[...numbers, ...texts].join(', ')} from range(${rows}) r(i)) to ${quoteText(file)} (format parquet)`,
  );
  await session.exec(`create temp view wide as select * from read_parquet(${quoteText(file)})`);
}

interface Run {
  readonly seconds: number;
  readonly cpuSeconds: number;
}

interface Runs {
  readonly bare: Run[];
  readonly suite: Run[];
}

function ratio({ bare, suite: ours }: Runs, of: keyof Run): number {
  return median(ours.map((run) => run[of])) / median(bare.map((run) => run[of]));
}

async function arms(session: EngineSession, repeats: number): Promise<Runs> {
  const declared = suite();
  const checks = declared.map(({ measure: of }, i): CheckDeclaration => ({
    id: `c${i}`,
    dataset: 'wide',
    measure: of,
    why: 'A bench.',
    fail: { min: 0.9 },
  }));
  const metrics = suiteMetrics({ checks }, DATASETS);
  const statements = declared.filter(({ bare }) => bare.startsWith('select ')).map(({ bare }) => bare);
  const aggregates = declared.filter(({ bare }) => !bare.startsWith('select ')).map(({ bare }) => bare);
  const bare = async (): Promise<void> => {
    for (const sql of [`select count(*), ${aggregates.join(', ')} from wide`, ...statements]) await session.rows(sql, 1000);
  };
  const runs: Runs = { bare: [], suite: [] };
  const timed = async (arm: keyof Runs, run: () => Promise<void>): Promise<void> => {
    const before = (await session.usage()).cpuSeconds;
    const from = performance.now();
    await run();
    const seconds = (performance.now() - from) / 1000;
    runs[arm].push({ seconds, cpuSeconds: (await session.usage()).cpuSeconds - before });
  };
  await bare();
  for (let i = 0; i < repeats; i++) {
    await timed('bare', bare);
    await timed('suite', async () => {
      const measured = await measure(session, metrics, { datasets: DATASETS, salt: 'bench' });
      if ([...measured.values()].some((one) => !('value' in one))) throw new Error('a metric was not measured');
    });
  }
  return runs;
}

void main();
