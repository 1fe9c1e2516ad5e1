import { changeBackfill, beginWindow, storeBackfill } from '../../../activities/ledger/backfills';
import { claimRun, storePlan } from '../../../activities/ledger/runs';
import { migrate } from '../../../lib/migrate';
import type { BackfillPlan } from '../../../pipelines/backfill-plan';
import type { BackfillState } from '../../../pipelines/backfill-steps';
import type { RunState } from '../../../pipelines/status';
import type { Plan } from '../../../pipelines/types';
import { BACKFILLS_TOLD } from '../../../workers/backfill-gauges';
import { LedgerGauges } from '../../../workers/ledger-gauges';
import { parseExposition, samplesOf } from '../../support/exposition';
import { testDatabase, type TestDatabase } from '../../support/postgres';

const NOW = new Date('2026-01-10T00:00:00Z');

let database: TestDatabase;
beforeEach(async () => {
  database = await testDatabase();
  await migrate(database.pool);
  await storePlan(database.pool, { hash: 'plan', pipeline: 'plays' } as Plan);
});
afterEach(() => database[Symbol.asyncDispose]());

async function backfill(hash: string, state: BackfillState, windows: readonly string[], at = NOW): Promise<void> {
  const plan = { planHash: 'plan', windows: windows.map((window) => ({ window, after: 0 })) } as unknown as BackfillPlan;
  await storeBackfill(database.pool, { hash, pipeline: 'plays', plan, concurrency: 1, who: 'x' }, at);
  if (state === 'planned') return;
  await changeBackfill(database.pool, { hash, from: ['planned'], to: 'running', who: 'x', verb: 'start', reason: null }, at);
  for (const window of windows) await beginWindow(database.pool, hash, window, at);
  if (state !== 'running')
    await changeBackfill(database.pool, { hash, from: ['running'], to: state, who: 'controller', verb: state, reason: null }, at);
}

async function run(window: string, state: RunState, generation = 1): Promise<void> {
  await claimRun(database.pool, {
    ...{ run: { pipeline: 'plays', window, branch: 'main', generation }, claim: `${window}-${generation}`, planHash: 'plan', pins: {} },
    ...{ bootstrap: false, origin: false, matrix: {}, verb: 'run', who: 'x', now: NOW },
  });
  await database.pool.query('update almanac.run set state = $3 where window_key = $1 and generation = $2', [window, generation, state]);
}

/** `BACKFILL STATE VALUE` of what is not 0. */
async function told(metric: string, now = NOW): Promise<string[]> {
  await using ledger = new LedgerGauges({ databaseUrl: database.url, clock: { now: () => now }, failed: () => undefined });
  await ledger.refresh();
  return samplesOf(parseExposition(await ledger.registry.metrics()), metric)
    .filter(({ value }) => value > 0)
    .map(({ labels, value }) => `${labels.backfill} ${labels.state} ${value}`)
    .sort();
}

test('windows count by the newest run since the plan; held and ended ones are failed', async () => {
  await backfill('b', 'running', ['w1', 'w2', 'w3', 'w4', 'w5', 'w6']);
  await database.pool.query("update almanac.backfill_window set begun_at = null where window_key = 'w6'");
  await run('w1', 'succeeded');
  await run('w2', 'held');
  await run('w3', 'cancelled');
  await run('w4', 'cancelled');
  await run('w4', 'running', 2);
  expect(await told('almanac_backfill_windows')).toEqual(['b done 1', 'b failed 2', 'b remaining 1', 'b running 2']);
  expect(await told('almanac_backfill_state')).toEqual(['b running 1']);
});

test('a run of before the plan is none of the backfill', async () => {
  await run('w1', 'succeeded');
  await backfill('b', 'halted', ['w1']);
  await database.pool.query('update almanac.backfill_window set after_generation = 1, begun_at = null');
  expect(await told('almanac_backfill_windows')).toEqual(['b remaining 1']);
  expect(await told('almanac_backfill_state')).toEqual(['b halted 1']);
});

test('one that is planned says nothing, one that ended says so for a day, a paused one for as long as it takes', async () => {
  await backfill('planned', 'planned', ['w1']);
  await backfill('done', 'done', ['w1']);
  await backfill('paused', 'paused', ['w1']);
  expect(await told('almanac_backfill_state')).toEqual(['done done 1', 'paused paused 1']);
  expect(await told('almanac_backfill_state', new Date('2026-01-11T00:00:01Z'))).toEqual(['paused paused 1']);
});

test('of many the open ones are told first, and never more than so many', async () => {
  await backfill('open', 'halted', ['w1'], new Date('2026-01-09T01:00:00Z'));
  for (let at = 0; at < BACKFILLS_TOLD + 5; at++) await backfill(`done-${at}`, 'done', ['w1'], new Date(NOW.getTime() - at * 1000));
  const states = await told('almanac_backfill_state');
  expect(states).toHaveLength(BACKFILLS_TOLD);
  expect(states).toContain('open halted 1');
  expect(states).toContain('done-0 done 1');
  expect(states).not.toContain(`done-${BACKFILLS_TOLD + 4} done 1`);
});
