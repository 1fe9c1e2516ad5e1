/**
 * What a suite costs beside the SQL a person would write for it: 60 metrics of one version with states, samples of failing rows and a
 * reading of each, against one SELECT of the same aggregates. The arms alternate over the same Parquet file; medians are compared.
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
const NUMBERS = Array.from({ length: 8 }, (_, i) => `x${i}`);
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

/** Each metric beside the aggregate a person would write. */
function suite(): { readonly measure: Metric; readonly bare: string }[] {
  const numbers = NUMBERS.flatMap((column): { measure: Metric; bare: string }[] => [
    { measure: { metric: 'completeness', column }, bare: `count(${column})` },
    { measure: { metric: 'mean', column }, bare: `avg(${column})` },
    { measure: { metric: 'standard-deviation', column }, bare: `stddev_pop(${column})` },
    { measure: { metric: 'minimum', column }, bare: `min(${column})` },
    { measure: { metric: 'maximum', column }, bare: `max(${column})` },
    { measure: { metric: 'within', column, min: 0, max: 1000 }, bare: `count(*) filter (where ${column} between 0 and 1000)` },
  ]);
  const texts = TEXTS.flatMap((column): { measure: Metric; bare: string }[] => [
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
  return [...numbers, ...texts];
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
      return { ...timed, ratio: median(timed.suite) / median(timed.bare), peakMemoryBytes: (await session.usage()).peakMemoryBytes };
    });
    const lines = [['bare fused SQL', report.bare] as const, ['suite', report.suite] as const].map(([name, seconds]) => [
      name,
      `${median(seconds).toFixed(2)} s`,
    ]);
    process.stdout.write(
      values.json
        ? `${JSON.stringify({ rows: Number(values.rows), metrics: suite().length, ...report })}\n`
        : `${machine()}\n${values.rows} rows, ${suite().length} metrics\n\n${table(['arm', 'median'], lines)}\n\n${report.ratio.toFixed(2)} times the bare SQL (goal ${GOAL}); peak memory ${(report.peakMemoryBytes / 1e9).toFixed(2)} GB of ${MEMORY / 1e9}\n`,
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

async function arms(session: EngineSession, repeats: number): Promise<{ bare: number[]; suite: number[] }> {
  const declared = suite();
  const checks = declared.map(({ measure: of }, i): CheckDeclaration => ({
    id: `c${i}`,
    dataset: 'wide',
    measure: of,
    why: 'A bench.',
    fail: { min: 0.9 },
  }));
  const metrics = suiteMetrics({ checks }, DATASETS);
  const bareSql = `select count(*), ${declared.map(({ bare }) => bare).join(', ')} from wide`;
  const seconds = { bare: [] as number[], suite: [] as number[] };
  const timed = async (arm: 'bare' | 'suite', run: () => Promise<unknown>): Promise<void> => {
    const from = performance.now();
    await run();
    seconds[arm].push((performance.now() - from) / 1000);
  };
  await session.rows(bareSql, 1);
  for (let i = 0; i < repeats; i++) {
    await timed('bare', () => session.rows(bareSql, 1));
    await timed('suite', async () => {
      const measured = await measure(session, metrics, { datasets: DATASETS, salt: 'bench' });
      if ([...measured.values()].some((one) => !('value' in one))) throw new Error('a metric was not measured');
    });
  }
  return seconds;
}

void main();
