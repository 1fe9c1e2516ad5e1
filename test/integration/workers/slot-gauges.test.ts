import { changeSlots, insertDueSlots, putSchedule, removeSchedule, setPaused, type SlotChange } from '../../../activities/ledger/schedules';
import { claimRun, storePlan } from '../../../activities/ledger/runs';
import { migrate } from '../../../lib/migrate';
import type { Plan, ScheduleSpec } from '../../../pipelines/types';
import { LedgerGauges } from '../../../workers/ledger-gauges';
import { parseExposition, samplesOf } from '../../support/exposition';
import { testDatabase, type TestDatabase } from '../../support/postgres';

const DAILY: ScheduleSpec = { cron: '30 2 * * *', timezone: 'UTC', gap: 'shift', fold: 'first', catchUp: 'all', overlap: 'queue' };
const [SEEN, DUE] = ['2026-01-09T02:30:00.001Z', '2026-01-10T02:30:00Z'];
const PLAN = { hash: 'h', pipeline: 'plays' } as Plan;

let database: TestDatabase;
beforeEach(async () => {
  database = await testDatabase();
  await migrate(database.pool);
  await storePlan(database.pool, PLAN);
  await putSchedule(database.pool, {
    ...{ pipeline: 'plays', spec: DAILY, window: { every: 'day', timezone: 'UTC' }, deadline: undefined, planHash: 'h', paused: false },
    ...{ reason: 'x', who: 'x', changedAt: '2026-01-01T00:00:00Z', seenUntil: SEEN },
  });
});
afterEach(() => database[Symbol.asyncDispose]());

/** Samples of one metric at an instant, `outcome value` or the bare value; outcomes at 0 are left out. */
async function told(metric: string, now: string): Promise<string[]> {
  await using ledger = new LedgerGauges({ databaseUrl: database.url, clock: { now: () => new Date(now) }, failed: () => undefined });
  await ledger.refresh();
  return samplesOf(parseExposition(await ledger.registry.metrics()), metric)
    .filter(({ labels, value }) => labels.outcome === undefined || value > 0)
    .map(({ labels, value }) => (labels.outcome === undefined ? `${value}` : `${labels.outcome} ${value}`));
}
const overdue = (now: string): Promise<string[]> => told('almanac_slots_overdue', now);

async function see(at = DUE): Promise<void> {
  const slot = { nominal: at.slice(0, 16), at, window: at.slice(0, 10) };
  await insertDueSlots(database.pool, [{ pipeline: 'plays', seenUntil: new Date(Date.parse(at) + 1), slots: [slot] }], new Date(at));
}

async function change(to: Omit<SlotChange, 'pipeline' | 'nominal' | 'reason'>, at = DUE): Promise<void> {
  await changeSlots(database.pool, [{ pipeline: 'plays', nominal: at.slice(0, 16), reason: 'x', ...to }], new Date(at));
}

/** An open run of another window of the pipeline, or one that ended. */
async function run(window: string, endedAt?: string): Promise<void> {
  await claimRun(database.pool, {
    ...{ run: { pipeline: 'plays', window, branch: 'main', generation: 1 }, claim: window, planHash: 'h', pins: {}, bootstrap: false },
    ...{ origin: false, matrix: {}, verb: 'run', who: 'x', now: new Date('2026-01-10T00:00:00Z') },
  });
  if (endedAt !== undefined)
    await database.pool.query("update almanac.run set state = 'succeeded', ended_at = $2 where window_key = $1", [window, endedAt]);
}

test('a slot is overdue when it has no outcome a minute after it was due, seen by the clock or not', async () => {
  expect(await overdue('2026-01-10T02:30:30Z')).toEqual(['0']);
  expect(await overdue('2026-01-10T02:31:01Z')).toEqual(['1']);
  expect(await overdue('2026-01-12T12:00:00Z')).toEqual(['3']);
  await see();
  expect(await overdue('2026-01-10T02:30:30Z')).toEqual(['0']);
  expect(await overdue('2026-01-10T02:31:01Z')).toEqual(['1']);
  await change({ state: 'settled', outcome: 'ran' });
  expect(await overdue('2026-01-10T02:31:01Z')).toEqual(['0']);
});

test('a queued slot waits by right while another run is open, and is overdue a minute after its end', async () => {
  await see();
  await change({ state: 'queued' });
  expect(await overdue('2026-01-10T02:40:00Z')).toEqual(['1']);
  await run('2026-01-08');
  expect(await overdue('2026-01-10T02:40:00Z')).toEqual(['0']);
  await database.pool.query("update almanac.run set state = 'succeeded', ended_at = '2026-01-10T02:45:00Z'");
  expect(await overdue('2026-01-10T02:45:30Z')).toEqual(['0']);
  expect(await overdue('2026-01-10T02:46:01Z')).toEqual(['1']);
});

test('the run of its own window is no reason to wait', async () => {
  await see();
  await change({ state: 'queued' });
  await run('2026-01-10');
  expect(await overdue('2026-01-10T02:40:00Z')).toEqual(['1']);
});

test('a pause has no overdue slots; what it kept back is overdue a minute after its end', async () => {
  await see();
  await change({ state: 'paused' });
  await setPaused(database.pool, 'plays', true, { who: 'x', reason: 'x', now: new Date('2026-01-10T01:00:00Z') });
  expect(await overdue('2026-01-15T00:00:00Z')).toEqual(['0']);
  expect(await told('almanac_schedule_paused', '2026-01-15T00:00:00Z')).toEqual(['1']);
  await setPaused(database.pool, 'plays', false, { who: 'x', reason: 'x', now: new Date('2026-01-10T10:00:00Z') });
  await change({ state: 'due' });
  expect(await overdue('2026-01-10T10:00:30Z')).toEqual(['0']);
  expect(await overdue('2026-01-10T10:01:01Z')).toEqual(['1']);
  expect(await told('almanac_schedule_paused', '2026-01-10T10:00:30Z')).toEqual(['0']);
});

test('outcomes are counted as they come, once each, and outlive their schedule', async () => {
  for (const [day, outcome] of [
    ['10', 'ran'],
    ['11', 'ran'],
    ['12', 'missed'],
  ] as const) {
    const at = `2026-01-${day}T02:30:00Z`;
    await see(at);
    await change({ state: 'starting' }, at);
    await change({ state: 'settled', outcome }, at);
    await change({ state: 'settled', outcome: 'superseded' }, at);
  }
  const expected = ['missed 1', 'ran 2'];
  expect((await told('almanac_slots_total', '2026-01-12T02:31:00Z')).sort()).toEqual(expected);
  await removeSchedule(database.pool, 'plays');
  expect((await told('almanac_slots_total', '2026-01-12T02:31:00Z')).sort()).toEqual(expected);
  expect(await overdue('2026-02-12T02:31:00Z')).toEqual([]);
});
