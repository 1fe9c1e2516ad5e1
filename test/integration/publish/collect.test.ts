import type pg from 'pg';
import { publishStage } from '../../../activities/publish/publish-stage';
import { migrate } from '../../../lib/migrate';
import { createPublishing, day, PIPELINE, stampedRows, type Publishing } from '../../support/publishing';
import { ownPostgres, type OwnPostgres } from '../../support/own-postgres';
import type { TestDatabase } from '../../support/postgres';

/** Prepared transactions and logical slots are off in the suite's server. */
let server: OwnPostgres;
let database: TestDatabase;
let pool: pg.Pool;
let publishing: Publishing;
let days = 0;

beforeAll(async () => {
  server = await ownPostgres({ max_prepared_transactions: '5', wal_level: 'logical' });
});

afterAll(() => server[Symbol.asyncDispose]());

beforeEach(async () => {
  database = await server.database();
  pool = database.pool;
  await migrate(pool);
  publishing = createPublishing({ databaseUrl: database.url });
  days = 0;
});

afterEach(async () => {
  await publishing[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
});

/** Publishes the next `n` days; the stamp is the publication's number. */
async function publish(n: number): Promise<void> {
  for (let i = 0; i < n; i++) {
    days++;
    await publishing.publish(publishStage, await publishing.accept(day(days), stampedRows(days)));
  }
}

async function states(): Promise<string> {
  return (await pool.query<{ state: string }>('select state from almanac.publication order by id')).rows
    .map(({ state }) => state)
    .join(' ');
}

async function partitions(): Promise<string[]> {
  const { rows } = await pool.query<{ name: string }>(
    `select relname as name from pg_class where relnamespace = 'almanac_live'::regnamespace and relkind = 'r' and relname like 'audience_index%' order by oid`,
  );
  return rows.map(({ name }) => name.replace('audience_index_', ''));
}

it('keeps the newest three and drops the others with all their tables', async () => {
  await publish(5);
  expect(await states()).toBe('collected collected retired retired live');
  expect(await partitions()).toEqual(['p3', 'p4', 'p5']);
  expect(publishing.logged.filter((line) => line.startsWith('collected'))).toEqual([
    'collected publications 1',
    'collected publications 2',
  ]);
});

it('keeps what a REPEATABLE READ session opened before the flip can still read', async () => {
  await publish(1);
  const reader = await pool.connect();
  await reader.query('begin isolation level repeatable read');
  const read = async (): Promise<unknown> =>
    (await reader.query('select distinct stamp from audience_index join audience_segments using (segment_id, stamp)')).rows;
  expect(await read()).toEqual([{ stamp: 1 }]);
  await publish(4);
  expect(await states()).toBe('retired retired retired retired live');
  expect(publishing.logged.at(-2)).toMatch(/^publication 2 is kept: session \d+ \(almanac\) began before its retirement$/);
  expect(await read()).toEqual([{ stamp: 1 }]);
  await reader.query('commit');
  reader.release();
  await publish(1);
  expect(await partitions()).toEqual(['p4', 'p5', 'p6']);
});

it('waits for an open transaction that has read the view, finishes the half detached partition later, and publishes meanwhile', async () => {
  await publish(3);
  const reader = await pool.connect();
  // READ COMMITTED: no snapshot between statements, but its lock on the parent stays.
  await reader.query('begin');
  await reader.query('select count(*) from audience_index');
  await publish(2);
  expect(publishing.logged.at(-1)).toMatch(
    /^old publications are left for the next collection: detaching almanac_live\."audience_index_p1" found no lock in 0\.5 s; in the way: pid \d+/,
  );
  expect((await pool.query(`select inhrelid::regclass::text as name from pg_inherits where inhdetachpending`)).rows).toEqual([
    { name: 'almanac_live.audience_index_p1' },
  ]);
  expect((await reader.query('select distinct stamp from audience_index')).rows).toEqual([{ stamp: 5 }]);
  await reader.query('commit');
  reader.release();
  await publish(1);
  expect(await partitions()).toEqual(['p4', 'p5', 'p6']);
}, 60_000);

it('waits for prepared transactions and replication slots', async () => {
  await publish(1);
  await pool.query(`create table public.other (id int)`);
  const client = await pool.connect();
  await client.query(`begin; insert into public.other values (1); prepare transaction 'somebody'`);
  await publish(3);
  expect(publishing.logged.at(-1)).toBe('publication 1 is kept: prepared transaction somebody began before its retirement');
  await client.query(`commit prepared 'somebody'`);
  client.release();
  await pool.query(`select pg_create_logical_replication_slot('reports', 'pgoutput')`);
  await publish(3);
  expect(publishing.logged.at(-1)).toBe('publication 4 is kept: replication slot reports began before its retirement');
  expect(await states()).toBe('collected collected collected retired retired retired live');
  await pool.query(`select pg_drop_replication_slot('reports')`);
  await publish(1);
  expect(await partitions()).toEqual(['p6', 'p7', 'p8']);
});

it('collects nothing when it may not see the snapshots of others', async () => {
  const url = new URL(database.url);
  const name = url.pathname.slice(1);
  await pool.query(`create role plain login; grant all on database ${name} to plain; alter database ${name} owner to plain;
    grant all on all tables in schema almanac to plain; grant all on schema almanac, almanac_live to plain; grant create on schema public to plain;
    grant all on all sequences in schema almanac to plain`);
  url.username = 'plain';
  const plain = createPublishing({ databaseUrl: url.href, root: publishing.root });
  try {
    for (let i = 0; i < 4; i++) await plain.publish(publishStage, await plain.accept(day(i), stampedRows(i + 1)));
    expect(plain.logged.at(-1)).toBe(
      'publication 1 is kept: the snapshots of other sessions are hidden from this role; grant it pg_read_all_stats',
    );
    await pool.query('grant pg_read_all_stats to plain');
    await plain.publish(publishStage, await plain.accept(day(4), stampedRows(5)));
    expect(plain.logged.at(-1)).toBe('collected publications 2, 1');
  } finally {
    await plain[Symbol.asyncDispose]();
  }
});

it('sweeps the tables of a publisher that died and will not come back', async () => {
  const accepted = await publishing.accept(day(0), stampedRows(1));
  const stop = new AbortController();
  const point = (name: string): Promise<void> => {
    if (name === 'attached') stop.abort(new Error('died'));
    return Promise.resolve();
  };
  await expect(publishing.publish(publishStage, accepted, { point, signal: stop.signal })).rejects.toThrow('died');
  expect(await partitions()).toEqual(['p1']);
  await publish(1);
  expect(await states()).toBe('failed live');
  expect(await partitions()).toEqual(['p2']);
  const { rows } = await pool.query(
    `select event, detail->>'why' as why from almanac.publication_event where publication = 1 and event = 'failed'`,
  );
  expect(rows).toEqual([{ event: 'failed', why: 'its publisher is gone' }]);
  expect((await pool.query('select pipeline, publication from almanac.live')).rows).toEqual([{ pipeline: PIPELINE, publication: 2 }]);
});
