import { drivenBackfills } from '../../../activities/ledger/backfills';
import { listOpenRuns, storePlan } from '../../../activities/ledger/runs';
import { planReader } from '../../../activities/ledger/plans';
import { putSchedule, setPaused } from '../../../activities/ledger/schedules';
import { collectStore } from '../../../activities/storage/collection';
import { reindex } from '../../../activities/storage/catalog';
import { renderBackfill, renderProof } from '../../../cli/render-backfill';
import { discardBackfill } from '../../../operator/backfills/discard';
import { promoteBackfill } from '../../../operator/backfills/promote';
import { makeBackfill } from '../../../operator/backfills/plan';
import { stepBackfill } from '../../../operator/backfills/step';
import { cancelBackfill, resumeBackfill, showBackfill } from '../../../operator/backfills/verbs';
import { listVersions } from '../../../operator/datasets';
import { retryRun } from '../../../operator/runs/retry';
import { startRun } from '../../../operator/runs/start';
import { listStale } from '../../../operator/stale';
import type { AlmanacError } from '../../../pipelines/failures';
import { parseRun } from '../../../pipelines/parse-run';
import { formatRun } from '../../../pipelines/run-id';
import type { RunState } from '../../../pipelines/status';
import { BranchScenario, day } from '../../support/branch-scenario';
import { ForeignProject, PLAYS } from '../../support/foreign-project';
import { operatorSession, type TestSession } from '../../support/operator-session';
import { until } from '../../support/until';

let project: ForeignProject;
let session: TestSession;
let chain: BranchScenario;
beforeAll(() => {
  project = new ForeignProject(PLAYS);
});
/** Six accepted days. */
beforeEach(async () => {
  session = await operatorSession(project.directory);
  chain = new BranchScenario(session);
  await chain.main('old', 1, 2, 3, 4, 5, 6);
});
afterEach(() => session[Symbol.asyncDispose]());
afterAll(() => project[Symbol.dispose]());

const labelled = (labels: readonly string[]): Record<string, string> =>
  Object.fromEntries(labels.map((label, index) => [day(index + 1), label]));
const OLD = labelled(['old', 'old', 'old', 'old', 'old', 'old']);
const NEW = labelled(['old', 'old', 'new', 'new', 'new', 'new']);
const at = (run: string) => parseRun(`plays/${run}`);

class Killed extends Error {}
const killAt = (name: string) => (point: string) => (point === name ? Promise.reject(new Killed(point)) : Promise.resolve());

test('a range with successors is built on a branch with all after it; main reads as before until it is promoted, then it reads the branch', async () => {
  const hash = await chain.started(3, 4);
  await chain.main('old', 7);
  expect(await chain.drive(hash, 'new')).toBe('built');
  expect(await chain.labels()).toEqual({ ...OLD, [day(7)]: 'old' });
  expect(await chain.labels('b1')).toEqual({ ...NEW, [day(7)]: 'new' });
  const promoted = await promoteBackfill(session, hash, 'compared');
  expect(promoted).toMatchObject({ state: 'publishing', reason: 'compared', who: 'tester' });
  expect(await chain.labels()).toEqual({ ...NEW, [day(7)]: 'new' });
  expect(await chain.catalogued()).toEqual(await chain.labels());
  expect(await chain.catalogued('b1')).toEqual({});
  expect(await listStale(session)).toEqual([]);
  expect(await chain.generations(3)).toEqual(['1 run succeeded', '2 promote succeeded']);
  expect(await chain.generations(2)).toEqual(['1 run succeeded']);
  expect(await reindex(session.store, session.database)).toMatchObject({ windows: 7 });
  expect(await chain.catalogued()).toEqual(await chain.labels());
  const versions = await listVersions(session, 'totals', { window: day(3), limit: 10 });
  expect(versions.map(({ run, state }) => [run, state])).toEqual([
    [`plays/${day(3)}~b1#1`, 'current'],
    [`plays/${day(3)}#1`, 'candidate'],
  ]);
  // Live days go on from it, and so does what the operator does.
  await chain.main('newer', 8);
  expect((await chain.row(day(8))).pins.totals?.digest).toContain(`new ${day(7)}`);
  await chain.main('newer', 3);
  expect((await chain.labels())[day(3)]).toBe('newer');
  expect((await listStale(session)).map(({ window }) => window)).toEqual([4, 5, 6, 7, 8].map(day));
});

test.each(['promote:intended', 'promote:judged', 'promote:moved', 'promote:followed'])(
  'a promoter killed at %s leaves one whole head, and whoever comes next makes of it what it is to be',
  async (point) => {
    const hash = await chain.built(3, 4, 'new');
    await expect(promoteBackfill(session, hash, 'compared', killAt(point))).rejects.toThrow(Killed);
    const moved = point === 'promote:moved' || point === 'promote:followed';
    expect(await chain.labels()).toEqual(moved ? NEW : OLD);
    if (moved) await stepBackfill(session, hash);
    else await promoteBackfill(session, hash, 'compared');
    expect(await chain.labels()).toEqual(NEW);
    expect(await chain.catalogued()).toEqual(NEW);
    expect((await chain.generations(4)).filter((name) => name.includes('promote'))).toHaveLength(1);
    await chain.main('live', 7);
    expect(await chain.labels()).toEqual({ ...NEW, [day(7)]: 'live' });
  },
);

test('the first claim after a promoter was killed finishes what it left, and begins from the new head', async () => {
  const hash = await chain.built(3, 4, 'new');
  await expect(promoteBackfill(session, hash, 'compared', killAt('promote:moved'))).rejects.toThrow(Killed);
  await chain.main('live', 7);
  expect((await chain.row(day(7))).pins.totals?.digest).toContain(`new ${day(6)}`);
  expect(await showBackfill(session, hash)).toMatchObject({ state: 'publishing', reason: 'compared' });
  await expect(promoteBackfill(session, hash, 'once more')).rejects.toMatchObject({ code: 'backfill.state' });
});

test('a live day accepted in the middle of a promotion comes first: the promotion is refused, and made again once that day is replayed', async () => {
  const hash = await chain.built(3, 4, 'new');
  const meanwhile = async (name: string): Promise<void> => {
    if (name === 'promote:judged') await chain.main('old', 7);
  };
  await expect(promoteBackfill(session, hash, 'compared', meanwhile)).rejects.toMatchObject({
    code: 'backfill.behind',
    next: expect.stringContaining(`almanac backfill resume ${hash}`) as string,
  });
  expect(await chain.labels()).toEqual({ ...OLD, [day(7)]: 'old' });
  await expect(promoteBackfill(session, hash, 'compared')).rejects.toMatchObject({
    code: 'backfill.behind',
    message: expect.stringContaining(`${day(7)} is not built`) as string,
  });
  await resumeBackfill(session, hash, 'replay');
  expect(await chain.drive(hash, 'new')).toBe('built');
  await promoteBackfill(session, hash, 'compared');
  expect(await chain.labels()).toEqual({ ...NEW, [day(7)]: 'new' });
});

test('what main accepted anew, also before the fork, is built once more on the branch before it is promoted', async () => {
  const hash = await chain.built(3, 4, 'new');
  await chain.main('mended', 4);
  await expect(promoteBackfill(session, hash, 'compared')).rejects.toMatchObject({
    message: expect.stringContaining(`${day(4)} is accepted anew on main`) as string,
  });
  await chain.main('mended', 2);
  await resumeBackfill(session, hash, 'replay');
  expect(await chain.drive(hash, 'newer')).toBe('built');
  await promoteBackfill(session, hash, 'compared');
  expect(await chain.labels()).toEqual(labelled(['old', 'mended', 'newer', 'newer', 'newer', 'newer']));
  expect(await listStale(session)).toEqual([]);
});

test('while a live run is open, or held, nothing is promoted; one claimed under the old head is fenced when it comes to accept', async () => {
  const hash = await chain.built(3, 4, 'new');
  await startRun(session, { pipeline: 'plays', window: day(7) });
  await expect(promoteBackfill(session, hash, 'compared')).rejects.toMatchObject({
    code: 'backfill.behind',
    message: expect.stringContaining(`plays/${day(7)} is claimed`) as string,
  });
  // As if its claim had come between the look and the step.
  await session.database.query('update almanac.run set ended_at = now() where window_key = $1', [day(7)]);
  await promoteBackfill(session, hash, 'compared');
  await session.database.query('update almanac.run set ended_at = null where window_key = $1', [day(7)]);
  await expect(chain.finish(await chain.row(day(7)), 'late')).rejects.toMatchObject({ type: 'run.fenced' });
  expect(await chain.labels()).toEqual(NEW);
});

test('a set that was promoted names the run of the branch that accepted it, also after a reindex, until main accepts the window anew', async () => {
  await chain.main('again', 3, 4, 5, 6);
  const hash = await chain.built(3, 4, 'new');
  await promoteBackfill(session, hash, 'compared');
  await chain.main('newer', 4);
  const expected = [`${day(2)} main#1`, `${day(3)} b1#1`, `${day(4)} main#4`, `${day(5)} b1#1`, `${day(6)} b1#1`];
  expect((await acceptedBy()).slice(1)).toEqual(expected);
  await reindex(session.store, session.database);
  expect((await acceptedBy()).slice(1)).toEqual(expected);
  // A ledger that lost its runs goes on above all of them.
  expect(await session.datasets.generations('plays', 'main', day(3))).toMatchObject({
    accepted: { run: { branch: 'b1', generation: 1 } },
    highest: 2,
  });
});

async function acceptedBy(): Promise<string[]> {
  const { rows } = await session.database.query<{ name: string }>(
    "select window_key || ' ' || run_branch || '#' || generation as name from almanac.accepted_set where branch = 'main' order by window_key",
  );
  return rows.map(({ name }) => name);
}

test('discard leaves main as it is, and the versions of the branch to collection; its runs take no more', async () => {
  const hash = await chain.built(3, 4, 'new');
  await chain.main('live', 7);
  await discardBackfill(session, hash, 'no better');
  expect(await showBackfill(session, hash)).toMatchObject({ state: 'discarded', reason: 'no better' });
  expect(await chain.labels()).toEqual({ ...OLD, [day(7)]: 'live' });
  expect(await chain.catalogued()).toEqual({ ...OLD, [day(7)]: 'live' });
  const { marked } = await collectStore(session, new Set(['totals']), { candidates: -1000, dryRun: true });
  expect(marked.map(({ what }) => what)).toEqual([3, 4, 5, 6].map((on) => `totals@${day(on)}#b1-1`));
  await expect(retryRun(session, { address: at(`${day(3)}~b1`), stages: ['add'], reason: 'x' })).rejects.toMatchObject({
    code: 'run.closed',
  });
  await expect(promoteBackfill(session, hash, 'after all')).rejects.toMatchObject({ code: 'backfill.state' });
  // The same range is planned again, on the next branch.
  await chain.drive(await chain.started(3, 4), 'other');
  expect(Object.values(await chain.labels('b2'))).toEqual(['old', 'old', 'other', 'other', 'other', 'other', 'other']);
});

test('where a schedule fires, what refuses a promotion names the way to it: its pause, then what is behind, then the end of the pause', async () => {
  const hash = await chain.built(3, 4, 'new');
  const { planHash } = await chain.row(day(6));
  const spec = { cron: '* * * * *', timezone: 'UTC', gap: 'shift', fold: 'first', catchUp: 'all', overlap: 'queue' } as const;
  const since = new Date().toISOString();
  const said = { reason: 'x', who: 'x', changedAt: since, seenUntil: since };
  const schedule = { pipeline: 'plays', spec, window: { every: 'day', timezone: 'UTC' }, deadline: undefined, planHash, ...said } as const;
  await putSchedule(session.database, { ...schedule, paused: false });
  await startRun(session, { pipeline: 'plays', window: day(7) });
  const refusal = async (): Promise<string> => {
    const refused: unknown = await promoteBackfill(session, hash, 'compared').catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'backfill.behind' });
    return (refused as AlmanacError).next;
  };
  expect((await refusal()).split('; then ')).toEqual([
    'almanac schedule pause plays --reason … keeps its slots back',
    `almanac show plays/${day(7)}; let it end, or almanac cancel plays/${day(7)} --reason …`,
    `almanac backfill resume ${hash} --reason … builds what is behind`,
    `almanac backfill promote ${hash} --reason …`,
    'almanac schedule unpause plays --reason …',
  ]);
  await setPaused(session.database, 'plays', true, { who: 'x', reason: 'x', now: new Date() });
  await chain.finish(await chain.row(day(7)), 'old');
  expect(await refusal()).not.toContain('schedule');
  await resumeBackfill(session, hash, 'replay');
  expect(await chain.drive(hash, 'new')).toBe('built');
  await promoteBackfill(session, hash, 'compared');
  expect(await chain.labels()).toEqual({ ...NEW, [day(7)]: 'new' });
});

describe('publishing after a promotion', () => {
  let hash: string;
  beforeEach(async () => {
    hash = await chain.built(3, 4, 'new');
    await promoteBackfill(session, hash, 'compared');
  });

  const becomes = async (state: RunState): Promise<void> => {
    const failure = { code: 'publish.key-invalid', class: 'data', message: 'ann twice', next: 'mend it', details: {} };
    await session.database.query(
      `update almanac.run set state = $1, changed_at = now(), hold = hold + 1, ended_at = case when $1 <> 'held' then now() end, failure = $2
       where branch = 'main' and window_key = $3 and verb = 'publish head' and ended_at is null`,
      [state, JSON.stringify({ publish: failure }), day(6)],
    );
  };
  const halted = async (): Promise<unknown> => {
    const { rows } = await session.database.query<{ detail: unknown }>(
      "select detail from almanac.notice where kind = 'backfill-done' order by id",
    );
    expect(await drivenBackfills(session.database)).toEqual([]);
    return rows.at(-1)?.detail;
  };
  const publishes = async (): Promise<string[]> => (await chain.generations(6)).filter((name) => name.includes('publish head'));

  test('that is refused for good halts and is told of; mended and resumed it goes on from there', async () => {
    // As if the newest window had been run by code that publishes nothing.
    const { planHash } = await chain.row(day(6));
    const plan = await planReader(session.database)(planHash);
    await storePlan(session.database, { ...plan, hash: 'unpublished', stages: plan.stages.filter(({ kind }) => kind !== 'publish') });
    const runsBy = (code: string): Promise<unknown> =>
      session.database.query("update almanac.run set plan_hash = $1 where branch = 'main' and window_key = $2", [code, day(6)]);
    await runsBy('unpublished');
    expect(await stepBackfill(session, hash)).toEqual({ idle: true, changed: true });
    const reason = expect.stringContaining(`${day(6)} could not be published: plays/${day(6)} has nothing to retry`) as string;
    expect(await showBackfill(session, hash)).toMatchObject({ state: 'halted', reason, failure: { code: 'run.usage' } });
    expect(await halted()).toMatchObject({ hash, state: 'halted', reason });
    // The branch is the head: there is nothing to throw away, and nothing of it is forgotten.
    await expect(discardBackfill(session, hash, 'no')).rejects.toMatchObject({ code: 'backfill.state' });
    expect(await showBackfill(session, hash)).toMatchObject({ state: 'halted', reason });

    await runsBy(planHash);
    expect(await resumeBackfill(session, hash, 'mended')).toMatchObject({ state: 'publishing', failure: null });
    await stepBackfill(session, hash);
    expect(await publishes()).toEqual(['3 publish head claimed']);
    await becomes('succeeded');
    await chain.published(6);
    expect(await stepBackfill(session, hash)).toEqual({ idle: true, changed: true });
    expect(await showBackfill(session, hash)).toMatchObject({ state: 'done' });
    expect(await publishes()).toEqual(['3 publish head succeeded']);
  });

  test('halts at a window that is held, and does not go on before it is mended', async () => {
    await stepBackfill(session, hash);
    await becomes('held');
    expect(await stepBackfill(session, hash)).toEqual({ idle: true, changed: true });
    const reason = `not published: plays/${day(6)} is held: ann twice`;
    expect(await showBackfill(session, hash)).toMatchObject({ state: 'halted', reason, failure: { code: 'publish.key-invalid' } });
    expect(await halted()).toMatchObject({ hash, state: 'halted', reason });
    await expect(resumeBackfill(session, hash, 'go on')).rejects.toMatchObject({
      code: 'backfill.state',
      next: expect.stringContaining(`almanac retry plays/${day(6)}`) as string,
    });
    await becomes('succeeded');
    await chain.published(6);
    await resumeBackfill(session, hash, 'mended');
    await stepBackfill(session, hash);
    expect((await showBackfill(session, hash)).state).toBe('done');
  });

  test('cancelled while it halts says which windows the tables do not show, what stays held, and what publishes it', async () => {
    await stepBackfill(session, hash);
    await becomes('held');
    await stepBackfill(session, hash);
    const { generation } = (await chain.row(day(6))).run;
    const stays = {
      unpublished: [
        {
          run: { window: day(6), generation },
          state: 'held',
          next: `almanac retry plays/${day(6)} --reason … publishes it, almanac abandon plays/${day(6)} --reason … leaves the table as it is`,
        },
      ],
    };
    expect(await showBackfill(session, hash)).toMatchObject(stays);
    const cancelled = cancelBackfill(session, hash, 'enough');
    await until(
      'it is quiesced',
      async () => (await stepBackfill(session, hash)).idle && (await showBackfill(session, hash)).state === 'quiesced',
      60_000,
    );
    expect(await cancelled).toMatchObject({ state: 'quiesced', ...stays });
    expect(renderProof(await cancelled))
      .toContain(`branch b1 stays the head of plays; of 1 window the tables still show what was there before:
  plays/${day(6)}#${generation} stays held: almanac retry plays/${day(6)} --reason …`);
    expect(renderBackfill(await showBackfill(session, hash))).toContain(`plays/${day(6)}#${generation} stays held`);
    // Given up, it is published by its stage.
    await becomes('abandoned');
    expect((await showBackfill(session, hash)).unpublished).toMatchObject([
      { state: 'abandoned', next: `almanac retry plays/${day(6)} --stage publish --inputs pinned --reason … publishes it` },
    ]);
    await chain.published(6);
    expect((await showBackfill(session, hash)).unpublished).toEqual([]);
  });

  test('halts at a window whose run was given up, and runs it once more when resumed', async () => {
    await stepBackfill(session, hash);
    await becomes('abandoned');
    await stepBackfill(session, hash);
    expect(await showBackfill(session, hash)).toMatchObject({
      state: 'halted',
      reason: expect.stringContaining('ended as abandoned') as string,
    });
    await (await session.temporal()).workflow.getHandle(`plays/${day(6)}`).terminate();
    await resumeBackfill(session, hash, 'once more');
    await stepBackfill(session, hash);
    expect(await publishes()).toEqual(['3 publish head abandoned', '4 publish head claimed']);
  });
});

describe('a discard over open runs of the branch', () => {
  let hash: string;
  beforeEach(async () => {
    hash = await chain.built(3, 4, 'new');
    const { run } = await startRun(session, { pipeline: 'plays', window: day(5), branch: 'b1', again: true });
    // Held, and its execution lost: what is executed is ended by its workflow.
    await session.database.query("update almanac.run set state = 'held' where branch = 'b1' and ended_at is null");
    await (await session.temporal()).workflow.getHandle(formatRun(run)).terminate();
  });

  const openOnBranch = (): Promise<unknown[]> => listOpenRuns(session.database, { pipeline: 'plays', branch: 'b1' });
  const isGone = async (): Promise<void> => {
    expect(await openOnBranch()).toEqual([]);
    expect((await session.datasets.heads.read('plays')).branches.b1?.state).toBe('discarded');
    expect(await showBackfill(session, hash)).toMatchObject({ state: 'discarded', reason: 'no better' });
    expect(await chain.labels()).toEqual(OLD);
    expect(await chain.catalogued()).toEqual(OLD);
    expect(await chain.catalogued('b1')).toEqual({});
    expect(await drivenBackfills(session.database)).toEqual([]);
  };

  test('ends them, with its reason', async () => {
    await discardBackfill(session, hash, 'no better');
    await isGone();
    const { rows } = await session.database.query("select window_key, reason from almanac.action where verb = 'reconcile'");
    expect(rows).toEqual([{ window_key: day(5), reason: 'branch b1 is discarded: no better' }]);
  });

  test.each(['discard:noted', 'discard:closed', 'discard:moved', 'discard:followed'])(
    'killed at %s is finished by the next',
    async (point) => {
      await expect(discardBackfill(session, hash, 'no better', killAt(point))).rejects.toThrow(Killed);
      // Once the head has moved nothing is left but perhaps to tell the ledger.
      const again = discardBackfill(session, hash, 'no better');
      if (['discard:noted', 'discard:closed'].includes(point)) expect((await again).state).toBe('discarded');
      else await expect(again).rejects.toMatchObject({ code: 'backfill.state' });
      await isGone();
    },
  );

  test.each(['by the next discard', 'by the controller'])('what is claimed while the head moves is ended %s', async (by) => {
    const claimed = async (name: string): Promise<void> => {
      if (name !== 'discard:followed') return;
      await session.database.query("update almanac.run set state = 'claimed', ended_at = null where branch = 'b1' and state = 'lost'");
      throw new Killed(name);
    };
    await expect(discardBackfill(session, hash, 'no better', claimed)).rejects.toThrow(Killed);
    expect(await openOnBranch()).toHaveLength(1);
    expect(await drivenBackfills(session.database)).toEqual([hash]);
    if (by === 'by the controller') expect(await stepBackfill(session, hash)).toEqual({ idle: true, changed: true });
    else expect((await discardBackfill(session, hash, 'no better')).state).toBe('discarded');
    await isGone();
  });
});

test('after a promotion what main had is left to collection, what the branch has stays', async () => {
  const hash = await chain.built(3, 4, 'new');
  await promoteBackfill(session, hash, 'compared');
  const { marked } = await collectStore(session, new Set(['totals']), { candidates: -1000, dryRun: true });
  expect(marked.map(({ what }) => what)).toEqual([3, 4, 5, 6].map((on) => `totals@${day(on)}#main-1`));
});

test('of eight who promote or discard at once one wins, the others are told', async () => {
  const hash = await chain.built(3, 4, 'new');
  const answers = await Promise.allSettled(
    Array.from({ length: 8 }, (_, index) => (index % 2 === 0 ? promoteBackfill : discardBackfill)(session, hash, `client ${index}`)),
  );
  const won = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
  expect(won).toHaveLength(1);
  for (const answer of answers) if (answer.status === 'rejected') expect(answer.reason).toMatchObject({ code: 'backfill.state' });
  expect(await chain.labels()).toEqual(won[0]?.state === 'discarded' ? OLD : NEW);
  expect(await chain.catalogued()).toEqual(await chain.labels());
});

test('a second branch of a pipeline is refused while one is open, also to who planned it before', async () => {
  const request = { pipeline: 'plays', from: day(2), to: day(2), reprocess: 'all', fromStage: null, order: 'forward' } as const;
  const hash = await chain.built(3, 4, 'new');
  await expect(makeBackfill(session, request, 1)).rejects.toMatchObject({
    code: 'backfill.branch',
    next: expect.stringContaining(`almanac backfill discard ${hash}`) as string,
  });
  await promoteBackfill(session, hash, 'compared');
  // The next one forks from the promoted chain, below the first fork.
  await promoteBackfill(session, await chain.built(2, 2, 'third'), 'compared');
  expect(await chain.labels()).toEqual(labelled(['old', 'third', 'third', 'third', 'third', 'third']));
});
