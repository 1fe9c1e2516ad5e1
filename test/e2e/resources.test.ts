import path from 'node:path';
import type { RunView } from '../../operator/runs/inspect';
import { EmbeddedStack } from '../support/embedded-stack';
import { ForeignProject } from '../support/foreign-project';
import { keys } from '../support/counting-project';
import { DISK_SHORTAGES, MEMORY_SHORTAGES } from '../support/scarcity';

jest.setTimeout(300_000);

const RESOURCE = 14;
/** One that writes much, one that sorts more than its memory holds, one that needs much memory at once. */
const TEXTS = {
  writer: "select keys.key, string_agg(hash(r.range)::text, '') as text from keys, range(300000) as r group by keys.key, r.range % 1000",
  sorter: `select key, count(*)::text as text from (
  select keys.key, row_number() over (order by hash(r.range)) as n from keys, range(8000000) as r
) where n % 2 = 0 group by key`,
  collector: 'select keys.key, len(list(hash(r.range)::text))::text as text from keys, range(8000000) as r group by keys.key',
};
const SMALL_MEMORY = '256MB';
const AMPLE_MEMORY = '2GB';

const env: Record<string, string> = { ALMANAC_MEMORY: SMALL_MEMORY };
let project: ForeignProject;
let stack: EmbeddedStack;

beforeAll(async () => {
  const pipelines = Object.entries(TEXTS).map(([id, sql]) => ({
    [`pipelines/${id}/sql/work.sql`]: sql,
    [`pipelines/${id}/pipeline.ts`]: `import { compute, daily, definePipeline, ingest } from 'almanac';
export const ${id} = definePipeline({
  id: '${id}', owner: 'tests', window: daily(), chain: 'independent',
  datasets: {
    keys_of_${id}: { columns: { key: 'text', ts: 'timestamp' } },
    result_of_${id}: { columns: { key: 'text', text: 'text' } },
  },
  stages: {
    read: ingest({ landing: 'keys', writes: 'keys_of_${id}', eventTime: 'ts' }),
    work: compute({ reads: { keys: 'keys_of_${id}' }, sql: 'work.sql', writes: 'result_of_${id}' }),
  },
});
`,
  }));
  const ids = Object.keys(TEXTS);
  const config = [
    "import { defineProject } from 'almanac';",
    ...ids.map((id) => `import { ${id} } from './pipelines/${id}/pipeline';`),
    `export default defineProject({ pipelines: [${ids.join(', ')}] });\n`,
  ];
  project = new ForeignProject(Object.assign({ 'almanac.config.ts': config.join('\n') }, ...pipelines) as Record<string, string>);
  stack = await EmbeddedStack.start({ project: project.directory, env });
});
afterAll(async () => {
  await stack?.[Symbol.asyncDispose]();
  project?.[Symbol.dispose]();
});

/** Runs the window into its hold: twice tried at most, for want of something, with every process as it was. */
async function expectHeld(pipeline: string, window: string, code: RegExp): Promise<void> {
  const before = await stack.processes();
  stack.land('keys', window, 'a.csv', keys(window, 'ann'));
  expect(await stack.run('run', pipeline, '--window', window, '--wait')).toMatchObject({ code: RESOURCE });
  const { row, attempts } = await stack.json<RunView>('show', `${pipeline}/${window}`);
  expect(row.state).toBe('held');
  expect(row.failure?.work).toMatchObject({ class: 'resource', code: expect.stringMatching(code) });
  const tries = attempts.filter(({ stage }) => stage === 'work').map(({ state, failure }) => `${state} ${failure?.class ?? ''}`);
  expect(tries).toEqual(['failed resource', 'failed resource']);
  expect(await stack.processes()).toEqual(before);
}

async function expectFinished(pipeline: string, window: string): Promise<void> {
  await stack.ok('retry', `${pipeline}/${window}`, '--stage', 'work', '--reason', 'there is more now', '--wait');
  expect(await stack.json<RunView>('show', `${pipeline}/${window}`)).toMatchObject({ row: { state: 'succeeded' } });
}

describe.each(DISK_SHORTAGES)('%s', (how, shortage) => {
  const month = how === 'the disk is full' ? '01' : '02';

  test('of the store: the run holds, the stack stays up, and after room was made a retry finishes it', async () => {
    using disk = shortage(stack.data, await stack.pid('worker-compute'));
    await expectHeld('writer', `2026-${month}-01`, /^(store\.full|engine\.disk)$/);
    disk.relieve();
    await expectFinished('writer', `2026-${month}-01`);
  });

  test('of the spill directory: the run holds, the stack stays up, and after room was made a retry finishes it', async () => {
    using disk = shortage(path.join(stack.home, 'spill'), await stack.pid('worker-compute'));
    await expectHeld('sorter', `2026-${month}-02`, /^engine\.disk$/);
    disk.relieve();
    await expectFinished('sorter', `2026-${month}-02`);
  });
});

test('out of memory, the run holds and the stack stays up; a stack with more memory finishes it on a retry', async () => {
  await expectHeld('collector', '2026-03-01', /^engine\.memory$/);
  await stack.ok('down');
  env.ALMANAC_MEMORY = AMPLE_MEMORY;
  await stack.ok('up', '--detach');
  await expectFinished('collector', '2026-03-01');
});

// A list, since only some may make control groups; where nobody may, the test before says what there is to say.
for (const [how, shortage] of MEMORY_SHORTAGES) {
  test(`${how} for memory: the run holds, the worker lives, and with more memory a retry finishes it`, async () => {
    using memory = shortage(await stack.pid('worker-compute'));
    await expectHeld('collector', '2026-03-02', /^engine\.memory$/);
    memory.relieve();
    await expectFinished('collector', '2026-03-02');
  });
}
