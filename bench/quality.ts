/**
 * What a suite costs beside the SQL a person would write for it: 60 metrics of one version with states, samples of failing rows and a
 * reading of each, against the same metrics as exactly in the fewest statements: one SELECT of all aggregates and one a grouping. Those
 * that one scan answers are compared by themselves too: groupings cost both arms the same, and would hide what the scan costs. The arms
 * alternate over the same Parquet file; medians are compared, and the CPU time, which other load of the machine leaves alone. Memory is
 * the peak of a process that ran the arm once and nothing else.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
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

/** Metrics that are compared: those of one scan, and all of them. */
type Part = 'scan' | 'whole';
type Arm = 'bare' | 'suite';

interface Timed {
  readonly seconds: number;
  readonly cpuSeconds: number;
}

interface Compared {
  readonly metrics: number;
  readonly bare: readonly Timed[];
  readonly suite: readonly Timed[];
  /** Median times of the suite by those of the bare SQL. */
  readonly ratio: number;
  readonly cpuRatio: number;
  readonly peakMemoryBytes: Readonly<Record<Arm, number>>;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rows: { type: 'string', default: '10000000' },
      repeats: { type: 'string', default: '5' },
      json: { type: 'boolean', default: false },
      /** Exit 1 when a ratio misses the goal. */
      check: { type: 'boolean', default: false },
    },
  });
  const home = mkdtempSync(path.join(os.tmpdir(), 'almanac-bench-quality-'));
  const file = path.join(home, 'wide.parquet');
  const inEngine = async <T>(body: (session: EngineSession) => Promise<T>): Promise<T> => {
    const engine = createDuckDbEngine({ scratch: path.join(home, 'spill'), maxChildren: 1 });
    try {
      return await engine.session({ memoryBytes: MEMORY, threads: 2 }, new AbortController().signal, async (session) => {
        if (!existsSync(file)) await session.exec(generated(Number(values.rows), file));
        await session.exec(`create temp view wide as select * from read_parquet(${quoteText(file)})`);
        return body(session);
      });
    } finally {
      await engine.close();
    }
  };
  try {
    const declared: Readonly<Record<Part, readonly Rivals[]>> = { scan: suite().filter(({ bare }) => !isStatement(bare)), whole: suite() };
    const timed = await inEngine((session) => alternate(session, declared, Number(values.repeats)));
    const compared = async (part: Part): Promise<Compared> => {
      const { bare, suite: ours } = timed[part];
      const peak = (arm: Arm): Promise<number> =>
        inEngine(async (session) => {
          await armsOf(session, declared[part])[arm]();
          return (await session.usage()).peakMemoryBytes;
        });
      return {
        metrics: declared[part].length,
        ...timed[part],
        ratio: medianOf(ours, 'seconds') / medianOf(bare, 'seconds'),
        cpuRatio: medianOf(ours, 'cpuSeconds') / medianOf(bare, 'cpuSeconds'),
        peakMemoryBytes: { bare: await peak('bare'), suite: await peak('suite') },
      };
    };
    const report = { scan: await compared('scan'), whole: await compared('whole') };
    process.stdout.write(
      values.json ? `${JSON.stringify({ rows: Number(values.rows), ...report })}\n` : rendered(Number(values.rows), report),
    );
    if (values.check && Object.values(report).some(({ ratio }) => ratio > GOAL)) process.exitCode = 1;
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

function rendered(rows: number, report: Readonly<Record<Part, Compared>>): string {
  const lines = Object.values(report).flatMap((compared) =>
    (['bare', 'suite'] as const).map((arm) => [
      `${arm === 'bare' ? 'bare SQL' : 'suite'}, ${compared.metrics} metrics`,
      `${medianOf(compared[arm], 'seconds').toFixed(2)} s`,
      `${medianOf(compared[arm], 'cpuSeconds').toFixed(2)} s`,
      `${(compared.peakMemoryBytes[arm] / 1e9).toFixed(2)} GB`,
    ]),
  );
  const told = ({ metrics, ratio, cpuRatio }: Compared, what: string): string =>
    `${ratio.toFixed(2)} times the time of the bare SQL and ${cpuRatio.toFixed(2)} times its CPU for ${what} (${metrics} metrics)`;
  return `${machine()}
${rows} rows; the engine may have ${MEMORY / 1e9} GB

${table(['arm', 'median', 'of CPU', 'peak memory'], lines)}

${told(report.scan, 'what one scan answers')}
${told(report.whole, 'that and groupings')}
The goal is ${GOAL} times the time of the bare SQL.
`;
}

function medianOf(runs: readonly Timed[], of: keyof Timed): number {
  return median(runs.map((run) => run[of]));
}

function isStatement(bare: string): boolean {
  return bare.startsWith('select ');
}

/** One in a thousand numbers is NULL, so that some checks have failing rows to sample and most have none. */
function generated(rows: number, file: string): string {
  const numbers = NUMBERS.map(
    (name, i) => `case when hash(i + ${i}) % 1000 = 0 then null else (hash(i * ${i + 3}) % 100000) / 100.0 end::double as ${name}`,
  );
  const texts = TEXTS.map((name, i) => `'v' || (hash(i + ${i}) % 4) as ${name}`);
  return `copy (select i::bigint as id, ${[...numbers, ...texts].join(', ')} from range(${rows}) r(i)) to ${quoteText(file)} (format parquet)`;
}

/** Either arm once, over the view that is there. */
function armsOf(session: EngineSession, declared: readonly Rivals[]): Readonly<Record<Arm, () => Promise<void>>> {
  const checks = declared.map(({ measure: of }, i): CheckDeclaration => ({
    id: `c${i}`,
    dataset: 'wide',
    measure: of,
    why: 'A bench.',
    fail: { min: 0.9 },
  }));
  const metrics = suiteMetrics({ checks }, DATASETS);
  const statements = declared.map(({ bare }) => bare).filter(isStatement);
  const aggregates = declared.map(({ bare }) => bare).filter((bare) => !isStatement(bare));
  return {
    bare: async () => {
      for (const sql of [`select count(*), ${aggregates.join(', ')} from wide`, ...statements]) await session.rows(sql, 1000);
    },
    suite: async () => {
      const measured = await measure(session, metrics, { datasets: DATASETS, salt: 'bench' });
      if ([...measured.values()].some((one) => !('value' in one))) throw new Error('a metric was not measured');
    },
  };
}

/** Every arm of every part as often, one after the other, so that a busy minute of the machine is nobody's alone. */
async function alternate(
  session: EngineSession,
  declared: Readonly<Record<Part, readonly Rivals[]>>,
  repeats: number,
): Promise<Record<Part, Record<Arm, Timed[]>>> {
  const runs: Record<Part, Record<Arm, Timed[]>> = { scan: { bare: [], suite: [] }, whole: { bare: [], suite: [] } };
  const arms = { scan: armsOf(session, declared.scan), whole: armsOf(session, declared.whole) };
  await arms.whole.bare();
  for (let i = 0; i < repeats; i++) {
    for (const part of ['scan', 'whole'] as const) {
      for (const arm of ['bare', 'suite'] as const) {
        const before = (await session.usage()).cpuSeconds;
        const from = performance.now();
        await arms[part][arm]();
        const seconds = (performance.now() - from) / 1000;
        runs[part][arm].push({ seconds, cpuSeconds: (await session.usage()).cpuSeconds - before });
      }
    }
  }
  return runs;
}

void main();
