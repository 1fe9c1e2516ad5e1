import { runKey } from '../../../activities/ledger/runs';
import { retryRun } from '../../../operator/runs/retry';
import { startRun } from '../../../operator/runs/start';
import { loadProject } from '../../../operator/project';
import { MAIN_BRANCH } from '../../../pipelines/run-id';
import { ForeignProject, PLAYS } from '../../support/foreign-project';
import { operatorSession, type TestSession } from '../../support/operator-session';

let project: ForeignProject;
let session: TestSession;
beforeEach(async () => {
  project = new ForeignProject(PLAYS);
  session = await operatorSession(project.directory);
});
afterEach(async () => {
  await session[Symbol.asyncDispose]();
  project[Symbol.dispose]();
});

const address = { pipeline: 'plays', window: '2026-01-01', branch: MAIN_BRANCH };

/** A run that failed by a mistake of its author, and was given up. */
async function failed(): Promise<string> {
  const { run } = await startRun(session, { pipeline: 'plays', window: address.window });
  await (await session.temporal()).workflow.getHandle('plays/2026-01-01').terminate();
  const failure = { code: 'sql.placeholder', class: 'user', message: 'no $floor', next: 'declare it', details: {} };
  await session.database.query(
    `insert into almanac.attempt (pipeline, window_key, branch, generation, stage, attempt, epoch, kind, state, stage_hash, failure, started_at, ended_at)
     values ($1, $2, $3, $4, 'read', 1, 1, 'ingest', 'failed', 'h', $5, now(), now())`,
    [...runKey(run), JSON.stringify(failure)],
  );
  const { rows } = await session.database.query<{ plan_hash: string }>(
    "update almanac.run set state = 'abandoned', ended_at = now() returning plan_hash",
  );
  return rows[0]?.plan_hash ?? '';
}

test('a run whose pipeline left the project goes on by its frozen plan; only the latest code is refused', async () => {
  const planHash = await failed();
  project.write({ 'almanac.config.ts': "import { defineProject } from 'almanac';\nexport default defineProject({ pipelines: [] });\n" });
  expect((await loadProject(project.directory)).pipelines.size).toBe(0);
  await expect(retryRun(session, { address, reason: 'x', code: 'latest' })).rejects.toMatchObject({ code: 'pipeline.unknown' });
  const answer = await retryRun(session, { address, reason: 'the file came' });
  expect(answer).toMatchObject({ run: { generation: 2 }, stages: ['read'], code: 'same', codeDiffers: [] });
  const { rows } = await session.database.query('select plan_hash from almanac.run where generation = 2');
  expect(rows).toEqual([{ plan_hash: planHash }]);
});

test('after a failure of the author the latest code is taken where the project has it', async () => {
  await failed();
  expect(await retryRun(session, { address, reason: 'mended', dryRun: true })).toMatchObject({ code: 'latest' });
});
