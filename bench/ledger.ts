/**
 * How fast the ledger answers when it is large: 40 pipelines of 3,650 daily windows and eight stages, written by generated SQL, asked
 * through the functions of the command line. Fails when the statements of a question take longer than the goal at its 95th percentile.
 */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import type pg from 'pg';
import { migrate } from '../lib/migrate';
import { connect } from '../lib/postgres';
import { loadProject } from '../operator/project';
import { openSession } from '../operator/session';
import { freePort } from '../operator/stack/ports';
import { startPostgres } from '../operator/stack/postgres-server';
import { fillLedger, projectText, TEXTS, pipelineName, type LedgerSize } from './ledger-data';
import { ledgerQuestions } from './ledger-queries';
import { machine, median, table } from './report';

const GOAL_MS = 100;
const WARM_UP = 3;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      pipelines: { type: 'string', default: '40' },
      windows: { type: 'string', default: '3650' },
      repeats: { type: 'string', default: '60' },
      json: { type: 'boolean', default: false },
    },
  });
  const size: LedgerSize = { pipelines: whole('pipelines', values.pipelines), windows: whole('windows', values.windows) };
  const repeats = whole('repeats', values.repeats);
  const home = mkdtempSync(path.join(os.tmpdir(), 'almanac-bench-ledger-'));
  chmodSync(home, 0o755);
  const server = await startPostgres({
    dataDirectory: path.join(home, 'postgres'),
    port: await freePort(),
    // Only the filling writes; a disk that is waited for would say nothing of the questions.
    settings: { fsync: 'off', max_wal_size: '8GB' },
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      server.process.kill('SIGINT');
      process.exit(1);
    });
  }
  try {
    const projectDirectory = writeProject(home, size);
    await fill(server.url, projectDirectory, size);
    const rows = await ask(server.url, home, projectDirectory, size, repeats);
    const slow = rows.filter(({ p95 }) => p95 > GOAL_MS);
    if (values.json) console.log(JSON.stringify({ machine: machine(), size, repeats, rows, met: slow.length === 0 }, undefined, 2));
    else {
      console.log(`\n${machine()}\n${size.pipelines} pipelines × ${size.windows} windows × 8 stages, each question ${repeats} times\n`);
      console.log(
        table(
          ['question', 'p50 ms', 'p95 ms', 'max ms', 'answer p95 ms'],
          rows.map(({ name, ...times }) => [name, ...[times.p50, times.p95, times.max, times.whole].map((ms) => ms.toFixed(1))]),
        ),
      );
      console.log(`\ngoal: p95 under ${GOAL_MS} ms: ${slow.length === 0 ? 'met' : `missed by ${slow.map(({ name }) => name).join(', ')}`}`);
    }
    if (slow.length > 0) process.exitCode = 1;
  } finally {
    await new Promise<void>((resolve) => {
      server.process.once('exit', () => resolve());
      server.process.kill('SIGINT');
    });
    rmSync(home, { recursive: true, force: true });
  }
}

function writeProject(home: string, { pipelines }: LedgerSize): string {
  const directory = path.join(home, 'project');
  mkdirSync(directory);
  writeFileSync(path.join(directory, 'almanac.config.ts'), projectText(pipelines));
  for (let index = 0; index < pipelines; index++) {
    const sql = path.join(directory, 'pipelines', pipelineName(index), 'sql');
    mkdirSync(sql, { recursive: true });
    for (const [name, text] of Object.entries(TEXTS)) writeFileSync(path.join(sql, name), text);
  }
  return directory;
}

async function fill(databaseUrl: string, projectDirectory: string, size: LedgerSize): Promise<void> {
  const pool = connect(databaseUrl);
  const begun = Date.now();
  let filled = 0;
  await migrate(pool);
  await fillLedger(pool, await loadProject(projectDirectory), size, () => {
    if (process.stderr.isTTY) process.stderr.write(`\r${(filled += 1)} of ${size.pipelines} pipelines are filled`);
  });
  await pool.query('vacuum analyze');
  await pool.end();
  console.error(`\nfilled in ${((Date.now() - begun) / 1000).toFixed(0)} s`);
}

interface Answered {
  readonly name: string;
  /** Milliseconds that its statements took. */
  readonly p50: number;
  readonly p95: number;
  readonly max: number;
  /** The 95th percentile of the whole answer: a plan also asks the object store about every window. */
  readonly whole: number;
}

async function ask(databaseUrl: string, home: string, projectDirectory: string, size: LedgerSize, repeats: number): Promise<Answered[]> {
  for (const variable of Object.keys(process.env)) if (/^(ALMANAC_|TEMPORAL_)/.test(variable)) delete process.env[variable];
  // No question goes to Temporal, which a session does not look for before one does.
  Object.assign(process.env, { DATABASE_URL: databaseUrl, TEMPORAL_ADDRESS: '127.0.0.1:1', ALMANAC_HOME: path.join(home, 'home') });
  const session = await openSession(projectDirectory);
  await session.project();
  const answered: Answered[] = [];
  let inLedger = 0;
  const database = timed(session.database, (ms) => (inLedger += ms));
  for (const [name, question] of Object.entries(ledgerQuestions(size))) {
    const times: number[] = [];
    const ledgerTimes: number[] = [];
    for (let index = 0; index < WARM_UP + repeats; index++) {
      inLedger = 0;
      const begun = performance.now();
      await question({ ...session, database }, index);
      if (index < WARM_UP) continue;
      times.push(performance.now() - begun);
      ledgerTimes.push(inLedger);
    }
    answered.push({
      name,
      p50: median(ledgerTimes),
      p95: quantile(ledgerTimes, 0.95),
      max: Math.max(...ledgerTimes),
      whole: quantile(times, 0.95),
    });
  }
  await session.close();
  return answered;
}

/** The same pool, which tells how long each statement took; those that run side by side count together. */
function timed(pool: pg.Pool, took: (ms: number) => void): pg.Pool {
  let running = 0;
  let since = 0;
  const query = async (...args: Parameters<pg.Pool['query']>): Promise<unknown> => {
    if ((running += 1) === 1) since = performance.now();
    try {
      return await (pool.query as (...given: unknown[]) => Promise<unknown>).apply(pool, args);
    } finally {
      if ((running -= 1) === 0) took(performance.now() - since);
    }
  };
  return Object.create(pool, { query: { value: query } }) as pg.Pool;
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}

function whole(name: string, text: string): number {
  if (/^[1-9]\d{0,4}$/.test(text)) return Number(text);
  throw new Error(`--${name} ${text}: expected a whole number from 1`);
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
