import { migrate, pendingMigrations } from '../../../lib/migrate';
import { migrations, type Migration } from '../../../lib/migrations';
import { Presence } from '../../../workers/presence';
import { testDatabase } from '../../support/postgres';
import { until } from '../../support/until';

const KNOWN = migrations();
const EXPAND: Migration = { name: '900001-expand.sql', sql: 'alter table almanac.run add column host text', breaking: undefined };
const BREAKING: Migration = { name: '900002-tidy.sql', sql: 'alter table almanac.run drop column host', breaking: 'it reads run.host' };

test('twenty processes migrating at once leave each migration applied once', async () => {
  await using database = await testDatabase();
  await Promise.all(Array.from({ length: 20 }, () => migrate(database.pool)));
  const { rows } = await database.pool.query('select name, count(*) as times from almanac.migration group by name');
  expect(rows.every((row) => row.times === 1)).toBe(true);
});

test('a breaking migration waits for the workers of other builds, by name, and applies nothing before', async () => {
  await using database = await testDatabase();
  await migrate(database.pool);
  const newer = [...KNOWN, EXPAND, BREAKING];
  {
    await using worker = new Presence(database.url, 'compute', KNOWN);
    expect(await worker.assure()).toBe(true);
    await expect(migrate(database.pool, newer)).rejects.toMatchObject({
      code: 'deploy.migration',
      message: expect.stringMatching(/900002-tidy\.sql: it reads run\.host.*almanac compute \S+:\d+/) as string,
      next: expect.stringContaining('almanac deploy-check, then stop those workers') as string,
      details: { workers: [expect.stringContaining(`almanac compute `)] },
    });
    expect(await pendingMigrations(database.pool, newer)).toMatchObject({
      pending: [{ name: EXPAND.name }, { name: BREAKING.name, breaking: 'it reads run.host' }],
      otherWorkers: [expect.stringContaining('almanac compute ')],
    });
  }
  await migrate(database.pool, newer);
  expect(await pendingMigrations(database.pool, newer)).toEqual({ pending: [], otherWorkers: [] });
});

test('one that the build before can live with is applied beside its workers, and a breaking one beside those of the same build', async () => {
  await using database = await testDatabase();
  await migrate(database.pool);
  await using older = new Presence(database.url, 'control', KNOWN);
  await older.assure();
  await migrate(database.pool, [...KNOWN, EXPAND]);
  await older[Symbol.asyncDispose]();
  const newer = [...KNOWN, EXPAND, BREAKING];
  await using same = new Presence(database.url, 'control', newer);
  await same.assure();
  await migrate(database.pool, newer);
  expect((await pendingMigrations(database.pool, newer)).pending).toEqual([]);
});

test('a build that does not know a breaking migration that was applied is refused, one that does not know another is not', async () => {
  await using database = await testDatabase();
  await migrate(database.pool, [...KNOWN, EXPAND]);
  await migrate(database.pool, KNOWN);
  await migrate(database.pool, [...KNOWN, EXPAND, BREAKING]);
  await expect(migrate(database.pool, [...KNOWN, EXPAND])).rejects.toMatchObject({
    code: 'deploy.outdated',
    message: expect.stringContaining('900002-tidy.sql: it reads run.host') as string,
  });
});

test('before the first migration everything is pending', async () => {
  await using database = await testDatabase();
  expect((await pendingMigrations(database.pool)).pending).toHaveLength(KNOWN.length);
});

test('a worker whose session was ended is known again once it looks', async () => {
  await using database = await testDatabase();
  await migrate(database.pool);
  await using worker = new Presence(database.url, 'compute');
  await worker.assure();
  expect(await worker.assure()).toBe(false);
  await database.pool.query(
    "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name like 'almanac compute %'",
  );
  await until('the worker sees that its session is gone', () => worker.assure(), 60_000);
  expect((await pendingMigrations(database.pool, [...KNOWN, EXPAND])).otherWorkers).toHaveLength(1);
});
