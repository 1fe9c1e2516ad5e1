import { DuckDBInstance, type DuckDBConnection, type Json } from '@duckdb/node-api';

/** An in-memory DuckDB in the test's own process; closed with its scope. */
export interface TestDuckDb extends Disposable {
  readonly connection: DuckDBConnection;
  rows(sql: string): Promise<Record<string, Json>[]>;
}

export async function testDuckDb(): Promise<TestDuckDb> {
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' });
  const connection = await instance.connect();
  await connection.run("set TimeZone = 'UTC'");
  return {
    connection,
    rows: async (sql) => (await connection.runAndReadAll(sql)).getRowObjectsJson(),
    [Symbol.dispose]() {
      connection.closeSync();
      instance.closeSync();
    },
  };
}
