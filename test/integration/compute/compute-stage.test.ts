import { readdirSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { isAlive } from '../../../activities/compute/child-identity';
import { computeStage } from '../../../activities/compute/compute-stage';
import type { DatasetSpec, VersionRef } from '../../../pipelines/types';
import { StageHarness, type StageRequest } from '../../support/stage-harness';

const COUNT = 4;
const members: DatasetSpec['columns'] = { user_id: 'text', segment_id: 'bigint', seen: 'timestamp' };
const DATASETS: Record<string, DatasetSpec> = {
  adds: { columns: members, buckets: { by: 'user_id', count: COUNT }, pii: ['user_id'] },
  state: { kind: 'state', columns: members, key: ['user_id', 'segment_id'], buckets: { by: 'user_id', count: COUNT }, pii: ['user_id'] },
  state_wider: { columns: members, key: ['user_id', 'segment_id'], buckets: { by: 'user_id', count: COUNT * 2 } },
  state_whole: { columns: members, key: ['user_id', 'segment_id'] },
  names: { columns: { segment_id: 'bigint', name: 'text' }, key: ['segment_id'] },
  counts: { columns: { segment_id: 'bigint', users: 'bigint' }, key: ['segment_id'] },
  bucket_counts: { columns: { segment_id: 'bigint', users: 'bigint' } },
  typed: { columns: { share: 'double', day: 'date', seen_at: 'timestamp', n: 'integer', ok: 'boolean', name: 'text' } },
};

/** Latest add of each user and segment, yesterday's state included. */
const UPDATE = `select user_id, segment_id, max(seen) as seen
from (select * from adds union all select * from yesterday) as both_days
group by user_id, segment_id;`;
const COUNT_USERS = 'select segment_id, count(distinct user_id) as users from state group by segment_id';
const update = (request: Partial<StageRequest> = {}): StageRequest => ({
  spec: { reads: { adds: 'adds', yesterday: { previous: 'state' } }, sql: 'update.sql', writes: 'state', each: 'bucket' },
  texts: { 'update.sql': UPDATE },
  ...request,
});

let harness: StageHarness;
beforeAll(() => {
  harness = new StageHarness(DATASETS);
});
afterEach(() => {
  // Nothing of a stage stays behind, however it ended.
  expect(readdirSync(path.join(harness.directory, 'data', 'scratch'))).toEqual([]);
});
afterAll(() => harness[Symbol.asyncDispose]());

type Add = readonly [user: string, segment: number, second: number];

function addsSql(adds: readonly Add[]): string {
  if (adds.length === 0) return "select ''::VARCHAR as user_id, 0::BIGINT as segment_id, timestamp '2026-01-01' as seen where false";
  const rows = adds.map(
    ([user, segment, second]) =>
      `('${user.replaceAll("'", "''")}', ${segment}::BIGINT, timestamp '2026-11-20' + interval (${second}) second)`,
  );
  return `select * from (values ${rows.join(', ')}) as t(user_id, segment_id, seen)`;
}

async function run(request: StageRequest): Promise<VersionRef | undefined> {
  return (await computeStage(harness.context(request))).versions[0];
}

async function failure(request: StageRequest): Promise<{ code: string; message: string; next: string; details: Record<string, unknown> }> {
  return run(request).then(
    () => {
      throw new Error('the stage did not fail');
    },
    (error: unknown) => error as { code: string; message: string; next: string; details: Record<string, unknown> },
  );
}

const SOME: Add[] = [
  ['ann', 1, 0],
  ['ann', 2, 5],
  ['bob', 1, 7],
  ['Zoë', 3, 9],
  ['', 1, 11],
  ['bob', 1, 8],
];

test('writes a version whose manifest says what it holds and what it was made of', async () => {
  const adds = await harness.version('adds', addsSql(SOME));
  const context = harness.context(update({ inputs: { adds } }));
  const output = await computeStage(context);
  const [ref] = output.versions;
  expect(output).toMatchObject({ rowsIn: 6, rowsOut: 5, versions: [{ dataset: 'state', window: '2026-11-20' }] });
  expect(output.bytesIn).toBeGreaterThan(0);
  expect(output.bytesOut).toBeGreaterThan(0);
  expect(output.peakMemoryBytes).toBeGreaterThan(10e6);
  expect(output.cpuSeconds).toBeGreaterThan(0);
  const manifest = await harness.datasets.manifest(ref as VersionRef);
  expect(manifest).toMatchObject({
    rows: 5,
    rowsIn: 6,
    digest: ref?.digest,
    buckets: { by: 'user_id', count: COUNT },
    minKey: ['', '1'],
    maxKey: ['bob', '3'],
    pii: ['user_id'],
    profile: {
      duplicateKeys: 0,
      columns: {
        user_id: { nulls: 0 },
        segment_id: { nulls: 0, min: '1', max: '3' },
        seen: { nulls: 0, min: '2026-11-20T00:00:00.000Z', max: '2026-11-20T00:00:11.000Z' },
      },
    },
    provenance: { stage: 'compute', attempt: 1, inputs: [adds] },
  });
  expect(manifest.profile?.columns['user_id']).not.toHaveProperty('min');
  expect(new Set(manifest.files.map((file) => file.bucket)).size).toBe(manifest.files.length);
  expect(context.children).toHaveLength(1);
  expect(context.lines.join('\n')).toMatch(
    /computed state in 4 buckets from 6 rows: \d+\.\d{3} s\n.*measured state: .* s\n.*committed state: /,
  );
});

test('bucketed equals unbucketed, for any state and adds', async () => {
  const add = fc.tuple(
    fc.constantFrom('', 'a', 'b', "o'c", 'Zoë', 'u1', 'u2', 'u3', 'u4', '🎈'),
    fc.integer({ min: 1, max: 3 }),
    fc.integer({ min: 0, max: 86_399 }),
  );
  let generation = 100;
  await fc.assert(
    fc.asyncProperty(fc.array(add, { maxLength: 12 }), fc.array(add, { maxLength: 12 }), async (before, today) => {
      generation += 1;
      const latest = new Map(before.map((one) => [`${one[0]}|${one[1]}`, one]));
      const adds = await harness.version('adds', addsSql(today));
      const state = await harness.version('state', addsSql([...latest.values()]), '2026-11-19');
      const inputs = { adds, 'previous:state': state };
      const bucketed = await run(update({ inputs, generation }));
      const reads = { adds: 'adds', yesterday: { previous: 'state' } };
      const texts = { 'update.sql': UPDATE };
      const whole = await run({ spec: { reads, sql: 'update.sql', writes: 'state_whole' }, texts, inputs, generation });
      const split = await run({ spec: { reads, sql: 'update.sql', writes: 'state_wider' }, texts, inputs, generation });
      expect(await harness.rows(bucketed)).toEqual(await harness.rows(whole));
      expect(bucketed?.digest).toBe(whole?.digest);
      expect(split?.digest).toBe(whole?.digest);
    }),
    { numRuns: 8 },
  );
}, 120_000);

test('counts of buckets are collected in one file, unbucketed inputs are read whole in each', async () => {
  const state = await harness.version(
    'state',
    addsSql([
      ['ann', 1, 0],
      ['bob', 1, 0],
      ['cyd', 2, 0],
    ]),
  );
  const names = await harness.version('names', "select * from (values (1::BIGINT, 'one'), (2, 'two')) as t(segment_id, name)");
  const ref = await run({
    spec: { reads: { state: 'state', names: 'names' }, sql: 'count.sql', writes: 'bucket_counts', each: 'bucket' },
    texts: {
      'count.sql': 'select names.segment_id, count(distinct user_id) as users from names left join state using (segment_id) group by 1',
    },
    inputs: { state, names },
  });
  const rows = await harness.rows(ref);
  expect(rows).toHaveLength(2 * COUNT);
  expect(rows.filter((row) => row['segment_id'] === '1').reduce((sum, row) => sum + Number(row['users']), 0)).toBe(2);
  expect((await harness.datasets.manifest(ref as VersionRef)).files).toHaveLength(1);
});

test('a version cut into another number of buckets is read right', async () => {
  const wider = await harness.version('state_wider', addsSql(SOME.slice(0, 5)), '2026-11-19');
  const adds = await harness.version('adds', addsSql([]));
  // As if the declaration had gone from eight buckets to four since yesterday.
  const ref = await run(update({ inputs: { adds, 'previous:state': wider }, generation: 7 }));
  expect(ref?.digest).toBe(wider.digest);
});

test('rows nobody has: no input rows give an empty version with all its columns', async () => {
  const adds = await harness.version('adds', addsSql([]), '2026-11-18');
  const ref = await run(update({ inputs: { adds } }));
  const manifest = await harness.datasets.manifest(ref as VersionRef);
  expect(manifest).toMatchObject({
    rows: 0,
    files: [],
    columns: [{ name: 'user_id' }, { name: 'segment_id' }, { name: 'seen' }],
    profile: { duplicateKeys: 0 },
  });
  const next = await run({
    spec: { reads: { state: 'state' }, sql: 'count.sql', writes: 'counts' },
    texts: { 'count.sql': COUNT_USERS },
    inputs: { state: ref as VersionRef },
  });
  expect(await harness.rows(next)).toEqual([]);
});

test('a bootstrap run uses the bootstrap text and no predecessor', async () => {
  const adds = await harness.version('adds', addsSql(SOME));
  const state = await harness.version('state', addsSql([['gone', 1, 0]]), '2026-11-19');
  const spec = { ...update().spec, bootstrap: 'bootstrap.sql' };
  const texts = {
    'update.sql': UPDATE,
    'bootstrap.sql': 'select user_id, segment_id, max(seen) as seen from adds where seen < $window_end group by all',
  };
  const inputs = { adds, 'previous:state': state };
  const bootstrapped = await run({ spec, texts, inputs, bootstrap: true });
  const updated = await run({ spec, texts, inputs });
  expect((await harness.rows(bootstrapped)).map((row) => row['user_id'])).not.toContain('gone');
  expect((await harness.rows(updated)).map((row) => row['user_id'])).toContain('gone');
  expect((await harness.datasets.manifest(bootstrapped as VersionRef)).provenance).toMatchObject({ bootstrap: true, inputs: [adds] });
});

test('placeholders are the window and the params', async () => {
  const ref = await run({
    spec: { sql: 'typed.sql', writes: 'typed' },
    texts: {
      'typed.sql':
        'select 0.25 as share, $as_of as day, $window_end as seen_at, $limit as n, $window_start < $window_end as ok, $who as name',
    },
    params: { limit: 7, who: "o'c" },
  });
  expect(await harness.rows(ref)).toEqual([
    { share: 0.25, day: '2026-11-20', seen_at: '2026-11-21T00:00:00.000Z', n: 7, ok: true, name: "o'c" },
  ]);
});

test("engine 'none' is a join point", async () => {
  const context = harness.context({ spec: { engine: 'none' } });
  expect(await computeStage(context)).toEqual({ versions: [], rowsIn: 0, rowsOut: 0, bytesIn: 0, bytesOut: 0 });
  expect(context.children).toEqual([]);
});

test('a finished candidate is adopted and nothing is computed twice', async () => {
  const adds = await harness.version('adds', addsSql(SOME));
  const request = update({ inputs: { adds }, generation: 20 });
  const first = await computeStage(harness.context(request));
  const again = harness.context(request);
  const second = await computeStage(again);
  expect(second).toMatchObject({
    adopted: true,
    versions: first.versions,
    rowsIn: first.rowsIn,
    rowsOut: first.rowsOut,
    bytesOut: first.bytesOut,
  });
  expect(again.children).toEqual([]);
  const other = harness.context({ ...request, generation: 21 });
  expect((await computeStage(other)).versions[0]?.version).not.toBe(first.versions[0]?.version);
  expect(other.children).toHaveLength(1);
});

test.each(['pass-1', 'computed', 'committed'])('a try that dies at %s leaves the next one to finish with the same rows', async (where) => {
  const adds = await harness.version('adds', addsSql(SOME));
  const request = update({ inputs: { adds }, generation: where.length + 30 });
  const died = failure({
    ...request,
    point: (name) => (name === where ? Promise.reject(new Error('killed here')) : Promise.resolve()),
  });
  expect(await died).toMatchObject({ message: 'killed here' });
  const output = await computeStage(harness.context(request));
  expect(output.adopted ?? false).toBe(where === 'committed');
  expect(await harness.rows(output.versions[0])).toHaveLength(5);
});

describe('what an author can do wrong', () => {
  const typed = (text: string): StageRequest => ({ spec: { sql: 'typed.sql', writes: 'typed' }, texts: { 'typed.sql': text } });
  const good = "0.5 as share, date '2026-01-01' as day, timestamp '2026-01-01' as seen_at, 1 as n, true as ok, 'x' as name";

  test.each([
    ['a missing column', good.replace('1 as n, ', ''), 'returns no column "n", which typed declares (integer)'],
    ['an extra column', `${good}, 1 as more`, 'returns the column "more", which typed does not declare'],
    ['another order', good.replace('1 as n, true as ok', 'true as ok, 1 as n'), 'returns "ok" as column 4, where typed declares "n"'],
    ['a type that loses', good.replace('1 as n', '1.5 as n'), 'returns "n" as DECIMAL(2,1), which is no integer'],
    ['text for a date', good.replace("date '2026-01-01'", "'2026-01-01'"), 'returns "day" as VARCHAR, which is no date'],
    ['a column twice', good.replace('1 as n', '1 as n, 2 as n'), 'returns the column'],
  ])('%s is compute.schema and names it', async (_, columns, message) => {
    const error = await failure(typed(`select ${columns}`));
    expect(error).toMatchObject({ code: 'compute.schema', details: { dataset: 'typed', text: 'pipelines/example/sql/typed.sql' } });
    expect(error.message).toContain(message);
    expect(error.next).toContain('pipelines/example/sql/typed.sql');
  });

  test('bad SQL names the file and the line', async () => {
    const error = await failure(typed('select 1 as one,\n\n  no_such_column\nfrom (select 1) as t'));
    expect(error).toMatchObject({ code: 'engine.sql', details: { statement: 'pipelines/example/sql/typed.sql', line: 3 } });
    expect(error.message).toContain('pipelines/example/sql/typed.sql line 3');
  });

  test('a value that fails while computing names the file too', async () => {
    const error = await failure(typed(`select ${good.replace('1 as n', "cast('zwölf' as integer) as n")}`));
    expect(error).toMatchObject({ code: 'engine.sql', details: { statement: 'pipelines/example/sql/typed.sql', line: 1 } });
  });

  test('rows of another bucket are refused before they are committed', async () => {
    const adds = await harness.version('adds', addsSql(SOME));
    const error = await failure(
      update({ inputs: { adds }, texts: { 'update.sql': "select user_id || '!' as user_id, segment_id, seen from adds" }, generation: 40 }),
    );
    expect(error).toMatchObject({ code: 'compute.bucket' });
    expect(error.message).toContain('user_id');
  });

  test('keys that are not unique are counted exactly, within and across buckets', async () => {
    const adds = await harness.version('adds', addsSql([...SOME, ['bob', 1, 7], ['ann', 1, 0]]));
    const ref = await run(update({ inputs: { adds }, texts: { 'update.sql': 'select * from adds' }, generation: 41 }));
    expect((await harness.datasets.manifest(ref as VersionRef)).profile?.duplicateKeys).toBe(3);
  });
});

test('a value that cannot be cast is not told where it is personal', async () => {
  const request = (maskValues: boolean): StageRequest => ({
    spec: { sql: 'cast.sql', writes: 'bucket_counts' },
    texts: { 'cast.sql': "select cast(k as bigint) as segment_id, 1 as users from (values ('alice' || '@example.com')) as t(k)" },
    limits: { memoryBytes: 500e6, threads: 1, maskValues },
  });
  const told = await failure(request(false));
  expect(told.message).toContain("'alice@example.com'");
  const masked = await failure(request(true));
  expect(masked).toMatchObject({
    code: 'engine.sql',
    message: expect.stringContaining("cast.sql line 1: Conversion Error: Could not convert string '…' to INT64"),
  });
  expect(JSON.stringify([masked.message, masked.next, masked.details])).not.toContain('alice@');
});

describe('a text that reaches beyond what it reads', () => {
  test.each([
    ['a file of the host', "select 1 as segment_id, length(content) as users from read_text('/etc/passwd')"],
    [
      'more statements than its own',
      "select 1 as segment_id, 1 as users) as x; copy (select 1) to '/tmp/almanac-stolen.csv'; select * from (select 1 as segment_id, 1 as users",
    ],
  ])('is refused %s, by the name of the text', async (_what, text) => {
    const error = await failure({ spec: { sql: 'curious.sql', writes: 'bucket_counts' }, texts: { 'curious.sql': text } });
    expect(error).toMatchObject({ code: 'engine.forbidden', details: { statement: 'pipelines/example/sql/curious.sql' } });
    expect(error.next).toContain('pipelines/example/sql/curious.sql');
  });

  test('is refused a version it does not declare, though that lies in the same store', async () => {
    const other = await harness.version('adds', "select 'u' as user_id, 1::bigint as segment_id, timestamp '2026-11-20' as seen");
    const manifest = await harness.datasets.manifest(other);
    const file = harness.store.place(manifest.files[0]?.path ?? '');
    const error = await failure({
      spec: { sql: 'curious.sql', writes: 'bucket_counts' },
      texts: { 'curious.sql': `select segment_id, count(*) as users from read_parquet('${file}') group by all` },
    });
    expect(error).toMatchObject({ code: 'engine.forbidden', message: expect.stringContaining(file) });
  });
});

describe('the machine', () => {
  const heavy = (text: string, limits: { memoryBytes: number; threads: number }): StageRequest => ({
    spec: { sql: 'heavy.sql', writes: 'bucket_counts' },
    texts: { 'heavy.sql': text },
    limits,
  });

  test('a query that needs more memory than its limit is engine.memory', async () => {
    const error = await failure(
      heavy('select len(list(hash(range)::text)) as segment_id, 1 as users from range(20000000)', { memoryBytes: 100e6, threads: 2 }),
    );
    expect(error).toMatchObject({ code: 'engine.memory', details: { statement: 'pipelines/example/sql/heavy.sql' } });
  });

  test('a cancel stops the stage; its child is idle', async () => {
    const cancel = new AbortController();
    const context = harness.context({
      ...heavy('select 1 as segment_id, sum(hash(a.range * b.range))::bigint as users from range(10000000) a, range(1000000) b', {
        memoryBytes: 300e6,
        threads: 2,
      }),
      signal: cancel.signal,
    });
    const stage = computeStage({
      ...context,
      computing(child) {
        context.computing(child);
        setTimeout(() => cancel.abort(new Error('cancelled')), 300);
      },
    });
    await expect(stage).rejects.toThrow('cancelled');
    expect(context.children.every(isAlive)).toBe(true);
    expect(
      await harness.engine.session({ memoryBytes: 1e8, threads: 1 }, new AbortController().signal, (session) =>
        session.rows('select 1::integer as one'),
      ),
    ).toEqual([{ one: 1 }]);
  });
});
