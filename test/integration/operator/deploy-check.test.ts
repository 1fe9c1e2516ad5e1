import { readFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker';
import { claimRun, storePlan, storeTexts } from '../../../activities/ledger/runs';
import { renderDeployCheck } from '../../../cli/commands/deploy-check';
import { renderChanges } from '../../../cli/commands/schedule';
import { migrations } from '../../../lib/migrations';
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
import { Presence } from '../../../workers/presence';
import { ForeignProject, PLAYS } from '../../support/foreign-project';
import { testDatabase } from '../../support/postgres';
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
  expect(await deployCheck(session, { recent: 50, bundle: ours })).toEqual({
    ...{ replayed: { open: 1, recent: 2 }, lost: [], changes: [], gone: [] },
    migrations: { pending: [], otherWorkers: [] },
  });
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

test('pipelines that the project has no longer are named, with what goes on of them and how to end it', async () => {
  const found = { ...session, project: () => loadProject(project.directory) };
  await applySchedules(found, { dryRun: false, prune: false });
  await closed('2026-01-01', RETRIED);
  await claim('2026-01-03');
  project.write({ 'pipelines/plays/pipeline.ts': PLAYS['pipelines/plays/pipeline.ts'].replace("id: 'plays'", "id: 'plays2'") });
  project.write({ 'pipelines/plays2/sql/add.sql': PLAYS['pipelines/plays/sql/add.sql'], 'pipelines/plays2/sql/all.sql': 'select 1' });
  const check = await deployCheck(found, { recent: 0, bundle: ours });
  expect(check).toMatchObject({
    changes: [],
    gone: [{ pipeline: 'plays', schedule: 'paused', openRuns: ['plays/2026-01-03'], windows: 1 }],
  });
  expect(renderDeployCheck(check)).toContain(`plays is no longer in the project; its 1 accepted window and tables stay:
  its schedule stays, paused, with the code applied last: almanac schedule apply --prune takes it away
  plays/2026-01-03 goes on under its plan`);
  const kept = await applySchedules(found, { dryRun: false, prune: false });
  expect(renderChanges(kept, false)).toBe(`plays: kept, paused
  the project has no such pipeline
kept schedules go on with what was applied last: almanac schedule apply --prune takes them away`);
  await applySchedules(found, { dryRun: false, prune: true });
  expect((await deployCheck(found, { recent: 0, bundle: ours })).gone).toMatchObject([{ pipeline: 'plays', schedule: null }]);
});

test('migrations that are pending are told and not applied, with the workers that a breaking one waits for', async () => {
  const pending = [
    { name: '900001-expand.sql', sql: 'alter table almanac.run add column host text', breaking: undefined },
    { name: '900002-tidy.sql', sql: 'alter table almanac.run drop column host', breaking: 'it reads run.host' },
  ];
  await using worker = new Presence(connectionOf(session), 'control');
  await worker.assure();
  const newer = { recent: 0, bundle: ours, migrations: [...migrations(), ...pending] };
  const check = await deployCheck(session, newer);
  expect(check.migrations.pending.map(({ name }) => name)).toEqual(['900001-expand.sql', '900002-tidy.sql']);
  expect(await deployCheck(session, newer)).toMatchObject({ migrations: check.migrations });
  expect(renderDeployCheck(check)).toMatch(
    new RegExp(
      [
        'applies 2 migrations of the control schema:',
        '  900001-expand\\.sql: the build before goes on beside it',
        '  900002-tidy\\.sql: the build before cannot go on beside it: it reads run\\.host',
        '  until these have stopped, every command and worker of this build is refused \\(deploy\\.migration\\): almanac control .*',
      ].join('\n'),
    ),
  );
});

test('where nothing was ever migrated it says so and makes nothing', async () => {
  await using empty = await testDatabase();
  const check = await deployCheck({ ...session, database: empty.pool }, { recent: 50, bundle: ours });
  expect(check).toMatchObject({ replayed: { open: 0, recent: 0 }, changes: [], gone: [] });
  expect(check.migrations.pending).toHaveLength(migrations().length);
  expect((await empty.pool.query("select from pg_namespace where nspname = 'almanac'")).rowCount).toBe(0);
});

function connectionOf({ database }: TestSession): string {
  return database.options.connectionString ?? '';
}
