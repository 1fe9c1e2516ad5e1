import type { RunView } from '../../operator/runs/inspect';
import type { StopAnswer } from '../../operator/runs/stop';
import type { Why } from '../../pipelines/why';
import { EmbeddedStack } from '../support/embedded-stack';
import { ForeignProject } from '../support/foreign-project';
import { until } from '../support/until';

jest.setTimeout(240_000);

/** Longer than any test, so that only what is sensed or a verb ends the wait. */
const PATIENCE_SECONDS = 600;

let project: ForeignProject;
let stack: EmbeddedStack;

beforeAll(async () => {
  project = new ForeignProject({
    'pipelines/tally/sql/count.sql': 'select count(*) as users from played where user_id is not null',
    'almanac.config.ts': `import { compute, daily, defineProject, definePipeline, ingest, publish, sense, sensed } from 'almanac';
const plays = definePipeline({
  id: 'plays', owner: 'music', window: daily(), chain: 'independent',
  datasets: { played: { columns: { user_id: 'text' } } },
  stages: {
    read: ingest({ landing: 'plays', writes: 'played' }),
    publish: publish({ mode: 'newest', tables: { played: { from: 'played', key: ['user_id'] } } }),
  },
});
const report = definePipeline({
  id: 'report', owner: 'music', window: daily(), chain: 'independent', datasets: {},
  schedule: { cron: '30 2 * * *', timezone: 'UTC', gap: 'shift', fold: 'first', catchUp: 'latest', overlap: 'queue' },
  stages: {
    wait: sense({ conditions: [{ accepted: { dataset: 'played' } }, { published: { table: 'played' } }], patience: '2h' }),
    send: compute({ engine: 'none', needs: ['wait'] }),
  },
});
const tally = definePipeline({
  id: 'tally', owner: 'music', window: daily(), chain: 'independent',
  datasets: { tallied: { columns: { users: 'bigint' } } },
  stages: {
    wait: sense({ conditions: [{ accepted: { dataset: 'played' } }] }),
    count: compute({ reads: { played: sensed('played') }, sql: 'count.sql', writes: 'tallied' }),
  },
});
export default defineProject({ pipelines: [plays, report, tally] });
`,
  });
  // One place: whoever held it while waiting would wait for ever.
  stack = await EmbeddedStack.start({ project: project.directory, env: { ALMANAC_PLACES: '1' } });
});
afterAll(async () => {
  await stack?.[Symbol.asyncDispose]();
  project?.[Symbol.dispose]();
});

async function begin(window: string): Promise<string> {
  await stack.ok('run', 'report', '--window', window, '--patience', String(PATIENCE_SECONDS));
  return `report/${window}`;
}

/** Attempts of the sense stage, once it looked `polls` times. */
async function looked(run: string, polls: number): Promise<RunView['attempts']> {
  let attempts: RunView['attempts'] = [];
  await until(
    `${run} looked ${polls} times`,
    async () => {
      attempts = (await stack.json<RunView>('show', run)).attempts;
      return attempts.at(-1)?.state === 'waiting' && (attempts.at(-1)?.polls ?? 0) >= polls;
    },
    90_000,
  );
  return attempts;
}

async function play(window: string): Promise<void> {
  stack.land('plays', window, 'a.csv', 'user_id\nanna\n');
  await stack.ok('run', 'plays', '--window', window, '--wait');
}

test('it waits without holding the only place, says for what, and goes on after the other pipeline', async () => {
  const run = await begin('2026-01-01');
  await looked(run, 1);
  const why = await stack.ok('why', run);
  for (const part of ['stage wait', 'sense.unmet', 'plays/2026-01-01 is not accepted', 'it never ran', 'almanac cancel'])
    expect(why).toContain(part);
  await play('2026-01-01');
  await stack.ok('run', 'report', '--window', '2026-01-01', '--wait');
  const { attempts } = await stack.json<RunView>('show', run);
  expect(attempts.filter(({ stage }) => stage === 'wait')).toMatchObject([
    {
      attempt: 1,
      state: 'succeeded',
      output: {
        versions: [],
        sensed: [
          { kind: 'accepted', pipeline: 'plays', window: '2026-01-01', versions: [{ dataset: 'played', window: '2026-01-01' }] },
          { kind: 'published', pipeline: 'plays', window: '2026-01-01', publication: 1 },
        ],
      },
    },
  ]);
  expect(await stack.ok('show', run)).toMatch(
    /sensed:\n +wait: plays\/2026-01-01 accepted as 1, played#\w+\n +wait: plays\/2026-01-01 published as 1/,
  );
});

test('when patience is over it holds and names the next command; a retry goes on', async () => {
  expect((await stack.run('run', 'report', '--window', '2026-01-02', '--wait')).code).toBe(10);
  expect(await stack.json<Why & { state: string }>('why', 'report/2026-01-02')).toMatchObject({
    state: 'held',
    next: 'almanac retry report/2026-01-02 --stage wait --reason …',
  });
  expect((await stack.failure('run', 'report', '--window', '2026-01-02')).code).toBe('sense.unmet');
  await play('2026-01-02');
  await stack.ok('retry', 'report/2026-01-02', '--reason', 'plays is there', '--wait');
});

test('the worker killed while it waits: another one looks on', async () => {
  const run = await begin('2026-01-03');
  await looked(run, 1);
  process.kill(await stack.pid('worker-compute'), 'SIGKILL');
  await play('2026-01-03');
  await stack.ok('run', 'report', '--window', '2026-01-03', '--wait');
  const waits = (await stack.json<RunView>('show', run)).attempts.filter(({ stage }) => stage === 'wait');
  expect(waits.at(-1)).toMatchObject({ state: 'succeeded' });
});

test('a cancel ends the wait, proven by the last report', async () => {
  const run = await begin('2026-01-04');
  await looked(run, 1);
  const answer = await stack.json<StopAnswer>('cancel', run, '--reason', 'no report today');
  expect(answer).toMatchObject({ state: 'cancelled', proof: [{ stage: 'wait', attempt: 1, ended: 'reported' }] });
});

test('a run of the schedule waits as long as the stage declares, and can be let go on without it', async () => {
  await stack.ok('schedule', 'apply');
  await stack.ok('schedule', 'trigger', 'report', '--window', '2026-01-05', '--reason', 'show the patience');
  const [attempt] = await looked('report/2026-01-05', 1);
  expect(Date.parse(attempt?.waitsUntil ?? '') - Date.parse(attempt?.startedAt ?? '')).toBe(2 * 3_600_000);
  await stack.ok('cancel', 'report/2026-01-05', '--reason', 'not today');
  await stack.ok('skip', 'report/2026-01-05', '--stage', 'wait', '--reason', 'send what there is');
  await until(
    'the run went on without it',
    async () => (await stack.json<RunView>('show', 'report/2026-01-05')).row.state === 'succeeded',
    90_000,
  );
  expect(await stack.json<RunView>('show', 'report/2026-01-05')).toMatchObject({ tainted: true });
});

test('what is sensed is read as it was pinned; rows that came later make the window stale, and its rebuild reads them', async () => {
  const day = '2026-01-06';
  expect((await stack.run('run', 'tally', '--window', day, '--wait')).code).toBe(10);
  expect(await stack.failure('skip', `tally/${day}`, '--stage', 'wait', '--reason', 'without')).toMatchObject({ code: 'run.usage' });
  await play(day);
  await stack.ok('retry', `tally/${day}`, '--reason', 'plays is there', '--wait');
  const counted = async (): Promise<unknown> => {
    const { rows } = await (
      await stack.database()
    ).query<{ rows_in: number; input_dataset: string; input_digest: string }>(
      `select v.rows_in::int, i.input_dataset, i.input_digest from almanac.accepted_version a
       join almanac.dataset_version v on v.dataset = a.dataset and v.window_key = a.version_window and v.version = a.version
       join almanac.version_input i on i.dataset = v.dataset and i.window_key = v.window_key and i.version = v.version
       where a.dataset = 'tallied' and a.window_key = $1`,
      [day],
    );
    return rows.map(({ rows_in, input_dataset }) => [input_dataset, rows_in]);
  };
  expect(await counted()).toEqual([['played', 1]]);
  expect(await stack.json('backfill', 'stale', 'tally')).toEqual([]);

  stack.land('plays', day, 'b.csv', 'user_id\nbert\n');
  await stack.ok('run', 'plays', '--window', day, '--again', '--wait');
  expect(await stack.json<{ window: string }[]>('backfill', 'stale', 'tally')).toMatchObject([
    { pipeline: 'tally', window: day, versions: [{ dataset: 'tallied', replaced: [{ dataset: 'played', window: day }] }] },
  ]);
  const { plan } = await stack.json<{ plan: { windows: { window: string; stages: unknown[] }[] } }>(
    ...['backfill', 'plan', 'tally', '--from', day, '--to', day, '--reprocess', 'stale'],
  );
  expect(plan.windows).toMatchObject([
    {
      window: day,
      stages: [
        { stage: 'wait', reason: 'input changed' },
        { stage: 'count', reason: 'input changed' },
      ],
    },
  ]);
  await stack.ok('retry', `tally/${day}`, '--reason', 'plays has more', '--wait');
  expect(await counted()).toEqual([['played', 2]]);
  expect(await stack.json('backfill', 'stale', 'tally')).toEqual([]);
});

test('validate refuses a name that nobody has, with its place', async () => {
  using wrong = new ForeignProject({
    'almanac.config.ts': `import { compute, daily, defineProject, definePipeline, sense } from 'almanac';
export default defineProject({ pipelines: [definePipeline({
  id: 'report', owner: 'music', window: daily(), chain: 'independent', datasets: {},
  stages: { wait: sense({ conditions: [{ accepted: { pipeline: 'pays' } }] }) },
})] });
`,
  });
  const { code, stdout } = await stack.run('--project', wrong.directory, 'validate', '--json');
  expect(code).toBe(11);
  expect(stdout).toContain('report.stages.wait.conditions.0.accepted.pipeline');
});
