import { connectWorker } from '../../../lib/temporal';
import { CLOCK_WORKFLOW_ID, queueNames } from '../../../lib/queues';
import { listBuilds, retireBuild, routeToBuild } from '../../../operator/builds';
import { deployCheck, quietReplay } from '../../../operator/deploy-check';
import { startRun } from '../../../operator/runs/start';
import { stopRun } from '../../../operator/runs/stop';
import { MAIN_BRANCH } from '../../../pipelines/run-id';
import { bundleWorkflows } from '../../../workers/bundle';
import { StageMetrics } from '../../../workers/metrics';
import { createComputeWorker, createControlWorker } from '../../../workers/worker';
import { ForeignProject } from '../../support/foreign-project';
import { operatorSession, type TestSession } from '../../support/operator-session';
import { firstNamespace, temporalAddress } from '../../support/temporal';
import { until } from '../../support/until';

jest.setTimeout(240_000);

const SOON_MS = 90_000;
const HOUR = 3_600_000;
/** A run of `slow` is open for as long as its stage computes, which is until somebody stops it. */
const CONFIG = `import { compute, daily, defineProject, definePipeline } from 'almanac';
const one = (id: string, sql: string) => definePipeline({
  id, owner: 'tests', window: daily(), chain: 'independent', params: { rows: 10000000 }, datasets: { [id + '_counted']: { columns: { n: 'bigint' } } },
  stages: { count: compute({ sql, writes: id + '_counted' }) },
});
export default defineProject({ pipelines: [one('slow', 'slow.sql'), one('quick', 'quick.sql')] });
`;

let project: ForeignProject;
let session: TestSession;
let bundle: { code: string };

beforeAll(async () => {
  quietReplay();
  bundle = await bundleWorkflows();
  project = new ForeignProject({
    'almanac.config.ts': CONFIG,
    'pipelines/slow/sql/slow.sql':
      'select count(*) as n from range($rows) as a, range($rows) as b where (a.range * 7919 + b.range) % 1000003 = 0',
    'pipelines/quick/sql/quick.sql': 'select 1 as n where $rows > 0',
  });
});
beforeEach(async () => {
  session = await operatorSession(project.directory, firstNamespace);
});
afterEach(() => session[Symbol.asyncDispose]());
afterAll(() => project[Symbol.dispose]());

/** Workers of both roles as `almanac worker` makes them, of a build or of none. */
async function workersOf(build?: string): Promise<AsyncDisposable & { readonly looks: () => number }> {
  const client = await session.temporal();
  const config = { ...session.config, temporal: { namespace: client.options.namespace }, ...(build === undefined ? {} : { build }) };
  const connection = await connectWorker(config, temporalAddress());
  let looks = 0;
  const operator = {
    lookAtSlots: () => {
      looks += 1;
      return Promise.resolve({ nextInMs: HOUR, waiting: 0 });
    },
    stepBackfill: () => Promise.resolve({ idle: true, changed: false }),
  };
  const resources = { config, connection, database: session.database, store: session.store };
  const control = await createControlWorker(resources, bundle, operator);
  const compute = await createComputeWorker(resources, new StageMetrics());
  const workers = [control, ...compute.workers];
  const running = Promise.all(workers.map((worker) => worker.run()));
  return {
    looks: () => looks,
    async [Symbol.asyncDispose]() {
      for (const worker of workers) worker.shutdown();
      await running;
      await compute.close();
      await connection.close();
    },
  };
}

async function start(pipeline: string, window: string): Promise<void> {
  await startRun(session, { pipeline, window });
}

async function reaches(pipeline: string, window: string, state: string): Promise<void> {
  const found = async (): Promise<boolean> => {
    const { rows } = await session.database.query<{ state: string }>(
      'select state from almanac.run where pipeline = $1 and window_key = $2',
      [pipeline, window],
    );
    return rows[0]?.state === state;
  };
  await until(`${pipeline}/${window} is ${state}`, found, SOON_MS, 100);
}

async function routed(build: string): Promise<void> {
  // The server takes a build up as its workers poll, a moment after they do.
  await until(
    `new runs go to ${build}`,
    () =>
      routeToBuild(session, build).then(
        () => true,
        (error: { code?: string }) => {
          if (error.code === 'deploy.unknown' || error.code === 'deploy.not-ready') return false;
          throw error as Error;
        },
      ),
    SOON_MS,
    250,
  );
}

test('a build that open runs are pinned to is not retired; new runs go to the current one, and the clock with it', async () => {
  const client = await session.temporal();
  await using first = await workersOf('one');
  await routed('one');
  const clock = await client.workflow.start('clock', { workflowId: CLOCK_WORKFLOW_ID, taskQueue: queueNames(session.config).control });
  await until('the first build looks at the slots', () => first.looks() > 0, SOON_MS);
  await start('slow', '2026-01-01');
  await reaches('slow', '2026-01-01', 'running');

  await using second = await workersOf('two');
  await routed('two');
  await start('slow', '2026-01-02');
  await reaches('slow', '2026-01-02', 'running');
  const pinned = async (): Promise<unknown> =>
    (await listBuilds(session)).map(({ build, current, openRuns }) => [build, current, openRuns]);
  await until('both runs are pinned', async () => JSON.stringify(await pinned()).match(/slow/g)?.length === 2, SOON_MS, 250);
  expect(((await pinned()) as unknown[]).sort()).toEqual([
    ['one', false, ['slow/2026-01-01']],
    ['two', true, ['slow/2026-01-02']],
  ]);
  expect(await deployCheck(session, { recent: 0, bundle })).toMatchObject({ replayed: { open: 3 } });
  await expect(retireBuild(session, 'one')).rejects.toMatchObject({
    code: 'deploy.pinned',
    message: 'open runs are pinned to build one: slow/2026-01-01',
  });
  await expect(retireBuild(session, 'none')).rejects.toMatchObject({
    code: 'deploy.unknown',
    next: expect.stringMatching(/one/) as string,
  });
  const before = second.looks();
  await clock.signal('look');
  await until('the second build looks at the slots', () => second.looks() > before, SOON_MS);

  // A verb on a pinned run is answered by its own build, and then nothing is pinned to it.
  await stopRun(session, {
    address: { pipeline: 'slow', window: '2026-01-01', branch: MAIN_BRANCH },
    verb: 'cancel',
    reason: 'retire its build',
  });
  await reaches('slow', '2026-01-01', 'cancelled');
  // The server looks every few minutes whether something is still open there, and has the last word.
  const drains = async () => (await listBuilds(session)).find(({ build }) => build === 'one');
  await until('the server drains the first build', async () => (await drains())?.drained === false, SOON_MS, 250);
  expect((await drains())?.openRuns).toEqual([]);
  await expect(retireBuild(session, 'one')).rejects.toMatchObject({
    code: 'deploy.not-ready',
    message: expect.stringMatching(/has not seen build one drained/) as string,
  });
  await expect(retireBuild(session, 'two')).rejects.toMatchObject({ code: 'deploy.pinned' });
  await stopRun(session, { address: { pipeline: 'slow', window: '2026-01-02', branch: MAIN_BRANCH }, verb: 'cancel', reason: 'done' });
  await clock.terminate();
});

test('without builds workers are upgraded in place, and there is nothing to route or to retire', async () => {
  await using workers = await workersOf();
  await start('quick', '2026-01-01');
  await reaches('quick', '2026-01-01', 'succeeded');
  const clock = await (
    await session.temporal()
  ).workflow.start('clock', { workflowId: CLOCK_WORKFLOW_ID, taskQueue: queueNames(session.config).control });
  await until('somebody looks at the slots', () => workers.looks() > 0, SOON_MS);
  await clock.terminate();
  expect(await listBuilds(session)).toEqual([]);
  await expect(routeToBuild(session, 'one')).rejects.toMatchObject({ code: 'deploy.unknown', next: 'start workers with ALMANAC_BUILD' });
});
