import { restorePublication } from '../../../operator/publications';
import { retryRun } from '../../../operator/runs/retry';
import { skipStage } from '../../../operator/runs/skip';
import { startRun } from '../../../operator/runs/start';
import { stopRun } from '../../../operator/runs/stop';
import { ForeignProject, PLAYS } from '../../support/foreign-project';
import { operatorSession, type TestSession } from '../../support/operator-session';

const address = { pipeline: 'plays', window: '2026-01-01', branch: 'main' };

let project: ForeignProject;
let session: TestSession;
beforeAll(async () => {
  project = new ForeignProject(PLAYS);
  session = await operatorSession(project.directory);
});
afterAll(async () => {
  await session[Symbol.asyncDispose]();
  project[Symbol.dispose]();
});

test.each<[string, () => Promise<unknown>]>([
  ['run', () => startRun(session, { pipeline: 'plays', window: '2026-01-01', reason: ' ' })],
  ['retry', () => retryRun(session, { address, reason: ' ' })],
  ['skip', () => skipStage(session, { address, stage: 'read', reason: '' })],
  ['cancel', () => stopRun(session, { address, verb: 'cancel', reason: ' ' })],
  ['abandon', () => stopRun(session, { address, verb: 'abandon', reason: '' })],
  ['publish restore', () => restorePublication(session, { publication: 1, reason: ' ', who: 'tester' })],
])('%s with an empty reason is refused before anything is looked at, and leaves no trace', async (_verb, act) => {
  await expect(act()).rejects.toMatchObject({ code: 'reason.missing' });
  expect((await session.database.query('select from almanac.action')).rowCount).toBe(0);
  expect((await session.database.query('select from almanac.run')).rowCount).toBe(0);
});
