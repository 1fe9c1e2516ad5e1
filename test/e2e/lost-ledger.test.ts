import type { RunView } from '../../operator/runs/inspect';
import { EmbeddedStack } from '../support/embedded-stack';
import { ForeignProject, PLAYS } from '../support/foreign-project';

jest.setTimeout(240_000);

let project: ForeignProject;
let stack: EmbeddedStack;

beforeAll(async () => {
  project = new ForeignProject(PLAYS);
  stack = await EmbeddedStack.start({ project: project.directory });
  for (const window of ['2026-01-01', '2026-01-02']) stack.land('plays', window, 'a.csv', `user_id,ts\nann,${window}T10:00:00\n`);
  await stack.ok('run', 'plays', '--window', '2026-01-01', '--wait');
  stack.land('plays', '2026-01-02', 'a.csv', 'wrong,header\n1,2\n');
  await stack.run('run', 'plays', '--window', '2026-01-02', '--wait');
  await stack.ok('abandon', 'plays/2026-01-02', '--reason', 'revoked in the store');
  await (await stack.database()).query('drop schema almanac cascade');
});
afterAll(async () => {
  await stack?.[Symbol.asyncDispose]();
  project?.[Symbol.dispose]();
});

test('what the store says is accepted is accepted, though the ledger lost the run', async () => {
  expect(await stack.json('run', 'plays', '--window', '2026-01-01', '--wait')).toMatchObject({
    did: 'accepted',
    ledgerLost: true,
    run: { generation: 1 },
  });
  expect(await stack.ok('run', 'plays', '--window', '2026-01-01')).toContain('--again makes a newer generation');
});

test('--again makes a generation above those the store names, and publishes it', async () => {
  const answer = await stack.json('run', 'plays', '--window', '2026-01-01', '--again', '--wait');
  expect(answer).toMatchObject({ did: 'started', state: 'succeeded', run: { generation: 2 } });
});

test('a generation that was revoked in the store is not claimed again', async () => {
  stack.land('plays', '2026-01-02', 'a.csv', 'user_id,ts\nann,2026-01-02T10:00:00\n');
  const answer = await stack.json('run', 'plays', '--window', '2026-01-02', '--wait');
  expect(answer).toMatchObject({ did: 'started', state: 'succeeded', run: { generation: 2 } });
  expect((await (await stack.database()).query('select user_id, plays from play_totals')).rows).toEqual([{ user_id: 'ann', plays: 2 }]);
});

test('once the ledger knows the newer generation, it answers itself', async () => {
  const answer = await stack.json<RunView>('run', 'plays', '--window', '2026-01-01');
  expect(answer).toMatchObject({ did: 'accepted', run: { generation: 2 } });
  expect(answer).not.toHaveProperty('ledgerLost');
});
