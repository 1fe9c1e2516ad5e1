// Makes the role and the database that DATABASE_URL names, with what Almanac needs and no more. Run by the administrator, as often as one likes: what
// is there is left, the password is set anew.
import pg from 'pg';

const { DATABASE_URL, ADMINISTRATOR, ADMINISTRATOR_PASSWORD } = process.env;
for (const [name, value] of Object.entries({ DATABASE_URL, ADMINISTRATOR, ADMINISTRATOR_PASSWORD })) {
  if (!value) fail(`${name} is not set`);
}

const url = new URL(DATABASE_URL);
const role = decodeURIComponent(url.username);
const password = decodeURIComponent(url.password);
const database = decodeURIComponent(url.pathname.slice(1));
const administration = new URL(url);
administration.username = encodeURIComponent(ADMINISTRATOR);
administration.password = encodeURIComponent(ADMINISTRATOR_PASSWORD);
administration.pathname = '/postgres';

const client = new pg.Client({ connectionString: administration.href, application_name: 'almanac setup', connectionTimeoutMillis: 15_000 });
try {
  await client.connect();
  await setUp();
} catch (error) {
  fail(error.message);
} finally {
  await client.end().catch(() => undefined);
}

async function setUp() {
  const name = client.escapeIdentifier(role);
  const { rowCount: known } = await client.query('select from pg_roles where rolname = $1', [role]);
  if (known === 0) await client.query(`create role ${name}`);
  await client.query(`alter role ${name} login password ${client.escapeLiteral(password)}`);
  // Publications are collected only once no snapshot needs them, so those of all sessions must be seen. RDS lets its administrator grant this role.
  await client.query(`grant pg_monitor to ${name}`);
  // An administrator who is no superuser may give a database only to a role that it can be itself.
  await client.query(`grant ${name} to current_user`);
  const { rowCount: made } = await client.query('select from pg_database where datname = $1', [database]);
  if (made === 0) await client.query(`create database ${client.escapeIdentifier(database)} owner ${name}`);
  await client.query(`revoke all on database ${client.escapeIdentifier(database)} from public`);
  process.stdout.write(`the role ${role} owns the database ${database}\n`);
}

function fail(problem) {
  process.stderr.write(
    `error setup: ${problem}\nnext: look at the secrets of the database stack and at its security group, then run this again\n`,
  );
  process.exit(1);
}
