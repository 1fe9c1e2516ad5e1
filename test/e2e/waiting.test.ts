import type { PlannedBackfill } from '../../operator/backfills/plan';
import type { RunView } from '../../operator/runs/inspect';
import type { StopAnswer } from '../../operator/runs/stop';
import type { Why } from '../../pipelines/why';
import { countingProject, keys } from '../support/counting-project';
import { EmbeddedStack } from '../support/embedded-stack';
import type { ForeignProject } from '../support/foreign-project';
import { until } from '../support/until';

jest.setTimeout(240_000);

const SOON_MS = 120_000;
const POLL_MS = 250;
/** Longer than any test, so that only the data or a verb end the wait. */
const PATIENCE_SECONDS = 600;
const FEW = ['--param', 'rows=10'];

let project: ForeignProject;
let stack: EmbeddedStack;

beforeAll(async () => {
  project = countingProject();
  // One place of each side: what waits holds neither.
  stack = await EmbeddedStack.start({ project: project.directory, env: { ALMANAC_PLACES: '1', ALMANAC_BACKFILL_PLACES: '1' } });
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

test('a live stage takes the idle place of backfills, gives it back, and waits for no stage of a backfill to end', async () => {
  const days = ['2026-02-01', '2026-02-02', '2026-02-03', '2026-02-04'] as const;
  const [first, second, past, last] = days;
  for (const day of days) stack.land('keys', day, 'a.csv', keys(day, 'ann'));
  const begun = (day: string): Promise<string> => stack.ok('run', 'counts', '--window', day);
  const stop = (day: string): Promise<string> => stack.ok('cancel', `counts/${day}`, '--reason', 'long enough');
  const compute = async (...windows: readonly string[]): Promise<void> => {
    const computing = async (): Promise<string[]> => {
      const { rows } = await (
        await stack.database()
      ).query<{ window_key: string }>(
        "select window_key from almanac.attempt where stage = 'count' and state = 'running' and child is not null",
      );
      return rows.map(({ window_key }) => window_key).sort();
    };
    await until(`${windows.join(' and ')} compute`, async () => (await computing()).join() === windows.join(), SOON_MS, POLL_MS);
  };
  await begun(first);
  await begun(second);
  await compute(first, second);

  const { hash } = await stack.json<PlannedBackfill>('backfill', 'plan', 'counts', '--from', past, '--to', past);
  await stack.ok('backfill', 'start', hash);
  await until(
    'the backfill waits for its place',
    async () =>
      (await stack.json<RunView>('show', `counts/${past}`).catch(() => undefined))?.attempts.some(({ stage }) => stage === 'read') === true,
    SOON_MS,
    POLL_MS,
  );
  await compute(first, second);
  await stop(second);
  await compute(first, past);

  await begun(last);
  await stop(first);
  await compute(past, last);
  await stop(last);
  await stack.ok('backfill', 'cancel', hash, '--reason', 'seen');
});
