import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ingestStage } from '../../../activities/compute/ingest-stage';
import { checkStage, createCheckStage } from '../../../activities/quality/check-stage';
import { migrate } from '../../../lib/migrate';
import { showChecks } from '../../../operator/checks';
import type { CheckDeclaration, DatasetSpec, Metric, RunRef, VersionRef } from '../../../pipelines/types';
import { GateHarness } from '../../support/gate-harness';
import { testDatabase, type TestDatabase } from '../../support/postgres';

type BlockingCheck = Exclude<CheckDeclaration, { onFail: 'quarantine' }>;

const DATASETS: Record<string, DatasetSpec> = {
  report: { columns: { id: 'bigint', name: 'text', share: 'double' }, key: ['id'] },
  people: { columns: { user_id: 'text', age: 'text' }, key: ['user_id'], pii: ['user_id'], buckets: { by: 'user_id', count: 4 } },
  names: { columns: { id: 'bigint' }, key: ['id'] },
  adds: { columns: { user_id: 'text', segment_id: 'bigint', ts: 'timestamp' }, pii: ['user_id'] },
};
const RUN: RunRef = { pipeline: 'example', window: '2026-11-20', branch: 'main', generation: 1 };

let database: TestDatabase;
let harness: GateHarness;
beforeAll(async () => {
  database = await testDatabase();
  await migrate(database.pool);
  harness = new GateHarness(DATASETS, database.pool);
});
beforeEach(async () => {
  harness.asked.length = 0;
  await database.pool.query('truncate almanac.check_metric, almanac.check_result');
});
afterAll(async () => {
  await harness[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
});

function check(id: string, measure: Metric, more: Partial<BlockingCheck> = {}): CheckDeclaration {
  return { id, dataset: 'report', measure, fail: { max: 0 }, why: 'It must hold.', ...more };
}

/** A version of `report` with these rows of (id, share). */
function report(...rows: readonly (readonly [id: number | null, share: number])[]): Promise<VersionRef> {
  const values = rows.map(([id, share]) => `(${id}::bigint, 'n${id}', ${share}::double)`).join(', ');
  const none = 'select null::bigint as id, null::varchar as name, null::double as share where false';
  return harness.version('report', rows.length === 0 ? none : `select * from (values ${values}) as t(id, name, share)`);
}

const shares = check(
  'share-in-range',
  { metric: 'rows-where', predicate: 'share > 1' },
  { sample: ['id', 'share'], why: 'No share is above one.' },
);

test('a predicate that reaches for a file of the host is refused', async () => {
  const curious = check('curious', { metric: 'rows-where', predicate: "name in (select content from read_text('/etc/passwd'))" });
  const failure = await harness.failure({ checks: [curious], inputs: { report: await report([1, 0.5]) } });
  expect(failure).toMatchObject({ code: 'engine.forbidden', message: expect.stringContaining('/etc/passwd') });
});

describe('a gate', () => {
  test('passes what is within its bands and says how much it read', async () => {
    const output = await harness.judge({
      checks: [shares, check('size', { metric: 'rows' }, { fail: { min: 1 } })],
      inputs: { report: await report([1, 0.5], [2, 1]) },
    });
    expect(output).toMatchObject({ versions: [], rowsIn: 2, rowsOut: 0, gate: { status: 'PASS', checks: 2, warned: [], failed: [] } });
    expect(output.peakMemoryBytes).toBeGreaterThan(0);
  });

  test('tells the status of each check and its own, also where it fails, once they are on record', async () => {
    const told: unknown[] = [];
    const stage = createCheckStage({ judged: (...results) => told.push(results) });
    const suite = { checks: [shares, check('size', { metric: 'rows' }, { fail: { min: 1 } })] };
    const context = harness.stageContext('judge', { kind: 'check', suite }, { inputs: { report: await report([1, 7]) } });
    await expect(stage(context)).rejects.toMatchObject({ code: 'gate.failed' });
    expect(told).toEqual([['example', 'judge', ['FAIL', 'PASS'], 'FAIL']]);
    expect((await showChecks(database.pool, RUN)).map(({ status }) => status).sort()).toEqual(['FAIL', 'PASS']);
  });

  test('warns without failing, and names what warned', async () => {
    const warned = { ...shares, warn: { max: 0 }, fail: { max: 5 } };
    const output = await harness.judge({ checks: [warned], inputs: { report: await report([1, 7]) } });
    expect(output.gate).toEqual({ status: 'WARN', checks: 1, warned: ['share-in-range'], failed: [] });
  });

  test('fails with the check, the number, the rows, the reason and the next step', async () => {
    const error = await harness.failure({
      checks: [shares, check('size', { metric: 'rows' }, { fail: { min: 1 } })],
      inputs: { report: await report([1, 0.5], [2, 7], [3, 8]) },
    });
    expect(error).toMatchObject({ code: 'gate.failed', class: 'data', exitCode: 10 });
    expect(error.message).toMatch(
      /^gate judge of example\/2026-11-20 fails 1 of 2 checks; nothing was accepted\. share-in-range: 2 rows of report are such that share > 1; allowed: at most 0\. No share is above one\. Rows: id [23], share [78]\.0; id [23], share [78]\.0$/,
    );
    expect(error.next).toBe(
      '`almanac check show example/2026-11-20` shows them; mend the data or the check, then `almanac retry example/2026-11-20 --stage judge --reason …`.',
    );
    expect(error.details).toMatchObject({
      stage: 'judge',
      status: 'FAIL',
      failed: [{ check: 'share-in-range', observed: 2, high: 0, failedRows: 2, sampled: 2 }],
    });
  });

  test('has verdicts and rows on record also when it fails', async () => {
    await harness.failure({
      checks: [shares, check('keys', { metric: 'duplicate-keys', key: ['id'] })],
      inputs: { report: await report([1, 7], [1, 0]) },
    });
    const shown = await showChecks(database.pool, RUN);
    expect(shown.map(({ check: id, status, observed, failedRows, sample }) => ({ id, status, observed, failedRows, sample }))).toEqual([
      { id: 'keys', status: 'FAIL', observed: 1, failedRows: 1, sample: [{ id: '1', copies: '2' }] },
      { id: 'share-in-range', status: 'FAIL', observed: 1, failedRows: 1, sample: [{ id: '1', share: '7.0' }] },
    ]);
  });

  test('keeps its failure small, however many checks fail and however long their rows are', async () => {
    const checks = Array.from({ length: 60 }, (_, index) =>
      check(`check-${index}`, { metric: 'rows-where', predicate: `id <> ${index + 100}` }, { sample: ['id', 'name'] }),
    );
    const long = await harness.version(
      'report',
      `select i::bigint as id, repeat('x', 5000) as name, 0::double as share from range(50) r(i)`,
    );
    const error = await harness.failure({ checks, inputs: { report: long } });
    expect(Buffer.byteLength(JSON.stringify({ message: error.message, details: error.details }))).toBeLessThan(16 * 1024);
    expect(error.message).toContain('and 55 more');
  });
});

describe('a dataset is scanned once', () => {
  const suite = [
    check('size', { metric: 'rows' }, { fail: { min: 0 } }),
    check('id-complete', { metric: 'null-count', column: 'id' }),
    shares,
    check('named', { metric: 'missing-references', column: 'id', in: { dataset: 'names', column: 'id' } }),
  ];

  test('for all its checks together; a key takes one more statement', async () => {
    const inputs = { report: await report([1, 0.5]), names: await harness.version('names', 'select 1::bigint as id') };
    await harness.judge({ checks: suite, inputs });
    expect(harness.asked).toHaveLength(1);
    harness.asked.length = 0;
    await harness.judge({
      checks: [
        ...suite,
        check('keys', { metric: 'duplicate-keys', key: ['id'] }),
        check('name-keys', { metric: 'rows' }, { dataset: 'names', fail: { min: 1 } }),
      ],
      inputs,
    });
    expect(harness.asked).toHaveLength(3);
  });

  test.each([
    ['an unknown column', 'shaer > 1', /Binder Error.*shaer/],
    ['a value that is no number', 'cast(name as integer) > 1', /Conversion Error/],
    ['a sentence that is no SQL', 'share >', /Parser Error/],
    ['something that is no condition', 'id', /bool_or/],
  ])('a check broken by %s sinks only itself', async (_what, predicate, reason) => {
    const broken = check('broken', { metric: 'rows-where', predicate });
    const error = await harness.failure({
      checks: [broken, ...suite],
      inputs: { report: await report([1, 7], [2, 0.5]), names: await harness.version('names', 'select 1::bigint as id') },
    });
    expect(error.details).toMatchObject({ status: 'ERROR' });
    const shown = Object.fromEntries((await showChecks(database.pool, RUN)).map((row) => [row.check, row]));
    expect(Object.fromEntries(Object.entries(shown).map(([id, { status, observed }]) => [id, [status, observed]]))).toEqual({
      'broken': ['ERROR', null],
      'size': ['PASS', 2],
      'id-complete': ['PASS', 0],
      'share-in-range': ['FAIL', 1],
      'named': ['FAIL', 1],
    });
    expect(shown['broken']?.message).toMatch(reason);
    expect(shown['named']?.sample).toEqual([{ id: '2' }]);
    const { rows } = await database.pool.query<{ label: string }>('select label from almanac.check_metric');
    expect(rows.map(({ label }) => label)).not.toContain(`rows-where(${predicate})`);
  });
});

describe('what is missing', () => {
  test('a dataset the run did not write makes its checks ERROR and no other', async () => {
    const error = await harness.failure({
      checks: [
        check('size', { metric: 'rows' }, { fail: { min: 1 } }),
        check('names-size', { metric: 'rows' }, { dataset: 'names', fail: { min: 1 } }),
        check('named', { metric: 'missing-references', column: 'id', in: { dataset: 'names', column: 'id' } }),
      ],
      inputs: { report: await report([1, 0]) },
    });
    expect(error.details).toMatchObject({
      failed: [
        { check: 'names-size', status: 'ERROR' },
        { check: 'named', status: 'ERROR' },
      ],
    });
    expect(error.message).toContain('the run has no version of names');
  });

  test('no rows break no row-wise check, and their ratio is 0', async () => {
    const output = await harness.judge({
      checks: [
        check('named', { metric: 'missing-references', column: 'id', in: { dataset: 'names', column: 'id' } }, { as: 'ratio' }),
        check('keys', { metric: 'duplicate-keys', key: ['id'] }, { as: 'ratio' }),
        check('idle', { metric: 'rows' }, { fail: { min: 0 }, warn: { min: 1 } }),
        { ...shares, as: 'ratio' },
      ],
      inputs: { report: await report(), names: await harness.version('names', 'select 1::bigint as id where false') },
    });
    expect(output.gate).toEqual({ status: 'WARN', checks: 4, warned: ['idle'], failed: [] });
  });

  test('references are found across buckets, and NULL refers to nothing', async () => {
    const people = await harness.version('people', `select 'u' || i as user_id, '30' as age from range(200) r(i)`);
    const known = check('aged', { metric: 'rows-where', predicate: 'try_cast(age as integer) > 40' }, { dataset: 'people' });
    const named = check('named', { metric: 'missing-references', column: 'id', in: { dataset: 'names', column: 'id' } });
    const inputs = {
      people,
      report: await report([1, 0], [null, 0], [3, 0]),
      names: await harness.version('names', 'select 1::bigint as id union all select 2::bigint'),
    };
    const error = await harness.failure({ checks: [known, named], inputs });
    expect(error.details).toMatchObject({ failed: [{ check: 'named', observed: 1 }] });
  });
});

test('nothing of a person is shown: not in samples, not in the engine’s own words', async () => {
  const people = await harness.version('people', `select 'ann@example.org' as user_id, 'thirty' as age`);
  const error = await harness.failure({
    checks: [
      check('adult', { metric: 'rows-where', predicate: `age = 'thirty'` }, { dataset: 'people' }),
      check('typed', { metric: 'rows-where', predicate: 'cast(user_id as integer) > 1' }, { dataset: 'people' }),
    ],
    inputs: { people },
  });
  const { rows } = await database.pool.query<{ row: string }>('select to_jsonb(r)::text as row from almanac.check_result r');
  const everything = [error.message, JSON.stringify(error.details), ...rows.map(({ row }) => row)].join('\n');
  expect(everything).not.toContain('ann@');
  expect(everything).toMatch(/user_id \(personal\)/);
  expect(everything).toMatch(/Could not convert string '…'/);
});

describe('quarantine', () => {
  const late = check(
    'late',
    { metric: 'quarantine-ratio', stage: 'adds', reasons: ['late'] },
    { dataset: 'adds', warn: { max: 0.01 }, fail: { max: 0.3 } },
  );
  const unusable = check(
    'unusable',
    { metric: 'quarantine-ratio', stage: 'adds', reasons: ['early', 'malformed'] },
    { dataset: 'adds', fail: { max: 0.1 } },
  );

  test('is judged by the share of the rows read, with where they came from', async () => {
    const folder = path.join(harness.directory, 'data', 'landing', 'adds', 'dt=2026-11-20');
    mkdirSync(folder, { recursive: true });
    const good = ['ann,1,2026-11-20 01:00:00', 'bob,2,2026-11-20 02:00:00', 'cid,3,2026-11-20 03:00:00'];
    writeFileSync(
      path.join(folder, 'part.csv'),
      ['user_id,segment_id,ts', ...good, 'dan,4,2026-11-19 23:00:00', 'eve,five,2026-11-20 04:00:00', ''].join('\n'),
    );
    const adds = await ingestStage(
      harness.stageContext('adds', { kind: 'ingest', landing: 'adds', writes: 'adds', eventTime: 'ts' }, { inputs: {} }),
    );
    const [version] = adds.versions;
    if (version === undefined) throw new Error('the ingest wrote no version');
    const error = await harness.failure({ checks: [late, unusable], inputs: { adds: version }, outputs: { adds } });
    expect(error.details).toMatchObject({ failed: [{ check: 'unusable', observed: 0.2, failedRows: 1 }] });
    const shown = Object.fromEntries((await showChecks(database.pool, RUN)).map((row) => [row.check, row]));
    expect(shown['late']).toMatchObject({ status: 'WARN', observed: 0.2, failedRows: 1 });
    expect(shown['unusable']?.sample).toEqual([
      expect.objectContaining({ reason: 'malformed', column_name: 'segment_id', file: expect.stringContaining('part.csv'), line: '6' }),
    ]);
    expect(JSON.stringify(shown)).not.toContain('eve');
  });

  test('asks no engine while nothing is wrong, and is 0 of no rows', async () => {
    const version = await harness.version(
      'adds',
      `select 'ann' as user_id, 1::bigint as segment_id, timestamp '2026-11-20' as ts where false`,
    );
    const output = { versions: [version], rowsIn: 0, rowsOut: 0, bytesIn: 0, bytesOut: 0, quarantined: {} };
    const judged = await harness.judge({ checks: [late, unusable], inputs: { adds: version }, outputs: { adds: output } });
    expect(judged.gate?.status).toBe('PASS');
    expect(harness.asked).toEqual([]);
  });

  test('of a stage without an output is an ERROR', async () => {
    const version = await harness.version('adds', `select 'ann' as user_id, 1::bigint as segment_id, timestamp '2026-11-20' as ts`);
    const error = await harness.failure({ checks: [late], inputs: { adds: version } });
    expect(error.message).toContain('the stage adds has no output in this run');
  });
});

test('a histogram of fractional weights is put on record with the rows it is of', async () => {
  const weighted = check('weighted', { metric: 'histogram', column: 'name', sumOf: 'share' }, { fail: { min: 1 } });
  await harness.judge({ checks: [weighted], inputs: { report: await report([1, 0.25], [1, 0.5], [2, 1.5]) } });
  const { rows } = await database.pool.query('select value, row_count::int as rows, detail from almanac.check_metric');
  expect(rows).toMatchObject([
    {
      value: 2,
      rows: 3,
      detail: {
        values: [
          { value: 'n2', count: 1.5 },
          { value: 'n1', count: 0.75, ratio: 1 / 3 },
        ],
        tailCount: 0,
      },
    },
  ]);
});

test('predicates know their window and the params, and what is on record has the text as it is declared', async () => {
  const recent = check(
    'recent',
    {
      metric: 'compliance',
      predicate: 'id >= $floor and timestamp $$2026-11-20 12:00:00$$ between $window_start and $window_end',
      where: 'share < $most',
    },
    { fail: { min: 1 } },
  );
  const spec = { kind: 'check', suite: { checks: [recent] } } as const;
  const context = harness.stageContext('judge', spec, { inputs: { report: await report([1, 0.5], [2, 0.5], [0, 9]) } });
  const output = await checkStage({ ...context, plan: { ...context.plan, params: { floor: 1, most: 1 } } });
  expect(output.gate).toMatchObject({ status: 'PASS' });
  const { rows } = await database.pool.query<{ params: Record<string, unknown> }>('select params from almanac.check_metric');
  expect(rows.map(({ params }) => params)).toEqual([recent.measure]);
});
