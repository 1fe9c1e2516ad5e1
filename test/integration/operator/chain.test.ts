import { recordAccepted } from '../../../activities/storage/catalog';
import { retryRun } from '../../../operator/runs/retry';
import { startRun, type RunAnswer } from '../../../operator/runs/start';
import { RUN_STATES, type RunState } from '../../../pipelines/status';
import type { RunRef } from '../../../pipelines/types';
import { ForeignProject, PLAYS } from '../../support/foreign-project';
import { operatorSession, type TestSession } from '../../support/operator-session';

let project: ForeignProject;
let session: TestSession;
beforeAll(() => {
  project = new ForeignProject(PLAYS);
});
beforeEach(async () => {
  session = await operatorSession(project.directory);
});
afterEach(() => session[Symbol.asyncDispose]());
afterAll(() => project[Symbol.dispose]());

const run = (day: number, options: { bootstrap?: boolean; again?: boolean } = {}): Promise<RunAnswer> =>
  startRun(session, { pipeline: 'plays', window: `2026-01-0${day}`, ...options });

/** What its workers would have brought the newest generation of a window to. */
async function becomes(day: number, state: RunState): Promise<void> {
  if (!RUN_STATES[state].open) await (await session.temporal()).workflow.getHandle(`plays/2026-01-0${day}`).terminate();
  await session.database.query(
    `update almanac.run set state = $2, ended_at = case when $2 in ('held', 'running') then null else now() end
     where window_key = $1 and generation = (select max(generation) from almanac.run where window_key = $1)`,
    [`2026-01-0${day}`, state],
  );
}

/** An accepted set without versions: of the chain only its existence matters here. */
async function accept(ref: RunRef, facts: { origin?: true; bootstrap?: true }): Promise<void> {
  const set = await session.datasets.accept({
    pipeline: ref.pipeline,
    branch: ref.branch,
    window: ref.window,
    run: ref,
    versions: [],
    gates: {},
    ...facts,
  });
  await recordAccepted(session.database, set);
}

test('the first run of a chain is its origin, and says so', async () => {
  expect(await run(1)).toMatchObject({ did: 'started', origin: true });
});

test.each<[RunState, string]>([
  ['claimed', 'almanac run plays --window 2026-01-01 --wait'],
  ['running', 'almanac run plays --window 2026-01-01 --wait'],
  ['held', 'almanac retry plays/2026-01-01 --reason …'],
  ['lost', 'almanac retry plays/2026-01-01 --reason …'],
])('while the origin is %s the next window is no second one', async (state, next) => {
  await run(1);
  await becomes(1, state);
  await expect(run(2)).rejects.toMatchObject({
    code: 'chain.gap',
    message: expect.stringContaining(`2026-01-01, whose run is ${state}`),
    next: expect.stringContaining(next),
  });
  expect((await session.database.query('select from almanac.run')).rowCount).toBe(1);
});

test('a bootstrap before an origin that is not accepted yet is refused: that one would begin from nothing beside it', async () => {
  await run(2);
  await becomes(2, 'held');
  await expect(run(1, { bootstrap: true })).rejects.toMatchObject({
    code: 'chain.gap',
    next: expect.stringContaining('almanac abandon plays/2026-01-02 --reason …'),
  });
  await becomes(2, 'abandoned');
  expect(await run(1, { bootstrap: true })).toMatchObject({ did: 'started', origin: true });
});

test('a window before an origin that is not accepted yet is refused, and told the way out', async () => {
  await run(2);
  await becomes(2, 'held');
  await expect(run(1)).rejects.toMatchObject({
    code: 'chain.gap',
    message: expect.stringContaining('lies before'),
    next: expect.stringMatching(/almanac abandon plays\/2026-01-02 --reason …/),
  });
});

test.each<RunState>(['cancelled', 'abandoned'])(
  'an origin that was %s holds no place: another window may begin the chain',
  async (state) => {
    await run(1);
    await becomes(1, state);
    expect(await run(2)).toMatchObject({ did: 'started', origin: true });
    // The one given up does not come back as a second origin, whichever verb asks.
    await expect(run(1, { again: true })).rejects.toMatchObject({ code: 'chain.gap' });
    for (const inputs of ['latest', 'pinned'] as const) {
      await expect(
        retryRun(session, { address: { pipeline: 'plays', window: '2026-01-01', branch: 'main' }, reason: 'again', inputs }),
      ).rejects.toMatchObject({ code: 'chain.gap' });
    }
  },
);

test('the origin itself is run again as the origin', async () => {
  await run(1);
  await becomes(1, 'abandoned');
  expect(await run(1, { again: true })).toMatchObject({ did: 'started', origin: true, run: { generation: 2 } });
});

test('an origin that was bootstrapped is not run again from nothing', async () => {
  const first = await run(1, { bootstrap: true });
  await accept(first.run, { origin: true, bootstrap: true });
  await becomes(1, 'succeeded');
  await expect(run(1, { again: true })).rejects.toMatchObject({
    code: 'chain.gap',
    next: 'almanac run plays --window 2026-01-01 --again --bootstrap',
  });
  expect(await run(1, { again: true, bootstrap: true })).toMatchObject({ did: 'started', origin: true });
});

test('of first runs of different windows at once, one is the origin', async () => {
  const answers = await Promise.allSettled([1, 2, 3, 4, 5, 6].map((day) => run(day)));
  expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  for (const answer of answers) if (answer.status === 'rejected') expect(answer.reason).toMatchObject({ code: 'chain.gap' });
  expect((await session.database.query('select from almanac.run where origin')).rowCount).toBe(1);
});
