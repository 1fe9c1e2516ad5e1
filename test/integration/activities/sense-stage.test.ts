import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import type { Engine } from '../../../activities/compute/engine';
import { listAttempts } from '../../../activities/ledger/attempts';
import { claimRun } from '../../../activities/ledger/runs';
import { runStage, type StageShell } from '../../../activities/run-stage';
import { senseStage } from '../../../activities/sense-stage';
import type { StageContext } from '../../../activities/stage';
import type { DatasetStore } from '../../../activities/storage/dataset-store';
import { recordAccepted } from '../../../activities/storage/catalog';
import { createDatasetStore } from '../../../activities/storage/datasets';
import { createLocalStore } from '../../../activities/storage/local-store';
import type { ObjectStore } from '../../../activities/storage/object-store';
import { migrate } from '../../../lib/migrate';
import { AlmanacError } from '../../../pipelines/failures';
import type { Plan, PlanStage, ResolvedCondition, StageOutput, VersionRef, WindowSpec } from '../../../pipelines/types';
import { enumerate, parseWindow } from '../../../pipelines/window';
import { StageMetrics } from '../../../workers/metrics';
import { testDatabase, type TestDatabase } from '../../support/postgres';

const NOW = new Date('2026-11-21T06:00:00Z');
const DAY: WindowSpec = { every: 'day', timezone: 'UTC' };
const HOUR: WindowSpec = { every: 'minutes', minutes: 60 };
const clock = { now: () => NOW };
const unused: Engine = {
  session: () => Promise.reject(new Error('nothing is computed here')),
  place: (_signal, body) => body(unused),
  close: () => Promise.resolve(),
};

let database: TestDatabase;
let root: string;
let store: ObjectStore;
let datasets: DatasetStore;

beforeAll(async () => {
  database = await testDatabase();
  await migrate(database.pool);
});
afterAll(() => database[Symbol.asyncDispose]());
beforeEach(() => {
  root = mkdtempSync(path.join(os.tmpdir(), 'almanac-sense-'));
  store = createLocalStore(root);
  datasets = createDatasetStore(store, clock);
});
afterEach(() => rmSync(root, { recursive: true }));

function planOf(...resolved: readonly ResolvedCondition[]): { readonly stage: PlanStage; readonly plan: Plan } {
  const stage: PlanStage = {
    id: 'wait',
    kind: 'sense',
    needs: [],
    hash: 'h',
    timeoutSeconds: 30,
    spec: { kind: 'sense', conditions: [], resolved },
  };
  return { stage, plan: { hash: 'p', pipeline: 'ours', chain: 'independent', window: DAY, params: {}, datasets: {}, stages: [stage] } };
}

/** What the stage answers for these conditions, looking once at the window. */
async function sense(window: string, ...resolved: ResolvedCondition[]): Promise<StageOutput> {
  const { stage, plan } = planOf(...resolved);
  const context: StageContext = {
    store,
    datasets,
    engine: unused,
    database: database.pool,
    clock,
    text: () => Promise.reject(new Error('a sense stage has no text')),
    run: { pipeline: 'ours', window, branch: 'main', generation: 1 },
    plan,
    stage,
    window: parseWindow(DAY, window),
    attempt: 1,
    inputs: {},
    outputs: {},
    bootstrap: false,
    limits: { memoryBytes: 1e9, threads: 1 },
    signal: new AbortController().signal,
    computing: () => undefined,
    chose: () => undefined,
    log: () => undefined,
    point: () => Promise.resolve(),
  };
  return senseStage(context);
}

async function unmet(window: string, ...resolved: ResolvedCondition[]): Promise<AlmanacError> {
  const thrown = await sense(window, ...resolved).then(
    () => undefined,
    (error: unknown) => error,
  );
  if (thrown instanceof AlmanacError && thrown.code === 'sense.unmet') return thrown;
  throw new Error(`the stage was to find something unmet, and ended with ${String(thrown)}`);
}

/** Accepts a window; `noted` in the catalog as well, which may be lost. */
async function accept(pipeline: string, window: string, dataset: string, { tainted = false, noted = true } = {}): Promise<VersionRef> {
  const run = { pipeline, window, branch: 'main', generation: 1 };
  const manifest = await datasets.commit({
    dataset,
    window,
    key: `${dataset}1`,
    digest: `d-${window}`,
    columns: [],
    files: [],
    rowsIn: 0,
    provenance: { run, stage: 's', attempt: 1, stageHash: 'h', inputs: [] },
  });
  const version = { dataset, window, version: manifest.version, digest: manifest.digest };
  const set = await datasets.accept({
    pipeline,
    branch: 'main',
    window,
    run,
    versions: [version],
    gates: {},
    ...(tainted ? { tainted: true } : {}),
  });
  if (noted) await recordAccepted(database.pool, set);
  return version;
}

async function claim(pipeline: string, window: string): Promise<void> {
  await database.pool.query("insert into almanac.plan (hash, pipeline, body) values ('p', 'x', '{}') on conflict do nothing");
  await claimRun(database.pool, {
    run: { pipeline, window, branch: 'main', generation: 1 },
    claim: 'c',
    planHash: 'p',
    pins: {},
    bootstrap: false,
    origin: false,
    pinsTainted: false,
    matrix: {},
    verb: 'run',
    who: 'test',
    now: NOW,
  });
}

test('the 24 accepted hours of a day: names the missing ones, then pins every version', async () => {
  const hours = enumerate(HOUR, '20261120T0000Z-PT1H', '20261120T2300Z-PT1H').map(({ key }) => key);
  const hourly: ResolvedCondition = { kind: 'accepted', pipeline: 'hourly', window: HOUR, windows: 'same' };
  const [last = '', ...others] = [...hours].reverse();
  const [late = '', ...rest] = others;
  for (const hour of rest) await accept('hourly', hour, 'counts');
  await claim('hourly', late);
  const failure = await unmet('2026-11-20', hourly);
  expect(failure.message).toBe(
    `What stage wait waits for has not come: 2 of 24 windows of hourly are not accepted: ${late} (its run is claimed since 2026-11-21T06:00:00.000Z), ${last} (it never ran).`,
  );
  expect(failure.next).toBe(`almanac why hourly/${late}; then: almanac retry ours/2026-11-20 --stage wait --reason …`);
  expect(failure.details).toMatchObject({ stage: 'wait', unmet: [{ missing: [late, last], count: 2 }] });
  for (const hour of [late, last]) await accept('hourly', hour, 'counts');
  const { sensed, versions, tainted } = await sense('2026-11-20', hourly);
  expect(sensed?.map((found) => (found.kind === 'accepted' ? [found.window, found.sequence] : []))).toEqual(hours.map((hour) => [hour, 1]));
  expect(sensed?.[3]).toMatchObject({ versions: [{ dataset: 'counts', window: hours[3], digest: `d-${hours[3]}` }] });
  // They are another pipeline's: accepted with nothing of ours.
  expect([versions, tainted]).toEqual([[], undefined]);
});

test('of a day of ten-minute windows a look reads a few, however many are there; a catalog that was lost is made up for', async () => {
  const tens: WindowSpec = { every: 'minutes', minutes: 10 };
  const windows = enumerate(tens, '20261119T0000Z-PT10M', '20261119T2350Z-PT10M').map(({ key }) => key);
  const [last = '', ...others] = [...windows].reverse();
  for (const [at, window] of others.entries()) await accept('tens', window, 'ticks', { noted: at < 100 });
  const condition: ResolvedCondition = { kind: 'accepted', pipeline: 'tens', window: tens, windows: 'same', dataset: 'ticks' };
  const real = store;
  let asked = 0;
  store = { ...real, get: (path) => ((asked += 1), real.get(path)), list: (prefix) => ((asked += 1), real.list(prefix)) };
  datasets = createDatasetStore(store, clock);
  expect((await unmet('2026-11-19', condition)).details).toMatchObject({ unmet: [{ count: expect.any(Number) as number }] });
  // The head of the chain, and the folder and the set of sixteen windows.
  expect(asked).toBeLessThanOrEqual(2 + 2 * 16);
  await accept('tens', last, 'ticks');
  asked = 0;
  const { sensed } = await sense('2026-11-19', condition);
  expect(sensed?.map((one) => (one.kind === 'accepted' ? one.window : ''))).toEqual(windows);
  expect(asked).toBeLessThanOrEqual(2 * 144 + (2 * 144) / 16);
});

test('a window of which only a revocation is known is not accepted; a tainted one taints', async () => {
  const daily: ResolvedCondition = { kind: 'accepted', pipeline: 'daily', window: DAY, windows: 'previous' };
  await datasets.revoke({ pipeline: 'daily', window: '2026-11-19', branch: 'main', generation: 1 });
  expect((await unmet('2026-11-20', daily)).message).toContain('daily/2026-11-19 is not accepted: it never ran');
  await accept('daily', '2026-11-18', 'rows', { tainted: true });
  expect(await sense('2026-11-19', daily)).toMatchObject({ tainted: true, sensed: [{ window: '2026-11-18' }] });
});

describe('publications', () => {
  const live: ResolvedCondition = { kind: 'published', pipeline: 'shows', window: DAY, windows: 'same', table: 'shown' };

  async function publication(window: string, state: string, generation: number): Promise<number> {
    const { rows } = await database.pool.query<{ id: number }>(
      `insert into almanac.publication (pipeline, branch, window_key, window_end, generation, stage, accepted_sequence, content, gates, versions, tables, state,
         attempt, fence, backend_pid, backend_start, opened_at)
       values ('shows', 'main', $1, now(), $3, 'publish', 1, 'c', '{}', '{}', '{"shown": {}}', $2, 1, gen_random_uuid(), 1, now(), now()) returning id`,
      [window, state, generation],
    );
    return Number(rows[0]?.id);
  }
  const event = (id: number, name: string): Promise<unknown> =>
    database.pool.query(
      "insert into almanac.publication_event (at, publication, event, who, detail) values (now(), $1, $2, 'test', '{}')",
      [id, name],
    );

  test.each(['live', 'retired', 'superseded'])('one that is %s holds and is pinned by its number', async (state) => {
    const window = `2026-10-${state.length + 10}`;
    const id = await publication(window, state, 1);
    await publication(window, 'failed', 2);
    expect((await sense(window, live)).sensed).toEqual([{ kind: 'published', pipeline: 'shows', window, publication: id }]);
  });

  test('one that is loading, withdrawn, or collected after that does not', async () => {
    expect((await unmet('2026-09-01', live)).message).toContain('shows/2026-09-01 is not published in shown: it never ran');
    const id = await publication('2026-09-02', 'loading', 1);
    expect((await unmet('2026-09-02', live)).message).toContain(`its publication ${id} is loading`);
    const withdrawn = await publication('2026-09-03', 'collected', 1);
    await event(withdrawn, 'withdrawn');
    await event(withdrawn, 'collected');
    expect((await unmet('2026-09-03', live)).message).toContain(`its publication ${withdrawn} was withdrawn`);
    expect((await unmet('2026-09-03', live)).next).toMatch(/^almanac why shows\/2026-09-03; then: almanac retry /);
    await event(withdrawn, 'restored');
    expect((await sense('2026-09-03', live)).sensed).toHaveLength(1);
  });
});

describe('landing', () => {
  function land(folder: string, name: string, minutesAgo: number): void {
    const directory = path.join(root, 'landing', 'feed', folder);
    mkdirSync(directory, { recursive: true });
    writeFileSync(path.join(directory, name), 'x\n');
    const at = new Date(NOW.getTime() - minutesAgo * 60_000);
    utimesSync(path.join(directory, name), at, at);
  }

  test('a marker in the folder of the window, or in one that is named', async () => {
    const marker: ResolvedCondition = { kind: 'marker', landing: 'feed', file: '_SUCCESS' };
    expect((await unmet('2026-11-20', marker)).message).toContain('landing/feed/dt=2026-11-20 is missing or empty');
    land('dt=2026-11-20', 'a.csv', 5);
    expect((await unmet('2026-11-20', marker)).next).toBe(
      `see that ${path.join(root, 'landing/feed/dt=2026-11-20/_SUCCESS')} is written; then: almanac retry ours/2026-11-20 --stage wait --reason …`,
    );
    land('dt=2026-11-20', '_SUCCESS', 1);
    expect((await sense('2026-11-20', marker)).sensed).toEqual([
      {
        kind: 'marker',
        folder: 'landing/feed/dt=2026-11-20',
        count: 1,
        bytes: 2,
        newest: '2026-11-21T05:59:00.000Z',
        files: ['_SUCCESS'],
      },
    ]);
    land('done/2026-11-20', '_SUCCESS', 1);
    expect((await sense('2026-11-20', { ...marker, folder: 'done/{window}' })).sensed).toMatchObject([
      { folder: 'landing/feed/done/2026-11-20' },
    ]);
  });

  test('quiet, by the times the store tells', async () => {
    const quiet: ResolvedCondition = { kind: 'quiet', landing: 'feed', minutes: 10 };
    land('dt=2026-11-20', 'a.csv', 60);
    land('dt=2026-11-20', '.b.csv.part', 9);
    expect((await unmet('2026-11-20', quiet)).message).toContain(
      'landing/feed/dt=2026-11-20 is not quiet for 10 minutes: .b.csv.part changed at 2026-11-21T05:51:00.000Z',
    );
    land('dt=2026-11-20', '.b.csv.part', 10);
    expect((await sense('2026-11-20', quiet)).sensed).toMatchObject([{ kind: 'quiet', count: 2, newest: '2026-11-21T05:50:00.000Z' }]);
  });
});

test('of several conditions all that are unmet are named, and one is enough to wait', async () => {
  const daily: ResolvedCondition = { kind: 'accepted', pipeline: 'there', window: DAY, windows: 'same' };
  await accept('there', '2026-11-20', 'rows');
  const failure = await unmet('2026-11-20', daily, { ...daily, pipeline: 'absent' }, { kind: 'marker', landing: 'feed', file: '_SUCCESS' });
  expect(failure.message).toBe(
    'What stage wait waits for has not come: absent/2026-11-20 is not accepted: it never ran; landing/feed/dt=2026-11-20 is missing or empty.',
  );
});

test('it waits as one attempt, is told apart in the metrics, and hands on the taint of what it found', async () => {
  const { plan } = planOf({ kind: 'accepted', pipeline: 'origin', window: DAY, windows: 'same' });
  await claim('ours', '2026-11-20');
  const run = { pipeline: 'ours', window: '2026-11-20', branch: 'main', generation: 1 };
  const metrics = new StageMetrics();
  const stopped = (): Promise<never> => Promise.reject(new Error('only sensing is ordered here'));
  const shell: StageShell = {
    services: { store, datasets, engine: unused, database: database.pool, clock, text: stopped },
    bodies: { ingest: stopped, sense: senseStage, compute: stopped, check: stopped, publish: stopped },
    worker: 'host:1',
    limits: { memoryBytes: 1e9, threads: 1 },
    observer: metrics,
    plan: () => Promise.resolve(plan),
    point: () => Promise.resolve(),
  };
  const order = (): Promise<unknown> =>
    new MockActivityEnvironment().run(() =>
      runStage(shell, { run, claim: 'c', planHash: 'p', stage: 'wait', epoch: 1, patienceSeconds: 7200 }),
    );
  await expect(order()).rejects.toMatchObject({ type: 'sense.unmet', nonRetryable: false });
  await expect(order()).rejects.toMatchObject({ type: 'sense.unmet', nonRetryable: false });
  expect(await listAttempts(database.pool, run)).toMatchObject([
    { attempt: 1, kind: 'sense', state: 'waiting', polls: 2, waitingSince: NOW.toISOString(), waitsUntil: '2026-11-21T08:00:00.000Z' },
  ]);
  await accept('origin', '2026-11-20', 'rows', { tainted: true });
  await order();
  expect(await listAttempts(database.pool, run)).toMatchObject([
    { attempt: 1, state: 'succeeded', tainted: true, output: { sensed: [{ pipeline: 'origin' }] } },
  ]);
  expect(await metrics.registry.metrics()).toContain(
    'almanac_stage_duration_seconds_count{pipeline="ours",stage="wait",kind="sense",engine="none",outcome="succeeded"} 1',
  );
});
