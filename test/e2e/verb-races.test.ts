import type { RunView } from '../../operator/runs/inspect';
import { EmbeddedStack } from '../support/embedded-stack';
import { ForeignProject, PLAYS } from '../support/foreign-project';

jest.setTimeout(300_000);

const CLIENTS = 8;

let project: ForeignProject;
let stack: EmbeddedStack;
let day = 0;

beforeAll(async () => {
  const pipeline = PLAYS['pipelines/plays/pipeline.ts']
    .replace("predicate: 'plays < 1'", "predicate: 'plays > 1'")
    .replace("chain: 'ordered'", "chain: 'independent'");
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
});
afterAll(async () => {
  await stack?.[Symbol.asyncDispose]();
  project?.[Symbol.dispose]();
});

/** A run that is held: at its gate, or at its ingest. */
async function held(at: 'judge' | 'read'): Promise<string> {
  day += 1;
  const window = `2026-01-${String(day).padStart(2, '0')}`;
  stack.land(
    'plays',
    window,
    'a.csv',
    at === 'read' ? 'wrong,header\n1,2\n' : `user_id,ts\nann,${window}T10:00:00\nann,${window}T11:00:00\n`,
  );
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
