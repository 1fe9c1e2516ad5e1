import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { migrate } from '../../../lib/migrate';
import { connect } from '../../../lib/postgres';
import { AlmanacError } from '../../../pipelines/failures';
import { runCommand, cliEnvironment } from '../../support/cli';
import { testDatabase, type TestDatabase } from '../../support/postgres';

let database: TestDatabase;
let directory: string;
beforeAll(async () => {
  database = await testDatabase();
  directory = mkdtempSync(path.join(os.tmpdir(), 'almanac-database-'));
});
afterAll(async () => {
  await database[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true });
});

const SECRET = 'hunter2-secret';

/** The test database's URL with a password, and another part of it. */
function url(change: (url: URL) => void): string {
  const changed = new URL(database.url);
  changed.password = SECRET;
  change(changed);
  return changed.href;
}

const WRONG: readonly [string, () => string, RegExp][] = [
  ['a database that is not there', () => url((u) => (u.pathname = '/no_such_database')), /no_such_database/],
  ['a user that is not there', () => url((u) => (u.username = 'nobody_known')), /nobody_known/],
  ['a CA file that is not there', () => url((u) => u.searchParams.set('sslrootcert', '/not/there.pem')), /sslrootcert.*not\/there\.pem/],
  ['TLS where the server has none', () => url((u) => u.searchParams.set('sslmode', 'require')), /SSL/],
];

test.each(WRONG)('%s is config.invalid for whoever migrates first', async (_what, wrong, message) => {
  const pool = connect(wrong());
  const error = await migrate(pool).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  await pool.end();
  if (!(error instanceof AlmanacError)) throw new Error(`no coded failure but ${String(error)}`);
  expect(error.code).toBe('config.invalid');
  expect(error.message).toMatch(/^DATABASE_URL: /);
  expect(error.message).toMatch(message);
  expect(error.next).toContain('DATABASE_URL');
  expect(JSON.stringify([error.message, error.next, error.details])).not.toContain(SECRET);
});

test.each(WRONG)('up says so at once where %s is named, and starts nothing', async (_what, wrong, message) => {
  writeFileSync(path.join(directory, 'almanac.config.ts'), 'export default { pipelines: [] };');
  const home = path.join(directory, 'home');
  const environment = cliEnvironment(home, { DATABASE_URL: wrong(), TEMPORAL_ADDRESS: '127.0.0.1:1' });
  const { code, stdout, stderr } = await runCommand(['--project', directory, 'up', '--json'], environment, { deadlineMs: 60_000 });
  expect(code).toBe(11);
  expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'config.invalid', message: expect.stringMatching(message) } });
  expect(stdout + stderr).not.toContain(SECRET);
});
