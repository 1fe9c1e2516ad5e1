import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { RunView } from '../../operator/runs/inspect';
import { EmbeddedStack } from '../support/embedded-stack';
import { ForeignProject, PLAYS } from '../support/foreign-project';
import { until } from '../support/until';

jest.setTimeout(240_000);

const BROKEN = { 'pipelines/plays/sql/add.sql': 'select user_id, plays from no_such_table' };

let faults: string;
let project: ForeignProject;
let stack: EmbeddedStack;

beforeAll(async () => {
  faults = mkdtempSync(path.join(os.tmpdir(), 'almanac-faults-'));
  project = new ForeignProject(PLAYS);
  stack = await EmbeddedStack.start({ project: project.directory, env: { ALMANAC_TEST_FAULTS: faults, ALMANAC_ACTOR: 'ann' } });
  for (const window of ['2026-01-01', '2026-01-02']) stack.land('plays', window, 'a.csv', `user_id,ts\nann,${window}T10:00:00\n`);
  // The day before the one whose runs are held.
  await stack.ok('run', 'plays', '--window', '2026-01-01', '--wait');
});
afterAll(async () => {
  await stack?.[Symbol.asyncDispose]();
  project?.[Symbol.dispose]();
  rmSync(faults, { recursive: true, force: true });
});

const RUN = 'plays/2026-01-02';
const show = (): Promise<RunView> => stack.json<RunView>('show', RUN);

/** A run held by bad SQL, which is mended since. */
async function held(...again: string[]): Promise<RunView> {
  project.write(BROKEN);
  await stack.run('run', 'plays', '--window', '2026-01-02', '--wait', ...again);
  project.write(PLAYS);
  const view = await show();
  expect(view.row.state).toBe('held');
  return view;
}

/** One verb whose process is killed at the named point. */
async function killedAt(point: string, ...args: string[]): Promise<void> {
  writeFileSync(path.join(faults, point), 'SIGKILL');
  expect((await stack.run(...args)).code).toBeNull();
}

async function ended(state: string): Promise<RunView> {
  await until(`the run is ${state}`, async () => (await show()).row.state === state, 60_000);
  return show();
}

test('a retry whose sender dies before it is sent is shown as not known to be taken, and as refused once the run has ended without it', async () => {
  await held();
  await killedAt('retry:intended', 'retry', RUN, '--stage', 'add', '--reason', 'never sent');
  const intended = { verb: 'retry', stage: 'add', who: 'ann', reason: 'never sent' };
  expect(await show()).toMatchObject({ row: { state: 'held' }, actions: [{ verb: 'run' }, { ...intended, state: 'intended' }] });
  expect(await stack.ok('show', RUN)).toContain('retry add (never sent): not known to have been taken');
  expect(await stack.ok('why', RUN)).toMatch(/whether retry add of ann .* was taken is not known yet/);
  await stack.ok('abandon', RUN, '--reason', 'giving up');
  expect((await show()).actions).toMatchObject([
    { verb: 'run' },
    { ...intended, state: 'refused' },
    { verb: 'abandon', reason: 'giving up', state: 'done' },
  ]);
  expect(await stack.ok('show', RUN)).toContain('retry add (never sent): the run did not take it');
  expect(await stack.ok('why', RUN)).not.toContain('not known');
});

test('a retry whose sender dies after the run took it leaves who, when, why and the plan it led to', async () => {
  const before = await held('--again');
  await killedAt('retry:sent', 'retry', RUN, '--stage', 'add', '--reason', 'mended');
  const view = await ended('succeeded');
  expect(view.actions.at(-1)).toMatchObject({ verb: 'retry', stage: 'add', who: 'ann', reason: 'mended', state: 'done', generation: 2 });
  expect(view.row.planHash).not.toBe(before.row.planHash);
  expect(view.plan.stages.find(({ id }) => id === 'add')?.hash).toBe(
    view.attempts.filter(({ stage }) => stage === 'add').at(-1)?.stageHash,
  );
});

test.each(['cancel', 'abandon'])('a %s whose sender dies after the run took it leaves who, when and why', async (verb) => {
  await held('--again');
  await killedAt(`${verb}:sent`, verb, RUN, '--reason', 'wrong day');
  const { actions } = await ended(verb === 'cancel' ? 'cancelled' : 'abandoned');
  expect(actions.at(-1)).toMatchObject({ verb, who: 'ann', reason: 'wrong day', state: 'done' });
});

test('a verb that the run refuses is on record as refused', async () => {
  await held('--again');
  await stack.failure('retry', RUN, '--stage', 'add', '--expect', '7', '--reason', 'too late');
  expect((await show()).actions.at(-1)).toMatchObject({ verb: 'retry', reason: 'too late', state: 'refused' });
});
