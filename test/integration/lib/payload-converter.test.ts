import { WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure, type TemporalFailure } from '@temporalio/common';
import { bundleWorkflowCode, DefaultLogger, Worker } from '@temporalio/worker';
import { dataConverter, payloadBundleOptions } from '../../../lib/payload-converter';
import { PAYLOAD_LIMIT_BYTES } from '../../../lib/payload-limit';
import * as workflows from '../../support/oversized-workflows';
import { testNamespace, uniqueName, type TestNamespace } from '../../support/temporal';

jest.setTimeout(120_000);

let space: TestNamespace;
let worker: Worker;
let running: Promise<void>;
const taskQueue = uniqueName('oversized');

beforeAll(async () => {
  space = await testNamespace();
  const workflowBundle = await bundleWorkflowCode({
    workflowsPath: require.resolve('../../support/oversized-workflows'),
    ...payloadBundleOptions,
    logger: new DefaultLogger('ERROR'),
  });
  worker = await Worker.create({
    connection: space.connection,
    namespace: space.namespace,
    taskQueue,
    workflowBundle,
    dataConverter,
    activities: {
      echo: (value: unknown) => Promise.resolve(value),
      grow: (bytes: number) => Promise.resolve({ rows: 'x'.repeat(bytes) }),
    },
  });
  running = worker.run();
});

afterAll(async () => {
  worker.shutdown();
  await running;
  await space[Symbol.asyncDispose]();
});

/** A wedged run would never end; the run timeout turns that into a failure of another kind. */
const LIMITS = { workflowRunTimeout: '20 seconds' } as const;

async function failureOf(workflow: (bytes: number) => Promise<unknown>): Promise<ApplicationFailure> {
  const run = space.client.workflow.execute(workflow, { taskQueue, workflowId: uniqueName('run'), args: [PAYLOAD_LIMIT_BYTES], ...LIMITS });
  const error: unknown = await run.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof WorkflowFailedError)) throw new Error(`no failed workflow but ${String(error)}`);
  let cause: Error | undefined = error.cause;
  while (cause && !(cause instanceof ApplicationFailure)) cause = (cause as TemporalFailure).cause;
  if (!cause) throw new Error(`no application failure below ${String(error.cause)}`);
  return cause;
}

test.each([
  ['argument of an activity', workflows.oversizedArgument, 'plan.sql'],
  ['result of an activity', workflows.oversizedActivityResult, 'rows'],
  ['result of a workflow', workflows.oversizedResult, 'report'],
])('an oversized %s fails the run at once and names the field', async (_what, workflow, field) => {
  const failure = await failureOf(workflow);
  expect(failure).toMatchObject({ type: 'payload.too-large', nonRetryable: true });
  expect(failure.message).toContain(field);
});

test('a workflow may catch it', async () => {
  const run = space.client.workflow.execute(workflows.survivesOversizedArgument, {
    taskQueue,
    workflowId: uniqueName('run'),
    args: [PAYLOAD_LIMIT_BYTES],
    ...LIMITS,
  });
  expect(await run).toBe('payload.too-large');
});

test('an oversized answer of an Update is refused to the one who asked, and the run goes on', async () => {
  const handle = await space.client.workflow.start(workflows.answersUpdates, { taskQueue, workflowId: uniqueName('run'), ...LIMITS });
  await expect(handle.executeUpdate('grow', { args: [PAYLOAD_LIMIT_BYTES] })).rejects.toMatchObject({
    cause: { type: 'payload.too-large' },
  });
  expect(await handle.executeUpdate('grow', { args: [3] })).toBe('xxx');
  await handle.signal('finish');
  await handle.result();
});

test('what fits passes', async () => {
  const run = space.client.workflow.execute(workflows.oversizedActivityResult, {
    taskQueue,
    workflowId: uniqueName('run'),
    args: [1000],
    ...LIMITS,
  });
  expect(await run).toBe(1000);
});

test('a client refuses to send it', async () => {
  const start = space.client.workflow.start('anything', {
    taskQueue,
    workflowId: uniqueName('run'),
    args: [{ sql: 'x'.repeat(PAYLOAD_LIMIT_BYTES) }],
  });
  await expect(start).rejects.toMatchObject({ type: 'payload.too-large' });
});
