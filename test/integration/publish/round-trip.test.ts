import fc from 'fast-check';
import { publishStage } from '../../../activities/publish/publish-stage';
import { migrate } from '../../../lib/migrate';
import { createPublishing, day, type Publishing } from '../../support/publishing';
import { testDatabase, type TestDatabase } from '../../support/postgres';

/** What a test wrote, as the text both databases give for it; null is NULL. */
interface Row {
  readonly t: string | null;
  readonly b: bigint | null;
  readonly i: number | null;
  readonly d: number | null;
  readonly f: boolean | null;
  readonly ts: bigint | null;
  readonly dt: number | null;
}

const DATASETS = {
  every: { columns: { k: 'integer', t: 'text', b: 'bigint', i: 'integer', d: 'double', f: 'boolean', ts: 'timestamp', dt: 'date' } },
} as const;

/** The first instant Postgres knows, 4714-11-24 BC, and the last DuckDB knows, in microseconds from 1970. */
const FIRST_MICROS = -210_866_803_200_000_000n;
const LAST_MICROS = 9_223_372_036_854_775_806n;

const rowArbitrary: fc.Arbitrary<Row> = fc.record({
  t: fc.option(
    fc.oneof(
      fc.string({ unit: 'binary' }).filter((text) => !text.includes('\0')),
      fc.constantFrom('', '\\.', 'NULL', '\\N', '"', '""', ',', '\n', '\r\n', ' ', "'", '\t', 'é', '🤦🏼‍♂️'),
    ),
  ),
  b: fc.option(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
  i: fc.option(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })),
  d: fc.option(
    fc.oneof(
      fc.double(),
      fc.constantFrom(Infinity, -Infinity, NaN, -0, 0, 5e-324, 1.7976931348623157e308, 0.1, 1 / 3, 1e21, 123456789012345680),
    ),
  ),
  f: fc.option(fc.boolean()),
  ts: fc.option(fc.bigInt({ min: FIRST_MICROS, max: LAST_MICROS })),
  dt: fc.option(fc.integer({ min: -2_440_588, max: 100_000_000 })),
});

/** Doubles travel as their bits: no literal says which NaN or zero is meant. */
function bits(value: number): string {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(value);
  return BigInt(`0x${bytes.toString('hex')}`)
    .toString(2)
    .padStart(64, '0');
}

/** A text as the bytes of its UTF-8 form; lone surrogates become U+FFFD here as everywhere. */
function duckText(text: string): string {
  const bytes = [...Buffer.from(text, 'utf8')].map((byte) => `\\x${byte.toString(16).padStart(2, '0').toUpperCase()}`).join('');
  return `decode('${bytes}'::BLOB)`;
}

function values(rows: readonly Row[]): string {
  const sql = rows.map((row, k) =>
    [
      k,
      row.t === null ? 'NULL' : duckText(row.t),
      row.b === null ? 'NULL' : `'${row.b}'::BIGINT`,
      row.i === null ? 'NULL' : `'${row.i}'::INTEGER`,
      row.d === null ? 'NULL' : `'${bits(row.d)}'::BIT::DOUBLE`,
      row.f ?? 'NULL',
      row.ts === null ? 'NULL' : `make_timestamp(${row.ts}::BIGINT)`,
      row.dt === null ? 'NULL' : `(DATE '1970-01-01' + ${row.dt}::INTEGER)`,
    ].join(', '),
  );
  return `select k::INTEGER as k, t::VARCHAR as t, b::BIGINT as b, i::INTEGER as i, d::DOUBLE as d, f::BOOLEAN as f, ts::TIMESTAMP as ts, dt::DATE as dt
          from (values ${sql.map((row) => `(${row})`).join(', ')}) v(k, t, b, i, d, f, ts, dt)`;
}

async function published(database: TestDatabase): Promise<Row[]> {
  const { rows } = await database.pool.query<{
    t: string | null;
    b: string | null;
    i: number | null;
    d: string | null;
    f: boolean | null;
    ts: string | null;
    dt: number | null;
  }>(
    `select t, b::text as b, i, encode(float8send(d), 'hex') as d, f, (extract(epoch from ts) * 1000000)::bigint::text as ts, dt - date '1970-01-01' as dt from every_type order by k`,
  );
  return rows.map(({ t, b, i, d, f, ts, dt }) => ({
    t,
    b: b === null ? null : BigInt(b),
    i,
    d: d === null ? null : Buffer.from(d, 'hex').readDoubleBE(),
    f,
    ts: ts === null ? null : BigInt(ts),
    dt,
  }));
}

function open(database: TestDatabase): Publishing {
  return createPublishing({
    databaseUrl: database.url,
    pipeline: 'types',
    datasets: DATASETS,
    tables: { every_type: { from: 'every', key: ['k'] } },
  });
}

it('brings every value of every type into Postgres exactly', async () => {
  await using database = await testDatabase();
  await migrate(database.pool);
  await using publishing = open(database);
  let n = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(rowArbitrary, { minLength: 1, maxLength: 40 }), async (rows) => {
      await publishing.publish(publishStage, await publishing.accept(day(n++), { every: values(rows) }));
      const wanted = rows.map((row) => ({ ...row, t: row.t === null ? null : Buffer.from(row.t, 'utf8').toString('utf8') }));
      expect(await published(database)).toEqual(wanted);
    }),
    { numRuns: 25 },
  );
}, 120_000);

it('carries infinite dates and times, and an empty version', async () => {
  await using database = await testDatabase();
  await migrate(database.pool);
  await using publishing = open(database);
  const infinite = `select 1::INTEGER as k, ''::VARCHAR as t, 1::BIGINT as b, 1::INTEGER as i, 1.0::DOUBLE as d, true as f, 'infinity'::TIMESTAMP as ts, '-infinity'::DATE as dt`;
  await publishing.publish(publishStage, await publishing.accept(day(0), { every: infinite }));
  expect((await database.pool.query('select t, ts::text, dt::text from every_type')).rows).toEqual([
    { t: '', ts: 'infinity', dt: '-infinity' },
  ]);
  await publishing.publish(publishStage, await publishing.accept(day(1), { every: `${infinite} where false` }));
  expect((await database.pool.query('select count(*)::int as n from every_type')).rows).toEqual([{ n: 0 }]);
});

it.each([
  ['a text with NUL', `'a' || chr(0)`, `'2026-01-01'::TIMESTAMP`, 'a text column'],
  ['a time before the first Postgres knows', `'a'`, `make_timestamp(${FIRST_MICROS - 1n})`, 'column ts'],
])('refuses %s and names the column, not the value', async (_what, text, time, column) => {
  await using database = await testDatabase();
  await migrate(database.pool);
  await using publishing = open(database);
  const sql = `select 1::INTEGER as k, ${text} as t, 1::BIGINT as b, 1::INTEGER as i, 1.0::DOUBLE as d, true as f, ${time} as ts, DATE '2026-01-01' as dt`;
  const accepted = await publishing.accept(day(0), { every: sql });
  await expect(publishing.publish(publishStage, accepted)).rejects.toMatchObject({
    code: 'publish.value-refused',
    message: expect.stringContaining(column) as string,
    next: 'correct the SQL that writes every; then almanac retry types/2026-01-01 --stage publish --reason …',
  });
  expect((await database.pool.query(`select state from almanac.publication`)).rows).toEqual([{ state: 'failed' }]);
});
