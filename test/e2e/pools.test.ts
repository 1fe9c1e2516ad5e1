import type { PoolLine, PoolView } from '../../operator/pools';
import type { RunView } from '../../operator/runs/inspect';
import type { StopAnswer } from '../../operator/runs/stop';
import { EmbeddedStack } from '../support/embedded-stack';
import { ForeignProject } from '../support/foreign-project';
import { until } from '../support/until';

jest.setTimeout(300_000);

const DEADLINE_MS = 120_000;
const POLL_MS = 250;
const FEW = ['--param', 'rows=10'];

/** Stage `load` takes as long as `rows` says: a handful is done at once, the default goes on for hours. */
const pipeline = (id: string): string => `import { compute, daily, definePipeline, ingest } from 'almanac';
export const ${id} = definePipeline({
  id: '${id}', owner: 'tests', window: daily(), chain: 'independent', params: { rows: 10000000 },
  datasets: { ${id}_keys: { columns: { key: 'text' } }, ${id}_pairs: { columns: { key: 'text', pairs: 'bigint' } } },
  stages: {
    read: ingest({ landing: '${id}', writes: '${id}_keys' }),
    load: compute({ reads: { keys: '${id}_keys' }, sql: 'load.sql', writes: '${id}_pairs', pool: { name: 'warehouse' } }),
  },
});
`;
const LOAD = `select keys.key, count(*) as pairs
from keys, range($rows) as a, range($rows) as b
where (a.range * 7919 + b.range) % 1000003 = 0
group by all
`;

let project: ForeignProject;
let stack: EmbeddedStack;

beforeAll(async () => {
  project = new ForeignProject({
    'almanac.config.ts': `import { defineProject } from 'almanac';
import { north } from './pipelines/north/pipeline';
import { south } from './pipelines/south/pipeline';
export default defineProject({ pipelines: [north, south], pools: { warehouse: 1 } });
`,
    'pipelines/north/pipeline.ts': pipeline('north'),
    'pipelines/north/sql/load.sql': LOAD,
    'pipelines/south/pipeline.ts': pipeline('south'),
    'pipelines/south/sql/load.sql': LOAD,
  });
  stack = await EmbeddedStack.start({ project: project.directory });
});
afterAll(async () => {
  await stack?.[Symbol.asyncDispose]();
  project?.[Symbol.dispose]();
});

async function begin(name: 'north' | 'south', window: string, ...args: string[]): Promise<string> {
  stack.land(name, window, 'a.csv', `key\n${name}\n`);
  await stack.ok('run', name, '--window', window, ...args);
  return `${name}/${window}`;
}

const warehouse = (): Promise<PoolLine> => stack.json<PoolLine>('pool', 'show', 'warehouse');

/** Resolves once so many hold permits and so many wait. */
async function queue(holders: number, waiting: number): Promise<PoolLine> {
  let shown = await warehouse();
  const wanted = (): boolean => shown.holders.length === holders && shown.line.length === waiting;
  const deadline = Date.now() + DEADLINE_MS;
  while (!wanted()) {
    if (Date.now() > deadline)
      throw new Error(`waited for ${holders} that hold and ${waiting} that wait, not for ${JSON.stringify(shown)}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    shown = await warehouse();
  }
  return shown;
}

test('stages of two pipelines share one permit: who waits says for whom, a killed holder keeps it, a cancel passes it on', async () => {
  const holder = await begin('north', '2026-01-01');
  const [held] = (await queue(1, 0)).holders;
  expect(held).toMatchObject({ run: { pipeline: 'north', window: '2026-01-01' }, stage: 'load', attempt: 1 });

  const second = await begin('north', '2026-01-02', ...FEW);
  await queue(1, 1);
  const first = await begin('south', '2026-01-01', ...FEW);
  const { line } = await queue(1, 2);
  expect(line.map(({ run }) => `${run.pipeline}/${run.window}`)).toEqual([first, second]);
  const why = await stack.ok('why', second);
  for (const part of [
    'a permit of pool warehouse for stage load',
    'position 2 of 2',
    `held by ${holder} load since ${held?.since}`,
    'almanac pool show warehouse',
  ])
    expect(why).toContain(part);
  expect(await stack.ok('show', second)).toMatch(/load +compute +waiting .*pool warehouse: position 2 of 2 since /);
  expect((await stack.json<RunView>('show', first)).permits).toMatchObject([{ stage: 'load', pool: 'warehouse', position: 1, of: 2 }]);
  expect(await stack.ok('pool', 'show', 'warehouse')).toMatch(
    /1 permits, 1 out, 2 waiting[^]*north\/2026-01-01 +load +1[^]* 1 +south\/2026-01-01 +load/,
  );

  process.kill(await stack.pid('worker-compute'), 'SIGKILL');
  await until(
    'the next attempt took over the permit',
    async () => (await warehouse()).holders.some(({ run, attempt }) => run.pipeline === 'north' && attempt > 1),
    DEADLINE_MS,
    POLL_MS,
  );
  const after = await warehouse();
  expect(after.holders).toMatchObject([{ run: { window: '2026-01-01' }, since: held?.since }]);
  expect(after.line).toHaveLength(2);

  expect(await stack.json<StopAnswer>('cancel', holder, '--reason', 'it takes too long')).toMatchObject({ state: 'cancelled' });
  await stack.ok('run', 'north', '--window', '2026-01-02', '--wait');
  await stack.ok('run', 'south', '--window', '2026-01-01', '--wait');
  await queue(0, 0);
});

test('a closed pool lends nothing; a cancel of a run or of a backfill leaves the line, and what an operator set can be taken back', async () => {
  await stack.ok('pool', 'set', 'warehouse', '--permits', '0', '--reason', 'it is being moved');
  const [pool] = await stack.json<PoolView[]>('pool', 'list');
  expect(pool).toMatchObject({ name: 'warehouse', declared: 1, permits: 0, reason: 'it is being moved' });
  expect(await stack.ok('audit', '--since', '1h')).toMatch(/pool set +pool warehouse +done +1 to 0 permits: it is being moved/);
  const waits = await begin('south', '2026-01-02', ...FEW);
  for (const window of ['2026-01-03', '2026-01-04']) stack.land('north', window, 'a.csv', 'key\nnorth\n');
  const planned = await stack.json<{ hash: string }>(
    'backfill',
    'plan',
    'north',
    '--from',
    '2026-01-03',
    '--to',
    '2026-01-04',
    '--concurrency',
    '2',
  );
  await stack.ok('backfill', 'start', planned.hash, '--reason', 'catch up');
  const { line } = await queue(0, 3);
  expect(line.map(({ lane }) => lane).sort()).toEqual(['backfill', 'backfill', 'live']);
  expect(await stack.ok('why', waits)).toContain('the pool is closed');
  expect(await stack.json<StopAnswer>('cancel', waits, '--reason', 'not today')).toMatchObject({
    state: 'cancelled',
    proof: [{}, { ended: 'reported' }],
  });
  await queue(0, 2);
  await stack.ok('backfill', 'cancel', planned.hash, '--reason', 'not today');
  await until(
    'the backfill is quiesced',
    async () => (await stack.json<{ state: string }[]>('backfill', 'list'))[0]?.state === 'quiesced',
    DEADLINE_MS,
    POLL_MS,
  );
  await queue(0, 0);
  await stack.ok('pool', 'set', 'warehouse', '--permits', '1', '--reason', 'moved');
  await begin('north', '2026-01-05', ...FEW, '--wait');
  expect(await stack.failure('pool', 'show', 'warhouse')).toMatchObject({ code: 'pool.unknown', exitCode: 4 });
});
