import { spawnSync, type SpawnSyncReturns } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { readHorizon } from '../../../activities/publish/horizon';
import { migrate } from '../../../lib/migrate';
import { packageRoot } from '../../../lib/package-root';
import { connect } from '../../../lib/postgres';
import { testDatabase, type TestDatabase } from '../../support/postgres';

const suffix = randomBytes(6).toString('hex');
const ADMINISTRATOR = `administrator_${suffix}`;
const ROLE = `almanac_${suffix}`;

let server: TestDatabase;

/** As on RDS: an administrator who is no superuser. */
beforeAll(async () => {
  server = await testDatabase();
  await server.pool.query(`create role ${ADMINISTRATOR} login createrole createdb password 'first'`);
  await server.pool.query(`grant pg_monitor to ${ADMINISTRATOR} with admin option`);
});
afterAll(async () => {
  await server.pool.query(`drop database if exists ${ROLE} with (force)`);
  await server.pool.query(`drop owned by ${ADMINISTRATOR}`);
  await server.pool.query(`drop role if exists ${ROLE}`);
  await server.pool.query(`drop role ${ADMINISTRATOR}`);
  await server[Symbol.asyncDispose]();
});

function url(rolePassword: string): string {
  const made = new URL(server.url);
  made.username = ROLE;
  made.password = rolePassword;
  made.pathname = `/${ROLE}`;
  return made.href;
}

/** As the server keeps it: this one lets in who has another. */
async function password(): Promise<string | null | undefined> {
  const { rows } = await server.pool.query<{ rolpassword: string | null }>('select rolpassword from pg_authid where rolname = $1', [ROLE]);
  return rows[0]?.rolpassword;
}

function setUp(rolePassword: string, administrator = ADMINISTRATOR): SpawnSyncReturns<string> {
  return spawnSync(process.execPath, [path.join(packageRoot(), 'infra', 'image', 'database-role.mjs')], {
    env: { PATH: process.env.PATH, DATABASE_URL: url(rolePassword), ADMINISTRATOR: administrator, ADMINISTRATOR_PASSWORD: 'first' },
    encoding: 'utf8',
    timeout: 60_000,
  });
}

test('the task makes a role that owns its database, migrates it, and sees every snapshot; again it sets the password anew', async () => {
  expect(setUp('one')).toMatchObject({ status: 0, stdout: `the role ${ROLE} owns the database ${ROLE}\n`, stderr: '' });
  const first = await password();
  expect(setUp("t'wo")).toMatchObject({ status: 0 });
  const second = await password();
  expect([first, second]).toEqual([expect.stringMatching(/^SCRAM-SHA-256\$/), expect.stringMatching(/^SCRAM-SHA-256\$/)]);
  expect(second).not.toBe(first);
  const pool = connect(url("t'wo"));
  try {
    await migrate(pool);
    const { rows } = await pool.query<{ mine: boolean; super: boolean }>(
      `select pg_get_userbyid(datdba) = current_user as mine, (select rolsuper from pg_roles where rolname = current_user) as super
       from pg_database where datname = current_database()`,
    );
    expect(rows).toEqual([{ mine: true, super: false }]);
    const client = await pool.connect();
    try {
      expect((await readHorizon({ client })).hiddenSessions).toBe(false);
    } finally {
      client.release();
    }
  } finally {
    await pool.end();
  }
});

test('what keeps it from doing so is told without a password or a stack', () => {
  const { status, stderr } = setUp('one', 'nobody');
  expect(status).toBe(1);
  expect(stderr).toMatch(/^error setup: role "nobody" does not exist\nnext: /);
  expect(stderr).not.toMatch(/one|\bat \w+ \(/);
  const unset = spawnSync(process.execPath, [path.join(packageRoot(), 'infra', 'image', 'database-role.mjs')], {
    env: {},
    encoding: 'utf8',
  });
  expect(unset).toMatchObject({ status: 1, stderr: expect.stringContaining('DATABASE_URL is not set') as string });
});
