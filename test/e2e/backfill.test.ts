import type { BackfillRow } from '../../activities/ledger/backfills';
import type { PlannedBackfill } from '../../operator/backfills/plan';
import type { BackfillProof } from '../../operator/backfills/step';
import type { BackfillView } from '../../operator/backfills/verbs';
import { EmbeddedStack } from '../support/embedded-stack';
import { ForeignProject } from '../support/foreign-project';
import { until } from '../support/until';

jest.setTimeout(900_000);

const DAYS = 30;
/** A broken window, neither first nor last. */
const BROKEN = 11;
const SOON_MS = 240_000;
const day = (at: number): string => new Date(Date.UTC(2026, 0, at)).toISOString().slice(0, 10);

const chain = (id: string): string => `definePipeline({
    id: '${id}', owner: 'tests', window: daily(), chain: 'ordered',
    datasets: {
      ${id}_plays: { columns: { user_id: 'text', ts: 'timestamp' } },
      ${id}_totals: { kind: 'state', columns: { user_id: 'text', plays: 'bigint' }, key: ['user_id'] },
    },
    stages: {
      read: ingest({ landing: 'plays', writes: '${id}_plays', eventTime: 'ts' }),
      add: compute({ reads: { added: '${id}_plays', before: previous('${id}_totals') }, sql: 'add.sql', bootstrap: 'all.sql', writes: '${id}_totals' }),
    },
  })`;
const wide = (id: string, rows: number): string => `definePipeline({
    id: '${id}', owner: 'tests', window: daily(), chain: 'independent', params: { rows: ${rows} },
    datasets: { ${id}_counted: { columns: { pairs: 'bigint' } } },
    stages: { count: compute({ sql: 'count.sql', writes: '${id}_counted' }) },
  })`;
const ADD = `select user_id, sum(n)::bigint as plays
from (select user_id, 1 as n from added where ts < $window_end union all select user_id, plays from before) group by user_id`;
const ALL = 'select user_id, count(*) as plays from added where ts < $window_end group by user_id';
const COUNT = 'select count(*) as pairs from range($rows) as a, range($rows) as b where (a.range * 7919 + b.range) % 1000003 = 0';

let project: ForeignProject;
let stack: EmbeddedStack;

beforeAll(async () => {
  project = new ForeignProject({
    'almanac.config.ts': `import { compute, daily, defineProject, definePipeline, ingest, previous } from 'almanac';
export default defineProject({ pipelines: [${chain('broken')}, ${chain('clean')}, ${wide('wide', 9000)}, ${wide('slow', 10_000_000)}] });
`,
    ...Object.fromEntries(
      ['broken', 'clean'].flatMap((id) => [
        [`pipelines/${id}/sql/add.sql`, ADD],
        [`pipelines/${id}/sql/all.sql`, ALL],
      ]),
    ),
    ...Object.fromEntries(['wide', 'slow'].map((id) => [`pipelines/${id}/sql/count.sql`, COUNT])),
  });
  stack = await EmbeddedStack.start({ project: project.directory, env: { ALMANAC_BACKFILL_PLACES: '2', ALMANAC_MEMORY: '256MB' } });
  for (let at = 1; at <= DAYS; at++) stack.land('plays', day(at), 'a.csv', plays(at));
});
afterAll(async () => {
  await stack?.[Symbol.asyncDispose]();
  project?.[Symbol.dispose]();
});

function plays(at: number): string {
  const users = ['ann', 'bob', 'cid', 'dee'].filter((_, index) => at % (index + 1) === 0);
  return ['user_id,ts', ...users.map((user) => `${user},${day(at)}T10:00:00`)].join('\n') + '\n';
}

function plan(pipeline: string, from: number, to: number, ...options: readonly string[]): Promise<PlannedBackfill> {
  return stack.json<PlannedBackfill>('backfill', 'plan', pipeline, '--from', day(from), '--to', day(to), ...options);
}

function show(hash: string): Promise<BackfillView> {
  return stack.json<BackfillView>('backfill', 'show', hash);
}

async function reaches(hash: string, state: BackfillRow['state']): Promise<BackfillView> {
  await until(`${hash} is ${state}`, async () => (await show(hash)).state === state, SOON_MS, 500);
  return show(hash);
}

async function rows<T extends object>(text: string, ...values: readonly unknown[]): Promise<T[]> {
  return (await (await stack.database()).query<T>(text, [...values])).rows;
}

/** When each run of a pipeline was open, as the ledger has it, in milliseconds. */
async function spans(pipeline: string): Promise<{ window: string; from: number; to: number }[]> {
  const found = await rows<{ window_key: string; claimed_at: Date; ended_at: Date | null }>(
    'select window_key, claimed_at, ended_at from almanac.run where pipeline = $1 order by claimed_at',
    pipeline,
  );
  return found.map(({ window_key, claimed_at, ended_at }) => ({
    window: window_key,
    from: claimed_at.getTime(),
    to: ended_at?.getTime() ?? Infinity,
  }));
}

/** The most runs open at one time. */
function widest(list: readonly { from: number; to: number }[]): number {
  return Math.max(0, ...list.map(({ from }) => list.filter((other) => other.from <= from && from < other.to).length));
}

function digests(pipeline: string): Promise<{ window_key: string; digest: string }[]> {
  return rows(
    `select a.window_key, v.digest from almanac.accepted_version a join almanac.dataset_version v
       on (v.dataset, v.window_key, v.version) = (a.dataset, a.version_window, a.version)
     where a.dataset = $1 order by a.window_key`,
    `${pipeline}_totals`,
  );
}

test('an ordered range is built window by window, over a broken input, a killed worker and a pause, as a clean one', async () => {
  stack.land('plays', day(BROKEN), 'a.csv', 'wrong,header\n1,2\n');
  const planned = await plan('broken', 1, DAYS);
  expect(planned.plan.windows.map(({ window }) => window)).toEqual(Array.from({ length: DAYS }, (_, index) => day(index + 1)));
  expect(planned.plan.windows[0]?.stages.map(({ reason }) => reason)).toEqual(['missing', 'missing']);
  expect(planned.estimate).toMatchObject({ minutes: null, noHistory: ['read', 'add'] });
  expect((await plan('broken', 1, DAYS)).hash).toBe(planned.hash);
  expect(await spans('broken')).toEqual([]);
  const { hash } = planned;

  await stack.ok('backfill', 'start', hash, '--reason', 'first build');
  expect(await stack.failure('backfill', 'start', hash)).toMatchObject({ code: 'backfill.state', exitCode: 5 });
  await until('four windows are done', async () => (await show(hash)).counts.done >= 4, SOON_MS);
  process.kill(await stack.pid('worker-control'), 'SIGKILL');

  const halted = await reaches(hash, 'halted');
  expect(halted).toMatchObject({ reason: `${day(BROKEN)} is held`, counts: { done: BROKEN - 1, held: 1, pending: DAYS - BROKEN } });
  expect(halted.remaining.minutes).toBeGreaterThan(0);
  expect(await stack.failure('backfill', 'resume', hash, '--reason', 'go on')).toMatchObject({
    code: 'backfill.state',
    next: expect.stringContaining(`almanac retry broken/${day(BROKEN)}`) as string,
  });
  stack.land('plays', day(BROKEN), 'a.csv', plays(BROKEN));
  await stack.ok('retry', `broken/${day(BROKEN)}`, '--reason', 'file replaced');
  await stack.ok('run', 'broken', '--window', day(BROKEN), '--wait');
  await stack.ok('backfill', 'resume', hash, '--reason', 'mended');

  await until('some more are done', async () => (await show(hash)).counts.done > BROKEN + 3, SOON_MS);
  await stack.ok('backfill', 'pause', hash, '--reason', 'look at it');
  const paused = await reaches(hash, 'paused');
  expect(paused.counts.running + paused.counts.claimed + paused.counts.starting).toBe(0);
  await stack.ok('backfill', 'resume', hash, '--reason', 'fine');
  const done = await reaches(hash, 'done');
  expect(done.counts.done).toBe(DAYS);
  expect(done.events.map(({ verb }) => verb)).toEqual(['start', 'halted', 'resume', 'pause', 'paused', 'resume', 'done']);

  const runs = await spans('broken');
  expect(runs.map(({ window }) => window)).toEqual(planned.plan.windows.map(({ window }) => window));
  expect(widest(runs)).toBe(1);
  const again = await plan('clean', 1, DAYS);
  await stack.ok('backfill', 'start', again.hash, '--reason', 'to compare');
  await reaches(again.hash, 'done');
  expect(await digests('broken')).toEqual(await digests('clean'));
  expect(await digests('clean')).toHaveLength(DAYS);
});

test('a plan whose window somebody ran, or whose code changed, is refused with what drifted', async () => {
  const planned = await plan('broken', DAYS, DAYS, '--reprocess', 'all');
  expect(planned.estimate.minutes).toBeGreaterThan(0);
  project.write({ 'pipelines/broken/sql/add.sql': `${ADD}\nhaving sum(n) > 0` });
  const failure = await stack.failure('backfill', 'start', planned.hash);
  expect(failure).toMatchObject({ code: 'backfill.drift', exitCode: 5 });
  expect(failure.message).toMatch(new RegExp(`${day(DAYS)} add: code [0-9a-f]{12} → [0-9a-f]{12}`));
  const stale = await plan('broken', DAYS, DAYS, '--reprocess', 'stale');
  expect(stale.plan.windows[0]).toMatchObject({ stages: [{ stage: 'add', reason: 'code changed' }], carried: [{ stage: 'read' }] });
  await stack.ok('backfill', 'start', stale.hash);
  await reaches(stale.hash, 'done');
  const attempts = await rows<{ stage: string; state: string }>(
    "select stage, state from almanac.attempt where pipeline = 'broken' and window_key = $1 and generation = 2 order by stage",
    day(DAYS),
  );
  expect(attempts).toEqual([
    { stage: 'add', state: 'succeeded' },
    { stage: 'read', state: 'carried' },
  ]);
  // Other rows of a day leave the days after it stale, which the same mode repairs.
  stack.land('plays', day(DAYS - 1), 'b.csv', `user_id,ts\neve,${day(DAYS - 1)}T11:00:00\n`);
  await stack.ok('run', 'broken', '--window', day(DAYS - 1), '--again', '--wait');
  const repair = await plan('broken', DAYS - 1, DAYS, '--reprocess', 'stale');
  expect(repair.plan.windows).toMatchObject([{ window: day(DAYS), stages: [{ stage: 'add', reason: 'input changed' }] }]);
  await stack.ok('backfill', 'start', repair.hash);
  await reaches(repair.hash, 'done');
  expect(await stack.json('backfill', 'stale', 'broken')).toEqual([]);
  // What others stand on is built on a branch, with all of them.
  const branched = await plan('broken', 5, 6, '--reprocess', 'all');
  expect(branched.plan).toMatchObject({ branch: { name: 'b1', from: day(5) }, pins: [expect.stringContaining(day(4))] });
  expect(branched.plan.windows.map(({ window }) => window)).toEqual(Array.from({ length: DAYS - 4 }, (_, index) => day(index + 5)));
  expect(await stack.failure('backfill', 'plan', 'clean', '--from', day(1), '--to', day(2), '--concurrency', '2')).toMatchObject({
    code: 'run.usage',
  });
  expect(await stack.failure('backfill', 'show', 'nope')).toMatchObject({ code: 'backfill.unknown', exitCode: 4 });
});

test('an independent range runs as wide as it is told, backward when asked, and narrower from when it is told', async () => {
  const { hash } = await plan('wide', 1, 24, '--concurrency', '4', '--order', 'backward');
  await stack.ok('backfill', 'start', hash);
  await until('eight windows are done', async () => (await show(hash)).counts.done >= 8, SOON_MS);
  await stack.ok('backfill', 'set', hash, '--concurrency', '2', '--reason', 'gently');
  const narrowed = Date.now();
  await reaches(hash, 'done');
  const runs = await spans('wide');
  expect(runs).toHaveLength(24);
  expect(runs[0]?.window).toBe(day(24));
  expect(widest(runs)).toBe(4);
  // What was open then ends as it was begun; from there on there are two.
  const open = runs.filter(({ from, to }) => from <= narrowed && to > narrowed);
  const after = runs.filter(({ from }) => from > Math.max(narrowed, ...open.map(({ to }) => to)));
  expect(after.length).toBeGreaterThan(4);
  expect(widest(after)).toBe(2);
});

test('cancel stops what is open and proves it: afterwards nothing changes any more', async () => {
  const { hash } = await plan('slow', 1, 6, '--concurrency', '2');
  await stack.ok('backfill', 'start', hash);
  await until(
    'two windows compute',
    async () =>
      (await rows("select from almanac.attempt where pipeline = 'slow' and state = 'running' and child is not null")).length === 2,
    SOON_MS,
  );
  // Stages of a backfill take no place of a live one.
  await stack.ok('run', 'wide', '--window', day(25), '--wait');
  const cancelled = await stack.json<BackfillRow>('backfill', 'cancel', hash, '--reason', 'wrong params');
  expect(cancelled.state).toBe('quiesced');
  const proof = cancelled.proof as BackfillProof;
  expect(proof.runs.map(({ state }) => state)).toEqual(['cancelled', 'cancelled']);
  expect(proof.runs.flatMap(({ attempts }) => attempts.map(({ ended }) => ended))).not.toContain('fenced');
  expect(proof.neverBegun).toHaveLength(4);
  const ledger = (): Promise<unknown[]> =>
    rows(
      `select (select jsonb_agg(to_jsonb(r) - 'history_path' order by window_key, generation) from almanac.run r where pipeline = 'slow') as runs,
         (select jsonb_agg(a order by window_key, stage, attempt) from almanac.attempt a where pipeline = 'slow') as attempts,
         (select count(*) from almanac.dataset_version where pipeline = 'slow') as versions`,
    );
  const before = await ledger();
  const watched = Date.now();
  await until('five seconds are watched', async () => {
    expect(await ledger()).toEqual(before);
    return Date.now() - watched > 5000;
  });
  expect(await stack.failure('backfill', 'resume', hash, '--reason', 'again')).toMatchObject({ code: 'backfill.state' });
  // What was cancelled is missing: it is planned anew, under another hash.
  expect((await plan('slow', 1, 6)).plan.windows).toHaveLength(6);
});
