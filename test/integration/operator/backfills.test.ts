import { beginWindow } from '../../../activities/ledger/backfills';
import { recordAccepted } from '../../../activities/storage/catalog';
import { orHalt } from '../../../operator/backfills/halt';
import { makeBackfill, type PlannedBackfill } from '../../../operator/backfills/plan';
import { stepBackfill } from '../../../operator/backfills/step';
import { backfills, pauseBackfill, resumeBackfill, showBackfill, startBackfill, widenBackfill } from '../../../operator/backfills/verbs';
import { noticesOf } from '../../../operator/notices';
import type { BackfillRequest } from '../../../pipelines/backfill-plan';
import { AlmanacError } from '../../../pipelines/failures';
import type { RunState } from '../../../pipelines/status';
import { ForeignProject } from '../../support/foreign-project';
import { operatorSession, type TestSession } from '../../support/operator-session';

const PIPELINES = `import { compute, daily, defineProject, definePipeline, previous } from 'almanac';
const common = (id) => ({ id, owner: 'tests', window: daily() });
export default defineProject({ pipelines: [
  definePipeline({ ...common('chain'), chain: 'ordered', datasets: { state: { kind: 'state', columns: { n: 'bigint' } } },
    stages: { add: compute({ reads: { before: previous('state') }, sql: 'add.sql', bootstrap: 'all.sql', writes: 'state' }) } }),
  definePipeline({ ...common('wide'), chain: 'independent', datasets: {}, stages: { only: compute({ engine: 'none' }) } }),
] });
`;

let project: ForeignProject;
let session: TestSession;
beforeAll(() => {
  project = new ForeignProject({
    'almanac.config.ts': PIPELINES,
    'pipelines/chain/sql/add.sql': 'select n from before',
    'pipelines/chain/sql/all.sql': 'select 1::bigint as n',
  });
});
beforeEach(async () => {
  session = await operatorSession(project.directory);
});
afterEach(() => session[Symbol.asyncDispose]());
afterAll(() => project[Symbol.dispose]());

const request = (pipeline: string, more: Partial<BackfillRequest> = {}): BackfillRequest => ({
  pipeline,
  from: '2026-01-01',
  to: '2026-01-05',
  reprocess: 'missing',
  fromStage: null,
  order: 'forward',
  ...more,
});

async function started(pipeline: string, concurrency = 1): Promise<string> {
  const { hash } = await makeBackfill(session, request(pipeline), concurrency);
  await startBackfill(session, hash, 'go');
  return hash;
}

async function claimed(pipeline: string): Promise<string[]> {
  const { rows } = await session.database.query<{ window_key: string; generation: number }>(
    'select window_key, generation from almanac.run where pipeline = $1 order by claimed_at, window_key',
    [pipeline],
  );
  return rows.map(({ window_key, generation }) => `${window_key}#${generation}`);
}

/** What its workers would have brought the newest run of a window to. */
async function becomes(pipeline: string, window: string, state: RunState): Promise<void> {
  const over = state !== 'held' && state !== 'running';
  if (over) await (await session.temporal()).workflow.getHandle(`${pipeline}/${window}`).terminate();
  await session.database.query(
    `update almanac.run set state = $3, ended_at = case when $4 then now() end
     where pipeline = $1 and window_key = $2 and generation = (select max(generation) from almanac.run where pipeline = $1 and window_key = $2)`,
    [pipeline, window, state, over],
  );
  if (state !== 'succeeded') return;
  const { rows } = await session.database.query<{ generation: number }>(
    'select max(generation) as generation from almanac.run where pipeline = $1 and window_key = $2',
    [pipeline, window],
  );
  const run = { pipeline, branch: 'main', window, generation: rows[0]?.generation ?? 1 };
  await recordAccepted(session.database, await session.datasets.accept({ pipeline, branch: 'main', window, run, versions: [], gates: {} }));
}

describe('a plan', () => {
  it('is noted under its hash, starts nothing, and is the same when made again', async () => {
    const first = await makeBackfill(session, request('wide'), 2);
    expect(await makeBackfill(session, request('wide'), 3)).toMatchObject({ hash: first.hash });
    expect(await claimed('wide')).toEqual([]);
    await expect(backfills(session, 'wise', 10)).rejects.toMatchObject({ code: 'pipeline.unknown' });
    await expect(noticesOf(session, { pipeline: 'wise', limit: 10 })).rejects.toMatchObject({ code: 'pipeline.unknown' });
    expect(await backfills(session, 'wide', 10)).toMatchObject([
      { hash: first.hash, state: 'planned', windows: 5, done: 0, concurrency: 3 },
    ]);
    expect(first.estimate).toEqual({ minutes: null, bytes: null, noHistory: ['only'] });
    expect(await stepBackfill(session, first.hash)).toEqual({ idle: true, changed: false });
  });

  it('that is under way is not replaced by the same plan made again', async () => {
    const hash = await started('wide');
    await session.database.query('update almanac.backfill set concurrency = 1');
    await makeBackfill(session, request('wide'), 4);
    expect(await showBackfill(session, hash)).toMatchObject({ state: 'running', concurrency: 1 });
  });

  it.each<[string, Partial<BackfillRequest>, number, string]>([
    ['nope', {}, 1, 'pipeline.unknown'],
    ['wide', { to: '2999-01-01', from: '2998-12-31' }, 1, 'window.open'],
    ['wide', { from: 'x' }, 1, 'window.invalid'],
    ['wide', { fromStage: 'x' }, 1, 'run.usage'],
    ['chain', {}, 2, 'run.usage'],
    ['chain', { order: 'backward' }, 1, 'run.usage'],
  ])('of %s with %j, %i wide is refused with %s', async (pipeline, more, concurrency, code) => {
    await expect(makeBackfill(session, request(pipeline, more), concurrency)).rejects.toMatchObject({ code });
    expect((await session.database.query('select from almanac.backfill')).rowCount).toBe(0);
  });
});

describe('a start', () => {
  it('of eight at once is one; the others are told', async () => {
    const { hash } = await makeBackfill(session, request('wide'), 1);
    const answers = await Promise.allSettled(Array.from({ length: 8 }, () => startBackfill(session, hash, 'go')));
    expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const answer of answers) if (answer.status === 'rejected') expect(answer.reason).toMatchObject({ code: 'backfill.state' });
  });

  it('after somebody ran a window is refused, naming it', async () => {
    const planned: PlannedBackfill = await makeBackfill(session, request('wide'), 1);
    const other = await makeBackfill(session, request('wide', { to: '2026-01-01' }), 1);
    await startBackfill(session, other.hash, 'go');
    await stepBackfill(session, other.hash);
    await expect(startBackfill(session, planned.hash, 'go')).rejects.toMatchObject({
      code: 'backfill.drift',
      message: expect.stringContaining('2026-01-01: to be built → left alone (its run is open)') as string,
    });
    await expect(startBackfill(session, 'nope', 'go')).rejects.toMatchObject({ code: 'backfill.unknown' });
    await expect(startBackfill(session, planned.hash, ' ')).rejects.toMatchObject({ code: 'reason.missing' });
  });
});

describe('a step', () => {
  it('starts as many as there is room for, on the queue of backfills, in the name of the backfill', async () => {
    const hash = await started('wide', 2);
    expect(await stepBackfill(session, hash)).toEqual({ idle: false, changed: true });
    await becomes('wide', '2026-01-01', 'running');
    await becomes('wide', '2026-01-02', 'running');
    expect(await stepBackfill(session, hash)).toEqual({ idle: false, changed: false });
    expect(await claimed('wide')).toEqual(['2026-01-01#1', '2026-01-02#1']);
    const { rows } = await session.database.query("select who, matrix ->> 'queue' as queue from almanac.run");
    expect(rows).toEqual(Array(2).fill({ who: `backfill ${hash}`, queue: 'backfill' }));
    await widenBackfill(session, hash, 3, undefined);
    await stepBackfill(session, hash);
    expect(await claimed('wide')).toHaveLength(3);
  });

  it('that was cut off after any part is made again without a second run', async () => {
    const hash = await started('chain');
    await beginWindow(session.database, hash, '2026-01-01', new Date());
    await Promise.all(Array.from({ length: 4 }, () => stepBackfill(session, hash)));
    await stepBackfill(session, hash);
    expect(await claimed('chain')).toEqual(['2026-01-01#1']);
  });

  it('waits while another window of an ordered chain runs, whoever runs it', async () => {
    const { hash } = await makeBackfill(session, request('chain', { to: '2026-01-02' }), 1);
    const other = await makeBackfill(session, request('chain', { from: '2026-01-03' }), 1);
    await startBackfill(session, hash, 'go');
    await startBackfill(session, other.hash, 'go');
    await stepBackfill(session, hash);
    expect(await stepBackfill(session, other.hash)).toEqual({ idle: false, changed: false });
    expect(await claimed('chain')).toEqual(['2026-01-01#1']);
  });

  it('halts an ordered chain at a held run, until it is mended', async () => {
    const hash = await started('chain');
    await stepBackfill(session, hash);
    await becomes('chain', '2026-01-01', 'held');
    expect(await stepBackfill(session, hash)).toEqual({ idle: true, changed: true });
    expect(await showBackfill(session, hash)).toMatchObject({
      state: 'halted',
      reason: '2026-01-01 is held',
      counts: { held: 1, pending: 4 },
    });
    await expect(resumeBackfill(session, hash, 'go on')).rejects.toMatchObject({
      code: 'backfill.state',
      next: expect.stringContaining('almanac retry chain/2026-01-01') as string,
    });
    await becomes('chain', '2026-01-01', 'abandoned');
    await resumeBackfill(session, hash, 'given up: once more');
    await stepBackfill(session, hash);
    expect(await claimed('chain')).toEqual(['2026-01-01#1', '2026-01-01#2']);
  });

  it('halts with the refusal when a window cannot be started', async () => {
    const hash = await started('chain');
    await stepBackfill(session, hash);
    // Accepted without the dataset that the next window goes on from.
    await becomes('chain', '2026-01-01', 'succeeded');
    expect(await stepBackfill(session, hash)).toEqual({ idle: true, changed: true });
    expect(await showBackfill(session, hash)).toMatchObject({ state: 'halted', failure: { code: 'chain.gap' } });
  });

  it('pauses once what is open ended, and is done once all is', async () => {
    const hash = await started('wide', 5);
    await stepBackfill(session, hash);
    for (const window of ['2026-01-01', '2026-01-02', '2026-01-03', '2026-01-04']) await becomes('wide', window, 'succeeded');
    await becomes('wide', '2026-01-05', 'running');
    await pauseBackfill(session, hash, 'look');
    await stepBackfill(session, hash);
    expect((await showBackfill(session, hash)).state).toBe('pausing');
    await becomes('wide', '2026-01-05', 'succeeded');
    await stepBackfill(session, hash);
    expect((await showBackfill(session, hash)).state).toBe('paused');
    await resumeBackfill(session, hash, 'fine');
    expect(await stepBackfill(session, hash)).toEqual({ idle: true, changed: true });
    expect(await showBackfill(session, hash)).toMatchObject({ state: 'done', counts: { done: 5 } });
    await expect(widenBackfill(session, hash, 2, undefined)).rejects.toMatchObject({ code: 'backfill.state' });
  });
});

describe('a step that fails in a way nobody expected', () => {
  const broken = (): Promise<never> => Promise.reject(new TypeError('x is not a function'));

  it('is made again at first, then halts the backfill with what it failed with, which is told; resumed it goes on', async () => {
    const hash = await started('wide', 2);
    for (const tries of [1, 2, 3, 4, 5]) await expect(orHalt(session, hash, tries, broken)).rejects.toThrow(TypeError);
    expect((await showBackfill(session, hash)).state).toBe('running');
    expect(await orHalt(session, hash, 6, broken)).toEqual({ idle: true, changed: true });
    expect(await showBackfill(session, hash)).toMatchObject({
      ...{ state: 'halted', reason: 'its step failed 6 times: x is not a function' },
      failure: { code: 'internal', next: expect.stringContaining(`almanac backfill resume ${hash}`) as string },
    });
    const { rows } = await session.database.query("select detail from almanac.notice where kind = 'backfill-done'");
    expect(rows).toMatchObject([{ detail: { hash, state: 'halted', reason: 'its step failed 6 times: x is not a function' } }]);
    expect(await resumeBackfill(session, hash, 'mended')).toMatchObject({ state: 'running', failure: null });
    expect(await orHalt(session, hash, 1, () => stepBackfill(session, hash))).toEqual({ idle: false, changed: true });
    expect(await claimed('wide')).toHaveLength(2);
  });

  it('is made again for as long as a service is away', async () => {
    const hash = await started('wide');
    const away = (): Promise<never> => Promise.reject(new AlmanacError('service.unavailable', 'away', { next: 'almanac status' }));
    await expect(orHalt(session, hash, 60, away)).rejects.toMatchObject({ code: 'service.unavailable' });
    expect((await showBackfill(session, hash)).state).toBe('running');
  });

  it('does not turn a cancel back: it tells why, once, and goes on trying', async () => {
    const hash = await started('wide');
    await session.database.query("update almanac.backfill set state = 'cancelling', reason = 'enough'");
    for (const tries of [5, 6, 7]) await expect(orHalt(session, hash, tries, broken)).rejects.toThrow(TypeError);
    const shown = await showBackfill(session, hash);
    expect(shown).toMatchObject({ state: 'cancelling', reason: 'enough', failure: { code: 'internal', message: 'x is not a function' } });
    expect(shown.events.filter(({ verb }) => verb === 'cancel fails')).toHaveLength(1);
  });
});
