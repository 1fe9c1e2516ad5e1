import pg from 'pg';
import { migrate } from '../../lib/migrate';
import { publishUnderReaders } from '../support/publication-scenario';
import { complaints, startReaders, type ReadersReport } from '../support/readers';
import { ownPostgres } from '../support/own-postgres';
import { testDatabase } from '../support/postgres';
import { until } from '../support/until';

const PUBLICATIONS = 20;
const PIXELS = 10;
const SEGMENTS = 50;
const TABLES = ['audience_index', 'audience_segments', 'audience_pixels'] as const;

it(`${PUBLICATIONS} publications under 8 readers: no read fails, none is empty or mixed`, async () => {
  // Transactions of other tests would hold back the collection.
  await using server = await ownPostgres();
  await using database = await server.database();
  await migrate(database.pool);
  const report = await publishUnderReaders({
    databaseUrl: database.url,
    publications: PUBLICATIONS,
    readers: 8,
    queriesPerSecond: 50,
    pixels: PIXELS,
    segments: SEGMENTS,
  });
  expect(report).toMatchObject({ errors: [], empty: 0, mixed: 0, changed: 0 });
  expect(report.reads).toBeGreaterThan(PUBLICATIONS * 8);
  expect(report.collected).toBeGreaterThan(0);
  expect(report.snapshotReads).toBe(2);
  expect(report.longTransactions).toBe(1);
  const { flip, control } = report.arms;
  process.stderr.write(
    `readers: ${report.reads} reads, p99 ${flip?.p99.toFixed(1)} ms publishing, ${control?.p99.toFixed(1)} ms loading only, ratio ${report.p99Ratio.toFixed(2)}\n`,
  );
}, 600_000);

/** Rows of one stamp for plain tables in a schema. */
function tables(schema: string, suffix: string, stamp: number): string {
  return `
    create table ${schema}.audience_index${suffix} as select p as pixel_id, s as segment_id, ${stamp}::bigint as stamp from generate_series(0, ${PIXELS - 1}) p, generate_series(0, ${SEGMENTS - 1}) s;
    create table ${schema}.audience_segments${suffix} as select s as segment_id, ${stamp}::bigint as stamp from generate_series(0, ${SEGMENTS - 1}) s;
    create table ${schema}.audience_pixels${suffix} as select p as pixel_id, ${stamp}::bigint as stamp from generate_series(0, ${PIXELS - 1}) p;`;
}

/** One way of swapping all tables for those of the next stamp. */
type Swap = (client: pg.Client, stamp: number) => Promise<unknown>;

const DEADLINE_MS = 60_000;
const SNAPSHOTS = 3;
const HOLDS_LOCK = `select from pg_stat_activity where state = 'idle in transaction' and backend_xid is not null and application_name = 'reader' and datname = current_database() limit 1`;

/**
 * Swaps tables of schema `live` under the same readers, with a REPEATABLE READ session across each of the first swaps,
 * until they have shown what `shows` looks for; the deadline ends a method that shows nothing.
 */
async function swapUnderReaders(swap: Swap, shows: (report: ReadersReport) => boolean, longTransactionMs?: number): Promise<ReadersReport> {
  await using database = await testDatabase();
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  try {
    await client.query(
      `create schema live; alter database ${new URL(database.url).pathname.slice(1)} set search_path = live; set search_path = live`,
    );
    await client.query(tables('live', '', 0));
    const readers = await startReaders({
      databaseUrl: database.url,
      readers: 8,
      queriesPerSecond: 50,
      pixels: PIXELS,
      rowsPerPixel: SEGMENTS,
    });
    try {
      const deadline = performance.now() + DEADLINE_MS;
      for (let stamp = 1; !shows(readers.report()) && performance.now() < deadline; stamp++) {
        // Locks kept would block the swap this session is there to see.
        const snapshot = stamp <= SNAPSHOTS ? await readers.snapshot(false) : undefined;
        const held = longTransactionMs === undefined ? undefined : readers.holdTransaction(longTransactionMs);
        if (held !== undefined) await until('the long transaction reads', async () => (await client.query(HOLDS_LOCK)).rowCount === 1);
        await swap(client, stamp);
        await held?.end();
        await snapshot?.readAgain();
      }
    } finally {
      await readers.stop();
    }
    return readers.report();
  } finally {
    await client.end();
  }
}

describe('the same readers fail', () => {
  const rename: Swap = async (client, stamp) => {
    await client.query(tables('live', '_new', stamp));
    await client.query(
      `begin; ${TABLES.map((table) => `alter table ${table} rename to ${table}_old; alter table ${table}_new rename to ${table}`).join('; ')}; commit`,
    );
    await client.query(`drop table ${TABLES.map((table) => `${table}_old`).join(', ')}`);
  };

  it('a bare rename: it queues behind a long transaction, and they behind it', async () => {
    const report = await swapUnderReaders(rename, ({ stalls }) => stalls > 0, 2_500);
    expect(complaints(report)).toContainEqual(expect.stringMatching(/reads stalled for more than 1000 ms/));
  }, 120_000);

  it('a bare rename: an older snapshot finds no row in the new table', async () => {
    const report = await swapUnderReaders(rename, ({ empty }) => empty > 0);
    expect(complaints(report)).toContainEqual(expect.stringMatching(/reads were empty/));
  }, 120_000);

  it('TRUNCATE: an older snapshot finds no row', async () => {
    const truncate: Swap = async (client, stamp) => {
      await client.query(tables('live', '_next', stamp));
      const fill = TABLES.map((table) => `insert into ${table} select * from ${table}_next`).join('; ');
      await client.query(
        `begin; truncate ${TABLES.join(', ')}; ${fill}; drop table ${TABLES.map((table) => `${table}_next`).join(', ')}; commit`,
      );
    };
    const report = await swapUnderReaders(truncate, ({ empty }) => empty > 0);
    expect(complaints(report)).toContainEqual(expect.stringMatching(/reads were empty/));
  }, 120_000);

  it('a schema rename: names are resolved one by one, so a join mixes two publications', async () => {
    // The tables of the next stamp are made well before, as one would: the swap itself is two renames.
    const swap: Swap = async (client, stamp) => {
      if (stamp === 1) await client.query(`create schema next; ${tables('next', '', 1)}`);
      await client.query(
        'begin; alter schema live rename to old; alter schema next rename to live; alter schema old rename to next; commit',
      );
    };
    const report = await swapUnderReaders(swap, ({ mixed }) => mixed > 0);
    expect(complaints(report)).toContainEqual(expect.stringMatching(/reads were mixed/));
  }, 120_000);
});
