import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import type { ClockActivities, Look } from '../../../activities/tasks';
import { bundleWorkflows } from '../../../workers/bundle';
import { recordHistory } from '../../support/recorded-history';
import { testNamespace, uniqueName } from '../../support/temporal';
import { timersOf } from '../../support/timers';
import { until } from '../../support/until';

Runtime.install({ logger: new DefaultLogger('ERROR') });

const MINUTE = 60_000;
const HOUR = 3_600_000;
const IDLE: Look = { nextInMs: HOUR, waiting: 0 };

let bundle: { code: string };
beforeAll(async () => {
  bundle = await bundleWorkflows();
});

/** The real workflow on the real server; what its looks find is scripted, the last answer for ever. */
async function clockWith(...answers: Look[]) {
  const temporal = await testNamespace();
  const taskQueue = uniqueName('clock');
  let looks = 0;
  const activities: ClockActivities = {
    lookAtSlots() {
      looks += 1;
      return Promise.resolve(answers[Math.min(looks, answers.length) - 1] ?? IDLE);
    },
  };
  const { connection, namespace, client } = temporal;
  const worker = await Worker.create({ connection, namespace, taskQueue, workflowBundle: bundle, activities: { ...activities } });
  const running = worker.run();
  const handle = await client.workflow.start('clock', { workflowId: uniqueName('clock'), taskQueue });
  return {
    handle,
    looks: () => looks,
    async [Symbol.asyncDispose]() {
      await recordHistory(handle);
      await handle.terminate();
      worker.shutdown();
      await running;
      await temporal[Symbol.asyncDispose]();
    },
  };
}

test('the clock looks when the next slot is due, at once when one is, and sleeps otherwise', async () => {
  await using clock = await clockWith({ nextInMs: 1500, waiting: 0 }, { nextInMs: 0, waiting: 0 }, IDLE);
  await until('it sleeps after the third look', async () => (await timersOf(clock.handle)).length === 2);
  expect(clock.looks()).toBe(3);
  expect(await timersOf(clock.handle)).toEqual([1500, MINUTE]);
});

test('while slots wait for what no timer tells it looks every second', async () => {
  await using clock = await clockWith({ nextInMs: HOUR, waiting: 1 }, { nextInMs: null, waiting: 1 }, IDLE);
  await until('it sleeps after the third look', async () => (await timersOf(clock.handle)).length === 3);
  expect(await timersOf(clock.handle)).toEqual([1000, 1000, MINUTE]);
});

test('a signal makes it look now', async () => {
  await using clock = await clockWith({ nextInMs: null, waiting: 0 });
  await until('the first look', () => clock.looks() === 1);
  await clock.handle.signal('look');
  await until('the second look', () => clock.looks() === 2);
});

test('its history is cut before it grows long', async () => {
  await using clock = await clockWith({ nextInMs: 0, waiting: 0 });
  const { firstExecutionRunId } = clock.handle;
  await until('it goes on as a new execution', async () => (await clock.handle.describe()).runId !== firstExecutionRunId, 50_000, 200);
  expect((await clock.handle.describe()).status.name).toBe('RUNNING');
});
