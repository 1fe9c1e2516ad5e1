import type { WorkflowUpdateFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { fenced, toApplicationFailure } from '../../../activities/failure';
import type { StageTask } from '../../../activities/tasks';
import { failingOrder } from '../../../operator/runs/execution';
import { AlmanacError } from '../../../pipelines/failures';
import type { StageOutline } from '../../../pipelines/types';
import { abandonUpdate, cancelUpdate, retryUpdate, skipUpdate, stateQuery, type VerbAnswer } from '../../../workflows/messages';
import { dataFailure, scriptedRun, untilCancelled, type ScriptedRun } from '../../support/scripted-run';
import { until } from '../../support/until';

const outline: StageOutline[] = [
  { id: 'load', kind: 'ingest', needs: [], timeoutSeconds: 30 },
  { id: 'count', kind: 'compute', needs: ['load'], timeoutSeconds: 30 },
  { id: 'judge', kind: 'check', needs: ['count'], timeoutSeconds: 30 },
  { id: 'publish', kind: 'publish', needs: ['judge'], timeoutSeconds: 30 },
];
const asked = { claim: 'claim', who: 'tester', reason: 'test' };

/** Fails until it was mended. */
function breakable(): { mended: boolean; script: () => Promise<void> } {
  const state = {
    mended: false,
    async script() {
      if (!state.mended) throw dataFailure('poisoned');
    },
  };
  return state;
}

/** The ledger or the store knows another generation, or none. */
async function fencedOrder(): Promise<void> {
  throw toApplicationFailure(fenced({ pipeline: 'p', window: '2026-01-01', branch: 'main', generation: 1 }), { retry: false });
}

async function held(run: ScriptedRun): Promise<void> {
  await until('the run holds', async () => (await run.handle.query(stateQuery)).held);
}

/** Names of the activities the history has orders for, in order. */
async function scheduledActivities({ handle }: ScriptedRun): Promise<string[]> {
  const { events } = await handle.fetchHistory();
  return (events ?? []).flatMap(({ activityTaskScheduledEventAttributes: scheduled }) => scheduled?.activityType?.name ?? []);
}

async function refusal(verb: Promise<unknown>): Promise<unknown> {
  return verb.then(
    () => 'accepted',
    (error: WorkflowUpdateFailedError) => (error.cause as { type?: string } | undefined)?.type,
  );
}

async function refusalMessage(verb: Promise<unknown>): Promise<string> {
  return verb.then(
    () => 'accepted',
    (error: WorkflowUpdateFailedError) => (error.cause as Error | undefined)?.message ?? '',
  );
}

test('a run goes from its first stage to its close', async () => {
  await using run = await scriptedRun(outline, {});
  expect(await run.handle.result()).toEqual({ outcome: 'succeeded' });
  expect(run.orders).toEqual(['load#1', 'count#1', 'judge#1', 'accept', 'publish#1']);
  expect(run.closes).toMatchObject([{ outcome: 'succeeded' }]);
});

test('stages are activities; accepting and closing happen in the workflow task that ordered them', async () => {
  await using run = await scriptedRun(outline, {});
  await run.handle.result();
  expect(await scheduledActivities(run)).toEqual(['runStage', 'runStage', 'runStage', 'runStage']);
});

test('where nothing is published the order to accept closes the run as well', async () => {
  await using run = await scriptedRun(
    outline.filter(({ kind }) => kind !== 'publish'),
    { close: async () => Promise.reject(new Error('it was closed')) },
  );
  expect(await run.handle.result()).toEqual({ outcome: 'succeeded' });
  expect(run.orders).toEqual(['load#1', 'count#1', 'judge#1', 'accept']);
  expect(run.closes).toMatchObject([{ outcome: 'succeeded', closes: true }]);
});

test('an acceptance with retries of its own leaves the close to the frontier: verbs may come between', async () => {
  let tries = 0;
  await using run = await scriptedRun(
    outline.filter(({ kind }) => kind !== 'publish'),
    {
      accept: async () => {
        tries += 1;
        if (tries === 1) throw new Error('the store went away');
      },
    },
  );
  expect(await run.handle.result()).toEqual({ outcome: 'succeeded' });
  expect(run.closes).toMatchObject([{ outcome: 'succeeded' }]);
  expect(run.closes[0]).not.toHaveProperty('closes');
});

test('an acceptance that fails in the workflow task gets an activity with retries of its own', async () => {
  let tries = 0;
  await using run = await scriptedRun(outline, {
    accept: async () => {
      tries += 1;
      if (tries <= 2) throw new Error('the store went away');
    },
  });
  expect(await run.handle.result()).toEqual({ outcome: 'succeeded' });
  expect(run.orders).toEqual(['load#1', 'count#1', 'judge#1', 'accept', 'accept', 'accept', 'publish#1']);
  expect((await scheduledActivities(run)).filter((name) => name === 'acceptWindow')).toHaveLength(1);
});

test('an acceptance that is tried again tells what its tries fail with', async () => {
  let mended = false;
  const failure = new AlmanacError('store.unwritable', 'no folder', { next: 'give it the folder' });
  await using run = await scriptedRun(outline, {
    accept: async () => {
      if (!mended) throw toApplicationFailure(failure, { retry: true });
    },
  });
  const failing = (): ReturnType<typeof failingOrder> => failingOrder(() => Promise.resolve(run.client), run.handle.workflowId);
  await until('its tries failed twice', async () => ((await failing())?.tries ?? 0) >= 2, 60_000);
  expect(await failing()).toMatchObject({
    order: 'its acceptance',
    code: 'store.unwritable',
    message: 'no folder',
    next: 'give it the folder',
  });
  mended = true;
  expect(await run.handle.result()).toEqual({ outcome: 'succeeded' });
  expect(await failing()).toBeUndefined();
  expect(await failingOrder(() => Promise.reject(new AlmanacError('stack.unreachable', 'away', { next: 'x' })), 'x')).toBeUndefined();
});

test('an acceptance that was refused holds the run at once', async () => {
  await using run = await scriptedRun(outline, { accept: async () => Promise.reject(dataFailure('fenced')) });
  await held(run);
  expect(run.orders).toEqual(['load#1', 'count#1', 'judge#1', 'accept']);
});

test.each([
  ['an acceptance', { accept: fencedOrder }],
  ['a stage', { judge: fencedOrder }],
] as const)('%s that is fenced abandons the run: its execution has no business here', async (_what, scripts) => {
  await using run = await scriptedRun(outline, scripts);
  await until('the run is closed', async () => run.closes.length > 0);
  expect(await run.handle.result()).toEqual({ outcome: 'abandoned' });
  expect(run.holds).toEqual([]);
});

test('a failed stage holds the run with its failure; a retry finishes it without running the others again', async () => {
  const judge = breakable();
  await using run = await scriptedRun(outline, { judge: judge.script });
  await held(run);
  await until('the hold is recorded', async () => run.holds.length === 1);
  expect(run.holds[0]?.failures.judge).toMatchObject({ message: 'poisoned', next: 'mend it' });
  judge.mended = true;
  await run.handle.executeUpdate(retryUpdate, { args: [{ ...asked, stage: 'judge', expectedEpoch: 1, reset: ['judge'] }] });
  expect(await run.handle.result()).toEqual({ outcome: 'succeeded' });
  expect(run.orders).toEqual(['load#1', 'count#1', 'judge#1', 'judge#2', 'accept', 'publish#1']);
});

test.each(['load', 'accept'])('a failure of %s without a code of its own names the command that goes on', async (stage) => {
  await using run = await scriptedRun(outline, { [stage]: async () => Promise.reject(ApplicationFailure.nonRetryable('torn')) });
  await held(run);
  await until('the hold is recorded', async () => run.holds.length === 1);
  expect(run.holds[0]?.failures[stage]).toMatchObject({
    code: 'internal',
    next: `almanac retry ${run.handle.workflowId}/2026-01-01 --stage ${stage} --reason …`,
  });
});

test('holds are numbered, and a verb and every order after it tell how many are over', async () => {
  const told: unknown[] = [];
  const judge = breakable();
  await using run = await scriptedRun(outline, {
    judge: async (task) => {
      told.push(task.taken?.woken);
      await judge.script();
    },
  });
  const again = (epoch: number): Promise<VerbAnswer> =>
    run.handle.executeUpdate(retryUpdate, { args: [{ ...asked, stage: 'judge', expectedEpoch: epoch, reset: ['judge'] }] });
  await until('the first hold is recorded', () => run.holds.length === 1);
  expect(await again(1)).toMatchObject({ held: false, woken: 1 });
  await until('the second hold is recorded', () => run.holds.length === 2);
  // Until the server has its end, the hold is an order that may not have been carried out, and what it told is told again.
  await until('its order is settled', async () => (await run.handle.describe()).raw.pendingActivities?.length === 0);
  judge.mended = true;
  expect(await again(2)).toMatchObject({ held: false, woken: 2 });
  await run.handle.result();
  expect(run.holds).toMatchObject([
    { hold: 1, taken: { woken: 0 } },
    { hold: 2, taken: { woken: 1 } },
  ]);
  expect(told).toEqual([0, 1, 2]);
});

test('verbs and plans taken are told by the next order, and again until one was carried out', async () => {
  const told: Record<string, unknown> = {};
  const tell = (task: StageTask): void => void (told[`${task.stage}#${task.epoch}`] = [task.taken?.plans, task.taken?.actions]);
  const judge = breakable();
  await using run = await scriptedRun(outline, {
    judge: async (task) => {
      tell(task);
      await judge.script();
    },
    publish: async (task) => tell(task),
  });
  const again = (epoch: number, action: number): Promise<VerbAnswer> =>
    run.handle.executeUpdate(retryUpdate, {
      args: [{ ...asked, action, stage: 'judge', expectedEpoch: epoch, reset: ['judge'], plan: { hash: `plan ${epoch}`, outline } }],
    });
  await until('the first hold is recorded', () => run.holds.length === 1);
  expect(await again(1, 7)).toMatchObject({ plans: 1 });
  await until('the second hold is recorded', () => run.holds.length === 2);
  // Until the server has its end, the hold is an order that may not have been carried out, and what it told is told again.
  await until('its order is settled', async () => (await run.handle.describe()).raw.pendingActivities?.length === 0);
  judge.mended = true;
  expect(await again(2, 8)).toMatchObject({ plans: 2 });
  await run.handle.result();
  expect(run.holds[1]).toMatchObject({ planHash: 'plan 1', taken: { plans: 1, actions: [7] } });
  expect(told).toEqual({ 'judge#1': [0, []], 'judge#2': [1, [7]], 'judge#3': [2, [8]], 'publish#1': [2, []] });
});

test.each([cancelUpdate, abandonUpdate])('a verb that ends the run is told by its close', async (update) => {
  await using run = await scriptedRun(outline, { load: async () => Promise.reject(dataFailure('poisoned')) });
  await held(run);
  await run.handle.executeUpdate(update, { args: [{ ...asked, action: 9 }] });
  await run.handle.result();
  expect(run.closes).toMatchObject([{ taken: { actions: [9] } }]);
});

test('of eight racing retries one is accepted and seven are told run.stale', async () => {
  const judge = breakable();
  await using run = await scriptedRun(outline, { judge: judge.script });
  await held(run);
  const answers = await Promise.all(
    Array.from({ length: 8 }, () =>
      refusal(run.handle.executeUpdate(retryUpdate, { args: [{ ...asked, stage: 'judge', expectedEpoch: 1, reset: ['judge'] }] })),
    ),
  );
  expect(answers.filter((answer) => answer === 'accepted')).toHaveLength(1);
  expect(answers.filter((answer) => answer === 'run.stale')).toHaveLength(7);
});

test('a verb meant for another generation is told run.stale', async () => {
  const judge = breakable();
  await using run = await scriptedRun(outline, { judge: judge.script });
  await held(run);
  const other = { ...asked, claim: 'of the generation before' };
  expect(
    await refusal(run.handle.executeUpdate(retryUpdate, { args: [{ ...other, stage: 'judge', expectedEpoch: 1, reset: ['judge'] }] })),
  ).toBe('run.stale');
  expect(await refusal(run.handle.executeUpdate(cancelUpdate, { args: [other] }))).toBe('run.stale');
});

test('a retry under a newer plan goes on with the newer plan', async () => {
  const count = breakable();
  await using run = await scriptedRun(outline, { count: count.script });
  await held(run);
  count.mended = true;
  const newer = [...outline.slice(0, 2), { id: 'sum', kind: 'compute', needs: ['count'], timeoutSeconds: 30 } as const];
  await run.handle.executeUpdate(retryUpdate, {
    args: [{ ...asked, stage: 'count', expectedEpoch: 1, reset: ['count'], plan: { hash: 'newer', outline: newer } }],
  });
  await run.handle.result();
  expect(run.orders).toEqual(['load#1', 'count#1', 'count#2', 'sum#1', 'accept']);
  expect(run.closes).toMatchObject([{ planHash: 'newer' }]);
});

test('a skipped stage lets the run go on', async () => {
  const load = breakable();
  await using run = await scriptedRun(outline, { load: load.script });
  await held(run);
  await run.handle.executeUpdate(skipUpdate, { args: [{ ...asked, stage: 'load', expectedEpoch: 1 }] });
  expect(await run.handle.result()).toEqual({ outcome: 'succeeded' });
});

test('a cancel reaches the running stage and closes the run', async () => {
  await using run = await scriptedRun(outline, { count: untilCancelled });
  await until('the stage runs', async () => run.orders.includes('count#1'));
  await run.handle.executeUpdate(cancelUpdate, { args: [asked] });
  expect(await run.handle.result()).toEqual({ outcome: 'cancelled' });
  expect(run.orders).not.toContain('judge#1');
});

test('a retry of several stages is refused whole when one of them is not as its sender saw it', async () => {
  const [load, count] = [breakable(), breakable()];
  const wide = outline.map((stage) => (stage.id === 'count' ? { ...stage, needs: [] } : stage));
  await using run = await scriptedRun(wide, { load: load.script, count: count.script });
  await held(run);
  load.mended = true;
  count.mended = true;
  const both = { ...asked, stage: 'load', expectedEpoch: 1, reset: ['load', 'count'] };
  const stale = run.handle.executeUpdate(retryUpdate, { args: [{ ...both, others: { count: 2 } }] });
  expect(await refusalMessage(stale)).toContain('stage count is at order 1 (failed), not 2');
  await run.handle.executeUpdate(retryUpdate, { args: [{ ...both, others: { count: 1 } }] });
  expect(await run.handle.result()).toEqual({ outcome: 'succeeded' });
});

test('a verb for a stage that is running says that it is running', async () => {
  await using run = await scriptedRun(outline, { count: untilCancelled });
  await until('the stage runs', async () => run.orders.includes('count#1'));
  const retry = run.handle.executeUpdate(retryUpdate, { args: [{ ...asked, stage: 'count', expectedEpoch: 1, reset: ['count'] }] });
  expect(await refusalMessage(retry)).toMatch(/^stage count is running; /);
});

test('a running run is not abandoned: only what is held is given up', async () => {
  await using run = await scriptedRun(outline, { count: untilCancelled });
  await until('the stage runs', async () => run.orders.includes('count#1'));
  expect(await refusal(run.handle.executeUpdate(abandonUpdate, { args: [asked] }))).toBe('run.running');
  expect(run.closes).toEqual([]);
});

test.each([cancelUpdate, abandonUpdate])('a verb that ends the run may be said twice while it ends', async (update) => {
  const slow = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1000));
  await using run = await scriptedRun(outline, { load: async () => Promise.reject(dataFailure('poisoned')), close: slow });
  await held(run);
  await run.handle.executeUpdate(update, { args: [asked] });
  expect(await refusal(run.handle.executeUpdate(update, { args: [asked] }))).toBe('accepted');
  await run.handle.result();
  expect(run.closes).toHaveLength(1);
});

test('a cancel from outside Almanac takes the same path', async () => {
  await using run = await scriptedRun(outline, { count: untilCancelled });
  await until('the stage runs', async () => run.orders.includes('count#1'));
  await run.handle.cancel();
  expect(await run.handle.result()).toEqual({ outcome: 'cancelled' });
  expect(run.closes).toMatchObject([{ outcome: 'cancelled' }]);
});

test('a held run is abandoned, and no verb is taken after the end', async () => {
  await using run = await scriptedRun(outline, { load: async () => Promise.reject(dataFailure('poisoned')) });
  await held(run);
  await run.handle.executeUpdate(abandonUpdate, { args: [asked] });
  expect(await run.handle.result()).toEqual({ outcome: 'abandoned' });
  expect(await refusal(run.handle.executeUpdate(cancelUpdate, { args: [asked] }))).not.toBe('accepted');
});
