import { publishStage } from '../../../activities/publish/publish-stage';
import { migrate } from '../../../lib/migrate';
import { createPublishing, day, stampedRows } from '../../support/publishing';
import { testDatabase } from '../../support/postgres';

it('publishes three tables in one flip and replaces them by the next window', async () => {
  await using database = await testDatabase();
  await migrate(database.pool);
  await using publishing = createPublishing({ databaseUrl: database.url });

  const first = await publishing.publish(publishStage, await publishing.accept(day(0), stampedRows(1)));
  expect(first).toMatchObject({ publication: 1, rowsOut: 53 });
  expect((await database.pool.query('select distinct stamp from audience_index')).rows).toEqual([{ stamp: 1 }]);

  const second = await publishing.publish(publishStage, await publishing.accept(day(1), stampedRows(2)));
  expect(second.publication).toBe(2);
  for (const table of ['audience_index', 'audience_segments', 'audience_pixels']) {
    expect((await database.pool.query(`select distinct stamp from ${table}`)).rows).toEqual([{ stamp: 2 }]);
  }
  expect(publishing.logged.at(-1)).toMatch(/^publication 2 is live, replacing 1: audience_index 40 rows, audience_segments 8 rows, audience_pixels 5 rows; flip 0\.\d{3} s, lock wait 0\.000 s$/);
});
