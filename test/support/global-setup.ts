import { mkdtempSync, chmodSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startPostgres } from '../../operator/stack/postgres-server';
import { freePort } from './ports';

declare global {
  // The teardown runs in the same process as the setup.
  var almanacTestServers: { stop(): Promise<void> } | undefined;
}

/** One Postgres for the whole jest run, on a random port with a data directory of its own. */
export default async function globalSetup(): Promise<void> {
  const home = mkdtempSync(path.join(tmpdir(), 'almanac-test-'));
  chmodSync(home, 0o755);
  const postgres = await startPostgres({
    dataDirectory: path.join(home, 'postgres'),
    port: await freePort(),
    settings: { fsync: 'off', max_connections: '300' },
  });
  process.env.ALMANAC_TEST_DATABASE_URL = postgres.url;
  process.env.ALMANAC_TEST_HOME = home;
  globalThis.almanacTestServers = {
    stop: () =>
      new Promise((resolve) => {
        postgres.process.once('exit', () => resolve());
        postgres.process.kill('SIGINT');
      }),
  };
}
