import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { connect } from '../../lib/postgres';

function serverUrl(): string {
  const url = process.env.ALMANAC_TEST_DATABASE_URL;
  if (!url) throw new Error('the jest global setup did not start Postgres');
  return url;
}

export interface TestDatabase extends AsyncDisposable {
  readonly url: string;
  readonly pool: pg.Pool;
}

/** A database of its own, on the run's Postgres unless another is named; dropped with its pool. */
export async function testDatabase(server = serverUrl()): Promise<TestDatabase> {
  const name = `t_${randomBytes(6).toString('hex')}`;
  const admin = new pg.Client({ connectionString: server });
  await admin.connect();
  await admin.query(`create database ${name}`);
  await admin.end();
  const url = new URL(server);
  url.pathname = `/${name}`;
  const pool = connect(url.href);
  return {
    url: url.href,
    pool,
    async [Symbol.asyncDispose]() {
      await pool.end();
      const dropper = new pg.Client({ connectionString: server });
      await dropper.connect();
      await dropper.query(`drop database ${name} with (force)`);
      await dropper.end();
    },
  };
}
