import { Command } from 'commander';
import { rmSync } from 'node:fs';
import { registerDatasetCommands } from '../../../cli/commands/dataset';
import { registerQuarantineCommands } from '../../../cli/commands/quarantine';
import { createIo } from '../../../cli/io';
import { recordAccepted, recordVersion } from '../../../activities/storage/catalog';
import { migrate } from '../../../lib/migrate';
import { sweepLitter } from '../../../activities/storage/collection';
import { collectDatasets, freeRoom } from '../../../operator/dataset-collection';
import { diffVersions } from '../../../operator/dataset-diff';
import { lineageOf } from '../../../operator/dataset-lineage';
import { parseVersionAddress, type DatasetServices } from '../../../operator/dataset-names';
import { listDatasets, listVersions, reindexDatasets } from '../../../operator/datasets';
import { listQuarantine } from '../../../operator/quarantine';
import type { OperatorSession } from '../../../operator/session';
import { daily, ingest } from '../../../pipelines/define';
import type { DatasetSpec, VersionRef } from '../../../pipelines/types';
import { IngestBench, LIMITS } from '../../support/ingest';
import { testDatabase, type TestDatabase } from '../../support/postgres';

const HOUR = 3_600_000;
const DATASET: DatasetSpec = {
  columns: { user_id: 'text', segment_id: 'bigint', ts: 'timestamp' },
  key: ['user_id', 'segment_id'],
  pii: ['user_id'],
  kind: 'state',
};

let database: TestDatabase;
let bench: IngestBench;
let now: Date;
beforeAll(async () => {
  database = await testDatabase();
  await migrate(database.pool);
  bench = new IngestBench();
});
beforeEach(async () => {
  bench.clear();
  now = new Date();
  await database.pool.query(
    'truncate almanac.dataset_version, almanac.version_input, almanac.accepted_set, almanac.gc_mark, almanac.run, almanac.plan cascade',
  );
});
afterAll(async () => {
  await bench.close();
  await database[Symbol.asyncDispose]();
});

/** A session as a command gets it; the project declares the one dataset. */
function session(): OperatorSession {
  const never = (): never => {
    throw new Error('not used by these verbs');
  };
  const spec = { datasets: { events: DATASET }, window: daily(), stages: { read: ingest({ landing: 'events', writes: 'events' }) } };
  return {
    config: { worker: { ...LIMITS, places: 1 } } as unknown as OperatorSession['config'],
    database: database.pool,
    store: bench.store,
    datasets: bench.datasets,
    clock: { now: () => now },
    project: () =>
      Promise.resolve({ directory: '/', pipelines: new Map([['test', { spec }]]), pipeline: never } as unknown as Awaited<
        ReturnType<OperatorSession['project']>
      >),
    temporal: never,
    close: () => Promise.resolve(),
  };
}
const services = (): DatasetServices => session();

interface DayOptions {
  readonly generation?: number;
  readonly accept?: boolean;
}

/** Ingests one day's rows as a run does, with the shell's notes in the catalog. */
async function day(window: string, rows: readonly string[], { generation = 1, accept = true }: DayOptions = {}): Promise<VersionRef> {
  bench.land('a.csv', ['user_id,segment_id,ts', ...rows, ''].join('\n'), window);
  const { manifest, output } = await bench.ingest({ window, dataset: DATASET, generation });
  await recordVersion(database.pool, manifest);
  if (accept) {
    const run = { pipeline: 'test', window, branch: 'main', generation };
    await recordAccepted(
      database.pool,
      await bench.datasets.accept({ pipeline: 'test', branch: 'main', window, run, versions: output.versions, gates: {} }),
    );
  }
  const [version] = output.versions;
  if (!version) throw new Error('no version');
  return version;
}

const row = (user: string, segment: number, window: string, hour = '10'): string => `${user},${segment},${window}T${hour}:00:00`;
const address = parseVersionAddress;

describe('list and versions', () => {
  test('tell what is current, superseded and never accepted', async () => {
    const first = await day('2026-03-10', [row('a', 1, '2026-03-10')]);
    const second = await day('2026-03-10', [row('a', 1, '2026-03-10'), row('b', 2, '2026-03-10')], { generation: 2 });
    const third = await day('2026-03-11', [row('a', 1, '2026-03-11')], { accept: false });
    expect(await listDatasets(services())).toMatchObject([
      { dataset: 'events', pipeline: 'test', versions: 3, acceptedWindows: 1, newestWindow: '2026-03-10', rows: 2 },
    ]);
    const views = await listVersions(services(), 'events', { limit: 10 });
    expect(views.map(({ version, state, run }) => [version, state, run])).toEqual([
      [third.version, 'candidate', 'test/2026-03-11#1'],
      [second.version, 'current', 'test/2026-03-10#2'],
      [first.version, 'candidate', 'test/2026-03-10#1'],
    ]);
    expect(await listVersions(services(), 'events', { window: '2026-03-11', limit: 10 })).toHaveLength(1);
  });

  test('an unknown dataset is named with the nearest known one', async () => {
    await expect(listVersions(services(), 'event', { limit: 1 })).rejects.toMatchObject({
      code: 'dataset.unknown',
      class: 'missing',
      next: 'Did you mean events?',
    });
    await expect(listVersions(services(), 'events', { limit: 1 })).resolves.toEqual([]);
  });
});

describe('version addresses', () => {
  test.each(['events', 'events@', '@2026-03-10', 'events@2026-03-10#', 'events/2026-03-10'])('%j names no version', (text) => {
    expect(() => address(text)).toThrow(expect.objectContaining({ code: 'run.usage' }));
  });

  test('a missing version is told with those there are', async () => {
    const candidate = await day('2026-03-10', [row('a', 1, '2026-03-10')], { accept: false });
    await expect(lineageOf(services(), address('events@2026-03-10'), 1)).rejects.toMatchObject({
      code: 'dataset.version-missing',
      next: `Name one: events@2026-03-10#${candidate.version}`,
    });
    await expect(lineageOf(services(), address('events@2026-03-10#ffffffffffff'), 1)).rejects.toMatchObject({
      code: 'dataset.version-missing',
    });
    await expect(lineageOf(services(), address('events@2026-04-10'), 1)).rejects.toMatchObject({
      code: 'dataset.version-missing',
      next: 'almanac dataset versions events',
    });
    await expect(lineageOf(services(), address(`events@2026-03-10#${candidate.version.slice(0, 6)}`), 1)).resolves.toMatchObject({
      version: { version: candidate.version },
    });
    rmSync(bench.file('datasets'), { recursive: true });
    await expect(lineageOf(services(), address(`events@2026-03-10#${candidate.version}`), 1)).rejects.toMatchObject({
      code: 'dataset.version-missing',
    });
  });
});

test('diff counts rows of one side, of the other and changed by key, and masks personal columns', async () => {
  const W = '2026-03-10';
  const first = await day(W, [row('same', 1, W), row('gone', 2, W), row('moved', 3, W, '10')]);
  const second = await day(W, [row('same', 1, W), row('moved', 3, W, '11'), row('new', 4, W), row('newer', 5, W)], { generation: 2 });
  const diff = await diffVersions(
    { ...session(), engine: bench.engine },
    address(`events@${W}#${first.version}`),
    address(`events@${W}`),
    1,
  );
  expect(diff).toMatchObject({
    equal: false,
    key: ['user_id', 'segment_id'],
    onlyLeft: 1,
    onlyRight: 2,
    changed: 1,
    left: { rows: 3 },
    right: { version: second.version, rows: 4 },
  });
  expect(
    diff.samples.map(({ state, left, right }) => [state, left?.['user_id'] ?? right?.['user_id'], left?.['segment_id'] ?? null]),
  ).toEqual([
    ['changed', '***', '3'],
    ['only-left', '***', '2'],
    ['only-right', '***', null],
  ]);
  const same = await diffVersions({ ...session(), engine: bench.engine }, address(`events@${W}`), address(`events@${W}`), 1);
  expect(same).toMatchObject({ equal: true, samples: [] });
});

test('lineage follows inputs up to files and down to what was made of them', async () => {
  const first = await day('2026-03-10', [row('a', 1, '2026-03-10')]);
  const events = await bench.datasets.manifest(await day('2026-03-11', [row('b', 1, '2026-03-11')]));
  const derive = async (dataset: string, inputs: readonly VersionRef[]): Promise<VersionRef> => {
    const run = { pipeline: 'test', window: '2026-03-11', branch: 'main', generation: 1 };
    const provenance = { run, stage: dataset, attempt: 1, stageHash: 'h', inputs };
    const manifest = await bench.datasets.commit({
      dataset,
      window: '2026-03-11',
      key: `${dataset}1`,
      digest: 'd',
      columns: [{ name: 'a', type: 'text' }],
      files: [],
      rowsIn: 0,
      provenance,
    });
    await recordVersion(database.pool, manifest);
    return { dataset, window: '2026-03-11', version: manifest.version, digest: 'd' };
  };
  const udb = await derive('udb', [first, { dataset: 'events', window: '2026-03-11', version: events.version, digest: '' }]);
  const report = await derive('report', [udb]);
  await derive('names', [udb, report]);
  const lineage = await lineageOf(services(), address('udb@2026-03-11#udb1'), 5);
  expect(lineage.upstream.map(({ dataset, window, depth }) => [dataset, window, depth])).toEqual([
    ['events', '2026-03-11', 1],
    ['events', '2026-03-10', 1],
  ]);
  expect(lineage.sources).toEqual([
    { source: 'landing/events', dataset: 'events', window: '2026-03-11' },
    { source: 'landing/events', dataset: 'events', window: '2026-03-10' },
  ]);
  expect(lineage.downstream.map(({ dataset, depth, run }) => [dataset, depth, run])).toEqual([
    ['names', 1, 'test/2026-03-11#1'],
    ['report', 1, 'test/2026-03-11#1'],
  ]);
  expect((await lineageOf(services(), address('report@2026-03-11#report1'), 1)).upstream).toHaveLength(1);
  expect((await lineageOf(services(), address('report@2026-03-11#report1'), 2)).upstream).toHaveLength(3);
});

describe('quarantine list', () => {
  test('counts by source, window and reason, with rows of each, masked where the dataset is personal', async () => {
    await day('2026-03-10', [row('a', 1, '2026-03-10'), 'secret,x,2026-03-10', 'secret,y,2026-03-10', row('b', 1, '2026-03-09')]);
    await day('2026-03-11', [row('a', 1, '2026-03-11')]);
    const views = await listQuarantine({ ...session(), engine: bench.engine }, { limit: 10, samples: 1 });
    expect(views).toMatchObject([
      {
        source: 'landing/events',
        dataset: 'events',
        window: '2026-03-10',
        reason: 'late',
        rows: 1,
        rowsIn: 4,
        accepted: true,
        samples: [{ line: '5', eventTime: '2026-03-09T10:00:00.000Z' }],
      },
      {
        reason: 'malformed',
        rows: 2,
        samples: [{ file: 'landing/events/dt=2026-03-10/a.csv', line: '3', column: 'segment_id', detail: 'is not a bigint', raw: '***' }],
      },
    ]);
    for (const filter of [{ source: 'events' }, { source: 'landing/events' }, { window: '2026-03-10' }, { dataset: 'events' }]) {
      expect(await listQuarantine({ ...session(), engine: bench.engine }, { ...filter, limit: 10, samples: 0 })).toHaveLength(2);
    }
    expect(await listQuarantine({ ...session(), engine: bench.engine }, { reason: 'late', limit: 10, samples: 0 })).toHaveLength(1);
    expect(await listQuarantine({ ...session(), engine: bench.engine }, { window: '2026-03-09', limit: 10, samples: 2 })).toEqual([]);
  });

  test.each([
    [{ source: 'other' }, 'run.usage'],
    [{ window: 'bogus' }, 'window.invalid'],
    [{ window: '2026-W12' }, 'window.invalid'],
    [{ reason: 'nope' }, 'run.usage'],
    [{ dataset: 'evnts' }, 'dataset.unknown'],
  ])('what nobody knows is an error, not an empty answer: %j', async (filter, code) => {
    await day('2026-03-10', ['a,x,2026-03-10']);
    await expect(listQuarantine({ ...session(), engine: bench.engine }, { ...filter, limit: 10, samples: 0 })).rejects.toMatchObject({
      code,
    });
  });

  test('a version that another replaced no longer counts', async () => {
    await day('2026-03-10', ['a,x,2026-03-10', 'b,x,2026-03-10']);
    await day('2026-03-10', ['a,x,2026-03-10', row('b', 1, '2026-03-10')], { generation: 2 });
    expect(await listQuarantine({ ...session(), engine: bench.engine }, { limit: 10, samples: 0 })).toMatchObject([{ rows: 1 }]);
  });
});

describe('collection', () => {
  const later = (hours: number): void => {
    now = new Date(now.getTime() + hours * HOUR);
  };

  test('an unaccepted version is marked once old, deleted by a later call, and gone from the catalog', async () => {
    const candidate = await day('2026-03-10', [row('a', 1, '2026-03-10'), 'b,x,'], { accept: false });
    const kept = await day('2026-03-10', [row('a', 1, '2026-03-10')], { generation: 2 });
    expect(await collectDatasets(services())).toEqual({ deleted: [], marked: [], deletedBytes: 0 });
    later(8 * 24);
    const what = `events@2026-03-10#${candidate.version}`;
    expect(await collectDatasets(services(), { dryRun: true })).toMatchObject({ deleted: [], marked: [{ what, reason: 'unaccepted' }] });
    expect(await collectDatasets(services())).toMatchObject({ deleted: [], marked: [{ what }] });
    expect(await collectDatasets(services())).toMatchObject({ deleted: [], marked: [{ what }] });
    later(2);
    const report = await collectDatasets(services());
    expect(report).toMatchObject({ deleted: [{ what, reason: 'unaccepted' }], marked: [] });
    expect(report.deletedBytes).toBeGreaterThan(0);
    expect(await bench.datasets.find('events', '2026-03-10', candidate.version)).toBeUndefined();
    expect(await bench.store.list('quarantine')).toEqual([]);
    expect((await listVersions(services(), 'events', { limit: 10 })).map(({ version }) => version)).toEqual([kept.version]);
    for (const { path } of (await bench.datasets.manifest(kept)).files) expect(await bench.store.get(path)).toBeDefined();
    expect(await collectDatasets(services())).toEqual({ deleted: [], marked: [], deletedBytes: 0 });
  });

  test('with an age, what is unused goes in one call; what an open run wrote, pins or may be writing stays', async () => {
    const insert = `insert into almanac.run (pipeline, window_key, branch, generation, state, claim, plan_hash, pins, verb, who, claimed_at, changed_at)
      values ('test', '2026-03-12', 'main', 1, 'held', 'c', 'h', '{}', 'run', 'me', now(), now())`;
    await database.pool.query(`insert into almanac.plan (hash, pipeline, body) values ('h', 'test', '{}')`);
    await database.pool.query(insert);
    const unused = await day('2026-03-10', [row('a', 1, '2026-03-10')], { accept: false });
    const accepted = await day('2026-03-11', [row('a', 1, '2026-03-11')]);
    const written = await day('2026-03-12', [row('a', 1, '2026-03-12')], { accept: false });
    bench.put('scratch/stage-1/half.parquet', 'x');
    later(1);
    expect((await freeRoom(services(), 2 * HOUR)).deleted).toEqual([]);
    const what = `events@2026-03-10#${unused.version}`;
    expect(await freeRoom(services(), 0, { dryRun: true })).toMatchObject({ deleted: [], marked: [{ what }] });
    const report = await freeRoom(services(), 0);
    expect(report).toMatchObject({ deleted: [{ what, reason: 'unaccepted' }], marked: [] });
    expect(report.deletedBytes).toBeGreaterThan(0);
    for (const kept of [accepted, written]) await expect(bench.datasets.manifest(kept)).resolves.toBeDefined();
    expect(await bench.store.list('scratch')).toHaveLength(1);
    await database.pool.query(`update almanac.run set state = 'cancelled'`);
    expect((await freeRoom(services(), 0)).deleted.map((item) => item.reason).sort()).toEqual(['litter', 'unaccepted']);
  });

  test('what an open run pins or wrote stays, also when the run opened after the mark', async () => {
    const pinned = await day('2026-03-10', [row('a', 1, '2026-03-10')], { accept: false });
    const written = await day('2026-03-12', [row('a', 1, '2026-03-12')], { accept: false });
    later(8 * 24);
    expect((await collectDatasets(services())).marked).toHaveLength(2);
    await database.pool.query(`insert into almanac.plan (hash, pipeline, body) values ('h', 'test', '{}')`);
    const insert = `insert into almanac.run (pipeline, window_key, branch, generation, state, claim, plan_hash, pins, verb, who, claimed_at, changed_at)
      values ('test', $1, 'main', 1, 'held', 'c', 'h', $2, 'run', 'me', now(), now())`;
    await database.pool.query(insert, ['2026-03-11', JSON.stringify({ 'previous:events': pinned })]);
    await database.pool.query(insert, ['2026-03-12', '{}']);
    later(2);
    expect(await collectDatasets(services())).toEqual({ deleted: [], marked: [], deletedBytes: 0 });
    await expect(bench.datasets.manifest(pinned)).resolves.toBeDefined();
    await expect(bench.datasets.manifest(written)).resolves.toBeDefined();
    await database.pool.query(`update almanac.run set state = 'cancelled'`);
    later(2);
    expect((await collectDatasets(services())).deleted).toEqual([]);
    later(2);
    expect((await collectDatasets(services())).deleted).toHaveLength(2);
  });

  test('state beyond 35 windows goes, and its accepted set then names a version that is told to be missing', async () => {
    const windows = Array.from({ length: 40 }, (_, n) => new Date(Date.UTC(2026, 2, 10 + n)).toISOString().slice(0, 10));
    for (const window of windows) await day(window, []);
    await collectDatasets(services());
    later(2);
    const { deleted } = await collectDatasets(services());
    expect(deleted.map(({ what, reason }) => `${what.slice(0, 17)} ${reason}`)).toEqual(
      windows.slice(1, 5).map((window) => `events@${window} retention`),
    );
    await expect(lineageOf(services(), address(`events@${windows[2] ?? ''}`), 1)).rejects.toMatchObject({
      code: 'dataset.version-missing',
    });
    await reindexDatasets(services());
    expect(await listVersions(services(), 'events', { limit: 100 })).toHaveLength(36);
  });

  test('litter of killed writers goes, and only it when nothing else is asked for', async () => {
    const candidate = await day('2026-03-10', [row('a', 1, '2026-03-10')], { accept: false });
    bench.put('datasets/events/2026-03-10/data/dead-0.parquet', 'x');
    bench.put('quarantine/events/2026-03-10/dead-0.parquet', 'x');
    bench.put('scratch/stage-dead/part.parquet', 'x');
    bench.put('landing/events/dt=2026-03-10/_late', 'x');
    later(8 * 24);
    await sweepLitter(services());
    later(2);
    const { deleted, marked } = await sweepLitter(services());
    expect(deleted.map(({ what }) => what).sort()).toEqual([
      'datasets/events/2026-03-10/data/dead-0.parquet',
      'quarantine/events/2026-03-10/dead-0.parquet',
      'scratch/stage-dead/part.parquet',
    ]);
    expect(marked).toEqual([]);
    await expect(bench.datasets.manifest(candidate)).resolves.toBeDefined();
    expect(await bench.store.list('landing')).toHaveLength(2);
  });
});

describe('commands', () => {
  async function almanac(...argv: string[]): Promise<string> {
    let out = '';
    const write = (text: string): void => {
      out += text;
    };
    const json = argv.includes('--json');
    const io = createIo({
      streams: { stdout: { write }, stderr: { write } },
      json: () => json,
      projectDirectory: () => '/',
      openSession: () => Promise.resolve(session()),
    });
    const program = new Command('almanac').option('--json').exitOverride();
    registerDatasetCommands(program, io);
    registerQuarantineCommands(program, io);
    await program.parseAsync(argv, { from: 'user' });
    return out;
  }

  test('print for people and, with --json, for programs', async () => {
    const first = await day('2026-03-10', [row('a', 1, '2026-03-10'), 'b,x,2026-03-10']);
    const second = await day('2026-03-11', [row('a', 2, '2026-03-11')]);
    expect(await almanac('dataset', 'list')).toMatch(/DATASET[^]*events +test +2 +2026-03-11/);
    expect(JSON.parse(await almanac('--json', 'dataset', 'list'))).toMatchObject([{ dataset: 'events' }]);
    expect(await almanac('dataset', 'versions', 'events')).toContain(second.version.slice(0, 12));
    expect(await almanac('dataset', 'diff', 'events@2026-03-10', 'events@2026-03-11')).toMatch(
      /1 only in the first, 1 only in the second, 0 changed by user_id, segment_id/,
    );
    expect(JSON.parse(await almanac('--json', 'dataset', 'diff', 'events@2026-03-10', 'events@2026-03-10'))).toMatchObject({ equal: true });
    expect(await almanac('dataset', 'lineage', `events@2026-03-10#${first.version}`)).toMatch(
      /read from\n {2}landing\/events for events@2026-03-10/,
    );
    expect(await almanac('dataset', 'gc', '--dry-run')).toContain('would delete 0 items');
    expect(await almanac('dataset', 'gc', '--older-than', '12h')).toContain('deleted 0 items');
    await expect(almanac('dataset', 'gc', '--older-than', 'soon')).rejects.toMatchObject({
      code: 'run.usage',
      message: expect.stringContaining('soon'),
    });
    expect(await almanac('dataset', 'reindex')).toContain('2 versions and 2 accepted windows');
    expect(await almanac('quarantine', 'list')).toMatch(
      /2026-03-10 {2}landing\/events → events: 1 of 2 rows malformed\n {4}landing\/events\/dt=2026-03-10\/a.csv:3 {2}segment_id is not a bigint/,
    );
    expect(JSON.parse(await almanac('--json', 'quarantine', 'list', '--samples', '0'))).toMatchObject([{ rows: 1, samples: [] }]);
    await expect(almanac('dataset', 'versions', 'events', '--limit', 'many')).rejects.toMatchObject({ code: 'run.usage' });
  });
});
