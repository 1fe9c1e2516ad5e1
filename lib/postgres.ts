import pg from 'pg';

/** bigint columns hold counts and ids below 2^53 in the control schema; they arrive as numbers. */
const types: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format?: 'text' | 'binary') =>
    oid === 20 && format !== 'binary'
      ? (text: string) => Number(text)
      : pg.types.getTypeParser(oid, format as 'text')) as typeof pg.types.getTypeParser,
};

/** Anything that can run one statement: a pool, or a client inside a transaction. */
export type Queryable = Pick<pg.Pool, 'query'> | Pick<pg.PoolClient, 'query'>;

/** A pool that survives lost servers: an idle client's error must not end the process; the next query reports it. */
export function connect(databaseUrl: string, options: pg.PoolConfig = {}): pg.Pool {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 10, application_name: 'almanac', types, ...options });
  pool.on('error', () => undefined);
  return pool;
}

/** Runs `body` in one transaction on one connection; rolls back on any throw. */
export async function transaction<T>(pool: pg.Pool, body: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let broken: Error | undefined;
  try {
    await client.query('begin');
    const result = await body(client);
    await client.query('commit');
    return result;
  } catch (error) {
    await client.query('rollback').catch((rollbackError: Error) => {
      broken = rollbackError;
    });
    throw error;
  } finally {
    client.release(broken);
  }
}

/**
 * Runs `body` unless somebody else runs it under the same lock, on this or another machine: then undefined, at once. The lock goes
 * with its connection, so that a holder that died keeps nobody out. `name` tells apart locks of one kind.
 */
export async function whileAlone<T>(pool: pg.Pool, lock: number, name: string, body: () => Promise<T>): Promise<T | undefined> {
  // A connection of its own: holders that took theirs of the pool would wait for ever for those that their bodies need.
  const holder = new pg.Client(pool.options);
  // A connection that breaks fails the unlock; without a listener it would end the process.
  holder.on('error', () => undefined);
  await holder.connect();
  try {
    const { rows } = await holder.query<{ mine: boolean }>('select pg_try_advisory_lock($1, hashtext($2)) as mine', [lock, name]);
    if (rows[0]?.mine !== true) return undefined;
    try {
      return await body();
    } finally {
      await holder.query('select pg_advisory_unlock($1, hashtext($2))', [lock, name]);
    }
  } finally {
    await holder.end();
  }
}
