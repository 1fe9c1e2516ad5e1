import type { RunView } from '../../operator/runs/inspect';
import type { StopAnswer } from '../../operator/runs/stop';
import type { Why } from '../../pipelines/why';
import { countingProject, keys } from '../support/counting-project';
import { EmbeddedStack } from '../support/embedded-stack';
import type { ForeignProject } from '../support/foreign-project';
import { until } from '../support/until';

jest.setTimeout(240_000);

/** Longer than any test, so that only the data or a verb end the wait. */
const PATIENCE_SECONDS = 600;
const FEW = ['--param', 'rows=10'];

let project: ForeignProject;
let stack: EmbeddedStack;

beforeAll(async () => {
  project = countingProject();
  stack = await EmbeddedStack.start({ project: project.directory });
});
afterAll(async () => {
  await stack?.[Symbol.asyncDispose]();
  project?.[Symbol.dispose]();
});

async function begin(window: string, patienceSeconds: number): Promise<string> {
  await stack.ok('run', 'counts', '--window', window, '--patience', String(patienceSeconds), ...FEW);
  return `counts/${window}`;
}

/** Attempts of the stage that reads landing, once it looked `polls` times. */
async function looked(run: string, polls: number): Promise<RunView['attempts']> {
  let attempts: RunView['attempts'] = [];
  await until(`${run} looked ${polls} times`, async () => {
    attempts = (await stack.json<RunView>('show', run)).attempts;
    return attempts[0]?.state === 'waiting' && attempts[0].polls >= polls;
  });
  return attempts;
}

test('a run with patience waits as one attempt, says so, and goes on when the data come', async () => {
  const run = await begin('2026-01-01', PATIENCE_SECONDS);
  const attempts = await looked(run, 2);
  expect(attempts).toHaveLength(1);
  const [attempt] = attempts;
  expect(Date.parse(attempt?.waitsUntil ?? '') - Date.parse(attempt?.startedAt ?? '')).toBe(PATIENCE_SECONDS * 1000);
  const why = await stack.ok('why', run);
  expect(why.trim().split('\n')).toHaveLength(1);
  for (const part of ['stage read', 'landing.missing', `until ${attempt?.waitsUntil}`, `since ${attempt?.waitingSince}`, 'almanac cancel'])
    expect(why).toContain(part);
  expect(await stack.ok('show', run)).toMatch(/read +ingest +waiting .*landing\.missing since .* until /);
  stack.land('keys', '2026-01-01', 'a.csv', keys('2026-01-01', 'late'));
  await stack.ok('run', 'counts', '--window', '2026-01-01', '--wait');
  const view = await stack.json<RunView>('show', run);
  expect(view.attempts.filter(({ stage }) => stage === 'read')).toMatchObject([{ attempt: 1, state: 'succeeded' }]);
});

test('when patience is over the run holds with one failed attempt', async () => {
  const run = await begin('2026-01-02', 1);
  expect((await stack.run('run', 'counts', '--window', '2026-01-02', '--wait')).code).toBe(10);
  expect((await stack.json<RunView>('show', run)).attempts).toMatchObject([{ attempt: 1, state: 'failed', polls: 2 }]);
  expect(await stack.json<Why & { state: string }>('why', run)).toMatchObject({
    state: 'held',
    next: `almanac retry ${run} --stage read --reason …`,
  });
});

test('a cancel ends the wait at once, proven by the last report', async () => {
  const run = await begin('2026-01-03', PATIENCE_SECONDS);
  await looked(run, 1);
  const answer = await stack.json<StopAnswer>('cancel', run, '--reason', 'no data today');
  expect(answer).toMatchObject({ state: 'cancelled', proof: [{ stage: 'read', attempt: 1, ended: 'reported' }] });
  expect((await stack.json<RunView>('show', run)).attempts).toMatchObject([{ state: 'cancelled' }]);
});
