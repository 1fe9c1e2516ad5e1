import { randomBytes } from 'node:crypto';
import { ApplicationFailure } from '@temporalio/common';
import { Context } from '@temporalio/activity';
import { toAlmanacError, toApplicationFailure } from '../../../activities/failure';
import { AlmanacError } from '../../../pipelines/failures';
import type { StageOutline } from '../../../pipelines/types';
import { stateQuery } from '../../../workflows/messages';
import { scriptedRun, type Script } from '../../support/scripted-run';
import { until } from '../../support/until';

const stage = (id: string): StageOutline => ({ id, kind: 'compute', needs: [], timeoutSeconds: 60 });
const HUGE = 'x'.repeat(5_000_000);
const circle: Record<string, unknown> = {};
circle['self'] = circle;

const failing =
  (thrown: unknown): Script =>
  () =>
    Promise.reject(thrown as Error);

/** One run on a worker of its own: its bad stages fail while a good one works; a worker that ends fails the run's disposal. */
async function heldBy(thrown: unknown): Promise<{ code: string | undefined; message: string | undefined; orders: readonly string[] }> {
  let finish = (): void => undefined;
  const gate = new Promise<void>((resolve) => (finish = resolve));
  await using run = await scriptedRun([stage('bad'), stage('good')], { bad: failing(thrown), good: () => gate });
  const state = (): ReturnType<typeof run.handle.query> => run.handle.query(stateQuery);
  await until(
    'the bad stage has failed',
    async () => ((await state()) as { stages: Record<string, { failure?: unknown }> }).stages['bad']?.failure !== undefined,
  );
  finish();
  await until('the run holds', () => run.holds.length === 1);
  const failure = run.holds[0]?.failures['bad'];
  return { code: failure?.code, message: failure?.message, orders: run.orders };
}

test.each([
  [
    'a landing file of 6,000 columns',
    'landing.columns',
    coded('landing.columns', { found: Array.from({ length: 6000 }, (_, n) => `column_${n}`) }),
  ],
  ['an SQL error that quotes a value of 5 MB', 'engine.sql', coded('engine.sql', { duckdb: HUGE })],
  ['an error nobody expected with a message of 5 MB', 'internal', coded('internal', {})],
  ['a failure whose details are 5 MB', 'payload.too-large', ApplicationFailure.nonRetryable('big', 'any', { quoted: HUGE })],
  [
    'a failure of a hundred details that fit alone',
    'payload.too-large',
    ApplicationFailure.nonRetryable('many', 'any', ...Array.from({ length: 100 }, () => HUGE.slice(0, 60_000))),
  ],
  ['a failure whose details are a circle', 'payload.too-large', ApplicationFailure.nonRetryable('round', 'any', circle)],
  ['a failure whose details hold a bigint', 'payload.too-large', ApplicationFailure.nonRetryable('odd', 'any', 1n)],
  ['a failure that is its own cause', 'internal', ownCause()],
])('%s holds its run after one attempt and costs no other stage anything', async (_what, code, thrown) => {
  const held = await heldBy(thrown);
  expect(held).toMatchObject({ code, orders: ['bad#1', 'good#1'] });
  expect(held.message?.length).toBeLessThan(5000);
});

test('the failures of many stages are told together', async () => {
  const stages = Array.from({ length: 30 }, (_, n) => stage(`bad-${n}`));
  const thrown = coded('engine.sql', { list: Array.from({ length: 9000 }, (_, n) => `value ${n}`) });
  await using run = await scriptedRun(stages, Object.fromEntries(stages.map(({ id }) => [id, failing(thrown)])));
  await until('the run holds', () => run.holds.length === 1);
  expect(Object.keys(run.holds[0]?.failures ?? {})).toHaveLength(30);
  const { stages: told } = await run.handle.query(stateQuery);
  expect(told['bad-7']?.failure?.code).toBe('engine.sql');
});

test('a heartbeat that tells too much costs its attempt, not the worker', async () => {
  let tries = 0;
  const chatty: Script = async () => {
    tries += 1;
    if (tries > 1) return;
    Context.current().heartbeat({ rows: HUGE });
    await Context.current().cancelled;
  };
  await using run = await scriptedRun([stage('chatty'), stage('good')], { chatty });
  expect(await run.handle.result()).toEqual({ outcome: 'succeeded' });
  expect(tries).toBe(2);
});

function coded(code: 'landing.columns' | 'engine.sql' | 'internal', details: Record<string, unknown>): Error {
  const error =
    code === 'internal'
      ? toAlmanacError(new Error(HUGE))
      : new AlmanacError(code, `refused ${randomBytes(200_000).toString('hex')}`, { next: 'mend it', details });
  return toApplicationFailure(error, { retry: false });
}

function ownCause(): Error {
  const error = ApplicationFailure.nonRetryable('mirror', 'any');
  Object.assign(error, { cause: error });
  return error;
}
