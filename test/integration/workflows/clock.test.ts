import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import type { ClockActivities, Look } from '../../../activities/tasks';
import { bundleWorkflows } from '../../../workers/bundle';
import { recordHistory } from '../../support/recorded-history';
import { testNamespace, uniqueName } from '../../support/temporal';
import { until } from '../../support/until';

Runtime.install({ logger: new DefaultLogger('ERROR') });

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
  const looks: number[] = [];
  const activities: ClockActivities = {
    lookAtSlots() {
      looks.push(performance.now());
      return Promise.resolve(answers[Math.min(looks.length, answers.length) - 1] ?? IDLE);
    },
  };
  const { connection, namespace, client } = temporal;
  const worker = await Worker.create({ connection, namespace, taskQueue, workflowBundle: bundle, activities: { ...activities } });
  const running = worker.run();
  const handle = await client.workflow.start('clock', { workflowId: uniqueName('clock'), taskQueue });
  const at = (index: number): number => looks[index] ?? NaN;
  return {
    handle,
    looks,
    /** Milliseconds between a look and the one after it. */
    between: (index: number) => at(index + 1) - at(index),
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
  await until('three looks', () => clock.looks.length === 3);
  expect(clock.between(0)).toBeGreaterThanOrEqual(1400);
  expect(clock.between(1)).toBeLessThan(clock.between(0));
});

test('while slots wait for what no timer tells it looks every second', async () => {
  await using clock = await clockWith({ nextInMs: HOUR, waiting: 1 }, { nextInMs: null, waiting: 1 }, IDLE);
  await until('three looks', () => clock.looks.length === 3);
  expect(clock.between(0)).toBeGreaterThanOrEqual(900);
});

test('a signal makes it look now', async () => {
  await using clock = await clockWith({ nextInMs: null, waiting: 0 });
  await until('the first look', () => clock.looks.length === 1);
  await clock.handle.signal('look');
  await until('the second look', () => clock.looks.length === 2);
});

test('its history is cut before it grows long', async () => {
  await using clock = await clockWith({ nextInMs: 0, waiting: 0 });
  const { firstExecutionRunId } = clock.handle;
  await until('it goes on as a new execution', async () => (await clock.handle.describe()).runId !== firstExecutionRunId, 50_000, 200);
  expect((await clock.handle.describe()).status.name).toBe('RUNNING');
});
