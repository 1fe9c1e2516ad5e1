import { changeSlots, listSchedules, putSchedule, setPaused } from '../../../activities/ledger/schedules';
import { claimRun, storePlan } from '../../../activities/ledger/runs';
import { listDeadlines, type DeadlineRow } from '../../../activities/ledger/deadlines';
import { migrate } from '../../../lib/migrate';
import { lookAtDeadlines, onTimeReport } from '../../../operator/schedules/deadlines';
import { lookAtSlots, type SlotRuns } from '../../../operator/schedules/tick';
import type { OperatorSession } from '../../../operator/session';
import type { Plan, PlanStage, ScheduleSpec } from '../../../pipelines/types';
import { LedgerGauges } from '../../../workers/ledger-gauges';
import { parseExposition, sampleOf, samplesOf } from '../../support/exposition';
import { testDatabase, type TestDatabase } from '../../support/postgres';

const NIGHTLY: ScheduleSpec = { cron: '30 2 * * *', timezone: 'UTC', gap: 'shift', fold: 'first', catchUp: 'all', overlap: 'queue' };
const stage = (id: string, kind: PlanStage['kind'], ...needs: string[]): PlanStage =>
  ({ id, kind, needs, hash: id, timeoutSeconds: 60 }) as unknown as PlanStage;
const PLAN = {
  ...{ hash: 'h', pipeline: 'plays' },
  stages: [stage('read', 'ingest'), stage('build', 'compute', 'read'), stage('publish', 'publish', 'build')],
} as unknown as Plan;

let database: TestDatabase;
let now: Date;
let session: OperatorSession;
beforeEach(async () => {
  database = await testDatabase();
  await migrate(database.pool);
  await storePlan(database.pool, PLAN);
  session = { database: database.pool, clock: { now: () => now } } as unknown as OperatorSession;
  await putSchedule(database.pool, {
    ...{ pipeline: 'plays', spec: NIGHTLY, window: { every: 'day', timezone: 'UTC' }, deadline: { published: '06:00' }, planHash: 'h' },
    ...{ paused: false, reason: 'x', who: 'x', changedAt: '2026-01-01T00:00:00Z', seenUntil: '2026-01-10T00:00:00Z' },
  });
});
afterEach(() => database[Symbol.asyncDispose]());

async function claim(window: string, generation = 1): Promise<void> {
  await claimRun(database.pool, {
    ...{ run: { pipeline: 'plays', window, branch: 'main', generation }, claim: `${window} ${generation}`, planHash: 'h', pins: {} },
    ...{ bootstrap: false, origin: false, matrix: {}, verb: 'run', who: 'clock', now },
  });
}

/** Starts of slots claim a run and leave it to the test. */
const runs: SlotRuns = {
  async start(_, window) {
    await claim(window);
    return { did: 'started', origin: false, run: { pipeline: 'plays', window, branch: 'main', generation: 1 } };
  },
  cancel: () => Promise.reject(new Error('nothing is cancelled')),
};

/** One look of the clock at an instant, and the deadline of 2026-01-10 after it. */
async function look(at: string): Promise<Partial<DeadlineRow> | undefined> {
  now = new Date(at);
  await lookAtSlots(session, runs);
  return (await listDeadlines(database.pool, { pipeline: 'plays', limit: 100 })).find(({ nominal }) => nominal === '2026-01-10T02:30');
}

async function attempt(stageId: string, state: string, startedAt: string, endedAt: string | null, window = '2026-01-09'): Promise<void> {
  await database.pool.query(
    `insert into almanac.attempt (pipeline, window_key, branch, generation, stage, attempt, epoch, kind, state, stage_hash, started_at, ended_at, output)
     values ('plays', $1, 'main', 1, $2, 1, 1, 'compute', $3, 'h', $4, $5, '{}')
     on conflict (pipeline, window_key, branch, generation, stage, attempt) do update set state = excluded.state, ended_at = excluded.ended_at`,
    [window, stageId, state, startedAt, endedAt],
  );
}

/** Accepted runs of earlier windows: read took 10 min, build so many, publish 1 min. */
async function history(builds: readonly number[]): Promise<void> {
  for (const [index, minutes] of builds.entries()) {
    const window = `2025-12-${String(index + 1).padStart(2, '0')}`;
    const at = (minute: number): string => new Date(Date.parse(`${window}T03:00:00Z`) + minute * 60_000).toISOString();
    now = new Date(at(0));
    await claim(window);
    await attempt('read', 'succeeded', at(0), at(10), window);
    await attempt('build', 'succeeded', at(10), at(10 + minutes), window);
    await attempt('publish', 'succeeded', at(10 + minutes), at(11 + minutes), window);
    await database.pool.query("update almanac.run set state = 'succeeded', ended_at = $2 where window_key = $1", [
      window,
      at(11 + minutes),
    ]);
  }
}

async function publish(window: string, at: string): Promise<void> {
  await database.pool.query(
    `insert into almanac.publication (pipeline, branch, window_key, window_end, generation, stage, accepted_sequence, content, gates, versions, tables,
       state, attempt, fence, backend_pid, backend_start, opened_at, flipped_at)
     values ('plays', 'main', $1::text, $1::date + 1, 1, 'publish', 1, $1, '{}', '{}', '{}', 'live', 1, gen_random_uuid(), 1, now(), $2, $2)`,
    [window, at],
  );
}

async function notices(): Promise<string[]> {
  const { rows } = await database.pool.query<{ kind: string; reason: string }>(
    "select kind, detail ->> 'reason' as reason from almanac.notice where kind like 'deadline%' order by id",
  );
  return rows.map(({ kind, reason }) => `${kind}: ${reason}`);
}

test('a slot on time has an estimate from history, is at risk when it runs long, and tells so once, before the miss', async () => {
  await history([60, 60, 60, 60, 120]);
  expect(await look('2026-01-10T02:29:00Z')).toBeUndefined();
  expect(await look('2026-01-10T02:30:00Z')).toMatchObject({
    ...{ state: 'pending', due: '2026-01-10T06:00:00.000Z', path: ['read', 'build', 'publish'], eta: '2026-01-10T03:41:00.000Z' },
    // The 90th percentile of 60, 60, 60, 60, 120 is 96.
    etaLate: '2026-01-10T04:17:00.000Z',
  });
  await attempt('read', 'running', '2026-01-10T02:30:00Z', null);
  expect(await look('2026-01-10T03:00:00Z')).toMatchObject({ state: 'pending', path: ['read', 'build', 'publish'] });
  await attempt('read', 'succeeded', '2026-01-10T02:30:00Z', '2026-01-10T04:30:00Z');
  expect(await look('2026-01-10T04:30:00Z')).toMatchObject({
    ...{ state: 'at-risk', path: ['build', 'publish'], reason: 'stage build may end too late', eta: '2026-01-10T05:31:00.000Z' },
  });
  await look('2026-01-10T05:00:00Z');
  expect(await notices()).toEqual(['deadline-at-risk: stage build may end too late']);
  expect(await look('2026-01-10T06:00:00Z')).toMatchObject({ state: 'missed', reason: 'stage build was not done', publishedAt: null });
  await publish('2026-01-09', '2026-01-10T06:30:00Z');
  expect(await look('2026-01-10T06:31:00Z')).toMatchObject({ state: 'missed', publishedAt: '2026-01-10T06:30:00.000Z' });
  expect(await notices()).toHaveLength(2);
});

test('it is met by a publication of its window only, also when one looks late; a later window closes it', async () => {
  await look('2026-01-10T02:30:00Z');
  await publish('2026-01-08', '2026-01-10T03:00:00Z');
  expect(await look('2026-01-10T03:01:00Z')).toMatchObject({ state: 'pending' });
  await publish('2026-01-09', '2026-01-10T04:00:00Z');
  expect(await look('2026-01-10T09:00:00Z')).toMatchObject({ state: 'met', publishedAt: '2026-01-10T04:00:00.000Z' });
  await look('2026-01-11T02:30:00Z');
  await publish('2026-01-12', '2026-01-11T03:00:00Z');
  await look('2026-01-11T03:01:00Z');
  expect((await listDeadlines(database.pool, { limit: 1 }))[0]).toMatchObject({ nominal: '2026-01-11T02:30', state: 'superseded' });
  expect(await notices()).toEqual([]);
});

test('a held run is at risk at once, whatever the time', async () => {
  await look('2026-01-10T02:30:00Z');
  await database.pool.query('update almanac.run set state = \'held\', hold = 1, failure = \'{"build": {"class": "user"}}\'');
  expect(await look('2026-01-10T02:31:00Z')).toMatchObject({ state: 'at-risk', reason: 'its run is held at build', eta: null });
  await database.pool.query("update almanac.run set state = 'running'");
  expect(await look('2026-01-10T02:32:00Z')).toMatchObject({ state: 'pending' });
});

test('a pause that lasts until the deadline is over leaves none; one that ends before leaves it', async () => {
  await setPaused(database.pool, 'plays', true, { who: 'x', reason: 'x', now: new Date('2026-01-10T01:00:00Z') });
  expect(await look('2026-01-10T05:00:00Z')).toBeUndefined();
  await setPaused(database.pool, 'plays', false, { who: 'x', reason: 'x', now: new Date('2026-01-10T05:00:00Z') });
  expect(await look('2026-01-10T05:00:01Z')).toMatchObject({ state: 'pending' });
  await setPaused(database.pool, 'plays', true, { who: 'x', reason: 'x', now: new Date('2026-01-11T01:00:00Z') });
  await look('2026-01-11T07:00:00Z');
  await setPaused(database.pool, 'plays', false, { who: 'x', reason: 'x', now: new Date('2026-01-11T07:00:00Z') });
  await look('2026-01-11T07:00:01Z');
  expect((await listDeadlines(database.pool, { limit: 10 })).map(({ nominal }) => nominal)).toEqual(['2026-01-10T02:30']);
});

test('an outage over the deadline is a miss, told once', async () => {
  expect(await look('2026-01-10T12:00:00Z')).toMatchObject({ state: 'missed' });
  expect(await notices()).toHaveLength(1);
});

test('looking again without news writes nothing, and costs one statement', async () => {
  await look('2026-01-10T02:30:00Z');
  await publish('2026-01-09', '2026-01-10T04:00:00Z');
  await look('2026-01-10T04:00:01Z');
  const [schedule] = await listSchedules(database.pool);
  expect(schedule?.seenUntil).toBe('2026-01-10T02:30:00.001Z');
  let statements = 0;
  const counting = { query: (...given: Parameters<typeof database.pool.query>) => ((statements += 1), database.pool.query(...given)) };
  await lookAtDeadlines({ ...session, database: counting as unknown as typeof database.pool });
  expect(statements).toBe(1);
});

test('the report of a month counts by state, says how late, and refuses what is no month', async () => {
  await look('2026-01-10T02:30:00Z');
  await publish('2026-01-09', '2026-01-10T04:00:00Z');
  await look('2026-01-10T04:00:01Z');
  await changeSlots(
    database.pool,
    [{ pipeline: 'plays', nominal: '2026-01-10T02:30', state: 'settled', outcome: 'ran', reason: 'x' }],
    now,
  );
  await database.pool.query("update almanac.run set state = 'succeeded', ended_at = $1", [now]);
  await look('2026-01-11T02:30:00Z');
  await look('2026-01-11T06:00:00Z');
  await publish('2026-01-10', '2026-01-11T06:10:00Z');
  await look('2026-01-11T06:11:00Z');
  expect(await onTimeReport(session, 'plays', '2026-01')).toMatchObject({
    ...{ deadlines: 2, met: 1, missed: 1, superseded: 0, onTime: 0.5 },
    late: [{ window: '2026-01-10', lateSeconds: 600 }],
  });
  expect(await onTimeReport(session, 'plays', '2026-02')).toMatchObject({ deadlines: 0, onTime: null, late: [] });
  await expect(onTimeReport(session, 'plays', '2026-13')).rejects.toMatchObject({ code: 'run.usage' });
  await expect(onTimeReport(session, 'other', '2026-01')).rejects.toMatchObject({ code: 'schedule.unknown' });
});

test('the metrics tell the states and the time that is left', async () => {
  await look('2026-01-10T02:30:00Z');
  const scrape = async (): Promise<ReturnType<typeof parseExposition>> => {
    await using ledger = new LedgerGauges({ databaseUrl: database.url, clock: session.clock, failed: () => undefined });
    await ledger.refresh();
    return parseExposition(await ledger.registry.metrics());
  };
  const states = (families: ReturnType<typeof parseExposition>): string[] =>
    samplesOf(families, 'almanac_deadline_state')
      .filter(({ value }) => value > 0)
      .map(({ labels, value }) => `${labels.state} ${value}`);
  const pending = await scrape();
  expect(states(pending)).toEqual(['pending 1']);
  expect(sampleOf(pending, 'almanac_deadline_left_seconds').value).toBe(3.5 * 3600);
  await look('2026-01-10T06:00:00Z');
  const missed = await scrape();
  expect(states(missed)).toEqual(['missed 1']);
  expect(sampleOf(missed, 'almanac_deadline_left_seconds').value).toBe(-1);
  await publish('2026-01-09', '2026-01-10T06:30:00Z');
  await look('2026-01-10T06:31:00Z');
  expect(states(await scrape())).toEqual([]);
});
