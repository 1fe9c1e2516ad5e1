import type { Lineage } from '../../operator/dataset-lineage';
import type { VersionView } from '../../operator/datasets';
import type { RunView } from '../../operator/runs/inspect';
import { EmbeddedStack } from '../support/embedded-stack';
import { ForeignProject, PLAYS } from '../support/foreign-project';

jest.setTimeout(240_000);

let project: ForeignProject;
let stack: EmbeddedStack;

beforeAll(async () => {
  project = new ForeignProject(PLAYS);
  stack = await EmbeddedStack.start({ project: project.directory });
});
afterAll(async () => {
  await stack?.[Symbol.asyncDispose]();
  project?.[Symbol.dispose]();
});

function land(day: string, text = `user_id,ts\nann,${day}T10:00:00\n`): void {
  stack.land('plays', day, 'a.csv', text);
}

/** Windows that every view calls tainted; fails when two views differ. */
async function tainted(): Promise<string[]> {
  const runs = await stack.json<(RunView['row'] & { tainted: boolean })[]>('runs');
  const versions = await stack.json<VersionView[]>('dataset', 'versions', 'totals');
  const windows: string[] = [];
  for (const { run, tainted: told } of runs) {
    const name = `${run.pipeline}/${run.window}`;
    const current = versions.find(({ window, state }) => window === run.window && state === 'current');
    const { version } = await stack.json<Lineage>('dataset', 'lineage', `totals@${run.window}`);
    const text = [await stack.ok('show', name), await stack.ok('dataset', 'lineage', `totals@${run.window}`, '--depth', '0')];
    const view = await stack.json<RunView>('show', name);
    expect([view.tainted, current?.tainted, version.tainted, ...text.map((one) => one.split('\n')[0]?.includes('tainted'))]).toEqual(
      Array.from({ length: 5 }, () => told),
    );
    if (told) windows.push(run.window);
  }
  return windows.sort();
}

test('a skip taints its window, and every window computed from it, until both are rebuilt', async () => {
  land('2026-01-01');
  await stack.ok('run', 'plays', '--window', '2026-01-01', '--wait');
  land('2026-01-02', 'wrong,header\n1,2\n');
  await stack.run('run', 'plays', '--window', '2026-01-02', '--wait');
  const [used] = await stack.json<VersionView[]>('dataset', 'versions', 'plays', '--window', '2026-01-01');
  const use = ['--use', `plays@2026-01-01#${used?.version}`];
  await stack.ok('skip', 'plays/2026-01-02', '--stage', 'read', '--reason', 'no data', ...use);
  await stack.ok('run', 'plays', '--window', '2026-01-02', '--wait');
  for (const day of ['2026-01-03', '2026-01-04']) {
    land(day);
    await stack.ok('run', 'plays', '--window', day, '--wait');
  }
  expect(await tainted()).toEqual(['2026-01-02', '2026-01-03', '2026-01-04']);
  expect(await stack.ok('runs')).toMatch(/plays\/2026-01-04 .* tainted/);
  expect((await stack.json<RunView>('show', 'plays/2026-01-03')).row).toMatchObject({ pinsTainted: true });
});

test('a generation on pinned inputs stays tainted, whatever became of the window before', async () => {
  land('2026-01-02');
  await stack.ok('run', 'plays', '--window', '2026-01-02', '--again', '--wait');
  await stack.ok('retry', 'plays/2026-01-03', '--stage', 'add', '--inputs', 'pinned', '--reason', 'as it was', '--wait');
  expect(await tainted()).toEqual(['2026-01-03', '2026-01-04']);
});

test('a rerun on the rebuilt window before clears the taint, window by window', async () => {
  await stack.ok('retry', 'plays/2026-01-03', '--stage', 'add', '--reason', 'the day before is rebuilt', '--wait');
  expect(await tainted()).toEqual(['2026-01-04']);
  await stack.ok('run', 'plays', '--window', '2026-01-04', '--again', '--wait');
  expect(await tainted()).toEqual([]);
});
