import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type pg from 'pg';
import { packageRoot } from './package-root';
import { databaseFailure } from './database-failure';
import { transaction } from './postgres';

/** Guards concurrent migrators; any constant serves, this one spells "alma". */
const MIGRATION_LOCK = 0x616c6d61;

/** Applies activities/ledger/sql/NNNNNN-*.sql in order, each once, under one advisory lock; safe to call from every process. Throws `config.invalid` when the database is not there or refuses us. */
export async function migrate(pool: pg.Pool): Promise<void> {
  const directory = path.join(packageRoot(), 'activities', 'ledger', 'sql');
  const files = readdirSync(directory)
    .filter((name) => /^\d{6}-.*\.sql$/.test(name))
    .sort();
  await reached(pool, async (client) => {
    await client.query('select pg_advisory_xact_lock($1)', [MIGRATION_LOCK]);
    await client.query('create schema if not exists almanac');
    await client.query(
      'create table if not exists almanac.migration (name text primary key, applied_at timestamptz not null default now())',
    );
    const applied = new Set((await client.query<{ name: string }>('select name from almanac.migration')).rows.map((row) => row.name));
    for (const name of files) {
      if (applied.has(name)) continue;
      await client.query(readFileSync(path.join(directory, name), 'utf8'));
      await client.query('insert into almanac.migration (name) values ($1)', [name]);
    }
  });
}

/** Every process migrates first, so here it is told that it will never be let in. */
async function reached(pool: pg.Pool, body: (client: pg.PoolClient) => Promise<void>): Promise<void> {
  try {
    await transaction(pool, body);
  } catch (error) {
    throw databaseFailure(error, pool.options.connectionString) ?? error;
  }
}
