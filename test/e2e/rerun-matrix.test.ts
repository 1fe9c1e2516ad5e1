import type { BulkAnswer } from '../../operator/runs/bulk';
import type { VersionView } from '../../operator/datasets';
import type { RunView } from '../../operator/runs/inspect';
import type { RetryAnswer } from '../../operator/runs/retry';
import { EmbeddedStack } from '../support/embedded-stack';
import { ForeignProject, PLAYS } from '../support/foreign-project';

jest.setTimeout(300_000);

const SQL = 'select user_id, count(*)::bigint as plays from added group by user_id having count(*) >= $floor';
/** The text of today returns ten rows more. */
const NEWER_SQL = `${SQL} union all select 'x' || n, 1 from range(10) as r (n)`;
const PIPELINE = `import { compute, daily, definePipeline, ingest } from 'almanac';
export const plays = definePipeline({
  id: 'plays', owner: 'music', window: daily(), chain: 'independent', params: { floor: 1 },
  datasets: { plays: { columns: { user_id: 'text', ts: 'timestamp' } }, totals: { columns: { user_id: 'text', plays: 'bigint' } } },
  stages: {
    read: ingest({ landing: 'plays', writes: 'plays', eventTime: 'ts' }),
    add: compute({ reads: { added: 'plays' }, sql: 'add.sql', writes: 'totals' }),
  },
});
`;

interface Case {
  readonly day: string;
  readonly code: 'same' | 'latest';
  readonly inputs: 'pinned' | 'latest';
  readonly params: 'same' | 'new';
  /** Each combination has a number of rows of its own. */
  readonly rows: number;
}

const ROWS = { same: { pinned: [2, 1], latest: [6, 4] }, latest: { pinned: [12, 11], latest: [16, 14] } } as const;
const CASES = (['same', 'latest'] as const)
  .flatMap((code) =>
    (['pinned', 'latest'] as const).flatMap((inputs) =>
      (['same', 'new'] as const).map((params, n) => ({ code, inputs, params, rows: ROWS[code][inputs][n] ?? 0 })),
    ),
  )
  .map((one, n): Case => ({ ...one, day: `2026-01-0${n + 1}` }));

let project: ForeignProject;
let stack: EmbeddedStack;

beforeAll(async () => {
  project = new ForeignProject({
    'almanac.config.ts': PLAYS['almanac.config.ts'],
    'pipelines/plays/pipeline.ts': PIPELINE,
    'pipelines/plays/sql/add.sql': SQL,
  });
  stack = await EmbeddedStack.start({ project: project.directory });
});
afterAll(async () => {
  await stack?.[Symbol.asyncDispose]();
  project?.[Symbol.dispose]();
});

function land(day: string, ...users: string[]): void {
  stack.land('plays', day, 'a.csv', ['user_id,ts', ...users.map((user) => `${user},${day}T10:00:00`), ''].join('\n'));
}

const options = ({ code, inputs, params }: Case): string[] => [
  '--code',
  code,
  '--inputs',
  inputs,
  ...(params === 'new' ? ['--param', 'floor=2'] : []),
];

test('all eight combinations run what they say before, and store it after', async () => {
  for (const { day } of CASES) {
    land(day, 'ann', 'bob', 'bob');
    await stack.ok('run', 'plays', '--window', day, '--wait');
    land(day, 'ann', 'bob', 'bob', 'cid', 'dan', 'dan', 'eve', 'eve', 'fay', 'fay');
  }
  project.write({ 'pipelines/plays/sql/add.sql': NEWER_SQL });
  for (const one of CASES) {
    const { day, code, inputs, params, rows } = one;
    const again = ['run', 'plays', '--window', day, '--again', '--reason', 'matrix', ...options(one)];
    const matrix = { code, inputs, params, values: { floor: params === 'new' ? 2 : 1 } };
    const preview = await stack.json<RetryAnswer>(...again, '--dry-run');
    expect(preview).toMatchObject({ matrix, run: { generation: 2 }, plan: { reset: inputs === 'pinned' ? ['add'] : ['read', 'add'] } });
    expect((await stack.json<RunView>('show', `plays/${day}`)).row.run.generation).toBe(1);
    expect(await stack.json<RetryAnswer>(...again, '--wait')).toMatchObject({ matrix, plan: preview.plan, state: 'succeeded' });
    expect((await stack.json<RunView>('show', `plays/${day}`)).row).toMatchObject({ verb: 'run --again', matrix });
    const versions = await stack.json<VersionView[]>('dataset', 'versions', 'totals', '--window', day);
    expect([one, versions.find(({ state }) => state === 'current')?.rows]).toEqual([one, rows]);
  }
});

test('a choice without --again, or of a param nobody declared, is refused', async () => {
  expect(await stack.failure('run', 'plays', '--window', '2026-01-01', '--code', 'same')).toMatchObject({ code: 'run.usage' });
  expect(await stack.failure('run', 'plays', '--window', '2026-01-01', '--again', '--code', 'same', '--param', 'roof=1')).toMatchObject({
    code: 'param.invalid',
  });
});

const DAYS = ['2026-02-01', '2026-02-02', '2026-02-03'];
const RANGE = ['--pipeline', 'plays', '--state', 'held', '--from', '2026-02-01', '--to', '2026-02-28'];

test('a retry of a held run with other params is shown before and stored after', async () => {
  for (const day of DAYS) {
    stack.land('plays', day, 'a.csv', 'wrong,header\n1,2\n');
    await stack.run('run', 'plays', '--window', day, '--wait');
  }
  land('2026-02-01', 'ann', 'bob', 'bob');
  const retry = ['retry', 'plays/2026-02-01', '--reason', 'fewer', '--param', 'floor=2'];
  expect(await stack.ok(...retry, '--dry-run')).toContain('retry with same code, latest inputs and new params (floor=2)');
  await stack.ok(...retry, '--wait');
  expect((await stack.json<RunView>('show', 'plays/2026-02-01')).row).toMatchObject({
    run: { generation: 1 },
    matrix: { params: 'new', values: { floor: 2 } },
  });
});

test('a verb for many runs previews, does each on --yes, and ends with the worst exit code', async () => {
  const preview = await stack.json<BulkAnswer>('abandon', ...RANGE, '--reason', 'given up');
  expect(preview.results.map(({ run, did }) => [run.window, did])).toEqual([
    ['2026-02-02', 'would'],
    ['2026-02-03', 'would'],
  ]);
  expect(await stack.json<BulkAnswer>('abandon', ...RANGE, '--reason', 'given up', '--yes')).toMatchObject({
    preview: false,
    exitCode: 0,
    results: [{ did: 'done' }, { did: 'done' }],
  });
  const some = ['retry', '--pipeline', 'plays', '--from', '2026-02-01', '--to', '2026-02-03', '--reason', 'all', '--yes', '--json'];
  const { code, stdout } = await stack.run(...some, '--state', 'succeeded');
  expect([code, JSON.parse(stdout)]).toMatchObject([11, { results: [{ did: 'failed', failure: { code: 'run.usage' } }] }]);
  land('2026-02-02', 'ann');
  expect(await stack.json<BulkAnswer>(...some, '--state', 'abandoned')).toMatchObject({
    exitCode: 0,
    results: [{ did: 'done' }, { did: 'done' }],
  });
  expect(await stack.failure('cancel', '--reason', 'which')).toMatchObject({ code: 'run.usage' });
  const ended = ['--pipeline', 'plays', '--state', 'succeeded', '--reason', 'too late'];
  expect(await stack.failure('abandon', ...ended)).toMatchObject({ code: 'run.usage', next: 'use --state held' });
  expect(await stack.failure('cancel', ...ended)).toMatchObject({ code: 'run.usage' });
  // As texts, every day of 2026 lies before this.
  expect(await stack.failure('abandon', ...RANGE, '--to', '20260228', '--reason', 'misspelt')).toMatchObject({ code: 'window.invalid' });
  expect(await stack.failure('runs', '--pipeline', 'plays', '--to', '20260228')).toMatchObject({ code: 'window.invalid' });
});
