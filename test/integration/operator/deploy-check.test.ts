import { readFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';
import { claimRun, storePlan, storeTexts } from '../../../activities/ledger/runs';
import { packageRoot } from '../../../lib/package-root';
import { queueNames } from '../../../lib/queues';
import { makeBackfill } from '../../../operator/backfills/plan';
import { startBackfill } from '../../../operator/backfills/verbs';
import { applySchedules } from '../../../operator/schedules/apply';
import { deployCheck, quietReplay } from '../../../operator/deploy-check';
import { loadProject } from '../../../operator/project';
import { formatRun } from '../../../pipelines/run-id';
import type { RunRef } from '../../../pipelines/types';
import type { RunInput } from '../../../workflows/messages';
import { bundleWorkflows } from '../../../workers/bundle';
import { ForeignProject, PLAYS } from '../../support/foreign-project';
import { operatorSession, type TestSession } from '../../support/operator-session';

jest.setTimeout(240_000);

const HISTORIES = path.join(packageRoot(), 'test', 'replay', 'histories', '0.1.0');
const SCHEDULE = `schedule: { cron: '30 2 * * *', timezone: 'UTC', gap: 'shift', fold: 'first', catchUp: 'all', overlap: 'queue' }, params:`;

let project: ForeignProject;
let session: TestSession;
let ours: { code: string };
let others: { code: string };

beforeAll(async () => {
  quietReplay();
  [ours, others] = await Promise.all([
    bundleWorkflows(),
    bundleWorkflowCode({ workflowsPath: require.resolve('../../support/other-workflows'), logger: new DefaultLogger('ERROR') }),
  ]);
});
beforeEach(async () => {
  project = new ForeignProject({
    ...PLAYS,
    'pipelines/plays/pipeline.ts': PLAYS['pipelines/plays/pipeline.ts'].replace('params:', SCHEDULE),
  });
  session = await operatorSession(project.directory);
});
afterEach(async () => {
  await session[Symbol.asyncDispose]();
  project[Symbol.dispose]();
});

/** A run of the plan that the project declares now. */
async function claim(window: string): Promise<RunRef> {
  const pipeline = (await loadProject(project.directory)).pipeline('plays');
  await storeTexts(session.database, pipeline.texts);
  await storePlan(session.database, pipeline.plan());
  const run = { pipeline: 'plays', window, branch: 'main', generation: 1 };
  await claimRun(session.database, {
    ...{ run, claim: window, planHash: pipeline.plan().hash, pins: {}, bootstrap: false, origin: false, matrix: {}, verb: 'run', who: 'x' },
    now: new Date(),
  });
  return run;
}

/** A closed run whose history, of another build, is in the store. */
async function closed(window: string, history: string): Promise<void> {
  await claim(window);
  const stored = `histories/plays/main/${window}/000001.json.gz`;
  await session.store.putIfAbsent(stored, gzipSync(readFileSync(path.join(HISTORIES, history))));
  await session.database.query("update almanac.run set state = 'succeeded', ended_at = now(), history_path = $2 where window_key = $1", [
    window,
    stored,
  ]);
}

const RETRIED = 'a-failed-stage-holds-the-run-with-its-failure-a-retry-finish.json';
const CANCELLED = 'a-cancel-reaches-the-running-stage-and-closes-the-run.json';

test('histories that this build can go on with pass, open ones and those of the store', async () => {
  await closed('2026-01-01', RETRIED);
  await closed('2026-01-02', CANCELLED);
  const open = await claim('2026-01-03');
  const { hash, stages } = (await loadProject(project.directory)).pipeline('plays').plan();
  const outline = stages.map(({ id, kind, needs, timeoutSeconds }) => ({ id, kind, needs, timeoutSeconds }));
  const input: RunInput = {
    run: open,
    claim: '2026-01-03',
    planHash: hash,
    outline,
    carried: [],
    patienceSeconds: 0,
    stageQueue: 'stages',
  };
  const client = await session.temporal();
  await client.workflow.start('runPipeline', { workflowId: formatRun(open), taskQueue: queueNames(session.config).control, args: [input] });
  expect(await deployCheck(session, { recent: 50, bundle: ours })).toEqual({ replayed: { open: 1, recent: 2 }, lost: [], changes: [] });
  expect((await deployCheck(session, { recent: 1, bundle: ours })).replayed).toEqual({ open: 1, recent: 1 });
});

test('a build that cannot go on with them is refused, and each run named', async () => {
  await closed('2026-01-01', RETRIED);
  await closed('2026-01-02', CANCELLED);
  await expect(deployCheck(session, { recent: 50, bundle: others })).rejects.toMatchObject({
    ...{ code: 'deploy.incompatible', message: expect.stringMatching(/plays\/2026-01-02.*plays\/2026-01-01/) as string },
    details: { runs: [expect.objectContaining({ run: 'plays/2026-01-02' }), expect.objectContaining({ run: 'plays/2026-01-01' })] },
  });
});

test('the controller of a backfill that is under way is replayed like a run, and lost is none', async () => {
  const request = {
    pipeline: 'plays',
    from: '2026-01-01',
    to: '2026-01-02',
    reprocess: 'missing',
    fromStage: null,
    order: 'forward',
  } as const;
  const { hash } = await makeBackfill(session, request, 1);
  await startBackfill(session, hash, 'go');
  expect(await deployCheck(session, { recent: 0, bundle: ours })).toMatchObject({ replayed: { open: 1, recent: 0 }, lost: [] });
});

test('an open run that Temporal does not know is named', async () => {
  await claim('2026-01-03');
  expect(await deployCheck(session, { recent: 50, bundle: ours })).toMatchObject({ lost: ['plays/2026-01-03'] });
});

test('it says which stages compute otherwise: for slots, for open runs, for accepted windows', async () => {
  await applySchedules({ ...session, project: () => loadProject(project.directory) }, { dryRun: false, prune: false });
  await closed('2026-01-01', RETRIED);
  await closed('2026-01-02', CANCELLED);
  await claim('2026-01-03');
  project.write({ 'pipelines/plays/sql/add.sql': PLAYS['pipelines/plays/sql/add.sql'].replace('1 / 3.0', '1 / 4.0') });
  const changed = ['add', 'judge', 'publish'].map((stage) => ({ stage, change: 'changed' }));
  const { changes } = await deployCheck(session, { recent: 0, bundle: ours });
  expect(changes).toEqual([
    {
      ...{ pipeline: 'plays', schedule: changed, openRuns: [{ run: 'plays/2026-01-03', stages: changed }] },
      windows: [{ planHash: expect.any(String) as string, windows: 2, from: '2026-01-01', to: '2026-01-02', stages: changed }],
    },
  ]);
});
