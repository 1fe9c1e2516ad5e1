import type { BackfillRow } from '../../activities/ledger/backfills';
import type { BackfillProof } from '../../operator/backfills/step';
import type { BackfillView } from '../../operator/backfills/verbs';
import { ADD, BackfillScenario, day, LANES, widest } from '../support/backfill-scenario';
import { until } from '../support/until';

jest.setTimeout(900_000);

const DAYS = 30;
const SEED = 20_251_121;
const SOON_MS = 240_000;
/** After a cancel was proved; the whole watches for ten seconds. */
const WATCH_MS = 3000;

let scenario: BackfillScenario;
/** The undisturbed build of the same days, which goes on while other tests run. */
let clean: string;

beforeAll(async () => {
  scenario = await BackfillScenario.create(DAYS, SEED);
});
afterAll(() => scenario?.[Symbol.asyncDispose]());

function show(hash: string): Promise<BackfillView> {
  return scenario.stack.json<BackfillView>('backfill', 'show', hash);
}

test('an ordered range is built window by window, over a plan that drifted, a broken input, killed workers and a pause', async () => {
  const planned = await scenario.plan('broken', 1, DAYS);
  expect(planned.plan.windows.map(({ window }) => window)).toEqual(Array.from({ length: DAYS }, (_, index) => day(index + 1)));
  expect(planned.plan.windows[0]?.stages.map(({ reason }) => reason)).toEqual(['missing', 'missing']);
  expect(planned.estimate).toMatchObject({ minutes: null, noHistory: ['read', 'add'] });
  expect(await scenario.spans('broken')).toEqual([]);

  const report = await scenario.build();
  expect(report.drift).toMatch(new RegExp(`^backfill\\.drift: .*${day(1)}`));
  expect(report).toMatchObject({ pauses: 1, halts: 1, widest: 1 });
  expect(report.kills).toHaveLength(2);
  expect(report.windows).toEqual(Array.from({ length: DAYS - 1 }, (_, index) => day(index + 2)));
  expect(report.ran).toEqual([day(1), ...report.windows]);
  const done = await show(report.hash);
  expect(done.counts.done).toBe(DAYS - 1);
  expect(done.events.map(({ verb }) => verb).sort()).toEqual(['done', 'halted', 'pause', 'paused', 'resume', 'resume', 'start']);
  expect(await scenario.stack.failure('backfill', 'start', report.hash)).toMatchObject({ code: 'backfill.state', exitCode: 5 });
  clean = (await scenario.plan('clean', 1, DAYS)).hash;
  await scenario.start(clean);
});

test('an independent range runs as wide as it is told, backward when asked, and narrower from when it is told', async () => {
  const windows = 18;
  const { hash } = await scenario.plan('wide', 1, windows, '--concurrency', '3', '--order', 'backward');
  await scenario.start(hash);
  await until('six windows are done', async () => (await scenario.done(hash)) >= 6, SOON_MS);
  await scenario.stack.ok('backfill', 'set', hash, '--concurrency', '2', '--reason', 'gently');
  const narrowed = Date.now();
  await scenario.reaches(hash, 'done');
  const runs = await scenario.spans('wide');
  expect(runs).toHaveLength(windows);
  expect(runs[0]?.window).toBe(day(windows));
  expect(widest(runs)).toBe(3);
  // What was open then ends as it was begun; from there on there are two.
  const open = runs.filter(({ from, to }) => from <= narrowed && to > narrowed);
  const after = runs.filter(({ from }) => from > Math.max(narrowed, ...open.map(({ to }) => to)));
  expect(after.length).toBeGreaterThan(2);
  expect(widest(after)).toBe(2);
});

test('a live run is done while stages of backfills compute; cancel stops those and proves it', async () => {
  const { hash } = await scenario.plan('slow', 1, 6, '--concurrency', '2');
  await scenario.start(hash);
  const computing = (): Promise<object[]> =>
    scenario.rows("select from almanac.attempt where pipeline = 'slow' and state = 'running' and child is not null");
  await until('two windows compute', async () => (await computing()).length === 2, SOON_MS, 250);
  await scenario.liveStarts(0, (count) => count === 1);
  expect(await computing()).toHaveLength(2);
  const cancelled = await scenario.stack.json<BackfillRow>('backfill', 'cancel', hash, '--reason', 'wrong params');
  expect(cancelled.state).toBe('quiesced');
  const proof = cancelled.proof as BackfillProof;
  expect(proof.runs.map(({ state }) => state)).toEqual(['cancelled', 'cancelled']);
  expect(proof.runs.flatMap(({ attempts }) => attempts.map(({ ended }) => ended))).not.toContain('fenced');
  expect(proof.neverBegun).toHaveLength(4);
  expect(await scenario.stack.failure('backfill', 'resume', hash, '--reason', 'again')).toMatchObject({ code: 'backfill.state' });
  // What was cancelled is missing: it is planned anew, under another hash.
  expect((await scenario.plan('slow', 1, 6)).plan.windows).toHaveLength(6);
});

test('after a cancel at a random moment nothing changes any more', async () => {
  const reports = await Promise.all(LANES.slice(0, 3).map((lane) => scenario.cancel(lane, WATCH_MS)));
  for (const { state, complaints } of reports) expect([state, complaints]).toEqual([expect.stringMatching(/^(quiesced|done)$/), []]);
});

test('the disturbed build equals the undisturbed one', async () => {
  await scenario.reaches(clean, 'done');
  expect(await scenario.digests('clean')).toHaveLength(DAYS);
  expect(await scenario.digests('broken')).toEqual(await scenario.digests('clean'));
});

test('what other code or other rows leave stale is found with its reason, and repaired as planned', async () => {
  const changed = (await scenario.plan('broken', DAYS, DAYS, '--reprocess', 'all')).hash;
  scenario.project.write({ 'pipelines/broken/sql/add.sql': `${ADD}\nhaving sum(n) > 0` });
  const failure = await scenario.stack.failure('backfill', 'start', changed);
  expect(failure).toMatchObject({ code: 'backfill.drift', exitCode: 5 });
  expect(failure.message).toMatch(new RegExp(`${day(DAYS)} add: code [0-9a-f]{12} → [0-9a-f]{12}`));
  const stale = await scenario.plan('broken', DAYS, DAYS, '--reprocess', 'stale');
  expect(stale.plan.windows[0]).toMatchObject({ stages: [{ stage: 'add', reason: 'code changed' }], carried: [{ stage: 'read' }] });
  await scenario.start(stale.hash);
  await scenario.reaches(stale.hash, 'done');
  expect(
    await scenario.rows(
      "select stage, state from almanac.attempt where pipeline = 'broken' and window_key = $1 and generation = 2 order by stage",
      day(DAYS),
    ),
  ).toEqual([
    { stage: 'add', state: 'succeeded' },
    { stage: 'read', state: 'carried' },
  ]);
  // Other rows of a day leave the days after it stale, which the same mode repairs.
  scenario.stack.land('plays', day(DAYS - 1), 'b.csv', `user_id,ts\neve,${day(DAYS - 1)}T11:00:00\n`);
  await scenario.stack.ok('run', 'broken', '--window', day(DAYS - 1), '--again', '--wait');
  const repair = await scenario.plan('broken', DAYS - 1, DAYS, '--reprocess', 'stale');
  expect(repair.plan.windows).toMatchObject([{ window: day(DAYS), stages: [{ stage: 'add', reason: 'input changed' }] }]);
  await scenario.start(repair.hash);
  await scenario.reaches(repair.hash, 'done');
  expect(await scenario.stack.json('backfill', 'stale', 'broken')).toEqual([]);
  expect(await scenario.stack.failure('backfill', 'plan', 'clean', '--from', day(1), '--to', day(2), '--concurrency', '2')).toMatchObject({
    code: 'run.usage',
  });
  expect(await scenario.stack.failure('backfill', 'show', 'nope')).toMatchObject({ code: 'backfill.unknown', exitCode: 4 });
});
