import { readdirSync } from 'node:fs';
import path from 'node:path';
import { collectStore } from '../../../activities/storage/collection';
import { migrate } from '../../../lib/migrate';
import { showChecks } from '../../../operator/checks';
import { reindexDatasets } from '../../../operator/datasets';
import { listQuarantine, type QuarantineServices } from '../../../operator/quarantine';
import { replayQuarantine, type ReplayServices } from '../../../operator/replay';
import { findStale } from '../../../operator/stale';
import { check, compute, daily, definePipeline, ingest, type CheckDeclaration } from '../../../pipelines/define';
import { AlmanacError } from '../../../pipelines/failures';
import { staleText } from '../../../pipelines/stale';
import type { PipelineSpec } from '../../../pipelines/types';
import { testDatabase, type TestDatabase } from '../../support/postgres';
import { StageRunner, type ClaimedRun } from '../../support/stage-runner';

jest.setTimeout(120_000);

const DAY = '2026-11-20';
const TEXTS = { 'total.sql': 'select country, count(*) as orders, sum(price) as price from orders group by country' };
const PRICED: CheckDeclaration = {
  ...{ id: 'priced', dataset: 'orders', why: 'Nobody can be billed without.' },
  ...{ measure: { metric: 'within', column: 'price', min: 0, nulls: 'fail' }, mostly: 0.5, onFail: 'quarantine' },
};
const KNOWN: CheckDeclaration = {
  ...{ id: 'known', dataset: 'orders', why: 'We sell in three countries.' },
  ...{ measure: { metric: 'contained-in', column: 'country', values: ['DE', 'FR', 'ES'] }, mostly: 0.5, onFail: 'quarantine' },
};
/** Would fail of what was read. */
const CLEAN: CheckDeclaration = {
  ...{ id: 'clean', dataset: 'orders', why: 'No bad row goes on.' },
  ...{ measure: { metric: 'minimum', column: 'price' }, fail: { min: 0 }, warn: 'drift' },
};

/** Orders by country: read, judged, and summed from what goes on. */
function shop(checks: readonly CheckDeclaration[], more: Partial<PipelineSpec['datasets'][string]> = {}): PipelineSpec {
  return definePipeline({
    ...{ id: 'shop', owner: 'sales', window: daily(), chain: 'independent' },
    datasets: {
      orders: { columns: { id: 'bigint', country: 'text', price: 'double' }, key: ['id'], optional: ['price'], ...more },
      totals: { columns: { country: 'text', orders: 'bigint', price: 'double' }, key: ['country'] },
    },
    stages: {
      read: ingest({ landing: 'orders', writes: 'orders' }),
      total: compute({ reads: { orders: 'orders' }, sql: 'total.sql', writes: 'totals' }),
      judge: check({ suite: { checks } }),
    },
  });
}

let database: TestDatabase;
let runner: StageRunner;
beforeAll(async () => {
  database = await testDatabase();
  await migrate(database.pool);
});
beforeEach(async () => {
  runner = new StageRunner(database.pool);
  await database.pool.query(
    `truncate almanac.run, almanac.attempt, almanac.dataset_version, almanac.version_input, almanac.accepted_set, almanac.replay, almanac.action,
       almanac.check_metric, almanac.check_result cascade`,
  );
  const rows = ['1,DE,5', '2,DE,-1', '3,XX,', '4,FR,2', '5,ES,2', '6,DE,3', 'seven,DE,1'];
  runner.land('orders', DAY, 'a.csv', ['id,country,price', ...rows, ''].join('\n'));
});
afterEach(() => runner[Symbol.asyncDispose]());
afterAll(() => database[Symbol.asyncDispose]());

const services = (): ReplayServices & QuarantineServices => {
  const spec = shop([PRICED]);
  const project = { pipelines: new Map([['shop', { spec }]]), pipeline: () => ({ spec }) };
  return {
    config: { worker: { memoryBytes: 500e6, threads: 1, places: 1 }, actor: 'tester' } as unknown as ReplayServices['config'],
    ...{ database: database.pool, store: runner.store, datasets: runner.datasets, engine: runner.engine },
    clock: { now: () => new Date() },
    project: () => Promise.resolve(project as unknown as Awaited<ReturnType<ReplayServices['project']>>),
  };
};

/** Rows of an accepted version, as texts. */
async function accepted(dataset: string): Promise<string[]> {
  const set = await runner.datasets.accepted('shop', 'main', DAY);
  const version = set?.versions.filter((one) => one.dataset === dataset) ?? [];
  expect(version).toHaveLength(1);
  const [ref] = version;
  if (ref === undefined) throw new Error(`no version of ${dataset}`);
  const files = (await runner.datasets.manifest(ref)).files.map(({ path: file }) => `'${runner.store.place(file)}'`);
  if (files.length === 0) return [];
  const rows = await runner.engine.session({ memoryBytes: 500e6, threads: 1 }, new AbortController().signal, (session) =>
    session.rows(`select * from read_parquet([${files.join(', ')}]) order by all`),
  );
  return rows.map((row) => Object.values(row).join(','));
}

async function manifestOf(run: ClaimedRun) {
  const [ref] = (await run.outputs())['judge']?.versions ?? [];
  if (ref === undefined) throw new Error('the gate left no version');
  return runner.datasets.manifest(ref);
}

test('rows that fail are put aside with every reason, and what is accepted, computed and judged later is without them', async () => {
  const run = await runner.claim(shop([PRICED, KNOWN, CLEAN]), DAY, TEXTS);
  await run.finish();
  expect(await accepted('orders')).toEqual(['1,DE,5', '4,FR,2', '5,ES,2', '6,DE,3']);
  expect(await accepted('totals')).toEqual(['DE,2,8', 'ES,1,2', 'FR,1,2']);
  const manifest = await manifestOf(run);
  expect(manifest).toMatchObject({ rowsIn: 7, rows: 4, quarantine: { rows: { malformed: 1, check: 2 }, checks: { priced: 2, known: 1 } } });
  expect(manifest.provenance).toMatchObject({ stage: 'read', cleaned: { stage: 'judge' } });
  expect((await run.outputs())['judge']).toMatchObject({
    rowsIn: 6,
    rowsOut: 4,
    quarantined: { check: 2 },
    gate: { status: 'NO_HISTORY' },
  });
  const shown = await showChecks(database.pool, run.run);
  expect(shown.find(({ check: id }) => id === 'priced')).toMatchObject({ status: 'PASS', failedRows: 2 });
  expect(shown.find(({ check: id }) => id === 'priced')?.message).toMatch(/2 rows are put aside\.$/);
  const views = await listQuarantine(services(), { dataset: 'orders', limit: 10, samples: 5 });
  expect(views.map(({ reason, rows, rowsIn, accepted: current }) => ({ reason, rows, rowsIn, current }))).toEqual([
    { reason: 'check', rows: 2, rowsIn: 7, current: true },
    { reason: 'malformed', rows: 1, rowsIn: 7, current: true },
  ]);
  expect(views[0]?.checks).toEqual({ priced: 2, known: 1 });
  const samples = views[0]?.samples.map(({ detail, raw }) => ({ detail, raw })) ?? [];
  expect(samples.sort((a, b) => (a.raw < b.raw ? -1 : 1))).toEqual([
    { detail: 'priced: Nobody can be billed without.', raw: '{"id":"2","country":"DE","price":"-1.0"}' },
    {
      detail: 'priced: Nobody can be billed without. known: We sell in three countries.',
      raw: '{"id":"3","country":"XX","price":null}',
    },
  ]);
});

test('a window whose rows are all right is not copied', async () => {
  const run = await runner.claim(shop([{ ...PRICED, measure: { metric: 'within', column: 'id', min: 0 } }]), DAY, TEXTS);
  const { versions } = await run.finish();
  const outputs = await run.outputs();
  expect(outputs['judge']?.versions).toEqual([]);
  expect(versions.find(({ dataset }) => dataset === 'orders')).toEqual(outputs['read']?.versions[0]);
});

test('too many failing rows hold the run, and nothing is put aside', async () => {
  const run = await runner.claim(shop([{ ...PRICED, mostly: 0.9 }, KNOWN]), DAY, TEXTS);
  await run.stage('read');
  expect((await run.failure('judge')).message).toMatch(/fails 1 of 2 checks; nothing was accepted\. priced: .* allowed: at least 90 ?%/);
  const { rows } = await database.pool.query("select version from almanac.dataset_version where dataset = 'orders'");
  expect(rows).toHaveLength(1);
});

test('files stay in their buckets, and personal values are shown to nobody', async () => {
  const run = await runner.claim(shop([PRICED], { pii: ['country'], buckets: { by: 'id', count: 4 } }), DAY, TEXTS);
  await run.finish();
  const [raw] = (await run.outputs())['read']?.versions ?? [];
  if (raw === undefined) throw new Error('the ingest left no version');
  const before = new Set((await runner.datasets.manifest(raw)).files.map(({ bucket }) => bucket));
  const manifest = await manifestOf(run);
  expect(manifest.buckets).toEqual({ by: 'id', count: 4 });
  expect(manifest.files.every(({ bucket }) => bucket !== undefined && before.has(bucket))).toBe(true);
  const [view] = await listQuarantine(services(), { reason: 'check', limit: 10, samples: 5 });
  expect(view?.samples.map(({ raw: text }) => text)).toEqual(['***', '***']);
});

test.each(['judge:check:aside-written', 'judge:check:aside-committed', 'judge:check:stored'])(
  'ended at %s and run again, it comes to the same version and leaves one of it',
  async (where) => {
    const run = await runner.claim(shop([PRICED, KNOWN]), DAY, TEXTS);
    await run.stage('read');
    let reached = 0;
    const killed = run.stage('judge', (name) => {
      if (name !== where) return Promise.resolve();
      reached += 1;
      return Promise.reject(new AlmanacError('service.unavailable', 'killed here', { next: 'nothing' }));
    });
    await expect(killed).rejects.toThrow('killed here');
    expect(reached).toBe(1);
    await run.stage('judge');
    await run.stage('total');
    await run.accept();
    expect(await accepted('orders')).toEqual(['1,DE,5', '4,FR,2', '5,ES,2', '6,DE,3']);
    const files = readdirSync(path.join(runner.directory, 'data', 'datasets', 'orders', DAY));
    // What was read, and what goes on.
    expect(files.filter((file) => file.endsWith('.json'))).toHaveLength(2);
  },
);

test('a replay has the rows judged again after a mend, each once, and makes what was read without them stale', async () => {
  const first = await runner.claim(shop([PRICED, KNOWN]), DAY, TEXTS);
  await first.finish();
  expect(await findStale(database.pool)).toEqual([]);
  const request = { source: 'orders', window: DAY, reason: 'refunds are prices' };
  expect(await replayQuarantine(services(), { ...request, dryRun: true })).toMatchObject({
    windows: [{ rows: 2, replay: null }],
    before: 0,
  });
  expect(await replayQuarantine(services(), request)).toMatchObject({
    windows: [{ dataset: 'orders', window: DAY, rows: 2, reasons: { check: 2 }, state: 'accepted' }],
    before: 0,
  });
  expect(await replayQuarantine(services(), request)).toMatchObject({ windows: [], before: 2 });
  const [stale] = await findStale(database.pool);
  expect(stale?.versions.map(({ dataset }) => dataset).sort()).toEqual(['orders', 'totals']);
  expect(stale && staleText(stale)).toBe('rows of orders were replayed into it since');
  const [view] = await listQuarantine(services(), { reason: 'check', limit: 10, samples: 0 });
  expect(view?.replayed).toMatchObject([{ window: DAY, rows: 2, who: 'tester' }]);

  // The mended check lets refunds pass; the row of nowhere fails as before.
  const mended: CheckDeclaration = { ...PRICED, measure: { metric: 'within', column: 'price', min: -10 } };
  const second = await runner.claim(shop([mended, KNOWN]), DAY, TEXTS);
  await second.finish();
  expect(await accepted('orders')).toEqual(['1,DE,5', '2,DE,-1', '4,FR,2', '5,ES,2', '6,DE,3']);
  expect(await accepted('totals')).toEqual(['DE,3,7', 'ES,1,2', 'FR,1,2']);
  expect(await findStale(database.pool)).toEqual([]);
  await reindexDatasets({ database: database.pool, store: runner.store } as Parameters<typeof reindexDatasets>[0]);
  expect(await findStale(database.pool)).toEqual([]);

  // What failed again is of another version, so it can be replayed again, and then nothing is left.
  expect(await replayQuarantine(services(), request)).toMatchObject({ windows: [{ rows: 1 }], before: 0 });
  const third = await runner.claim(shop([mended]), DAY, TEXTS);
  await third.finish();
  expect(await accepted('orders')).toHaveLength(6);
  expect(await findStale(database.pool)).toEqual([]);
  await expect(replayQuarantine(services(), request)).rejects.toMatchObject({ code: 'quarantine.nothing' });
});

test('what a gate judged stays as long as what it made of it', async () => {
  const run = await runner.claim(shop([PRICED]), DAY, TEXTS);
  await run.finish();
  const month = { now: () => new Date(Date.now() + 40 * 86_400_000) };
  const report = await collectStore({ store: runner.store, database: database.pool, clock: month }, new Set(), { dryRun: true });
  expect([...report.deleted, ...report.marked]).toEqual([]);
});
