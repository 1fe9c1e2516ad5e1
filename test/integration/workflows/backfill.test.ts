import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import type { BackfillActivities, BackfillStep } from '../../../activities/tasks';
import { bundleWorkflows } from '../../../workers/bundle';
import { recordHistory } from '../../support/recorded-history';
import { testNamespace, uniqueName } from '../../support/temporal';
import { timersOf } from '../../support/timers';
import { until } from '../../support/until';

Runtime.install({ logger: new DefaultLogger('ERROR') });

const BUSY: BackfillStep = { idle: false, changed: true };
const QUIET: BackfillStep = { idle: false, changed: false };
const IDLE: BackfillStep = { idle: true, changed: false };

let bundle: { code: string };
beforeAll(async () => {
  bundle = await bundleWorkflows();
});

/** The real workflow on the real server; what its steps come to is scripted, the last answer for ever. */
async function controllerWith(...answers: BackfillStep[]) {
  const temporal = await testNamespace();
  const taskQueue = uniqueName('backfill');
  let steps = 0;
  const hashes = new Set<string>();
  const activities: BackfillActivities = {
    stepBackfill(hash) {
      hashes.add(hash);
      steps += 1;
      return Promise.resolve(answers[Math.min(steps, answers.length) - 1] ?? IDLE);
    },
  };
  const { connection, namespace, client } = temporal;
  const worker = await Worker.create({ connection, namespace, taskQueue, workflowBundle: bundle, activities: { ...activities } });
  const running = worker.run();
  const handle = await client.workflow.start('backfill', { workflowId: uniqueName('backfill'), taskQueue, args: ['hash'] });
  return {
    handle,
    steps: () => steps,
    hashes,
    async [Symbol.asyncDispose]() {
      await recordHistory(handle);
      await handle.terminate().catch(() => undefined);
      worker.shutdown();
      await running;
      await temporal[Symbol.asyncDispose]();
    },
  };
}

test('the controller steps until it has nothing to do, more rarely while nothing changes', async () => {
  await using controller = await controllerWith(BUSY, QUIET, QUIET, BUSY, IDLE);
  await controller.handle.result();
  expect(controller.steps()).toBe(5);
  expect(await timersOf(controller.handle)).toEqual([250, 500, 1000, 250]);
  expect(controller.hashes).toEqual(new Set(['hash']));
});

test('a signal makes it step now', async () => {
  await using controller = await controllerWith(QUIET, QUIET, QUIET, QUIET, QUIET, QUIET, IDLE);
  await until('it sleeps after four steps', async () => (await timersOf(controller.handle)).length === 4);
  await controller.handle.signal('look');
  await until('the fifth', () => controller.steps() >= 5);
  // The timer that it slept by was given up, not waited for.
  const { events } = await controller.handle.fetchHistory();
  expect(events?.some(({ timerCanceledEventAttributes: canceled }) => canceled)).toBe(true);
});

test('its history is cut before it grows long, and it goes on with the same backfill', async () => {
  await using controller = await controllerWith(QUIET);
  const { firstExecutionRunId } = controller.handle;
  // A step for each signal, without the sleep between.
  const poke = async (): Promise<boolean> => {
    await controller.handle.signal('look');
    return (await controller.handle.describe()).runId !== firstExecutionRunId;
  };
  await until('it goes on as a new execution', poke, 55_000, 0);
  expect(controller.hashes).toEqual(new Set(['hash']));
});
