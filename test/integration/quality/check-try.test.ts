import { paramsHash } from '../../../activities/quality/history';
import { recordVersion } from '../../../activities/storage/catalog';
import { checkReport } from '../../../cli/check-report';
import { renderExclusions, renderSuggestions, renderTrial } from '../../../cli/render-check';
import { systemClock } from '../../../lib/clock';
import { migrate } from '../../../lib/migrate';
import { exclude, exclusions, include } from '../../../operator/check-exclusions';
import { suggestChecks, tryChecks, type TryServices } from '../../../operator/check-try';
import type { ShownCheck } from '../../../operator/checks';
import type { OperatorSession } from '../../../operator/session';
import { check, checks, compute, daily, suite } from '../../../pipelines/define';
import type { DatasetSpec, VersionRef } from '../../../pipelines/types';
import { GateHarness } from '../../support/gate-harness';
import { testDatabase, type TestDatabase } from '../../support/postgres';

const DATASETS: Record<string, DatasetSpec> = {
  orders: {
    columns: { id: 'bigint', price: 'double', kind: 'text', code: 'text', person: 'text', salary: 'bigint' },
    pii: ['person', 'salary'],
  },
};
const WHY = { dataset: 'orders', why: 'It matters.' };
const GATE = suite({
  checks: [
    { ...WHY, id: 'ids', ...checks.isUnique(['id']) },
    { ...WHY, id: 'prices', measure: { metric: 'within', column: 'price', min: 1 }, mostly: 0.99 },
    { ...WHY, id: 'broken', measure: { metric: 'compliance', predicate: 'no_such_column > 1' }, mostly: 1 },
    { ...WHY, id: 'paid', measure: { metric: 'minimum', column: 'salary' }, fail: { min: 8000 } },
    { ...WHY, id: 'typed', measure: { metric: 'compliance', predicate: 'cast(salary as tinyint) = id' }, mostly: 1 },
  ],
});
const SPEC = {
  id: 'example',
  window: daily(),
  datasets: DATASETS,
  stages: { make: compute({ sql: 'orders.sql', writes: 'orders' }), judge: check({ suite: GATE }) },
};
const ROWS = `select i::bigint as id, (i % 50)::double as price, 'k' || (i % 4) as kind, cast(i as varchar) as code, 'p' || (i % 3) as person, 7777 + i::bigint as salary
  from range(200) r(i)`;

let database: TestDatabase;
let harness: GateHarness;
let version: VersionRef;
let services: TryServices & OperatorSession;
beforeAll(async () => {
  database = await testDatabase();
  await migrate(database.pool);
  harness = new GateHarness(DATASETS, database.pool);
  version = await harness.version('orders', ROWS, '2026-11-20');
  await recordVersion(database.pool, await harness.datasets.manifest(version));
  services = {
    config: { worker: { memoryBytes: 1e9, threads: 1 }, actor: 'ann' },
    database: database.pool,
    store: harness.store,
    datasets: harness.datasets,
    clock: systemClock,
    engine: harness.engine,
    project: () => Promise.resolve({ pipelines: new Map([['example', { spec: SPEC }]]) }),
  } as unknown as TryServices & OperatorSession;
});
afterAll(async () => {
  await harness[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
});

const address = () => ({ dataset: 'orders', window: '2026-11-20', branch: 'main', version: version.version });

test('a trial judges a version by the declared checks, names the rows, and puts nothing on record', async () => {
  const trial = await tryChecks(services, 'example/judge', address());
  expect(trial).toMatchObject({
    status: 'ERROR',
    checks: [
      { status: 'PASS', observed: 1 },
      { status: 'FAIL', observed: 0.98 },
      { status: 'ERROR' },
      { status: 'FAIL', observed: null },
      { status: 'ERROR' },
    ],
  });
  expect(trial.checks[1]?.sample.map(({ price }) => price)).toEqual(['0.0', '0.0', '0.0', '0.0']);
  expect(trial.checks[1]?.sample[0]?.['person']).toBe('(personal)');
  expect(renderTrial(trial)).toContain('nothing went on record');
  expect(renderTrial(trial)).not.toMatch(/7,?777/);
  expect((await database.pool.query('select 1 from almanac.check_metric union all select 1 from almanac.check_result')).rows).toEqual([]);
});

test('a trial takes spans from what earlier windows left, quarantine from what was read, and fills in window and params', async () => {
  const week = { metric: 'size', over: 3 } as const;
  const tried = suite({
    checks: [
      { ...WHY, id: 'week', measure: week, fail: { min: 1 } },
      { ...WHY, id: 'late', measure: { metric: 'quarantine-ratio', stage: 'make', reasons: ['late'] }, fail: { max: 0.1 } },
      { ...WHY, id: 'windowed', measure: { metric: 'compliance', predicate: 'id < $most and $window_start < $window_end' }, mostly: 1 },
    ],
  });
  const spec = { ...SPEC, params: { most: 1000 }, stages: { ...SPEC.stages, judge: check({ suite: tried }) } };
  const project = (): Promise<unknown> => Promise.resolve({ pipelines: new Map([['example', { spec }]]) });
  await database.pool.query(
    `insert into almanac.check_metric (pipeline, branch, window_key, dataset, metric, params_hash, version, label, params, value, row_count, generation, stage, measured_at, accepted, state)
     values ('example', 'main', '2026-11-19', 'orders', 'size', $1, 'v', 'size', '{}', 50, 50, 1, 'judge', now(), true, '{"kind":"count","holds":50,"rows":50}')`,
    [paramsHash({ metric: 'size' })],
  );
  try {
    const trial = await tryChecks({ ...services, project } as unknown as TryServices, 'example/judge', address());
    expect(trial.checks.map(({ check: id, status, observed }) => [id, status, observed])).toEqual([
      ['week', 'PASS', 250],
      ['late', 'PASS', 0],
      ['windowed', 'PASS', 1],
    ]);
  } finally {
    await database.pool.query('truncate almanac.check_metric');
  }
});

describe('drift in a trial', () => {
  const FRIDAYS = ['2026-10-16', '2026-10-23', '2026-10-30', '2026-11-06', '2026-11-13'];
  const drifting = suite({
    checks: [
      { ...WHY, id: 'sized', measure: { metric: 'size' }, warn: 'drift' },
      { ...WHY, id: 'kinds', measure: { metric: 'histogram', column: 'kind' }, drift: { method: 'psi' } },
    ],
  });
  const project = (): Promise<unknown> =>
    Promise.resolve({
      pipelines: new Map([['example', { spec: { ...SPEC, stages: { ...SPEC.stages, judge: check({ suite: drifting }) } } }]]),
    });
  const trial = (more: Partial<ReturnType<typeof address>> = {}) =>
    tryChecks({ ...services, project } as unknown as TryServices, 'example/judge', { ...address(), ...more });
  const counts = (of: Record<string, number>): string => JSON.stringify({ kind: 'frequencies', counts: of, rows: 200 });
  const past = (window: string, branch: string, size: number, kinds: string, accepted = true): Promise<unknown> =>
    database.pool.query(
      `insert into almanac.check_metric (pipeline, branch, window_key, dataset, metric, params_hash, version, label, params, value, row_count, generation, stage, measured_at, accepted, state)
       select 'example', $1, $2, 'orders', m, h, 'v' || $1, m, '{}', v, 200, 1, 'judge', now(), $6, s
       from unnest(array['size', 'histogram'], $3::text[], $4::float8[], array[null, $5]::jsonb[]) t (m, h, v, s)`,
      [branch, window, [paramsHash({ metric: 'size' }), paramsHash({ metric: 'histogram', column: 'kind' })], [size, 4], kinds, accepted],
    );
  afterEach(() => database.pool.query('truncate almanac.check_metric, almanac.check_exclusion, almanac.chain_branch'));

  test('is judged by the accepted windows before the version, as its gate would, and says so', async () => {
    const same = counts({ k0: 50, k1: 50, k2: 50, k3: 50 });
    for (const friday of FRIDAYS) await past(friday, 'main', 200, same);
    // Neither a later window nor one that was not accepted is history.
    await past('2026-11-27', 'main', 9_000_000, counts({ other: 200 }));
    await past('2026-10-09', 'main', 9_000_000, counts({ other: 200 }), false);
    const calm = await trial();
    expect(calm.checks.map(({ check: id, status }) => [id, status])).toEqual([
      ['sized', 'PASS'],
      ['kinds', 'PASS'],
    ]);
    expect(calm.checks[0]?.message).toMatch(/the last 5 Fridays lead one to expect/);
    expect(renderTrial(calm)).toContain('drift is judged by the accepted windows of main before 2026-11-20, nothing went on record');
    await database.pool.query("update almanac.check_metric set value = value * 20, state = $1 where metric = 'size' or state is not null", [
      counts({ k9: 200 }),
    ]);
    const drifted = await trial();
    expect(drifted.checks.map(({ check: id, status }) => [id, status])).toEqual([
      ['sized', 'WARN'],
      ['kinds', 'WARN'],
    ]);
    expect((await database.pool.query("select 1 from almanac.check_metric where window_key = '2026-11-20'")).rows).toEqual([]);
  });

  test('leaves excluded windows out of the history, and is not judged of one', async () => {
    for (const friday of FRIDAYS) await past(friday, 'main', 200, counts({ k0: 200 }));
    const window = { pipeline: 'example', reason: 'A sale' };
    await exclude(services, { ...window, from: '2026-10-16', to: '2026-10-23' });
    expect((await trial()).checks[0]?.message).toMatch(/only 3 earlier Fridays are accepted/);
    await exclude(services, { ...window, from: '2026-11-20', to: '2026-11-20' });
    expect(
      (await trial()).checks.map(({ status, message }) => [status, /drift is not judged of this window: A sale/.test(message)]),
    ).toEqual([
      ['NO_HISTORY', true],
      ['NO_HISTORY', true],
    ]);
  });

  test('of a branch goes by main before its fork and by the branch from there on', async () => {
    await database.pool.query("insert into almanac.chain_branch values ('example', 'b1', '2026-11-06', 'open', 1, now())");
    for (const friday of FRIDAYS) await past(friday, 'main', 4000, counts({ k0: 200 }));
    expect((await trial()).checks[0]).toMatchObject({ status: 'WARN', message: expect.stringMatching(/the last 5 Fridays/) as string });
    const branched = await trial({ branch: 'b1' });
    expect(branched.history).toBe('b1');
    expect(branched.checks[0]?.message).toMatch(/only 3 earlier Fridays are accepted/);
    for (const friday of FRIDAYS.slice(3)) await past(friday, 'b1', 200, counts({ k0: 200 }));
    expect((await trial({ branch: 'b1' })).checks[0]?.message).toMatch(/the last 5 Fridays/);
  });
});

test('a suite that is none, and one without a check of the dataset, say what there is', async () => {
  await expect(tryChecks(services, 'example/gate', address())).rejects.toMatchObject({
    code: 'check.unknown',
    message: expect.stringContaining('example/judge') as string,
  });
  await expect(tryChecks(services, 'example/judge', { ...address(), dataset: 'others' })).rejects.toMatchObject({
    code: 'check.unknown',
    message: expect.stringContaining('it judges orders') as string,
  });
});

test('a version suggests what its profile shows, and no values of persons', async () => {
  const suggestions = await suggestChecks(services, address());
  const ids = suggestions.map((one) => one.check.id);
  for (const id of ['id-complete', 'id-unique', 'price-non-negative', 'kind-categories', 'code-unique', 'code-type'])
    expect(ids).toContain(id);
  expect(ids.filter((id) => id.startsWith('person'))).toEqual(['person-complete']);
  expect(ids).toContain('salary-non-negative');
  expect(renderSuggestions(suggestions)).not.toMatch(/7,?777/);
  expect(suggestions.find((one) => one.check.id === 'kind-categories')?.check.measure).toMatchObject({ values: ['k0', 'k1', 'k2', 'k3'] });
  expect(renderSuggestions(suggestions)).toContain('// no value comes twice');
});

test('windows are excluded with a reason, listed, and taken back', async () => {
  const request = { pipeline: 'example', from: '2026-12-24', to: '2026-12-26', reason: 'Christmas' };
  const made = await exclude(services, request);
  expect(made).toMatchObject({ ...request, dataset: null, who: 'ann' });
  expect(await exclusions(services, 'example')).toEqual([made]);
  expect(renderExclusions([made])).toMatch(/2026-12-24 +2026-12-26 +ann +Christmas/);
  await include(services, made.id);
  expect(renderExclusions(await exclusions(services))).toBe('No window is excluded.');
  await expect(include(services, made.id)).rejects.toMatchObject({ code: 'check.unknown' });
  await expect(exclude(services, { ...request, pipeline: 'other' })).rejects.toMatchObject({ code: 'check.unknown' });
  await expect(exclude(services, { ...request, reason: ' ' })).rejects.toMatchObject({ code: 'reason.missing' });
  await expect(exclude(services, { ...request, to: '2026-12-01' })).rejects.toMatchObject({ code: 'window.invalid' });
});

test('the page of a run escapes what the data hold', () => {
  const shown: ShownCheck = {
    stage: 'judge',
    generation: 1,
    attempt: 1,
    check: 'ids',
    dataset: 'orders',
    owner: 'team <a>',
    status: 'FAIL',
    observed: 3,
    low: null,
    high: 0,
    method: 'band',
    n: null,
    score: null,
    failedRows: 3,
    sample: [{ id: '<script>' }],
    message: 'ids: 3 rows & more',
    overridden: null,
    judgedAt: '2026-11-21T00:00:00Z',
  };
  const page = checkReport('example/2026-11-20', [shown]);
  expect(page).toContain('<h1>Checks of example/2026-11-20</h1><p>1 FAIL</p>');
  expect(page).toContain('ids: 3 rows &amp; more<br>Owner: team &lt;a&gt;.<br><pre>id &lt;script&gt;</pre>');
  expect(page).not.toContain('<script>');
});
