import { readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { migrate, pendingMigrations } from '../../lib/migrate';
import { migrations } from '../../lib/migrations';
import type { ReconcileAnswer } from '../../operator/reconcile';
import type { RunView } from '../../operator/runs/inspect';
import { EmbeddedStack } from '../support/embedded-stack';
import { ForeignProject, PLAYS } from '../support/foreign-project';
import { until } from '../support/until';

jest.setTimeout(240_000);

const DAY = '2026-01-01';
const RUN = `plays/${DAY}`;

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

/** Brings the window to a hold: its file has no such columns. */
async function hold(): Promise<void> {
  stack.land('plays', DAY, 'a.csv', 'wrong,header\n1,2\n');
  await stack.run('run', 'plays', '--window', DAY, '--wait');
  expect(await stack.json<RunView>('show', RUN)).toMatchObject({ row: { state: 'held' } });
}

function land(): void {
  stack.land('plays', DAY, 'a.csv', `user_id,ts\nann,${DAY}T10:00:00\n`);
}

const reconcile = (...args: string[]): Promise<ReconcileAnswer> => stack.json('reconcile', '--reason', 'after a loss', ...args);

test('the workers of a stack are at work for whoever would migrate the schema under them, as long as they live', async () => {
  const known = [...migrations(), { name: '900001-tidy.sql', sql: 'drop table almanac.run', breaking: 'it reads almanac.run' }];
  const atWork = async (): Promise<readonly string[]> => (await pendingMigrations(await stack.database(), known)).otherWorkers;
  const [compute, control] = [await stack.pid('worker-compute'), await stack.pid('worker-control')];
  expect(await atWork()).toEqual([
    expect.stringMatching(new RegExp(`^almanac compute \\S+:${compute}\\b`)),
    expect.stringMatching(new RegExp(`^almanac control \\S+:${control}\\b`)),
  ]);
  await expect(migrate(await stack.database(), known)).rejects.toMatchObject({ code: 'deploy.migration' });
  process.kill(compute, 'SIGKILL');
  await until('the killed one is not at work', async () => !(await atWork()).some((name) => name.includes(`:${compute}`)), 60_000);
  await until('the next one is', async () => (await atWork()).length === 2, 60_000);
});

test('where ledger and Temporal agree nothing is done', async () => {
  await hold();
  expect(await reconcile()).toEqual({ dryRun: false, lost: [], terminated: [], agree: 1, young: [] });
});

test('a held run whose execution Temporal lost becomes lost, with the command that goes on', async () => {
  await stack.ok('down');
  for (const name of readdirSync(stack.home)) if (name.startsWith('temporal.db')) rmSync(path.join(stack.home, name));
  await stack.ok('up', '--detach');
  const expected = {
    lost: [{ run: { window: DAY, generation: 1 }, was: 'held', why: 'Temporal does not know it' }],
    terminated: [],
    agree: 0,
  };
  expect(await reconcile('--dry-run')).toMatchObject({ ...expected, dryRun: true });
  expect((await stack.json<RunView>('show', RUN)).row.state).toBe('held');
  const answer = await reconcile();
  expect(answer).toMatchObject(expected);
  expect(await stack.json<RunView>('show', RUN)).toMatchObject({
    row: { state: 'lost' },
    actions: [{ verb: 'run' }, { verb: 'reconcile' }],
  });
  expect((await reconcile()).lost).toEqual([]);
  land();
  expect(answer.lost[0]?.next).toBe(`almanac retry ${RUN} --reason …`);
  expect(await stack.json('retry', RUN, '--reason', 'Temporal was lost', '--wait')).toMatchObject({
    state: 'succeeded',
    run: { generation: 2 },
  });
});

test('an execution that the ledger lost is terminated, and its window can be run', async () => {
  stack.land('plays', '2026-01-02', 'a.csv', 'wrong,header\n1,2\n');
  await stack.run('run', 'plays', '--window', '2026-01-02', '--wait');
  await (await stack.database()).query('drop schema almanac cascade');
  const expected = [{ workflow: 'plays/2026-01-02', why: 'the ledger does not know the run' }];
  expect((await reconcile('--dry-run')).terminated).toMatchObject(expected);
  expect((await reconcile()).terminated).toMatchObject(expected);
  expect((await reconcile()).terminated).toEqual([]);
  await stack.ok('dataset', 'reindex');
  stack.land('plays', '2026-01-02', 'a.csv', 'user_id,ts\nann,2026-01-02T10:00:00\n');
  expect(await stack.json('run', 'plays', '--window', '2026-01-02', '--wait')).toMatchObject({ did: 'started', state: 'succeeded' });
});
