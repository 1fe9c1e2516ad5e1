import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startPostgres } from '../../operator/stack/postgres-server';
import { freePort } from './ports';
import { testDatabase, type TestDatabase } from './postgres';

export interface OwnPostgres extends AsyncDisposable {
  readonly url: string;
  /** A database of its own on this server. */
  database(): Promise<TestDatabase>;
}

/** A Postgres for one test file: settings of its own, and no other test's transactions, which hold back its snapshots. */
export async function ownPostgres(settings: Readonly<Record<string, string>> = {}): Promise<OwnPostgres> {
  const home = mkdtempSync(path.join(tmpdir(), 'almanac-postgres-'));
  chmodSync(home, 0o755);
  const server = await startPostgres({
    dataDirectory: path.join(home, 'postgres'),
    port: await freePort(),
    settings: { fsync: 'off', ...settings },
  });
  return {
    url: server.url,
    database: () => testDatabase(server.url),
    async [Symbol.asyncDispose]() {
      await new Promise<void>((resolve) => {
        server.process.once('exit', () => resolve());
        server.process.kill('SIGINT');
      });
      rmSync(home, { recursive: true, force: true });
    },
  };
}
