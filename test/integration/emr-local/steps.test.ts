import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { gunzipSync } from 'node:zlib';
import {
  CancelStepsCommand,
  ListStepsCommand,
  ModifyClusterCommand,
  paginateListSteps,
  TerminateJobFlowsCommand,
} from '@aws-sdk/client-emr';
import {
  addSteps,
  describeStep,
  pidIn,
  scriptStep,
  startCluster,
  testEmr,
  untilCluster,
  untilStep,
  type TestEmr,
} from '../../support/emr-local';
import { processesNaming } from '../../support/processes';
import { until } from '../../support/until';

const DEADLINE_MS = 60_000;

describe('a step of the local EMR', () => {
  let emr: TestEmr;
  beforeAll(async () => {
    emr = await testEmr({ pageSize: 3 });
  });
  afterAll(() => emr[Symbol.asyncDispose]());

  async function states(cluster: string, ids: readonly string[]): Promise<readonly (string | undefined)[]> {
    return Promise.all(ids.map(async (id) => (await describeStep(emr.client, cluster, id)).Status?.State));
  }

  it('runs as spark-submit and leaves its logs below the log URI', async () => {
    const logs = path.join(emr.directory, 'logs');
    const cluster = await startCluster(emr.client, { LogUri: pathToFileURL(logs).href });
    const [id = ''] = await addSteps(emr.client, cluster, scriptStep('echo to-out; echo to-err >&2; echo $EMR_STEP_ID $EMR_CLUSTER_ID'));
    expect(id).toMatch(/^s-[0-9A-Z]{13}$/);
    const step = await untilStep(emr.client, cluster, id, 'COMPLETED');
    expect(step).toMatchObject({ Id: id, Name: 'step', ActionOnFailure: 'CONTINUE', Config: { Jar: 'command-runner.jar' } });
    expect(step.Status?.FailureDetails).toBeUndefined();
    expect(step.Status?.Timeline?.EndDateTime?.getTime()).toBeGreaterThanOrEqual(
      step.Status?.Timeline?.StartDateTime?.getTime() ?? Infinity,
    );
    const log = (name: string): string => path.join(logs, cluster, 'steps', id, `${name}.gz`);
    await until('the logs', () => existsSync(log('stderr')), DEADLINE_MS);
    expect(gunzipSync(readFileSync(log('stdout'))).toString()).toBe(`to-out\n${id} ${cluster}\n`);
    expect(gunzipSync(readFileSync(log('stderr'))).toString()).toBe('to-err\n');
    expect(gunzipSync(readFileSync(log('controller'))).toString()).toContain('Step succeeded');
    expect((await untilCluster(emr.client, cluster, 'WAITING')).Status?.StateChangeReason?.Message).toBe(
      'Cluster ready after last step completed.',
    );
  });

  it('runs as bash too', async () => {
    const cluster = await startCluster(emr.client);
    const [id = ''] = await addSteps(emr.client, cluster, {
      ...scriptStep(''),
      HadoopJarStep: { Jar: 's3://any/libs/command-runner.jar', Args: ['bash', '-c', 'exit 0'] },
    });
    await untilStep(emr.client, cluster, id, 'COMPLETED');
  });

  it('that fails says where its stderr is and what it threw', async () => {
    const cluster = await startCluster(emr.client, { LogUri: pathToFileURL(path.join(emr.directory, 'logs')).href });
    const thrown = 'Exception in thread "main" java.lang.IllegalStateException: no such table';
    const [id = ''] = await addSteps(emr.client, cluster, scriptStep(`echo '${thrown}' >&2; exit 1`));
    expect((await untilStep(emr.client, cluster, id, 'FAILED')).Status?.FailureDetails).toEqual({
      Reason: 'Unknown Error.',
      Message: thrown,
      LogFile: expect.stringMatching(new RegExp(`^file://.*/${cluster}/steps/${id}/stderr\\.gz$`)),
    });
  });

  it.each([
    ['another jar', { Jar: 's3://b/other.jar', Args: [] }, 'Only command-runner.jar'],
    ['another program', { Jar: 'command-runner.jar', Args: ['hive', '-f', 'x'] }, 'Cannot run program "hive"'],
    ['no program', { Jar: 'command-runner.jar', Args: [] }, 'no command'],
  ])('of %s fails by itself', async (_what, HadoopJarStep, message) => {
    const cluster = await startCluster(emr.client);
    const [id = ''] = await addSteps(emr.client, cluster, { ...scriptStep(''), HadoopJarStep });
    expect((await untilStep(emr.client, cluster, id, 'FAILED')).Status?.FailureDetails?.Message).toContain(message);
  });

  it('waits for its turn: one at a time, in their order', async () => {
    const cluster = await startCluster(emr.client);
    const file = path.join(emr.directory, `order-${cluster}`);
    const ids = await addSteps(
      emr.client,
      cluster,
      ...[1, 2, 3].map((n) => scriptStep(`echo begin ${n} >> ${file}; sleep 0.1; echo end ${n} >> ${file}`)),
    );
    await untilStep(emr.client, cluster, ids[2] ?? '', 'COMPLETED');
    expect(readFileSync(file, 'utf8').split('\n').slice(0, 6)).toEqual(['begin 1', 'end 1', 'begin 2', 'end 2', 'begin 3', 'end 3']);
  });

  it('runs beside others where the cluster says so, and as soon as it says so', async () => {
    const cluster = await startCluster(emr.client);
    const ids = await addSteps(emr.client, cluster, scriptStep('sleep 600'), scriptStep('sleep 600'), scriptStep('sleep 600'));
    await untilStep(emr.client, cluster, ids[0] ?? '', 'RUNNING');
    expect(await states(cluster, ids)).toEqual(['RUNNING', 'PENDING', 'PENDING']);
    await emr.client.send(new ModifyClusterCommand({ ClusterId: cluster, StepConcurrencyLevel: 2 }));
    expect(await states(cluster, ids)).toEqual(['RUNNING', 'RUNNING', 'PENDING']);
    await expect(addSteps(emr.client, cluster, scriptStep('true', { ActionOnFailure: 'CANCEL_AND_WAIT' }))).rejects.toMatchObject({
      name: 'ValidationException',
      message: expect.stringContaining('StepConcurrencyLevel'),
    });
    await emr.client.send(new TerminateJobFlowsCommand({ JobFlowIds: [cluster] }));
    await untilCluster(emr.client, cluster, 'TERMINATED');
    expect(await states(cluster, ids)).toEqual(['INTERRUPTED', 'INTERRUPTED', 'CANCELLED']);
    expect(ids.flatMap((id) => processesNaming(id))).toEqual([]);
  });

  it.each([
    ['CONTINUE', 'COMPLETED', 'WAITING', undefined],
    ['CANCEL_AND_WAIT', 'CANCELLED', 'WAITING', undefined],
    ['TERMINATE_CLUSTER', 'CANCELLED', 'TERMINATED_WITH_ERRORS', 'STEP_FAILURE'],
    ['TERMINATE_JOB_FLOW', 'CANCELLED', 'TERMINATED_WITH_ERRORS', 'STEP_FAILURE'],
    [undefined, 'CANCELLED', 'TERMINATED_WITH_ERRORS', 'STEP_FAILURE'],
  ] as const)('that fails with ActionOnFailure %s leaves the next one %s and the cluster %s', async (action, next, state, code) => {
    const cluster = await startCluster(emr.client);
    const [, second = ''] = await addSteps(emr.client, cluster, scriptStep('exit 1', { ActionOnFailure: action }), scriptStep('true'));
    await untilStep(emr.client, cluster, second, next);
    expect((await untilCluster(emr.client, cluster, state)).Status?.StateChangeReason?.Code).toBe(code);
  });

  it('is cancelled while it waits, and the others go on', async () => {
    const cluster = await startCluster(emr.client);
    const ids = await addSteps(emr.client, cluster, scriptStep('sleep 0.3'), scriptStep('true'), scriptStep('true'));
    const { CancelStepsInfoList } = await emr.client.send(new CancelStepsCommand({ ClusterId: cluster, StepIds: [ids[1] ?? ''] }));
    expect(CancelStepsInfoList).toEqual([{ StepId: ids[1], Status: 'SUBMITTED' }]);
    await untilStep(emr.client, cluster, ids[2] ?? '', 'COMPLETED');
    expect(await states(cluster, ids)).toEqual(['COMPLETED', 'CANCELLED', 'COMPLETED']);
    const late = await emr.client.send(new CancelStepsCommand({ ClusterId: cluster, StepIds: [ids[2] ?? ''] }));
    expect(late.CancelStepsInfoList).toMatchObject([{ Status: 'FAILED', Reason: expect.stringContaining('COMPLETED') }]);
  });

  it('is interrupted by SIGTERM, and CANCELLED when its process is gone; a failure action does not follow', async () => {
    const cluster = await startCluster(emr.client);
    const file = path.join(emr.directory, `interrupted-${cluster}`);
    const script = `trap 'echo term > ${file}; exit 143' TERM; echo $$ > ${file}.pid; while :; do sleep 0.05; done`;
    const [id = ''] = await addSteps(emr.client, cluster, scriptStep(script, { ActionOnFailure: 'TERMINATE_CLUSTER' }));
    await pidIn(`${file}.pid`);
    await emr.client.send(new CancelStepsCommand({ ClusterId: cluster, StepIds: [id], StepCancellationOption: 'SEND_INTERRUPT' }));
    await untilStep(emr.client, cluster, id, 'CANCELLED');
    expect(readFileSync(file, 'utf8')).toBe('term\n');
    await untilCluster(emr.client, cluster, 'WAITING');
  });

  it('that heeds no interrupt stays CANCEL_PENDING until it is killed, with everything it started', async () => {
    const cluster = await startCluster(emr.client);
    const file = path.join(emr.directory, `deaf-${cluster}`);
    // The child leaves the group, as the daemon of PySpark does.
    const script = `trap '' TERM; setsid sleep 600 & echo $$ > ${file}; while :; do sleep 0.05; done`;
    const [id = ''] = await addSteps(emr.client, cluster, scriptStep(script));
    await pidIn(file);
    await emr.client.send(new CancelStepsCommand({ ClusterId: cluster, StepIds: [id] }));
    expect((await describeStep(emr.client, cluster, id)).Status?.State).toBe('CANCEL_PENDING');
    await emr.client.send(new CancelStepsCommand({ ClusterId: cluster, StepIds: [id], StepCancellationOption: 'TERMINATE_PROCESS' }));
    await untilStep(emr.client, cluster, id, 'CANCELLED');
    expect(processesNaming(id)).toEqual([]);
  });

  it('that came to its good end in spite of a cancel is COMPLETED', async () => {
    const cluster = await startCluster(emr.client);
    const file = path.join(emr.directory, `finished-${cluster}`);
    const script = `trap 'exit 0' TERM; echo $$ > ${file}; while :; do sleep 0.05; done`;
    const [id = ''] = await addSteps(emr.client, cluster, scriptStep(script));
    await pidIn(file);
    await emr.client.send(new CancelStepsCommand({ ClusterId: cluster, StepIds: [id] }));
    await untilStep(emr.client, cluster, id, 'COMPLETED');
  });

  it('is listed newest first, page by page, by state and by id', async () => {
    const cluster = await startCluster(emr.client);
    const ids = await addSteps(emr.client, cluster, ...[1, 2, 3, 4, 5, 6, 7].map(() => scriptStep('true')));
    await untilStep(emr.client, cluster, ids[6] ?? '', 'COMPLETED');
    const listed: (string | undefined)[] = [];
    for await (const { Steps = [] } of paginateListSteps({ client: emr.client }, { ClusterId: cluster })) {
      // What is added meanwhile neither repeats nor hides a step.
      if (listed.length === 0) await addSteps(emr.client, cluster, scriptStep('true'));
      listed.push(...Steps.map(({ Id }) => Id));
    }
    expect(listed).toEqual([...ids].reverse());
    const chosen = await emr.client.send(new ListStepsCommand({ ClusterId: cluster, StepIds: [ids[1] ?? '', ids[4] ?? ''] }));
    expect(chosen.Steps?.map(({ Id }) => Id)).toEqual([ids[4], ids[1]]);
    const pending = await emr.client.send(new ListStepsCommand({ ClusterId: cluster, StepStates: ['FAILED'] }));
    expect(pending.Steps).toEqual([]);
    await expect(emr.client.send(new ListStepsCommand({ ClusterId: cluster, StepIds: ['s-NOBODY'] }))).rejects.toMatchObject({
      name: 'InvalidRequestException',
      message: "Step id 's-NOBODY' is not valid.",
    });
  });

  it('is refused beyond 256 that are not over', async () => {
    const cluster = await startCluster(emr.client);
    const many = Array.from({ length: 255 }, () => scriptStep('sleep 600'));
    await addSteps(emr.client, cluster, ...many);
    await expect(addSteps(emr.client, cluster, scriptStep('true'), scriptStep('true'))).rejects.toMatchObject({
      name: 'ValidationException',
      message: expect.stringContaining('Maximum number of active steps'),
    });
    await emr.client.send(new TerminateJobFlowsCommand({ JobFlowIds: [cluster] }));
    await untilCluster(emr.client, cluster, 'TERMINATED');
  });

  it('is refused with a member of another type or value, saying which', async () => {
    const cluster = await startCluster(emr.client);
    await expect(addSteps(emr.client, cluster, scriptStep('true', { ActionOnFailure: 'EXPLODE' as 'CONTINUE' }))).rejects.toMatchObject({
      name: 'ValidationException',
      message:
        "1 validation error detected: Value 'EXPLODE' at 'steps.1.member.actionOnFailure' failed to satisfy constraint: Member must satisfy enum value set: [TERMINATE_JOB_FLOW, TERMINATE_CLUSTER, CANCEL_AND_WAIT, CONTINUE]",
    });
    await expect(addSteps(emr.client, cluster, scriptStep('x'.repeat(10_241)))).rejects.toMatchObject({
      message: expect.stringContaining('10240 characters'),
    });
  });
});
