import type { RunView } from '../../operator/runs/inspect';
import { EmbeddedStack } from '../support/embedded-stack';
import { ForeignProject, PLAYS } from '../support/foreign-project';

jest.setTimeout(240_000);

const DAY = '2026-01-01';
const OTHER = '2026-01-02';
/** 200 kB in a message of DuckDB's. */
const LOUD =
  "select user_id, cast(repeat('x', 200000) || user_id as bigint) as plays, 0.5 as share from added where ts < $window_end and $floor > 0";

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

async function held(window: string, stage: string): Promise<{ code: string | undefined; length: number; tries: number }> {
  const { attempts } = await stack.json<RunView>('show', `plays/${window}`);
  const tries = attempts.filter((attempt) => attempt.stage === stage);
  return { code: tries[0]?.failure?.code, length: JSON.stringify(tries[0]?.failure ?? null).length, tries: tries.length };
}

test('a failure that quotes too much holds its run after one attempt, and the worker lives on', async () => {
  project.write({ 'pipelines/plays/sql/add.sql': LOUD });
  const worker = await stack.pid('worker-compute');
  const columns = Array.from({ length: 6000 }, (_, n) => `column_${n}`).join(',');
  stack.land('plays', DAY, 'a.csv', `${columns}\n`);
  expect((await stack.run('run', 'plays', '--window', DAY, '--wait')).code).toBe(10);
  expect(await held(DAY, 'read')).toMatchObject({ code: 'landing.columns', tries: 1 });

  stack.land('plays', DAY, 'a.csv', `user_id,ts\nann,${DAY}T10:00:00\n`);
  expect((await stack.run('retry', `plays/${DAY}`, '--stage', 'read', '--reason', 'mended', '--wait')).code).toBe(11);
  const loud = await held(DAY, 'add');
  expect(loud).toMatchObject({ code: 'engine.sql', tries: 1 });
  expect(loud.length).toBeLessThan(30_000);

  project.write({ 'pipelines/plays/sql/add.sql': PLAYS['pipelines/plays/sql/add.sql'] });
  await stack.ok('retry', `plays/${DAY}`, '--stage', 'add', '--reason', 'mended', '--wait');
  stack.land('plays', OTHER, 'a.csv', `user_id,ts\nann,${OTHER}T10:00:00\n`);
  await stack.ok('run', 'plays', '--window', OTHER, '--wait');
  expect(await stack.pid('worker-compute')).toBe(worker);
});
