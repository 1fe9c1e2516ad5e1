import type { Exclusion } from '../../activities/quality/exclusions';
import type { AuditedAction } from '../../operator/audit';
import type { Trial } from '../../operator/check-try';
import type { HistoryPoint, ShownCheck } from '../../operator/checks';
import type { VersionView } from '../../operator/datasets';
import type { QuarantineView } from '../../operator/quarantine';
import type { ReplayAnswer } from '../../operator/replay';
import type { RunListing, RunView } from '../../operator/runs/inspect';
import type { Reproduction } from '../../operator/runs/reproduce';
import { createScratchEngine } from '../../operator/scratch-engine';
import type { OverrideAnswer } from '../../operator/runs/override';
import type { UndoAnswer } from '../../operator/runs/undo';
import type { Suggestion } from '../../pipelines/quality/suggest';
import { EmbeddedStack } from '../support/embedded-stack';
import { ForeignProject, PLAYS } from '../support/foreign-project';

jest.setTimeout(240_000);

/** One independent pipeline beside the other: orders, of which some are put aside. */
const ORDERS = {
  'almanac.config.ts': `import { defineProject } from 'almanac';
import { orders } from './pipelines/orders/pipeline';
import { plays } from './pipelines/plays/pipeline';
export default defineProject({ pipelines: [orders, plays] });
`,
  'pipelines/orders/pipeline.ts': `import { check, daily, definePipeline, ingest, publish } from 'almanac';
export const orders = definePipeline({
  id: 'orders', owner: 'sales', window: daily(), chain: 'independent', params: { least: 0 },
  datasets: { orders: { columns: { id: 'bigint', price: 'double' }, key: ['id'] } },
  stages: {
    take: ingest({ landing: 'orders', writes: 'orders' }),
    gate: check({ suite: { checks: [
      { id: 'priced', dataset: 'orders', measure: { metric: 'compliance', predicate: 'price >= $least' }, mostly: 0.5, onFail: 'quarantine', why: 'Nobody is paid to order.' },
      { id: 'some', dataset: 'orders', measure: { metric: 'size' }, fail: { min: 1 }, why: 'Nobody ordered.' },
    ] } }),
    publish: publish({ needs: ['gate'], mode: 'newest', tables: { live_orders: { from: 'orders', key: ['id'] } } }),
  },
});
`,
};

let project: ForeignProject;
let stack: EmbeddedStack;

beforeAll(async () => {
  const pipeline = PLAYS['pipelines/plays/pipeline.ts'].replace("predicate: 'plays < 1'", "predicate: 'plays > 2'");
  project = new ForeignProject({ ...PLAYS, ...ORDERS, 'pipelines/plays/pipeline.ts': pipeline });
  stack = await EmbeddedStack.start({ project: project.directory });
});
afterAll(async () => {
  await stack?.[Symbol.asyncDispose]();
  project?.[Symbol.dispose]();
});

function land(day: string, ...rows: string[]): void {
  stack.land('plays', `2026-01-0${day}`, 'a.csv', ['user_id,ts', ...rows, ''].join('\n'));
}

const at = (user: string, day: string): string => `${user},2026-01-0${day}T10:00:00`;
const run = (day: string, ...args: string[]): Promise<{ code: number | null }> =>
  stack.run('run', 'plays', '--window', `2026-01-0${day}`, '--wait', ...args);
const show = (day: string): Promise<RunView> => stack.json('show', `plays/2026-01-0${day}`);

async function tainted(): Promise<string[]> {
  const runs = await stack.json<RunListing[]>('runs');
  return runs.flatMap((row) => (row.tainted ? [row.run.window] : [])).sort();
}

test('an override lets a failing check pass for a while: the run goes on, tainted, and the verdict says who and until when', async () => {
  land('1', at('ann', '1'));
  expect((await run('1')).code).toBe(0);
  land('2', at('ann', '2'), at('ann', '2'));
  expect((await run('2')).code).toBe(10);
  const verb = ['override', 'plays/2026-01-02', '--check', 'few', '--reason', 'known', '--until'];
  expect(await stack.failure(...verb, '2020-01-01')).toMatchObject({ code: 'run.usage', message: expect.stringContaining('has passed') });
  expect(await stack.failure('override', 'plays/2026-01-02', '--check', 'fewer', '--reason', 'known', '--until', '1h')).toMatchObject({
    code: 'check.unknown',
    message: expect.stringContaining('it has few'),
  });
  expect(await stack.failure('skip', 'plays/2026-01-02', '--stage', 'judge', '--reason', 'no')).toMatchObject({
    next: expect.stringContaining('almanac override plays/2026-01-02 --check C'),
  });
  const answer = await stack.json<OverrideAnswer>(...verb, '24h');
  expect(answer).toMatchObject({ check: 'few', stage: 'judge', retry: { plan: { reset: ['judge', 'publish'], kept: ['read', 'add'] } } });
  expect((await run('2')).code).toBe(0);
  const [check] = await stack.json<ShownCheck[]>('check', 'show', 'plays/2026-01-02');
  expect(check).toMatchObject({ check: 'few', status: 'FAIL', overridden: { reason: 'known' } });
  expect(await stack.ok('check', 'show', 'plays/2026-01-02')).toContain('FAIL, overridden');
  expect(await tainted()).toEqual(['2026-01-02']);
  expect(await stack.failure(...verb, '24h')).toMatchObject({ code: 'run.usage' });
});

test('it counts for later runs until it is over, and then no more', async () => {
  land('3', at('bob', '3'));
  expect((await run('3')).code).toBe(0);
  expect(await tainted()).toEqual(['2026-01-02', '2026-01-03']);
  await (await stack.database()).query("update almanac.check_override set until = now() - interval '1 second'");
  land('4', at('bob', '4'));
  expect((await run('4')).code).toBe(10);
});

test('an undone override judges the run again without it', async () => {
  await stack.ok('override', 'plays/2026-01-04', '--check', 'few', '--until', '1h', '--reason', 'known');
  expect((await run('4')).code).toBe(0);
  const answer = await stack.json<UndoAnswer>('undo', 'plays/2026-01-04', '--reason', 'was not known');
  expect(answer).toMatchObject({
    undone: { verb: 'override', state: 'undone' },
    retry: null,
    left: expect.stringContaining('stays so, tainted'),
  });
  await stack.run('retry', 'plays/2026-01-04', '--stage', 'judge', '--reason', 'judge anew', '--wait');
  expect(await show('4')).toMatchObject({ row: { state: 'held', failure: { judge: { code: 'gate.failed' } } } });
});

test('an abandoned run goes on when that is undone; a cancelled one says why it cannot', async () => {
  await stack.ok('abandon', 'plays/2026-01-04', '--reason', 'enough');
  const { undone, retry } = await stack.json<UndoAnswer>('undo', 'plays/2026-01-04', '--reason', 'not enough');
  expect(undone).toMatchObject({ verb: 'abandon' });
  expect(retry?.plan.kept).toEqual(['read', 'add']);
  expect((await run('4')).code).toBe(10);
  await stack.ok('cancel', 'plays/2026-01-04', '--reason', 'stop');
  expect(await stack.failure('undo', 'plays/2026-01-04', '--reason', 'go on')).toMatchObject({
    code: 'undo.impossible',
    exitCode: 5,
    message: expect.stringContaining('what a cancel stopped is fenced for good'),
    next: 'almanac retry plays/2026-01-04 --reason … goes on from what stands',
  });
});

test('a version marked as the output of a stage taints what follows; undone, the stage runs for itself', async () => {
  project.write({ 'pipelines/plays/pipeline.ts': PLAYS['pipelines/plays/pipeline.ts'] });
  expect((await run('4', '--again', '--reason', 'the gate is mended')).code).toBe(0);
  stack.land('plays', '2026-01-05', 'a.csv', 'wrong,header\n1,2\n');
  expect((await run('5')).code).toBe(10);
  const [version] = await stack.json<VersionView[]>('dataset', 'versions', 'plays', '--window', '2026-01-01');
  const verb = ['mark-done', 'plays/2026-01-05', '--reason', 'as before', '--stage'];
  expect(await stack.failure(...verb, 'judge', '--version', 'plays@2026-01-01#00')).toMatchObject({ code: 'run.usage' });
  expect(await stack.failure(...verb, 'read', '--version', 'totals@2026-01-01')).toMatchObject({
    next: expect.stringContaining('--version plays@WINDOW#VERSION'),
  });
  await stack.ok(...verb, 'read', '--version', `plays@2026-01-01#${version?.version.slice(0, 6)}`);
  expect((await run('5')).code).toBe(0);
  expect(await tainted()).toContain('2026-01-05');
  // An undo that was killed once it had marked the action: another one may be at it, until it has had a minute.
  const marked = async (ago: string): Promise<unknown> =>
    (await stack.database()).query(`update almanac.action set undone_at = now() - interval '${ago}' where verb = 'mark-done'`);
  await marked('1 second');
  expect(await stack.failure('undo', 'plays/2026-01-05', '--reason', 'wrong')).toMatchObject({ code: 'run.stale' });
  await marked('2 minutes');
  const undo = await stack.json<UndoAnswer>('undo', 'plays/2026-01-05', '--reason', 'wrong');
  expect(undo).toMatchObject({ undone: { verb: 'mark-done', stage: 'read' }, left: expect.stringContaining('stays current') });
  expect((await run('5')).code).toBe(10);
  land('5', at('cid', '5'));
  await stack.ok('retry', 'plays/2026-01-05', '--reason', 'file replaced', '--wait');
  expect((await show('5')).tainted).toBe((await show('4')).tainted);
});

test('audit lists who did what to which run, when, why, and what became of it', async () => {
  const all = await stack.json<AuditedAction[]>('audit', 'plays/2026-01-05');
  expect(all.map(({ verb, state }) => [verb, state])).toEqual([
    ['retry', 'done'],
    ['undo', 'done'],
    ['mark-done', 'undone'],
    ['run', 'done'],
  ]);
  const [first] = all;
  expect(first).toMatchObject({ reason: 'file replaced', run: { window: '2026-01-05', generation: 2 } });
  expect(await stack.json('audit', '--who', first?.who ?? '', '--since', '1h', '--limit', '2')).toHaveLength(2);
  expect(await stack.json('audit', '--who', 'nobody')).toEqual([]);
  expect(await stack.failure('audit', 'plays/1999-01-01')).toMatchObject({ code: 'run.unknown' });
  expect(await stack.failure('audit', '--since', 'yesterday')).toMatchObject({ code: 'run.usage', next: expect.stringContaining('24h') });
});

test('the script of a stage computes, over its pinned inputs, exactly what its run wrote', async () => {
  const args = ['reproduce', 'plays/2026-01-05', '--stage', 'add'];
  const { script, digest } = await stack.json<Reproduction>(...args, '--print');
  expect(await stack.ok(...args, '--print')).toBe(script);
  const [version] = await stack.json<VersionView[]>('dataset', 'versions', 'totals', '--window', '2026-01-05');
  expect([version?.state, version?.digest]).toEqual(['current', digest]);
  await using scratch = createScratchEngine();
  const rows = await scratch.engine.session({ memoryBytes: 500e6, threads: 1 }, new AbortController().signal, async (session) => {
    await session.exec(script);
    return session.rows('select user_id, plays::int as plays from result order by all');
  });
  expect(rows).toEqual([
    { user_id: 'ann', plays: 3 },
    { user_id: 'bob', plays: 2 },
    { user_id: 'cid', plays: 1 },
  ]);
  expect(await stack.json(...args)).toMatchObject({ equal: true, found: { rows: 3, digest } });
  expect(await stack.ok(...args)).toContain('the same as the run wrote');
  expect(await stack.failure('reproduce', 'plays/2026-01-05', '--stage', 'judge')).toMatchObject({
    code: 'run.usage',
    next: 'use one of: add',
  });
});

test('a late row is replayed into its own window; the windows after it are stale until they run again in order', async () => {
  land('6', at('dan', '6'), at('late', '5'));
  expect((await run('6')).code).toBe(0);
  const replay = ['quarantine', 'replay', 'plays', '--window', '2026-01-06', '--to', 'own-window', '--reason', 'delivered late'];
  expect(await stack.json<ReplayAnswer>(...replay)).toMatchObject({ windows: [{ window: '2026-01-05', rows: 1, state: 'accepted' }] });
  expect(await stack.json<ReplayAnswer>(...replay)).toMatchObject({ windows: [], before: 1 });
  const stale = async (): Promise<string[]> =>
    (await stack.json<RunListing[]>('runs')).flatMap((row) => (row.stale ? [row.run.window] : []));
  expect((await stale()).sort()).toEqual(['2026-01-05', '2026-01-06']);
  expect(await stack.ok('why', 'plays/2026-01-05')).toContain('rows of plays were replayed into it since');
  for (const day of ['5', '6']) expect((await run(day, '--again', '--reason', 'replayed')).code).toBe(0);
  expect(await stale()).toEqual([]);
  const { rows } = await (
    await stack.database()
  ).query<{ plays: number }>("select plays::int as plays from play_totals where user_id = 'late'");
  expect(rows).toEqual([{ plays: 1 }]);
  expect(await stack.ok('quarantine', 'list', '--source', 'plays')).toContain('1 of them replayed to 2026-01-05');
});

async function liveOrders(): Promise<string[]> {
  const { rows } = await (await stack.database()).query<{ id: string }>('select id::text from live_orders order by id');
  return rows.map(({ id }) => id);
}

test('rows that a check puts aside are not live, and come back after a mend', async () => {
  stack.land('orders', '2026-01-01', 'a.csv', 'id,price\n1,5\n2,-1\n3,2\n');
  await stack.ok('run', 'orders', '--window', '2026-01-01', '--wait');
  expect(await liveOrders()).toEqual(['1', '3']);
  expect(await stack.ok('check', 'show', 'orders/2026-01-01')).toContain('priced');
  const [view] = await stack.json<QuarantineView[]>('quarantine', 'list', '--reason', 'check');
  expect(view).toMatchObject({ dataset: 'orders', rows: 1, rowsIn: 3, checks: { priced: 1 } });
  expect(view?.samples[0]).toMatchObject({ detail: 'priced: Nobody is paid to order.', raw: '{"id":"2","price":"-1.0"}' });
  const replay = ['quarantine', 'replay', 'orders', '--window', '2026-01-01', '--to', 'own-window', '--reason', 'refunds are orders'];
  expect(await stack.json<ReplayAnswer>(...replay)).toMatchObject({ windows: [{ rows: 1, state: 'accepted' }], before: 0 });
  expect(await stack.json<ReplayAnswer>(...replay)).toMatchObject({ windows: [], before: 1 });
  expect(await stack.ok('backfill', 'stale', 'orders')).toContain('orders');
  project.write({ 'pipelines/orders/pipeline.ts': ORDERS['pipelines/orders/pipeline.ts'].replace('least: 0', 'least: -10') });
  await stack.ok('run', 'orders', '--window', '2026-01-01', '--again', '--reason', 'refunds are orders', '--wait');
  expect(await liveOrders()).toEqual(['1', '2', '3']);
  expect(await stack.json<unknown[]>('backfill', 'stale', 'orders')).toEqual([]);
});

test('checks are looked at, tried and suggested, and windows like no others put on record and taken back', async () => {
  const history = await stack.json<HistoryPoint[]>('check', 'history', 'orders', 'size');
  expect(history.map(({ window, value, accepted }) => ({ window, value, accepted }))).toEqual([
    { window: '2026-01-01', value: 3, accepted: true },
    { window: '2026-01-01', value: 2, accepted: false },
  ]);
  const trial = await stack.json<Trial>('check', 'try', 'orders/gate', 'orders@2026-01-01');
  expect(trial.checks.map(({ check, status, observed }) => [check, status, observed])).toEqual([
    ['priced', 'PASS', 1],
    ['some', 'PASS', 3],
  ]);
  const suggested = await stack.json<Suggestion[]>('check', 'suggest', 'orders@2026-01-01');
  expect(suggested.some(({ check }) => 'column' in check.measure && check.measure.column === 'price')).toBe(true);
  const windows = ['--from', '2026-01-01', '--to', '2026-01-01', '--reason', 'a fair was in town'];
  const { id } = await stack.json<Exclusion>('check', 'exclude', 'orders', ...windows);
  expect(await stack.json<Exclusion[]>('check', 'exclusions', 'orders')).toMatchObject([{ id, reason: 'a fair was in town' }]);
  await stack.ok('check', 'include', String(id));
  expect(await stack.json<Exclusion[]>('check', 'exclusions', 'orders')).toEqual([]);
  expect(await stack.failure('check', 'include', String(id))).toMatchObject({ code: expect.any(String) as string });
});
