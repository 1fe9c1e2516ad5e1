import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { forgetVersions, recordAccepted, recordVersion, reindex } from '../../../activities/storage/catalog';
import { renderStale } from '../../../cli/render-stale';
import { renderRun, renderRuns } from '../../../cli/render-run';
import { lineageOf } from '../../../operator/dataset-lineage';
import { runLogs, runs, showRun, whyRun } from '../../../operator/runs/inspect';
import { retryRun } from '../../../operator/runs/retry';
import { startRun, type RunAnswer } from '../../../operator/runs/start';
import { listStale } from '../../../operator/stale';
import { parseRun } from '../../../pipelines/parse-run';
import type { RunRef, VersionRef } from '../../../pipelines/types';
import { ForeignProject, PLAYS } from '../../support/foreign-project';
import { operatorSession, type TestSession } from '../../support/operator-session';

const COLUMNS = [
  { name: 'user_id', type: 'text' },
  { name: 'plays', type: 'bigint' },
  { name: 'share', type: 'double' },
] as const;

let project: ForeignProject;
let session: TestSession;
beforeAll(() => {
  project = new ForeignProject(PLAYS);
});
/** Three days, each built on the one before. */
beforeEach(async () => {
  session = await operatorSession(project.directory);
  for (const day of [1, 2, 3]) await done(await run(day), `rows ${day}`);
});
afterEach(() => session[Symbol.asyncDispose]());
afterAll(() => project[Symbol.dispose]());

const windowOf = (day: number): string => `2026-01-0${day}`;

function run(day: number, again = false): Promise<RunAnswer> {
  return startRun(session, { pipeline: 'plays', window: windowOf(day), again });
}

/** What the workers of a started run would have done: its state is written, accepted, and the run is closed. */
async function done({ run: ref }: RunAnswer, digest: string): Promise<VersionRef> {
  const { rows } = await session.database.query<{ pins: Record<string, VersionRef> }>(
    'select pins from almanac.run where window_key = $1 and generation = $2',
    [ref.window, ref.generation],
  );
  const file = path.join(await session.store.scratch(), 'x');
  writeFileSync(file, digest);
  const manifest = await session.datasets.commit({
    dataset: 'totals',
    window: ref.window,
    key: `t${ref.generation}`,
    digest,
    columns: COLUMNS,
    buckets: { by: 'user_id', count: 4 },
    files: [{ file, rows: 1 }],
    rowsIn: 1,
    provenance: { run: ref, stage: 'add', attempt: 1, stageHash: 'h', inputs: Object.values(rows[0]?.pins ?? {}) },
  });
  await recordVersion(session.database, manifest);
  const version = { dataset: 'totals', window: ref.window, version: manifest.version, digest };
  await accept(ref, version);
  return version;
}

async function accept(ref: RunRef, version: VersionRef): Promise<void> {
  const { pipeline, branch, window } = ref;
  const origin = window === windowOf(1) ? { origin: true as const } : {};
  const set = { pipeline, branch, window, run: ref, versions: [version], gates: {}, ...origin };
  await recordAccepted(session.database, await session.datasets.accept(set));
  await (await session.temporal()).workflow.getHandle(`${pipeline}/${window}`).terminate();
  await session.database.query(
    `update almanac.run set state = 'succeeded', ended_at = now() where pipeline = $1 and window_key = $2 and generation = $3`,
    [pipeline, window, ref.generation],
  );
}

test('a new generation is told which later windows were built on what it replaces; the first was not', async () => {
  const names = ({ builtOn }: { builtOn?: readonly { window: string }[] }): string[] => (builtOn ?? []).map(({ window }) => window);
  expect(names(await run(1, true))).toEqual([windowOf(2), windowOf(3)]);
  expect(names(await run(3, true))).toEqual([]);
  expect(names(await retryRun(session, { address: parseRun('plays/2026-01-02'), stages: ['add'], reason: 'test' }))).toEqual([windowOf(3)]);
});

test('the same rows make nothing stale', async () => {
  await done(await run(1, true), 'rows 1');
  expect(await listStale(session)).toEqual([]);
});

test('other rows make all that follow stale, until they are run again in order', async () => {
  await done(await run(1, true), 'other rows');
  const stale = await listStale(session, 'plays');
  expect(stale.map(({ window }) => window)).toEqual([windowOf(2), windowOf(3)]);
  expect(renderStale(stale).split('\n')).toEqual([
    'plays/2026-01-02  built on totals@2026-01-01 as rows 1, which is other rows now',
    'plays/2026-01-03  built on totals@2026-01-02, stale as well',
    'next, in this order:',
    '  almanac run plays --window 2026-01-02 --again --reason …',
    '  almanac run plays --window 2026-01-03 --again --reason …',
    'or a pipeline at once, as planned:',
    '  almanac backfill plan plays --from 2026-01-02 --to 2026-01-03 --reprocess stale',
  ]);
  await done(await run(2, true), 'other rows 2');
  expect((await listStale(session)).map(({ window }) => window)).toEqual([windowOf(3)]);
  await done(await run(3, true), 'other rows 3');
  expect(await listStale(session)).toEqual([]);
});

test('runs, show, why and lineage say what is stale', async () => {
  await done(await run(1, true), 'other rows');
  const listed = await runs(session, { limit: 10 });
  expect(Object.fromEntries(listed.map((row) => [row.run.window, row.stale]))).toEqual({
    [windowOf(1)]: false,
    [windowOf(2)]: true,
    [windowOf(3)]: true,
  });
  expect(renderRuns(listed)).toMatch(/plays\/2026-01-03 .*stale/);
  const view = await showRun(session, parseRun('plays/2026-01-03'));
  expect(view.stale).toMatchObject({ versions: [{ dataset: 'totals', stale: [{ window: windowOf(2) }] }] });
  expect(renderRun(view)).toMatch(/succeeded.*, stale/);
  expect((await showRun(session, parseRun('plays/2026-01-01#1'))).stale).toBeNull();
  expect(await whyRun(session, parseRun('plays/2026-01-03'))).toMatchObject({
    waitsFor: 'nothing: it succeeded, but it is stale: built on totals@2026-01-02, stale as well',
    next: 'almanac run plays --window 2026-01-02 --again --reason …',
  });
  const lineage = await lineageOf(session, { dataset: 'totals', window: windowOf(2), branch: 'main' }, 3);
  expect(lineage.version.stale).toMatchObject({ replaced: [{ window: windowOf(1), built: 'rows 1', current: 'other rows' }] });
  expect(lineage.downstream.map(({ window, stale }) => [window, stale])).toEqual([[windowOf(3), true]]);
});

test('what was read is known after it was collected, and after a reindex', async () => {
  await done(await run(1, true), 'other rows');
  await forgetVersions(session.database, [{ dataset: 'totals', window: windowOf(1), version: 't1' }]);
  expect(await listStale(session)).toHaveLength(2);
  await reindex(session.store, session.database);
  expect(await listStale(session)).toHaveLength(2);
});

test('a pipeline or a stage nobody knows is an error, not an empty answer', async () => {
  await expect(listStale(session, 'plas')).rejects.toMatchObject({ code: 'pipeline.unknown', next: 'Did you mean plays?' });
  await expect(runs(session, { pipeline: 'nope', limit: 1 })).rejects.toMatchObject({ code: 'pipeline.unknown' });
  await expect(runLogs(session, parseRun('plays/2026-01-01'), 'nope')).rejects.toMatchObject({
    code: 'run.usage',
    next: 'use one of: read, add, judge, publish',
  });
});

test('a list of all pipelines takes as a bound what is a window of one of them, and a range that goes forward', async () => {
  expect(await runs(session, { from: windowOf(2), limit: 10 })).toHaveLength(2);
  expect(await runs(session, { from: windowOf(2), to: windowOf(2), limit: 10 })).toHaveLength(1);
  await expect(runs(session, { from: 'yesterday', limit: 10 })).rejects.toMatchObject({ code: 'window.invalid' });
  await expect(runs(session, { to: '2026-1-2', limit: 10 })).rejects.toMatchObject({ code: 'window.invalid' });
  for (const pipeline of [undefined, 'plays'])
    await expect(runs(session, { pipeline, from: windowOf(3), to: windowOf(1), limit: 10 })).rejects.toMatchObject({
      ...{ code: 'window.invalid', message: 'The range from 2026-01-03 to 2026-01-01 is empty: it ends before it starts.' },
      next: 'name the earlier window first: --from 2026-01-01 --to 2026-01-03',
    });
});
