import type { RunView } from '../../operator/runs/inspect';
import { retryRun } from '../../operator/runs/retry';
import { startRun } from '../../operator/runs/start';
import { triggerSchedule } from '../../operator/schedules/verbs';
import { openSession, type OperatorSession } from '../../operator/session';
import { AlmanacError } from '../../pipelines/failures';
import { EmbeddedStack } from '../support/embedded-stack';
import { ForeignProject, PLAYS } from '../support/foreign-project';
import { until } from '../support/until';

jest.setTimeout(300_000);

const CLIENTS = 8;

let project: ForeignProject;
let stack: EmbeddedStack;
let day = 0;

beforeAll(async () => {
  const pipeline = PLAYS['pipelines/plays/pipeline.ts']
    .replace("predicate: 'plays < 1'", "predicate: 'plays > 1'")
    .replace(
      "chain: 'ordered'",
      "chain: 'independent', schedule: { cron: '0 3 1 1 *', timezone: 'UTC', gap: 'shift', fold: 'first', catchUp: 'latest', overlap: 'queue' }",
    );
  const independent = pipeline
    .replace("before: previous('totals')", "before: 'plays'")
    .replace(
      'import { check, compute, daily, definePipeline, ingest, previous, publish }',
      'import { check, compute, daily, definePipeline, ingest, publish }',
    )
    .replace(", bootstrap: 'all.sql'", '')
    .replace("kind: 'state', ", '');
  project = new ForeignProject({
    ...PLAYS,
    'pipelines/plays/pipeline.ts': independent,
    'pipelines/plays/sql/add.sql':
      'select user_id, count(*) as plays, cast(0 as double) as share from added group by user_id having count(*) >= $floor',
  });
  stack = await EmbeddedStack.start({ project: project.directory });
  process.env.ALMANAC_HOME = stack.home;
  await stack.ok('schedule', 'apply');
});
afterAll(async () => {
  await stack?.[Symbol.asyncDispose]();
  project?.[Symbol.dispose]();
});

/** A window of its own, with rows that lie so: no gate minds, the gate minds, or nobody can read them. */
function landed(what: 'good' | 'judge' | 'read'): string {
  day += 1;
  const window = `2026-01-${String(day).padStart(2, '0')}`;
  land(window, what);
  return window;
}

function land(window: string, what: 'good' | 'judge' | 'read'): void {
  const played = `user_id,ts\nann,${window}T10:00:00\n`;
  stack.land(
    'plays',
    window,
    'a.csv',
    what === 'read' ? 'wrong,header\n1,2\n' : what === 'good' ? played : `${played}ann,${window}T11:00:00\n`,
  );
}

/** A run that is held: at its gate, or at its ingest. */
async function held(at: 'judge' | 'read'): Promise<string> {
  const window = landed(at);
  await stack.run('run', 'plays', '--window', window, '--wait');
  const run = `plays/${window}`;
  expect((await stack.json<RunView>('show', run)).row).toMatchObject({ state: 'held', failure: { [at]: {} } });
  return run;
}

/** Each command line from a client of its own, all at once: how many won, and the codes of the others. */
async function race(commands: readonly (readonly string[])[]): Promise<{ won: number; refused: string[] }> {
  const answers = await Promise.all(commands.map((command, n) => stack.run(...command, '--reason', `client ${n}`, '--json')));
  const refused = answers.flatMap(({ code, stdout }) =>
    code === 0 ? [] : [(JSON.parse(stdout) as { error: { code: string } }).error.code],
  );
  return { won: answers.length - refused.length, refused };
}

const REFUSALS = ['run.stale', 'run.running', 'run.usage', 'undo.impossible'];
const repeated = (...command: string[]): string[][] => Array.from({ length: CLIENTS }, () => command);

/** The same act of so many clients, begun in the same moment: command lines would begin a second apart. */
async function allAtOnce<T extends object>(
  act: (session: OperatorSession) => Promise<T>,
  clients = CLIENTS,
): Promise<PromiseSettledResult<T>[]> {
  const sessions = await Promise.all(Array.from({ length: clients }, () => openSession(project.directory)));
  try {
    await Promise.all(sessions.flatMap((session) => [session.project(), session.temporal()]));
    return await Promise.allSettled(sessions.map(act));
  } finally {
    await Promise.all(sessions.map((session) => session.close()));
  }
}

/** What each call of `run` did, or the code that refused it. */
function told(answers: readonly PromiseSettledResult<object>[]): string[] {
  return answers.map((answer) => {
    if (answer.status === 'fulfilled') return 'did' in answer.value ? String(answer.value.did) : 'done';
    if (answer.reason instanceof AlmanacError) return answer.reason.code;
    throw answer.reason;
  });
}

/** Nobody waits for ever: it ended, or holds and a verb still ends it. */
async function expectNotStuck(run: string): Promise<void> {
  const [, window = ''] = run.split('/');
  await stack.run('run', 'plays', '--window', window, '--wait');
  const { row, actions } = await stack.json<RunView>('show', run);
  expect(actions.filter(({ state }) => state === 'intended')).toEqual([]);
  expect(['held', 'succeeded', 'abandoned', 'cancelled']).toContain(row.state);
  if (row.state === 'held') await stack.ok('cancel', run, '--reason', 'the race is over');
}

test.each<['judge' | 'read', (run: string) => string[]]>([
  ['read', (run) => ['retry', run]],
  ['judge', (run) => ['override', run, '--check', 'few', '--until', '1m']],
  ['read', (run) => ['mark-done', run, '--stage', 'read', '--version', 'plays@2026-01-02']],
])('of eight times the same verb on a run held at %s one wins', async (at, verb) => {
  const run = await held(at);
  const command = verb(run);
  if (command[0] === 'mark-done') {
    const [version] = await stack.json<{ version: string }[]>('dataset', 'versions', 'plays', '--window', '2026-01-02');
    command[command.length - 1] = `plays@2026-01-02#${version?.version ?? ''}`;
  }
  const { won, refused } = await race(repeated(...command));
  // Whoever looks after the winner's retry failed again may win that one.
  if (command[0] === 'retry') expect(won).toBeGreaterThanOrEqual(1);
  else expect(won).toBe(1);
  expect(refused.filter((code) => !REFUSALS.includes(code))).toEqual([]);
  await expectNotStuck(run);
  await (await stack.database()).query('update almanac.check_override set withdrawn_at = now()');
});

test.each(['cancel', 'abandon'])('eight times %s ends the run once, and everybody is told so', async (verb) => {
  const run = await held('read');
  const { won, refused } = await race(repeated(verb, run));
  expect([won, refused]).toEqual([CLIENTS, []]);
  await expectNotStuck(run);
});

test('eight different verbs at once: what is not taken is refused by its code, and the run goes on', async () => {
  const run = await held('judge');
  const { won, refused } = await race([
    ['retry', run],
    ['retry', run, '--stage', 'judge'],
    ['override', run, '--check', 'few', '--until', '1m'],
    ['abandon', run],
    ['cancel', run],
    ['undo', run],
    ['skip', run, '--stage', 'add'],
    ['mark-done', run, '--stage', 'read', '--version', 'plays@2026-01-02#00'],
  ]);
  expect(won).toBeGreaterThanOrEqual(1);
  expect(refused.filter((code) => ![...REFUSALS, 'dataset.version-missing'].includes(code))).toEqual([]);
  await expectNotStuck(run);
});

test('of eight that undo an abandon one makes the next generation', async () => {
  const run = await held('read');
  await stack.ok('abandon', run, '--reason', 'given up');
  const { won, refused } = await race(repeated('undo', run));
  expect(won).toBe(1);
  expect(refused.filter((code) => !REFUSALS.includes(code))).toEqual([]);
  expect((await stack.json<RunView>('show', run)).row.run.generation).toBe(2);
  await expectNotStuck(run);
});

test('of eight that run a window one starts it, and the others get its run', async () => {
  const window = landed('good');
  const did = told(await allAtOnce((session) => startRun(session, { pipeline: 'plays', window })));
  expect(did.filter((what) => what === 'started')).toHaveLength(1);
  expect(did.filter((what) => !['started', 'attached', 'accepted'].includes(what))).toEqual([]);
  await expectNotStuck(`plays/${window}`);
  const { row, attempts } = await stack.json<RunView>('show', `plays/${window}`);
  expect(row).toMatchObject({ state: 'succeeded', run: { generation: 1 } });
  expect(attempts.map(({ attempt }) => attempt)).toEqual([1, 1, 1, 1]);

  const again = told(await allAtOnce((session) => startRun(session, { pipeline: 'plays', window, again: true })));
  const started = again.filter((what) => what === 'started').length;
  expect(started).toBeGreaterThanOrEqual(1);
  expect(again.filter((what) => !['started', 'run.stale'].includes(what))).toEqual([]);
  await expectNotStuck(`plays/${window}`);
  expect((await stack.json<RunView>('show', `plays/${window}`)).row).toMatchObject({
    state: 'succeeded',
    run: { generation: 1 + started },
  });
});

test('of eight that run what a platform failure holds one retries it, and nothing is done twice', async () => {
  const run = await held('read');
  const [, window = ''] = run.split('/');
  land(window, 'good');
  // The class of what holds a run is for the ledger to tell.
  const database = await stack.database();
  await database.query(`update almanac.run set failure = jsonb_set(failure, '{read,class}', '"platform"') where window_key = $1`, [window]);
  const did = told(await allAtOnce((session) => startRun(session, { pipeline: 'plays', window })));
  expect(did.filter((what) => what === 'retried')).toHaveLength(1);
  expect(did.filter((what) => !['retried', 'attached', 'accepted', 'run.stale'].includes(what))).toEqual([]);
  await expectNotStuck(run);
  const { row, attempts } = await stack.json<RunView>('show', run);
  expect(row).toMatchObject({ state: 'succeeded', run: { generation: 1 } });
  expect(attempts.filter(({ stage }) => stage === 'read')).toHaveLength(2);
});

test('a run that saw a hold of the platform does not go on with a run that was cancelled since', async () => {
  const run = await held('read');
  const address = { pipeline: 'plays', window: run.split('/')[1] ?? '', branch: 'main' };
  await stack.ok('cancel', run, '--reason', 'no more');
  const [code] = told(
    await allAtOnce((session) => retryRun(session, { address, stages: ['read'], reason: 'held by the platform', onlyHeld: true }), 1),
  );
  expect(code).toBe('run.stale');
});

test('eight slots triggered at one instant are eight slots of one run', async () => {
  const window = landed('good');
  const at = new Date();
  const told = await allAtOnce((session) =>
    triggerSchedule({ ...session, clock: { now: () => at } }, { pipeline: 'plays', window, overlap: 'ignore', reason: 'a race' }),
  );
  expect(told.map(({ status }) => status)).toEqual(told.map(() => 'fulfilled'));
  await expectNotStuck(`plays/${window}`);
  await until('every slot has its outcome', async () => (await slotsOf(window)).every(({ outcome }) => outcome !== null), 60_000);
  expect(await slotsOf(window)).toHaveLength(CLIENTS);
  expect((await stack.json<RunView>('show', `plays/${window}`)).row.run.generation).toBe(1);
});

async function slotsOf(window: string): Promise<{ window: string; outcome: string | null; reason: string }[]> {
  const slots = await stack.json<{ window: string; outcome: string | null; reason: string }[]>(
    'schedule',
    'slots',
    'plays',
    '--limit',
    '100',
  );
  return slots.filter((slot) => slot.window === window);
}

test.each(['held', 'new'])(
  'run, trigger, retry and cancel of a %s run at once: what is not taken is refused by its code',
  async (before) => {
    const run = before === 'held' ? await held('read') : `plays/${landed('good')}`;
    const [, window = ''] = run.split('/');
    const { won, refused } = await race([
      ['run', 'plays', '--window', window],
      ['cancel', run],
      ['run', 'plays', '--window', window, '--again'],
      ['retry', run],
      ['schedule', 'trigger', 'plays', '--window', window],
      ['cancel', run],
      ['retry', run],
      ['run', 'plays', '--window', window],
    ]);
    expect(won).toBeGreaterThanOrEqual(1);
    expect(refused.filter((code) => ![...REFUSALS, 'run.closed', 'run.unknown', 'landing.columns'].includes(code))).toEqual([]);
    await expectNotStuck(run);
  },
);
