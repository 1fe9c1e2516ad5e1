/**
 * What publishing costs those who read: 8 readers joining three tables, half with prepared statements, while
 * publications go live one after the other. Each alternates with a control that does the same COPY, index, analyze and
 * attach but no flip; 99th percentiles are compared, and no read may fail, be empty or mix two publications.
 */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { migrate } from '../lib/migrate';
import { connect } from '../lib/postgres';
import { startPostgres } from '../operator/stack/postgres-server';
import { publishUnderReaders, type ScenarioReport } from '../test/support/publication-scenario';
import { freePort } from '../test/support/ports';
import { machine, table } from './report';

const GOAL = 2;
const READERS = 8;
const QUERIES_PER_SECOND = 50;
const PIXELS = 10;
const SEGMENTS = 200;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { publications: { type: 'string', default: '100' }, json: { type: 'boolean', default: false } },
  });
  const publications = Number(values.publications);
  if (!Number.isSafeInteger(publications) || publications < 1)
    throw new Error(`--publications ${values.publications}: expected a whole number from 1`);
  const home = mkdtempSync(path.join(os.tmpdir(), 'almanac-bench-readers-'));
  chmodSync(home, 0o755);
  const server = await startPostgres({ dataDirectory: path.join(home, 'postgres'), port: await freePort() });
  // Postgres is in a process of its own and would outlive an interrupted bench.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      server.process.kill('SIGINT');
      process.exit(1);
    });
  }
  try {
    const pool = connect(server.url);
    await migrate(pool);
    await pool.end();
    const report = await publishUnderReaders(
      { databaseUrl: server.url, publications, readers: READERS, queriesPerSecond: QUERIES_PER_SECOND, pixels: PIXELS, segments: SEGMENTS },
      (publication) => {
        if (process.stderr.isTTY) process.stderr.write(`\rpublication ${publication} of ${publications}`);
      },
    );
    const sound = report.errors.length + report.empty + report.mixed + report.changed === 0;
    console.log(values.json ? JSON.stringify(report, undefined, 2) : render(report));
    if (!sound || report.p99Ratio > GOAL) process.exitCode = 1;
  } finally {
    await new Promise<void>((resolve) => {
      server.process.once('exit', () => resolve());
      server.process.kill('SIGINT');
    });
    rmSync(home, { recursive: true, force: true });
  }
}

function render(report: ScenarioReport): string {
  const rate = report.reads / report.seconds;
  const rows = Object.entries(report.arms)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, { reads, p50, p99, max }]) => [name, String(reads), p50.toFixed(2), p99.toFixed(2), max.toFixed(1)]);
  return [
    `\n${machine()}`,
    `${report.publications} publications and as many controls in ${report.seconds.toFixed(0)} s; ${READERS} readers, ${rate.toFixed(0)} of ${READERS * QUERIES_PER_SECOND} reads a second\n`,
    table(['arm', 'reads', 'p50 ms', 'p99 ms', 'max ms'], rows),
    `\nerrors ${report.errors.length}, empty ${report.empty}, mixed ${report.mixed}; REPEATABLE READ sessions read across collections ${report.snapshotReads}, changed ${report.changed}`,
    `publications collected meanwhile ${report.collected}, long transactions ${report.longTransactions}`,
    `p99 ratio ${report.p99Ratio.toFixed(2)}, goal at most ${GOAL}`,
    ...report.errors.slice(0, 3),
  ].join('\n');
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
