import type { ScheduleRow, SlotRow } from '../../activities/ledger/schedules';
import type { AuditedAction } from '../../operator/audit';
import type { ScheduleChange } from '../../operator/schedules/apply';
import type { Preview } from '../../operator/schedules/verbs';
import { EmbeddedStack } from '../support/embedded-stack';
import { ForeignProject } from '../support/foreign-project';
import { until } from '../support/until';

jest.setTimeout(600_000);

const MINUTE = 60_000;
/** Slots that nobody looks at while everything is stopped. */
const LOST = 3;
/** A look, a start and the settling of a slot, on a busy machine. */
const SOON_MS = 90_000;

const pipeline = (id: string, chain: string, catchUp: string, overlap: string, stage: string): string => `definePipeline({
    id: '${id}', owner: 'clock', window: everyMinutes(1), chain: '${chain}',
    schedule: { cron: '* * * * *', timezone: 'UTC', gap: 'shift', fold: 'first', catchUp: '${catchUp}', overlap: '${overlap}' },
    datasets: { ${id}_rows: { columns: { n: 'bigint' } } },
    stages: { only: ${stage} },
  })`;
const nothing = "compute({ engine: 'none' })";
const CONFIG = `import { compute, defineProject, definePipeline, everyMinutes } from 'almanac';
export default defineProject({ pipelines: [
  ${pipeline('every', 'ordered', 'all', 'queue', nothing)},
  ${pipeline('newest', 'independent', 'latest', 'skip', nothing)},
  ${pipeline('punctual', 'independent', 'none', 'skip', nothing)},
  ${pipeline('broken', 'independent', 'none', 'skip', "compute({ sql: 'broken.sql', writes: 'broken_rows' })")},
] });
`.replaceAll(/datasets: \{ (every|newest|punctual)_rows: \{ columns: \{ n: 'bigint' \} \} \}/g, 'datasets: {}');

let project: ForeignProject;
let stack: EmbeddedStack;

beforeAll(async () => {
  project = new ForeignProject({
    'almanac.config.ts': CONFIG,
    'pipelines/broken/sql/broken.sql': "select cast('x' as bigint) as n",
  });
  stack = await EmbeddedStack.start({ project: project.directory });
});
afterAll(async () => {
  await stack?.[Symbol.asyncDispose]();
  project?.[Symbol.dispose]();
});

/** All slots of a pipeline, oldest first. */
async function slots(id: string): Promise<SlotRow[]> {
  return (await stack.json<SlotRow[]>('schedule', 'slots', id, '--limit', '1000')).reverse();
}

function minuteOf({ nominal }: SlotRow): number {
  return Date.parse(`${nominal}:00Z`) / MINUTE;
}

test('apply installs schedules paused; un-pausing starts what preview said, in order', async () => {
  const from = new Date(Math.floor(Date.now() / MINUTE) * MINUTE - 3 * MINUTE);
  const dry = await stack.json<ScheduleChange[]>('schedule', 'apply', '--dry-run');
  expect(dry.map(({ change }) => change)).toEqual(['installed', 'installed', 'installed', 'installed']);
  expect(await stack.json<ScheduleRow[]>('schedule', 'list')).toEqual([]);
  await stack.ok('schedule', 'apply', '--from', `${from.toISOString().slice(0, 16)}Z`);
  expect((await stack.json<ScheduleRow[]>('schedule', 'list')).map(({ paused }) => paused)).toEqual([true, true, true, true]);
  await until('the slots since then wait for the end of the pause', async () => {
    const waiting = await slots('every');
    return waiting.length >= 4 && waiting.every(({ state }) => state === 'paused');
  });
  const preview = await stack.json<Preview>('schedule', 'preview', 'every', '--days', '1');
  expect(preview.slots).toHaveLength(1440);
  expect(preview.onUnpause.map((decision) => decision.do)).toEqual(['start', ...preview.onUnpause.slice(1).map(() => 'wait')]);
  for (const id of ['every', 'newest', 'punctual']) await stack.ok('schedule', 'unpause', id, '--reason', 'begin');
  await until('all of them ran', async () => (await slots('every')).filter(({ outcome }) => outcome === 'caught-up').length >= 4, SOON_MS);
  const runs = await stack.json<{ run: { window: string }; state: string; who: string }[]>('runs', '--pipeline', 'every');
  expect(new Set(runs.map(({ who }) => who))).toEqual(new Set(['clock']));
  expect((await stack.json<ScheduleChange[]>('schedule', 'apply')).map(({ change }) => change)).toEqual(Array(4).fill('unchanged'));
});

test('a paused schedule starts nothing by itself; a trigger does, and obeys overlap unless told otherwise', async () => {
  const first = await stack.json<SlotRow>('schedule', 'trigger', 'broken', '--reason', 'try');
  expect(first).toMatchObject({ outcome: 'ran', manual: 'obey' });
  const run = `broken/${first.window}`;
  expect((await stack.run('run', 'broken', '--window', first.window, '--wait')).code).toBe(11);
  const minute = (at: number): number => Math.floor(at / MINUTE);
  await until('the minute is over', () => minute(Date.now()) > minute(Date.parse(first.at)), MINUTE + 5000);
  expect(await stack.json<SlotRow>('schedule', 'trigger', 'broken', '--reason', 'again')).toMatchObject({
    outcome: 'skipped-overlap',
    reason: expect.stringContaining(first.window) as string,
  });
  expect(await stack.json<SlotRow>('schedule', 'trigger', 'broken', '--overlap', 'ignore', '--reason', 'beside')).toMatchObject({
    outcome: 'ran',
  });
  await stack.ok('cancel', run, '--reason', 'seen');
});

test('audit has who installed, un-paused and fired each schedule, and why', async () => {
  const of = async (id: string): Promise<unknown[]> =>
    (await stack.json<AuditedAction[]>('audit', '--limit', '1000'))
      .filter(({ schedule }) => schedule === id)
      .map(({ verb, reason, run, detail }) => [verb, reason, run, detail['change'] ?? detail['overlap'] ?? null]);
  expect(await of('broken')).toEqual([
    ['schedule trigger', 'beside', null, 'ignore'],
    ['schedule trigger', 'again', null, 'obey'],
    ['schedule trigger', 'try', null, 'obey'],
    ['schedule apply', null, null, 'installed'],
  ]);
  expect(await of('every')).toEqual([
    ['schedule unpause', 'begin', null, null],
    ['schedule apply', null, null, 'installed'],
  ]);
  expect(await stack.ok('audit')).toMatch(/schedule trigger +schedule broken .*: beside/);
});

test('everything stopped over three slots: each policy gives its outcomes, no slot is lost or doubled', async () => {
  await until('a slot on time', async () => (await slots('punctual')).some(({ outcome }) => outcome === 'ran'), 2 * MINUTE);
  await stack.ok('down');
  const stopped = Math.floor(Date.now() / MINUTE);
  await until('three slots are past', () => Promise.resolve(Date.now() > (stopped + LOST + 1) * MINUTE + 5000), (LOST + 2) * MINUTE);
  await stack.ok('up', '--detach');
  const lost = Array.from({ length: LOST - 1 }, (_, index) => stopped + 1 + index);
  const outcomes = async (id: string): Promise<(string | null | undefined)[]> => {
    const found = new Map((await slots(id)).map((slot) => [minuteOf(slot), slot.outcome]));
    return lost.map((minute) => found.get(minute));
  };
  await until(
    'all lost slots are settled',
    async () => (await Promise.all(['every', 'newest', 'punctual'].map(outcomes))).flat().every((outcome) => typeof outcome === 'string'),
    SOON_MS,
  );
  expect(await outcomes('every')).toEqual(lost.map(() => 'caught-up'));
  expect(await outcomes('punctual')).toEqual(lost.map(() => 'missed'));
  expect(await outcomes('newest')).toEqual(lost.map(() => 'superseded'));
  for (const id of ['every', 'newest', 'punctual']) {
    const minutes = (await slots(id)).filter(({ manual }) => manual === null).map(minuteOf);
    expect(minutes).toEqual(minutes.map((_, index) => (minutes[0] ?? 0) + index));
  }
  const windows = (await stack.json<{ run: { window: string } }[]>('runs', '--pipeline', 'every', '--limit', '100')).map(
    ({ run }) => run.window,
  );
  expect(new Set(windows).size).toBe(windows.length);
});

test('what is not there is a coded refusal', async () => {
  expect(await stack.failure('schedule', 'pause', 'nobody', '--reason', 'x')).toMatchObject({ code: 'schedule.unknown', exitCode: 4 });
  for (const verb of ['pause', 'unpause', 'trigger'])
    expect(await stack.failure('schedule', verb, 'broken', '--reason', ' ')).toMatchObject({ code: 'reason.missing', exitCode: 11 });
  expect(await stack.failure('schedule', 'apply', '--from', 'yesterday')).toMatchObject({ code: 'run.usage' });
});
