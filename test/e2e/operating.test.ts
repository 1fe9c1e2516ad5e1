import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { packageRoot } from '../../lib/package-root';
import { EmbeddedStack } from '../support/embedded-stack';
import { ForeignProject, PLAYS } from '../support/foreign-project';
import { until } from '../support/until';

jest.setTimeout(600_000);

const page = readFileSync(path.join(packageRoot(), 'docs', 'operating.md'), 'utf8');
const SCHEDULED = PLAYS['pipelines/plays/pipeline.ts']
  .replace(
    'params:',
    `schedule: { cron: '30 2 * * *', timezone: 'UTC', gap: 'shift', fold: 'first', catchUp: 'all', overlap: 'queue' }, deadline: { published: '06:00' }, params:`,
  )
  .replace(`each: 'bucket',`, `each: 'bucket', pool: { name: 'warehouse' },`);
const CONFIG = `import { command, defineProject } from 'almanac';
import { plays } from './pipelines/plays/pipeline';
export default defineProject({ pipelines: [plays], pools: { warehouse: 2 }, notify: { log: command({ run: ['sh', '-c', 'cat >> told'] }) } });
`;

let project: ForeignProject;
let stack: EmbeddedStack;

beforeAll(async () => {
  project = new ForeignProject({ ...PLAYS, 'pipelines/plays/pipeline.ts': SCHEDULED, 'almanac.config.ts': CONFIG });
  stack = await EmbeddedStack.start({ project: project.directory });
  for (const day of ['2026-01-01', '2026-01-02']) land(day);
  await stack.ok('schedule', 'apply');
  await stack.ok('run', 'plays', '--window', '2026-01-01', '--wait');
});
afterAll(async () => {
  await stack?.[Symbol.asyncDispose]();
  if (stack !== undefined) rmSync(`${stack.home}.tar`, { force: true });
  project?.[Symbol.dispose]();
});

function land(day: string): void {
  stack.land('plays', day, 'a.csv', `user_id,ts\nann,${day}T10:00:00\n`);
}

/** Splits as a shell does where only double quotes are used. */
function words(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '');
}

interface Line {
  readonly command: string;
  readonly endsWith: number;
}

/** The blocks that one types, with what each line ends with. */
const fences = [...page.matchAll(/^```(\w*)\n([\s\S]*?)^```/gm)].filter(([, language]) => language === '');
const blocks: Line[][] = fences.map(([, , block = '']) =>
  block
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => ({ command: line.replace(/ +#.*$/, ''), endsWith: Number(/# ends with (\d+)/.exec(line)?.[1] ?? 0) })),
);

/** What a person does between the blocks: before the first line that begins so. */
const BETWEEN: Readonly<Record<string, () => void | Promise<void>>> = {
  'npx almanac retry plays/2026-01-03 --reason "the file came"': () => land('2026-01-03'),
  'npx almanac backfill plan plays --from 2026-01-02 --to 2026-01-02': () => newestBackfill('done'),
  'npx almanac backfill diff': () => newestBackfill('built'),
  'npx almanac validate': () => newestBackfill('discarded'),
};

function newestBackfill(state: string): Promise<void> {
  const is = async (): Promise<boolean> => (await stack.json<{ state: string }[]>('backfill', 'list'))[0]?.state === state;
  return until(`the newest backfill is ${state}`, is, 120_000, 500);
}

test('every command of the page ends as it says, in the order of the page', async () => {
  expect(blocks.flat().length).toBeGreaterThan(30);
  let hash = 'HASH';
  for (const { command: written, endsWith } of blocks.flat()) {
    const command = written.replace('HASH', hash);
    for (const [begin, act] of Object.entries(BETWEEN)) if (command.startsWith(begin)) await act();
    if (command.startsWith('npx almanac ')) {
      const { code, stdout, stderr } = await stack.run(...words(command).slice(2));
      expect([command, code, code === endsWith ? '' : stdout + stderr]).toEqual([command, endsWith, '']);
      if (command.startsWith('npx almanac backfill plan')) hash = /\b[0-9a-f]{16}\b/.exec(stdout)?.[0] ?? hash;
    } else {
      const { status, stderr } = spawnSync('sh', ['-c', command], { env: { ...process.env, ALMANAC_HOME: stack.home }, encoding: 'utf8' });
      expect([command, status, stderr]).toEqual([command, endsWith, '']);
    }
  }
});

test('after all of that the days stand; the hold, its end and the backfill were told', async () => {
  const runs = await stack.json<{ run: { window: string; branch: string }; state: string }[]>('runs');
  expect(
    runs
      .filter(({ run }) => run.branch === 'main')
      .map(({ run, state }) => `${run.window} ${state}`)
      .sort(),
  ).toEqual([...['2026-01-01 succeeded', '2026-01-02 succeeded', '2026-01-03 succeeded']]);
  expect((await stack.json<{ kind: string }[]>('notices')).map(({ kind }) => kind)).toEqual([
    // Done in place, built on a branch, done with its promotion, built on another one.
    ...Array<string>(4).fill('backfill-done'),
    ...['recovery', 'hold'],
  ]);
  expect(readFileSync(path.join(project.directory, 'told'), 'utf8')).toContain('"kind":"recovery"');
});

test('the README leads here', () => {
  expect(readFileSync(path.join(packageRoot(), 'README.md'), 'utf8')).toContain('(docs/operating.md)');
});
