import { migrate } from '../../../lib/migrate';
import { testDatabase } from '../../support/postgres';

test('twenty processes migrating at once leave each migration applied once', async () => {
  await using database = await testDatabase();
  await Promise.all(Array.from({ length: 20 }, () => migrate(database.pool)));
  const { rows } = await database.pool.query('select name, count(*) as times from almanac.migration group by name');
  expect(rows.every((row) => row.times === 1)).toBe(true);
});
