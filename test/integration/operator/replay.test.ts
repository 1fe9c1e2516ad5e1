import fc from 'fast-check';
import { recordAccepted, recordVersion } from '../../../activities/storage/catalog';
import { migrate } from '../../../lib/migrate';
import { listQuarantine } from '../../../operator/quarantine';
import { replayQuarantine, type ReplayAnswer, type ReplayServices } from '../../../operator/replay';
import { reindexDatasets } from '../../../operator/datasets';
import { findStale } from '../../../operator/stale';
import type { Manifest } from '../../../activities/storage/manifest';
import { AlmanacError } from '../../../pipelines/failures';
import { staleText } from '../../../pipelines/stale';
import { IngestBench, LIMITS, type IngestResult } from '../../support/ingest';
import { testDatabase, type TestDatabase } from '../../support/postgres';

const DAYS = ['2026-03-10', '2026-03-11', '2026-03-12', '2026-03-13'];
const [FIRST = '', SECOND = '', THIRD = ''] = DAYS;

jest.setTimeout(120_000);

let database: TestDatabase;
let bench: IngestBench;
let generation = 0;
beforeAll(async () => {
  database = await testDatabase();
  await migrate(database.pool);
  bench = new IngestBench();
});
beforeEach(async () => {
  bench.clear();
  await database.pool.query(
    'truncate almanac.dataset_version, almanac.version_input, almanac.accepted_set, almanac.replay, almanac.action cascade',
  );
});
afterAll(async () => {
  await bench.close();
  await database[Symbol.asyncDispose]();
});

function services(): ReplayServices {
  const pipeline = { spec: { window: { every: 'day', timezone: 'UTC' }, datasets: { events: {} } } };
  const project = { pipelines: new Map([['test', pipeline]]), pipeline: () => pipeline };
  return {
    config: { worker: { ...LIMITS, places: 1 }, actor: 'tester' } as unknown as ReplayServices['config'],
    database: database.pool,
    store: bench.store,
    datasets: bench.datasets,
    engine: bench.engine,
    clock: { now: () => new Date() },
    project: () => Promise.resolve(project as unknown as Awaited<ReturnType<ReplayServices['project']>>),
  };
}

/** A run of one day as far as its ingest: the version is accepted. */
async function run(window: string, bootstrap = false): Promise<IngestResult> {
  generation += 1;
  const result = await bench.ingest({ window, generation, bootstrap });
  await recordVersion(database.pool, result.manifest);
  const set = { pipeline: 'test', branch: 'main', window, run: { pipeline: 'test', window, branch: 'main', generation }, gates: {} };
  await recordAccepted(database.pool, await bench.datasets.accept({ ...set, versions: result.output.versions }));
  return result;
}

function land(window: string, rows: readonly string[]): void {
  bench.land('a.csv', ['user_id,segment_id,ts', ...rows, ''].join('\n'), window);
}

function replay(window: string, dryRun = false): Promise<ReplayAnswer> {
  return replayQuarantine(services(), { source: 'events', window, dryRun, reason: 'late delivery' });
}

async function stale(): Promise<string[]> {
  return (await findStale(database.pool)).map(({ window }) => window);
}

test('windows of rows delivered on any day equal those of rows delivered on their own, once all are replayed, in any order and however often', async () => {
  const event = fc.record({
    own: fc.nat({ max: DAYS.length - 1 }),
    delivered: fc.nat({ max: DAYS.length - 1 }),
    user: fc.constantFrom('ann', 'bob', '"x,1"', 'Zoë', ''),
    segment: fc.constantFrom('1', '9007199254740993', '-3'),
    second: fc.constantFrom('00:00:00', '00:00:00.000001', '12:30:00.5', '23:59:59.999999'),
  });
  const order = fc.array(fc.nat({ max: DAYS.length - 1 }), { minLength: 2, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(fc.array(event, { maxLength: 14 }), order, async (events, replays) => {
      bench.clear();
      await database.pool.query('truncate almanac.dataset_version, almanac.accepted_set, almanac.replay cascade');
      const text = ({ own, user, segment, second }: (typeof events)[number]): string => `${user},${segment},${DAYS[own]}T${second}`;
      const digests = async (day: (one: (typeof events)[number]) => number): Promise<string[]> => {
        const found: string[] = [];
        for (const [index, window] of DAYS.entries()) {
          land(window, events.filter((one) => day(one) === index).map(text));
          found.push((await run(window)).manifest.digest);
        }
        return found;
      };
      const clean = await digests(({ own }) => own);
      await digests(({ delivered }) => delivered);
      for (const index of [...replays, ...DAYS.keys()]) await replay(DAYS[index] ?? '').catch(onlyNothing);
      // The windows run again in order; a second replay finds nothing left.
      const again: string[] = [];
      for (const window of DAYS) again.push((await run(window)).manifest.digest);
      for (const window of DAYS) expect((await replay(window).catch(onlyNothing))?.windows ?? []).toEqual([]);
      expect(again).toEqual(clean);
      const { manifest } = await run(DAYS.at(-1) ?? '', true);
      expect(manifest.rows).toBe(events.filter(({ user }) => user !== '').length);
    }),
    { numRuns: 5 },
  );
});

function onlyNothing(error: unknown): undefined {
  if (!(error instanceof AlmanacError) || error.code !== 'quarantine.nothing') throw error;
}

test('a replay says what it brings where, makes that window stale, and leaves the rows in quarantine with a mark', async () => {
  land(FIRST, ['ann,1,2026-03-10T10:00:00']);
  land(SECOND, [
    'bob,2,2026-03-11T10:00:00',
    'late,3,2026-03-10T11:00:00',
    'late,3,2026-03-10T11:00:00',
    'early,4,2026-03-12T00:00:00',
    'bad',
  ]);
  await run(FIRST);
  const second = await run(SECOND);
  const preview = await replay(SECOND, true);
  expect(preview.windows).toMatchObject([
    {
      dataset: 'events',
      window: FIRST,
      rows: 2,
      reasons: { late: 2 },
      state: 'accepted',
      replay: null,
      next: `almanac run test --window ${FIRST} --again --reason …`,
    },
    { dataset: 'events', window: THIRD, rows: 1, reasons: { early: 1 }, state: 'not run', next: `almanac run test --window ${THIRD}` },
  ]);
  expect(await bench.store.list('replays/')).toEqual([]);
  expect(await stale()).toEqual([]);
  const answer = await replay(SECOND);
  expect(answer.windows.map(({ replay: path }) => path)).toEqual([
    expect.stringMatching(`^replays/events/${FIRST}/000001-[0-9a-f]{8}.parquet$`),
    expect.stringMatching(`^replays/events/${THIRD}/000001-[0-9a-f]{8}.parquet$`),
  ]);
  expect((await findStale(database.pool)).map((window) => [window.window, staleText(window)])).toEqual([
    [FIRST, 'rows of events were replayed into it since'],
  ]);
  const first = await run(FIRST);
  expect(first.accepted).toHaveLength(3);
  expect(first.manifest).toMatchObject({
    rowsIn: 3,
    provenance: { landing: [{ path: `landing/events/dt=${FIRST}/a.csv` }, { path: answer.windows[0]?.replay }] },
  });
  expect(await stale()).toEqual([]);
  // Nothing of the quarantine is lost: neither its version nor what a new reading of the same files puts aside.
  expect((await bench.datasets.manifest(second.manifest)).quarantine?.rows).toEqual({ early: 1, late: 2, malformed: 1 });
  const views = await listQuarantine(services(), { window: SECOND, limit: 10, samples: 0 });
  expect(
    views.map(({ reason, source, rows, replayed }) => [reason, source, rows, replayed.map((to) => [to.window, to.rows, to.who])]),
  ).toEqual([
    ['early', 'landing/events', 1, [[THIRD, 1, 'tester']]],
    ['late', 'landing/events', 2, [[FIRST, 2, 'tester']]],
    ['malformed', 'landing/events', 1, []],
  ]);
});

test('a file that grew gives only its new late rows; the same rows are not replayed twice', async () => {
  land(SECOND, ['late,3,2026-03-10T11:00:00']);
  await run(SECOND);
  await replay(SECOND);
  land(SECOND, ['new,1,2026-03-11T11:00:00', 'late,3,2026-03-10T11:00:00', 'late,4,2026-03-10T11:00:00']);
  await run(SECOND);
  const answer = await replay(SECOND);
  expect(answer).toMatchObject({ before: 1, windows: [{ window: FIRST, rows: 1 }] });
  land(FIRST, []);
  expect((await run(FIRST)).accepted.map((row) => row['segment_id'])).toEqual(['3', '4']);
});

test('of eight replays at once each row goes in once', async () => {
  land(
    SECOND,
    Array.from({ length: 20 }, (_, n) => `late${n},3,2026-03-10T11:00:00`),
  );
  await run(SECOND);
  const answers = await Promise.all(Array.from({ length: 8 }, () => replay(SECOND)));
  expect(answers.flatMap(({ windows }) => windows).reduce((sum, { rows }) => sum + rows, 0)).toBe(20);
  land(FIRST, []);
  expect((await run(FIRST)).accepted).toHaveLength(20);
});

test('a rebuilt catalog knows the replays and what was read without them', async () => {
  land(FIRST, ['ann,1,2026-03-10T10:00:00']);
  land(SECOND, ['late,3,2026-03-10T11:00:00']);
  await run(FIRST);
  await run(SECOND);
  await replay(SECOND);
  await reindexDatasets(services());
  expect(await stale()).toEqual([FIRST]);
  expect((await listQuarantine(services(), { window: SECOND, limit: 10, samples: 0 }))[0]?.replayed).toMatchObject([
    { window: FIRST, rows: 1 },
  ]);
  expect((await run(FIRST)).manifest satisfies Manifest).toMatchObject({ rows: 2 });
  expect(await stale()).toEqual([]);
});

test('a window without early or late rows has nothing to replay', async () => {
  land(FIRST, ['ann,1,2026-03-10T10:00:00', 'bad']);
  await run(FIRST);
  await expect(replay(FIRST)).rejects.toMatchObject({
    code: 'quarantine.nothing',
    next: 'almanac quarantine list --source events lists what is put aside',
  });
});
