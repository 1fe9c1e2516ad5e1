import type pg from 'pg';
import { AlmanacError } from '../pipelines/failures';
import { databaseFailure } from './database-failure';
import { migrations, schemaMark, type Migration } from './migrations';
import { transaction, type Queryable } from './postgres';

/** Guards concurrent migrators; any constant serves, this one spells "alma". */
const MIGRATION_LOCK = 0x616c6d61;
/** What each worker shares as long as it lives, with the mark of the schema its build knows; spells "work". */
export const WORKER_LOCK = 0x776f726b;

/**
 * Applies the migrations that are pending, in order, each once, under one advisory lock; safe to call from every process. A breaking
 * one only while no worker of another build is at work: else it throws `deploy.migration`, and nothing is applied. Throws
 * `deploy.outdated` when a newer build applied one that this build cannot live with, `config.invalid` when the database is not there or
 * refuses us.
 */
export async function migrate(pool: pg.Pool, known: readonly Migration[] = migrations()): Promise<void> {
  await reached(pool, async (client) => {
    await client.query('select pg_advisory_xact_lock($1)', [MIGRATION_LOCK]);
    await client.query('create schema if not exists almanac');
    await client.query(
      'create table if not exists almanac.migration (name text primary key, applied_at timestamptz not null default now())',
    );
    const pending = await unapplied(client, known);
    const breaking = pending.filter((migration) => migration.breaking !== undefined);
    const workers = breaking.length === 0 ? [] : await otherWorkers(client, known);
    if (breaking[0] !== undefined && workers.length > 0) throw refused(breaking[0], workers);
    for (const { name, sql } of pending) {
      await client.query(sql);
      await client.query('insert into almanac.migration (name) values ($1)', [name]);
    }
    // The column is a migration itself, so it is there only now.
    for (const { name, breaking: why } of breaking)
      await client.query('update almanac.migration set breaking = $2 where name = $1', [name, why]);
  });
}

/** What the next verb or worker of this build would do to the schema. */
export interface PendingMigrations {
  readonly pending: readonly Pick<Migration, 'name' | 'breaking'>[];
  /** Workers of other builds that are at work; a breaking migration waits for their end. */
  readonly otherWorkers: readonly string[];
}

/** Applies nothing. Throws `deploy.outdated`. */
export async function pendingMigrations(database: Queryable, known: readonly Migration[] = migrations()): Promise<PendingMigrations> {
  const pending = (await hasSchema(database)) ? await unapplied(database, known) : known;
  return { pending: pending.map(({ name, breaking }) => ({ name, breaking })), otherWorkers: await otherWorkers(database, known) };
}

/** Whether anything was ever migrated here. */
export async function hasSchema(database: Queryable): Promise<boolean> {
  const { rows } = await database.query<{ there: boolean }>("select to_regclass('almanac.migration') is not null as there");
  return rows[0]?.there === true;
}

async function unapplied(database: Queryable, known: readonly Migration[]): Promise<Migration[]> {
  // As json, so that the question can be asked before the column is there.
  const { rows } = await database.query<{ name: string; breaking: string | null }>(
    "select name, to_jsonb(m) ->> 'breaking' as breaking from almanac.migration m order by name",
  );
  const names = new Set(known.map(({ name }) => name));
  const beyond = rows.find(({ name, breaking }) => breaking !== null && !names.has(name));
  if (beyond !== undefined) {
    throw new AlmanacError('deploy.outdated', `the control schema was migrated by a newer build (${beyond.name}: ${beyond.breaking})`, {
      next: 'use that build here as well; this one would read or write what is no longer so',
      details: { migration: beyond.name },
    });
  }
  const applied = new Set(rows.map(({ name }) => name));
  return known.filter(({ name }) => !applied.has(name));
}

/** Workers at work whose build knows another schema, by the names they gave their sessions. */
async function otherWorkers(database: Queryable, known: readonly Migration[]): Promise<string[]> {
  const { rows } = await database.query<{ name: string }>(
    `select coalesce(nullif(a.application_name, ''), 'a worker') || coalesce(' from ' || host(a.client_addr), '') as name
     from pg_locks l join pg_database d on d.oid = l.database left join pg_stat_activity a on a.pid = l.pid
     where l.locktype = 'advisory' and l.objsubid = 2 and l.granted and d.datname = current_database()
       and l.classid = $1::bigint and l.objid <> $2::bigint order by name`,
    [WORKER_LOCK, schemaMark(known)],
  );
  return rows.map(({ name }) => name);
}

function refused({ name, breaking }: Migration, workers: readonly string[]): AlmanacError {
  return new AlmanacError(
    'deploy.migration',
    `this build migrates the control schema in a way that the build before cannot live with (${name}: ${breaking}), and workers of another build are at work: ${workers.join(', ')}`,
    {
      next: 'almanac deploy-check, then stop those workers (almanac down where almanac up started them) and repeat: the first command or worker of this build migrates. Until then use their build',
      details: { migration: name, workers },
    },
  );
}

/** Every process migrates first, so here it is told that it will never be let in. */
async function reached(pool: pg.Pool, body: (client: pg.PoolClient) => Promise<void>): Promise<void> {
  try {
    await transaction(pool, body);
  } catch (error) {
    throw databaseFailure(error, pool.options.connectionString) ?? error;
  }
}
