import { applySchedules } from '../../../operator/schedules/apply';
import { pauseSchedule, schedulesWithNext } from '../../../operator/schedules/verbs';
import { ForeignProject, PLAYS } from '../../support/foreign-project';
import { operatorSession } from '../../support/operator-session';

const SCHEDULE = `schedule: { cron: '30 2 * * *', timezone: 'UTC', gap: 'shift', fold: 'first', catchUp: 'all', overlap: 'queue' }, params:`;

test('pausing what is paused puts the new reason in the place of the old one and on record; letting on what fires changes nothing', async () => {
  using project = new ForeignProject({
    ...PLAYS,
    'pipelines/plays/pipeline.ts': PLAYS['pipelines/plays/pipeline.ts'].replace('params:', SCHEDULE),
  });
  await using session = await operatorSession(project.directory);
  await applySchedules(session, { dryRun: false, prune: false });
  const row = async () => (await schedulesWithNext(session))[0];
  const since = (await row())?.changedAt;
  expect(await pauseSchedule(session, 'plays', true, 'the source moves')).toBe('reason');
  expect(await row()).toMatchObject({ paused: true, reason: 'the source moves', who: 'tester', changedAt: since });
  expect(await pauseSchedule(session, 'plays', false, 'it is back')).toBe('changed');
  expect(await pauseSchedule(session, 'plays', false, 'again')).toBe('unchanged');
  expect(await row()).toMatchObject({ paused: false, reason: 'it is back' });
  const { rows } = await session.database.query("select verb, reason from almanac.action where verb like 'schedule %pause' order by id");
  expect(rows).toEqual([
    { verb: 'schedule pause', reason: 'the source moves' },
    { verb: 'schedule unpause', reason: 'it is back' },
  ]);
});
