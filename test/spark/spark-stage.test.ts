import { renameSync } from 'node:fs';
import fc from 'fast-check';
import { computeStage } from '../../activities/compute/compute-stage';
import { createSparkStage } from '../../activities/compute/spark-stage';
import type { Manifest } from '../../activities/storage/manifest';
import { bucketExpression } from '../../pipelines/bucket-sql';
import { combineDigests, digestSql, type DigestPart } from '../../pipelines/digest-sql';
import { columnsOf, DUCKDB_TYPES } from '../../pipelines/duckdb-sql';
import { quoteText } from '../../pipelines/quote-sql';
import type { ColumnType, DatasetSpec, StageOutput } from '../../pipelines/types';
import { killJob, LocalSpark, type RunningJob } from '../support/local-spark';
import { StageHarness, type StageRequest } from '../support/stage-harness';

const ROWS = 2000;
const COUNT = 4;
const typed: DatasetSpec['columns'] = {
  id: 'bigint',
  word: 'text',
  amount: 'bigint',
  small: 'integer',
  share: 'double',
  yes: 'boolean',
  seen: 'timestamp',
  day: 'date',
};
const members: DatasetSpec['columns'] = { user_id: 'text', segment_id: 'bigint', seen: 'timestamp' };
const DATASETS: Record<string, DatasetSpec> = {
  landed: { columns: typed },
  typed: { columns: typed, key: ['word', 'small'], pii: ['word', 'share'] },
  adds: { columns: members, buckets: { by: 'user_id', count: COUNT } },
  state: { kind: 'state', columns: members, key: ['user_id', 'segment_id'], buckets: { by: 'user_id', count: COUNT } },
};
const UPDATE = `select "user_id", segment_id, max(seen) as seen
from (select * from adds union all select * from yesterday) as both_days
group by "user_id", segment_id;`;

let harness: StageHarness;
beforeAll(() => {
  harness = new StageHarness(DATASETS);
});
afterAll(() => harness[Symbol.asyncDispose]());

const onDuckDb = (request: StageRequest): Promise<StageOutput> => computeStage(harness.context(request));
const onSpark = (request: StageRequest, spark = new LocalSpark(harness.store)): Promise<StageOutput> =>
  createSparkStage(spark)(harness.context(request));

async function manifestOf({ versions: [ref] }: StageOutput): Promise<Manifest> {
  if (!ref) throw new Error('the stage wrote no version');
  return harness.datasets.manifest(ref);
}

/** What a manifest says of the rows, whoever wrote them. */
async function told(output: StageOutput): Promise<Record<string, unknown>> {
  const { digest, columns, buckets, rows, minKey, maxKey, profile, pii, rowsIn } = await manifestOf(output);
  return { digest, columns, rows, profile, rowsIn, ...(buckets && { buckets }), ...(minKey && { minKey, maxKey }), ...(pii && { pii }) };
}

async function query<T extends Record<string, unknown>>(sql: string): Promise<T[]> {
  return harness.engine.session({ memoryBytes: 1e9, threads: 2 }, new AbortController().signal, (session) => session.rows<T>(sql));
}

async function filesOf(output: StageOutput): Promise<string[]> {
  const { files } = await manifestOf(output);
  return files.map(({ path }) => quoteText(harness.store.place(path)));
}

const MICROS_PER_DAY = 86_400_000_000n;
/** Within the years 1 to 9999. */
const DAYS = { min: -719_162, max: 2_932_896 };

/** Doubles that lie between two texts of 12 digits, and all others. */
const double = fc.oneof(
  fc.double(),
  fc.integer({ min: 10 ** 11, max: 10 ** 12 - 1 }).map((digits) => digits * 10 + 5),
  fc.integer({ min: 10 ** 10, max: 10 ** 11 - 1 }).map((digits) => -(digits + 0.25)),
  fc.constantFrom(0, -0, NaN, Infinity, -Infinity, 5e-324, Number.MAX_VALUE, 1e22, 1e-5, 999_999_999_999.5, 9.999999999995),
);
const word = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 20 }),
  fc.integer({ min: 0, max: 64 }).chain((length) => fc.string({ unit: 'grapheme-ascii', minLength: length, maxLength: length })),
);
const some: Record<ColumnType, fc.Arbitrary<string>> = {
  text: word.map((text) => quoteText(text.replaceAll('\0', ''))),
  bigint: fc.oneof(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.bigInt({ min: -3n, max: 3n })).map((n) => `(${n})`),
  integer: fc.oneof(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), fc.integer({ min: -3, max: 3 })).map((n) => `(${n})`),
  double: double.map((n) => quoteText(Object.is(n, -0) ? '-0.0' : String(n))),
  boolean: fc.boolean().map(String),
  timestamp: fc
    .bigInt({ min: BigInt(DAYS.min) * MICROS_PER_DAY, max: BigInt(DAYS.max) * MICROS_PER_DAY })
    .map((micros) => `make_timestamp(${micros})`),
  date: fc.integer(DAYS).map((days) => `date '1970-01-01' + (${days})`),
};

/** A select of random rows, NULLs among them, also alone in their row. */
function randomRows(): string {
  const types = Object.entries(typed).filter(([name]) => name !== 'id');
  const values = fc.tuple(...types.map(([, type]) => fc.option(some[type], { nil: 'null' })));
  const rows = fc.sample(values, ROWS).map((row, id) => `(${id}, ${row.join(', ')})`);
  const casts = Object.entries(typed).map(([name, type]) => `${name}::${DUCKDB_TYPES[type]} as ${name}`);
  return `select ${casts.join(', ')} from (values ${rows.join(', ')}) as t(${Object.keys(typed).join(', ')})`;
}

it('commits the same rows, digest and profile as DuckDB, in files of exactly the declared types', async () => {
  const landed = await harness.version('landed', randomRows());
  const request: StageRequest = {
    spec: { reads: { landed: 'landed' }, sql: 'all.sql', writes: 'typed' },
    texts: { 'all.sql': '-- all of them\nselect * from landed where id >= $least;\n' },
    params: { least: 0 },
    inputs: { landed },
  };
  const [duckdb, spark] = [await onDuckDb(request), await onSpark({ ...request, generation: 2 })];

  expect(await told(spark)).toEqual(await told(duckdb));
  expect(spark.rowsOut).toBe(ROWS);
  expect(await harness.rows(spark.versions[0])).toEqual(await harness.rows(duckdb.versions[0]));
  const files = `read_parquet([${(await filesOf(spark)).join(', ')}])`;
  const described = await query<{ column_type: string }>(`describe select * from ${files}`);
  expect(described.map((column) => column.column_type)).toEqual([
    ...['BIGINT', 'VARCHAR', 'BIGINT', 'INTEGER', 'DOUBLE', 'BOOLEAN', 'TIMESTAMP', 'DATE'],
  ]);
  const columns = columnsOf({ columns: typed });
  const parts = await query<DigestPart & Record<string, unknown>>(digestSql(files, columns));
  expect(combineDigests(columns, parts)).toBe((await manifestOf(spark)).digest);
});

describe('a bucketed state', () => {
  const adds = `select 'user-' || (n % 500) as user_id, n % 3 as segment_id, timestamp '2026-11-20' + interval (n) second as seen from range(1500) as r(n)`;
  const request = async (generation: number): Promise<StageRequest> => ({
    spec: { reads: { adds: 'adds', yesterday: { previous: 'state' } }, sql: 'update.sql', writes: 'state', each: 'bucket' },
    texts: { 'update.sql': UPDATE },
    inputs: { adds: await harness.version('adds', adds) },
    generation,
  });

  it('is written as DuckDB writes it, one file a bucket, by one of two jobs that race for an order', async () => {
    const duckdb = await onDuckDb(await request(11));
    const sparks = [new LocalSpark(harness.store), new LocalSpark(harness.store)];
    const same = await request(12);
    const outputs = await Promise.all(sparks.map((spark) => onSpark(same, spark)));

    expect(sparks.flatMap(({ ends }) => ends.map(({ code }) => code)).sort()).toEqual([0, 3]);
    expect(sparks.flatMap(({ ends }) => ends).some(({ errors }) => errors.includes('almanac: duplicate'))).toBe(true);
    expect(outputs[1]?.versions).toEqual(outputs[0]?.versions);
    const [spark] = outputs;
    if (!spark) throw new Error('nothing ran');
    expect(await told(spark)).toEqual(await told(duckdb));
    const { files } = await manifestOf(spark);
    expect(files.map(({ bucket }) => bucket).sort()).toEqual([0, 1, 2, 3]);
    for (const { path, rows, bucket } of files) {
      const elsewhere = `count(*) filter (where ${bucketExpression('user_id', COUNT)} <> ${bucket})`;
      const [counted] = await query(`select count(*) as rows, ${elsewhere} as elsewhere from ${quoteText(harness.store.place(path))}`);
      expect(counted).toEqual({ rows: String(rows), elsewhere: '0' });
    }
  });

  it('is computed once more after a job was killed, and adopted by an attempt that comes later', async () => {
    const spark = new LocalSpark(harness.store, (job, round) => void (round === 1 && killOnceClaimed(job)));
    const again = await request(13);
    const killOnceClaimed = (job: RunningJob): void =>
      void tokenOfRound1().then(
        () => killJob(job),
        () => killJob(job),
      );
    const tokenOfRound1 = async (): Promise<void> => {
      while (!(await harness.store.list('datasets/state/')).some(({ path }) => /-1\/token\.json$/.test(path) && !known.has(path)))
        await new Promise((resolve) => setTimeout(resolve, 50));
    };
    const known = new Set((await harness.store.list('datasets/state/')).map(({ path }) => path));

    const output = await onSpark(again, spark);
    expect(spark.ends.map(({ code, signal }) => code ?? signal)).toEqual(['SIGKILL', 0]);
    expect(await told(output)).toEqual(await told(await onDuckDb(await request(14))));

    const later = new LocalSpark(harness.store);
    expect(await onSpark(again, later)).toMatchObject({ versions: output.versions, adopted: true });
    expect(later.ends).toEqual([]);
  });
});

it('reports what is wrong with a text as a failure of the user, and leaves no version', async () => {
  const nothing = Object.entries(typed).map(([name, type]) => `null::${DUCKDB_TYPES[type]} as ${name}`);
  const landed = await harness.version('landed', `select ${nothing.join(', ')}`);
  const versions = async (): Promise<string[]> =>
    (await harness.store.list('datasets/typed/'))
      .map(({ path }) => path)
      .filter((path) => /^datasets\/typed\/[^/]+\/[^/]+\.json$/.test(path));
  const before = await versions();
  const failure = (text: string, generation: number, limits?: StageRequest['limits']): Promise<unknown> => {
    const spec = { reads: { landed: 'landed' }, sql: 'text.sql', writes: 'typed' };
    return onSpark({ spec, texts: { 'text.sql': text }, inputs: { landed }, generation, ...(limits && { limits }) }).catch(
      (error: unknown) => error,
    );
  };
  expect(await failure('select id, word, amount, small, share, yes, seen, cast(day as string) as day from landed', 21)).toMatchObject({
    code: 'compute.schema',
    message: 'pipelines/example/sql/text.sql returns "day" as string, which is no date, as typed declares it.',
  });
  expect(await failure('select *\nfrom nowhere', 22)).toMatchObject({
    code: 'engine.sql',
    message: expect.stringMatching(/TABLE_OR_VIEW_NOT_FOUND.*line 2/s) as string,
  });
  const number = "cast(concat('no', coalesce(word, 'thing')) as int)";
  expect(await failure(`select id, word, amount, ${number} as small, share, yes, seen, day from landed`, 23)).toMatchObject({
    code: 'engine.sql',
    message: expect.stringMatching(/CAST_INVALID_INPUT/) as string,
  });
  const masked = { memoryBytes: 1e9, threads: 1, maskValues: true };
  const refused = await failure(`select id, word, amount, ${number} as small, share, yes, seen, day from landed`, 24, masked);
  expect(refused).toMatchObject({ code: 'engine.sql', message: 'pipelines/example/sql/text.sql: [CAST_INVALID_INPUT]' });
  expect(
    await failure('select (select 1 union all select 2) as id, word, amount, small, share, yes, seen, day from landed', 25),
  ).toMatchObject({ code: 'engine.sql', message: expect.stringMatching(/SCALAR_SUBQUERY_TOO_MANY_ROWS/) as string });
  const faults: string[] = [];
  for (const { path } of await harness.store.list('datasets/typed/')) {
    if (path.endsWith('result.json')) faults.push((await harness.store.get(path))?.toString('utf8') ?? '');
  }
  // Those of the texts before are not of personal data.
  expect(
    faults
      .filter((fault) => fault.includes('CAST_INVALID_INPUT'))
      .map((fault) => fault.includes('nothing'))
      .sort(),
  ).toEqual([false, true]);
  expect(await versions()).toEqual(before);
});

it('finds a file of an input gone, which is no fault of the text, and computes once it is restored', async () => {
  const nothing = Object.entries(typed).map(([name, type]) => `null::${DUCKDB_TYPES[type]} as ${name}`);
  const landed = await harness.version('landed', `select ${nothing.join(', ')}`);
  const request = {
    spec: { reads: { landed: 'landed' }, sql: 'text.sql', writes: 'typed' },
    texts: { 'text.sql': 'select * from landed' },
  };
  const [{ path = '' } = {}] = (await harness.datasets.manifest(landed)).files;
  const file = harness.store.place(path);
  renameSync(file, `${file}.away`);
  const compute = (generation: number) => onSpark({ ...request, inputs: { landed }, generation });
  await expect(compute(26)).rejects.toThrow(/spark-submit ended with 1: .*PATH_NOT_FOUND/s);
  renameSync(`${file}.away`, file);
  expect((await compute(27)).rowsOut).toBe(1);
});
