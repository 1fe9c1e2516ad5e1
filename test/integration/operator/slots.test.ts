import { listSlots, putSchedule } from '../../../activities/ledger/schedules';
import { claimRun, storePlan } from '../../../activities/ledger/runs';
import { migrate } from '../../../lib/migrate';
import { lookAtSlots, type SlotRuns } from '../../../operator/schedules/tick';
import type { OperatorSession } from '../../../operator/session';
import type { Plan, ScheduleSpec } from '../../../pipelines/types';
import { testDatabase, type TestDatabase } from '../../support/postgres';

const MINUTELY: ScheduleSpec = { cron: '* * * * *', timezone: 'UTC', gap: 'shift', fold: 'first', catchUp: 'none', overlap: 'queue' };
const PLAN = { hash: 'h', pipeline: 'plays', stages: [] } as unknown as Plan;
const AT = '2026-01-10T12:01:00Z';

let database: TestDatabase;
let session: Pick<OperatorSession, 'database' | 'clock'>;
beforeEach(async () => {
  database = await testDatabase();
  await migrate(database.pool);
  await storePlan(database.pool, PLAN);
  session = { database: database.pool, clock: { now: () => new Date(AT) } };
});
afterEach(() => database[Symbol.asyncDispose]());

async function install(pipeline: string, spec: Partial<ScheduleSpec> = {}, seenUntil = '2026-01-10T12:00:30Z'): Promise<void> {
  await putSchedule(database.pool, {
    ...{ pipeline, spec: { ...MINUTELY, ...spec }, window: { every: 'minutes', minutes: 1 }, deadline: undefined, planHash: 'h' },
    ...{ paused: false, reason: 'x', who: 'x', changedAt: '2026-01-01T00:00:00Z', seenUntil },
  });
}

async function claim(pipeline: string, window: string): Promise<void> {
  await claimRun(database.pool, {
    ...{ run: { pipeline, window, branch: 'main', generation: 1 }, claim: `${pipeline}${window}`, planHash: 'h', pins: {} },
    ...{ bootstrap: false, origin: false, pinsTainted: false, matrix: {}, verb: 'run', who: 'x', reason: undefined, now: new Date(AT) },
  });
}

/** Starts are claimed; what else they do is scripted. */
function scripted(more: Partial<SlotRuns> = {}): SlotRuns {
  return {
    async start({ pipeline }, window) {
      await claim(pipeline, window);
      return { did: 'started', origin: false, run: { pipeline, window, branch: 'main', generation: 1 } };
    },
    cancel: () => Promise.reject(new Error('nothing is cancelled')),
    ...more,
  };
}

const slotOf = async (pipeline: string): Promise<Record<string, unknown>> => ({
  ...(await listSlots(database.pool, { pipeline, limit: 1 }))[0],
});

test('who finds another looking, perhaps since before the slot was due, looks again in a second', async () => {
  await install('plays', { cron: '1 12 * * *' });
  let looking = (): void => undefined;
  const begun = new Promise<void>((resolve) => (looking = resolve));
  let goOn = (): void => undefined;
  const held = new Promise<void>((resolve) => (goOn = resolve));
  const runs = scripted({
    async start(schedule, window, reason) {
      looking();
      await held;
      return scripted().start(schedule, window, reason);
    },
  });
  const first = lookAtSlots(session, runs);
  await begun;
  expect(await lookAtSlots(session, runs)).toEqual({ nextInMs: 1000, waiting: 0 });
  goOn();
  // By itself it is back for the slot of the next day.
  expect(await first).toEqual({ nextInMs: 86_400_000, waiting: 0 });
  expect(await slotOf('plays')).toMatchObject({ outcome: 'ran' });
});

test('a slot that cancels what runs tells it so once and waits without keeping others from their slots', async () => {
  await install('first', { overlap: 'cancel-running' });
  await install('other');
  await claim('first', '20260110T1100Z-PT1M');
  const told: string[] = [];
  const runs = scripted({
    cancel(pipeline, window) {
      told.push(`${pipeline}/${window}`);
      return Promise.resolve();
    },
  });
  for (let looks = 0; looks < 3; looks++) expect(await lookAtSlots(session, runs)).toMatchObject({ waiting: 1 });
  expect(told).toEqual(['first/20260110T1100Z-PT1M']);
  expect(await slotOf('first')).toMatchObject({ state: 'queued', reason: 'cancelling 20260110T1100Z-PT1M', startingAt: null });
  expect(await slotOf('other')).toMatchObject({ outcome: 'ran' });

  await database.pool.query("update almanac.run set state = 'cancelled', ended_at = $1 where pipeline = 'first'", [AT]);
  expect(await lookAtSlots(session, runs)).toMatchObject({ waiting: 0 });
  expect(await slotOf('first')).toMatchObject({ outcome: 'ran', generation: 1 });
});

test('after an outage of any length catch-up latest runs the latest slot and no other', async () => {
  await install('plays', { cron: '1-59/2 * * * *', catchUp: 'latest' }, '2026-01-06T12:00:30Z');
  expect(await lookAtSlots(session, scripted())).toMatchObject({ waiting: 0 });
  const { rows } = await database.pool.query(
    'select outcome, count(*) as slots, max(nominal) as last from almanac.slot group by 1 order by 1',
  );
  expect(rows).toEqual([
    { outcome: 'ran', slots: 1, last: '2026-01-10T12:01' },
    { outcome: 'superseded', slots: 2880, last: '2026-01-10T11:59' },
  ]);
});
