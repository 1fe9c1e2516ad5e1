import type { RetryAnswer } from '../../operator/runs/retry';
import type { PublicationView } from '../../operator/publications';
import type { RunView } from '../../operator/runs/inspect';
import type { StaleWindow } from '../../pipelines/stale';
import { EmbeddedStack } from '../support/embedded-stack';
import { ForeignProject, PLAYS } from '../support/foreign-project';

jest.setTimeout(240_000);

let project: ForeignProject;
let stack: EmbeddedStack;

beforeAll(async () => {
  project = new ForeignProject(PLAYS);
  stack = await EmbeddedStack.start({ project: project.directory });
});
afterAll(async () => {
  await stack?.[Symbol.asyncDispose]();
  project?.[Symbol.dispose]();
});

/** One valid play per user. */
function plays(day: string, ...users: string[]): string {
  return ['user_id,ts', ...users.map((user) => `${user},${day}T10:00:00`)].join('\n') + '\n';
}

function retry(run: string, ...args: string[]): Promise<RetryAnswer & { state: string }> {
  return stack.json('retry', run, '--reason', 'mended', '--wait', ...args);
}

async function live(): Promise<unknown[]> {
  return (await (await stack.database()).query('select user_id, plays from play_totals order by user_id')).rows;
}

test('a run of a project outside this repository publishes its table', async () => {
  stack.land('plays', '2026-01-01', 'a.csv', plays('2026-01-01', 'ann', 'bob'));
  await stack.ok('run', 'plays', '--window', '2026-01-01', '--wait');
  expect(await live()).toEqual([
    { user_id: 'ann', plays: 1 },
    { user_id: 'bob', plays: 1 },
  ]);
});

test('running an accepted window again computes nothing and exits 0', async () => {
  expect(await stack.json('run', 'plays', '--window', '2026-01-01', '--wait')).toMatchObject({ did: 'accepted', run: { generation: 1 } });
});

test('a window whose predecessor is not accepted is refused with the command that fills the gap', async () => {
  stack.land('plays', '2026-01-03', 'a.csv', plays('2026-01-03', 'ann'));
  expect(await stack.failure('run', 'plays', '--window', '2026-01-03')).toMatchObject({
    code: 'chain.gap',
    exitCode: 5,
    next: 'almanac run plays --window 2026-01-02 --wait',
  });
});

test('a missing landing day holds; once the file is there a retry says what is new and finishes', async () => {
  const held = await stack.run('run', 'plays', '--window', '2026-01-02', '--wait');
  expect(held.code).toBe(10);
  expect(await stack.ok('why', 'plays/2026-01-02')).toContain('landing.missing');
  stack.land('plays', '2026-01-02', 'a.csv', plays('2026-01-02', 'ann', 'cid'));
  const answer = await retry('plays/2026-01-02', '--stage', 'read');
  expect(answer).toMatchObject({ state: 'succeeded', stages: ['read'] });
  expect(await live()).toContainEqual({ user_id: 'ann', plays: 2 });
});

test('a failing gate holds before anything is accepted, keeps yesterday live and names the rows', async () => {
  const before = await live();
  project.write({
    'pipelines/plays/pipeline.ts': PLAYS['pipelines/plays/pipeline.ts'].replace("predicate: 'plays < 1'", "predicate: 'plays > 2'"),
  });
  expect((await stack.run('run', 'plays', '--window', '2026-01-03', '--wait')).code).toBe(10);
  const why = await stack.ok('why', 'plays/2026-01-03');
  expect(why).toContain('gate.failed');
  expect(await stack.ok('check', 'show', 'plays/2026-01-03')).toContain('ann');
  expect(await live()).toEqual(before);
  expect((await stack.json<PublicationView[]>('publish', 'list')).map(({ run }) => run.window)).not.toContain('2026-01-03');
});

test('poisoned input is mended in landing: only what follows from it runs again', async () => {
  const first = await stack.json<RunView>('show', 'plays/2026-01-03');
  stack.land('plays', '2026-01-03', 'a.csv', plays('2026-01-03', 'dan'));
  const answer = await retry('plays/2026-01-03');
  expect(answer.changes).toMatchObject([{ stage: 'read', changed: ['landing/plays/dt=2026-01-03/a.csv'] }]);
  expect(answer.plan.reasons).toMatchObject({ read: 'input changed', add: 'below', judge: expect.any(String) });
  expect(answer.state).toBe('succeeded');
  expect(first.row.run.generation).toBe(answer.run.generation);
  project.write(PLAYS);
});

test('bad SQL holds as a user failure; the mended text is used and finished stages are kept', async () => {
  stack.land('plays', '2026-01-04', 'a.csv', plays('2026-01-04', 'ann'));
  project.write({ 'pipelines/plays/sql/add.sql': 'select user_id, plays from no_such_table' });
  const held = await stack.run('run', 'plays', '--window', '2026-01-04', '--wait');
  expect(held.code).toBe(11);
  expect(await stack.ok('why', 'plays/2026-01-04')).toContain('add.sql');
  project.write(PLAYS);
  const answer = await retry('plays/2026-01-04', '--stage', 'add');
  expect(answer).toMatchObject({ state: 'succeeded', code: 'latest', plan: { kept: ['read'] } });
  const view = await stack.json<RunView>('show', 'plays/2026-01-04');
  expect(view.attempts.filter(({ stage }) => stage === 'read')).toHaveLength(1);
});

test('a retry that expects an older state is refused as stale', async () => {
  stack.land('plays', '2026-01-05', 'a.csv', 'wrong,header\n1,2\n');
  expect((await stack.run('run', 'plays', '--window', '2026-01-05', '--wait')).code).toBe(10);
  expect(await stack.failure('retry', 'plays/2026-01-05', '--stage', 'read', '--expect', '7', '--reason', 'too late')).toMatchObject({
    code: 'run.stale',
    exitCode: 5,
  });
});

test('an abandoned run stays closed for run and goes on with retry; of eight racing retries one wins', async () => {
  await stack.ok('abandon', 'plays/2026-01-05', '--reason', 'giving up');
  expect(await stack.failure('run', 'plays', '--window', '2026-01-05')).toMatchObject({ code: 'run.closed' });
  stack.land('plays', '2026-01-05', 'a.csv', plays('2026-01-05', 'ann'));
  const answers = await Promise.all(
    Array.from({ length: 8 }, (_, n) => stack.run('retry', 'plays/2026-01-05', '--reason', `race ${n}`, '--json')),
  );
  const codes = answers.map(({ code, stdout }) => (code === 0 ? 'won' : (JSON.parse(stdout) as { error: { code: string } }).error.code));
  expect(codes.filter((code) => code === 'won')).toHaveLength(1);
  // One that came after the winner had finished finds nothing left to retry.
  expect(codes.filter((code) => code === 'run.stale' || code === 'run.usage')).toHaveLength(7);
  await stack.ok('run', 'plays', '--window', '2026-01-05', '--wait');
  const view = await stack.json<RunView>('show', 'plays/2026-01-05');
  expect(view.row).toMatchObject({ state: 'succeeded', run: { generation: 2 } });
});

test('a skipped stage needs a version to stand in, and what follows is tainted', async () => {
  stack.land('plays', '2026-01-06', 'a.csv', 'wrong,header\n1,2\n');
  await stack.run('run', 'plays', '--window', '2026-01-06', '--wait');
  expect(await stack.failure('skip', 'plays/2026-01-06', '--stage', 'read', '--reason', 'no data')).toMatchObject({ code: 'run.usage' });
  const yesterday = (await stack.json<RunView>('show', 'plays/2026-01-05')).attempts.find(
    ({ stage, state }) => stage === 'read' && state === 'succeeded',
  )?.output?.versions[0];
  await stack.ok('skip', 'plays/2026-01-06', '--stage', 'read', '--reason', 'no data', '--use', `plays@2026-01-05#${yesterday?.version}`);
  await stack.ok('run', 'plays', '--window', '2026-01-06', '--wait');
  expect((await stack.json<RunView>('show', 'plays/2026-01-06')).attempts).toContainEqual(
    expect.objectContaining({ stage: 'read', state: 'skipped', tainted: true }),
  );
});

test('a closed run goes on without a stage as its next generation', async () => {
  stack.land('plays', '2026-01-07', 'a.csv', 'wrong,header\n1,2\n');
  await stack.run('run', 'plays', '--window', '2026-01-07', '--wait');
  await stack.ok('abandon', 'plays/2026-01-07', '--reason', 'no data');
  const stands = (await stack.json<RunView>('show', 'plays/2026-01-05')).attempts.find(
    ({ stage, state }) => stage === 'read' && state === 'succeeded',
  )?.output?.versions[0];
  await stack.ok('skip', 'plays/2026-01-07', '--stage', 'read', '--reason', 'no data', '--use', `plays@2026-01-05#${stands?.version}`);
  await stack.ok('run', 'plays', '--window', '2026-01-07', '--wait');
  expect((await stack.json<RunView>('show', 'plays/2026-01-07')).row).toMatchObject({
    state: 'succeeded',
    verb: 'skip',
    run: { generation: 2 },
  });
});

test('state declared otherwise than it was written is refused until it is rebuilt', async () => {
  stack.land('plays', '2026-01-08', 'a.csv', plays('2026-01-08', 'ann'));
  project.write({ 'pipelines/plays/pipeline.ts': PLAYS['pipelines/plays/pipeline.ts'].replaceAll('count: 4', 'count: 2') });
  expect(await stack.failure('run', 'plays', '--window', '2026-01-08')).toMatchObject({ code: 'chain.schema', exitCode: 5 });
  project.write(PLAYS);
});

test('--again makes a new generation of an accepted window', async () => {
  await stack.ok('run', 'plays', '--window', '2026-01-06', '--again', '--wait').catch(() => undefined);
  expect((await stack.json<RunView>('show', 'plays/2026-01-06')).row.run.generation).toBe(2);
});

test('an older window with other rows leaves those after it stale, and the commands it names mend them', async () => {
  stack.land('plays', '2026-01-01', 'late.csv', plays('2026-01-01', 'eve'));
  const again = await stack.run('run', 'plays', '--window', '2026-01-01', '--again', '--reason', 'a file came late', '--wait');
  expect(again).toMatchObject({
    code: 0,
    stderr: expect.stringMatching(/^built on what this replaces: plays\/2026-01-02, plays\/2026-01-03/),
  });
  expect(again.stdout).toContain('almanac run plays --window 2026-01-02 --again --reason …');
  const stale = await stack.json<StaleWindow[]>('backfill', 'stale', 'plays');
  expect(stale[0]).toMatchObject({ window: '2026-01-02', versions: [{ replaced: [{ dataset: 'totals', window: '2026-01-01' }] }] });
  expect(await stack.ok('why', 'plays/2026-01-02')).toContain('but it is stale');
  // The input of 2026-01-06 never came: it was skipped above.
  const mended = stale.map(({ window }) => window).filter((window) => window < '2026-01-06');
  for (const window of mended) await stack.ok('run', 'plays', '--window', window, '--again', '--reason', 'stale', '--wait');
  const left = await stack.json<StaleWindow[]>('backfill', 'stale', 'plays');
  expect(left.map(({ window }) => window)).toEqual(stale.map(({ window }) => window).slice(mended.length));
});

test.each(['cancel', 'abandon'])('%s of a run that ended so is no error', async (verb) => {
  const day = verb === 'cancel' ? '2026-01-08' : '2026-01-09';
  expect((await stack.run('run', 'plays', '--window', day, '--bootstrap', '--wait')).code).not.toBe(0);
  await stack.ok(verb, `plays/${day}`, '--reason', 'not wanted');
  await stack.ok(verb, `plays/${day}`, '--reason', 'not wanted');
});

test.each([
  [['run', 'plays', '--window', '2999-01-01'], 'window.open'],
  [['run', 'plays', '--window', 'yesterday'], 'window.invalid'],
  [['run', 'nope', '--window', '2026-01-01'], 'pipeline.unknown'],
  [['show', 'plays/2025-01-01'], 'run.unknown'],
  [['show', 'plays'], 'run.usage'],
  [['retry', 'plays/2026-01-01', '--stage', 'nope', '--reason', 'x'], 'run.usage'],
  [['retry', 'plays/2026-01-01', '--reason', 'x'], 'run.usage'],
  [['cancel', 'plays/2026-01-01', '--reason', 'x'], 'run.stale'],
  [['dataset', 'versions', 'nope'], 'dataset.unknown'],
  [['run', 'plays', '--window', '0000-01-01'], 'window.invalid'],
  [['run', 'plays', '--window', '2026-01-01', '--param', 'zz=1'], 'param.invalid'],
  [['retry', 'plays/2026-01-01', '--reason', ' '], 'reason.missing'],
  [['logs', 'plays/2026-01-01', 'nope'], 'run.usage'],
  [['runs', '--pipeline', 'nope'], 'pipeline.unknown'],
  [['publish', 'list', '--pipeline', 'nope'], 'pipeline.unknown'],
  [['quarantine', 'list', '--window', 'bogus'], 'window.invalid'],
  [['quarantine', 'list', '--reason', 'nope'], 'run.usage'],
] as const)('almanac %s is refused with a code and a next step', async (args, code) => {
  const failure = await stack.failure(...args);
  expect(failure).toMatchObject({ code });
  expect(failure.next).not.toBe('');
});

test('a history is exported when a run closes', async () => {
  const { rows } = await (
    await stack.database()
  ).query('select history_path from almanac.run where ended_at is not null order by ended_at limit 1');
  expect(rows[0]?.history_path).toMatch(/^histories\/plays\/main\//);
});
