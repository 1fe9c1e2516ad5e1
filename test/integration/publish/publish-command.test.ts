import { Command } from 'commander';
import { registerPublishCommands } from '../../../cli/commands/publish';
import { createIo } from '../../../cli/io';
import { publishStage } from '../../../activities/publish/publish-stage';
import { systemClock } from '../../../lib/clock';
import { readConfig } from '../../../lib/config';
import { migrate } from '../../../lib/migrate';
import { createPublishing, day, stampedRows } from '../../support/publishing';
import { testDatabase, type TestDatabase } from '../../support/postgres';

/** Runs one `almanac publish …` on the database; what it printed. */
async function almanac(database: TestDatabase, ...argv: string[]): Promise<string> {
  let printed = '';
  const streams = { stdout: { write: (text: string) => (printed += text) }, stderr: { write: () => true } };
  const never = (): never => {
    throw new Error('publish verbs work on the database alone');
  };
  const io = createIo({
    streams,
    json: () => argv.includes('--json'),
    projectDirectory: () => '/',
    openSession: () =>
      Promise.resolve({
        ...{ config: { ...readConfig({}, '/'), actor: 'ada' }, database: database.pool, clock: systemClock },
        ...{ project: never, temporal: never, close: () => Promise.resolve() },
        get store() {
          return never();
        },
        get datasets() {
          return never();
        },
      }),
  });
  const program = new Command('almanac').option('--json').exitOverride();
  registerPublishCommands(program, io);
  await program.parseAsync(argv, { from: 'user' });
  await io.close();
  return printed;
}

it('lists what is live and puts an earlier publication back, for people and as JSON', async () => {
  await using database = await testDatabase();
  await migrate(database.pool);
  expect(await almanac(database, 'publish', 'list')).toBe('nothing was published yet\n');
  await using publishing = createPublishing({ databaseUrl: database.url });
  for (const stamp of [1, 2]) await publishing.publish(publishStage, await publishing.accept(day(stamp), stampedRows(stamp)));

  const list = await almanac(database, 'publish', 'list');
  expect(list.split('\n')[0]).toMatch(/^ID\s+STATE\s+RUN\s+SET\s+GATES\s+LIVE SINCE\s+REPLACED\s+ROWS\s+RESTORE$/);
  expect(list.split('\n')[1]).toMatch(
    /^ 2\s+live\s+audience-index\/2026-01-03#1\s+1\s+judge PASS\s+\S+Z\s+1\s+audience_index 40, audience_pixels 5, audience_segments 8$/,
  );

  expect(await almanac(database, 'publish', 'restore', '1', '--reason', 'wrong prices')).toBe(
    'publication 1 of audience-index is live, replacing 2\n',
  );
  expect(JSON.parse(await almanac(database, '--json', 'publish', 'restore', '1', '--reason', 'again'))).toEqual({
    pipeline: 'audience-index',
    live: 1,
    replaced: null,
    did: 'nothing',
  });
  expect(await almanac(database, 'publish', 'restore', '1', '--reason', 'again')).toBe(
    'publication 1 of audience-index is live already; nothing to do\n',
  );
  expect(await almanac(database, 'publish', 'list')).toContain('withdrawn by ada: wrong prices');
  expect(JSON.parse(await almanac(database, '--json', 'publish', 'list', '--limit', '1'))).toMatchObject([{ id: 2, state: 'withdrawn' }]);
});

it.each([
  [['publish', 'restore', 'x', '--reason', 'r'], 'the publication "x" is not a whole number from 1'],
  [['publish', 'restore', '0', '--reason', 'r'], 'the publication "0" is not a whole number from 1'],
  [['publish', 'list', '--limit', '-1'], '--limit "-1" is not a whole number from 1'],
])('refuses %j', async (argv, message) => {
  await using database = await testDatabase();
  await migrate(database.pool);
  await expect(almanac(database, ...argv)).rejects.toMatchObject({ code: 'run.usage', message });
});
