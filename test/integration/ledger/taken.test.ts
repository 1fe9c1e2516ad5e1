import fc from 'fast-check';
import type pg from 'pg';
import { claimRun, endRun, readRun, storePlan } from '../../../activities/ledger/runs';
import { recordCarried, recordTaken } from '../../../activities/ledger/taken';
import { migrate } from '../../../lib/migrate';
import { intendAction, recordAction, refuseAction } from '../../../operator/runs/actions';
import type { Plan, RunRef } from '../../../pipelines/types';
import { testDatabase, type TestDatabase } from '../../support/postgres';

const PLANS = 5;

let database: TestDatabase;
let pool: pg.Pool;

beforeAll(async () => {
  database = await testDatabase();
  pool = database.pool;
  await migrate(pool);
  for (let number = 0; number < PLANS; number += 1) await storePlan(pool, { hash: `plan ${number}`, pipeline: 'p' } as Plan);
});
afterAll(() => database[Symbol.asyncDispose]());

const at = (second: number): Date => new Date(Date.UTC(2026, 0, 1, 0, 0, second));

let windows = 0;
async function claimed(): Promise<RunRef> {
  const run = { pipeline: 'p', window: `w${++windows}`, branch: 'main', generation: 1 };
  const rest = { pins: {}, bootstrap: false, origin: false, matrix: {}, verb: 'run', who: 'test' };
  await claimRun(pool, { ...rest, run, claim: 'mine', planHash: 'plan 0', now: at(0) });
  return run;
}

const verb = (run: RunRef) => ({ run, verb: 'retry', who: 'ann', reason: 'mended', detail: {}, now: at(1) });
const task = (run: RunRef, plans: number, actions: readonly number[] = []) => ({
  run,
  claim: 'mine',
  planHash: `plan ${plans}`,
  taken: { woken: 0, plans, actions },
});

async function states(run: RunRef): Promise<unknown[]> {
  const { rows } = await pool.query<{ state: string }>('select state from almanac.action where window_key = $1 order by id', [run.window]);
  return rows.map(({ state }) => state);
}

test('whatever the order in which they are told, the plan of the newest change stays', async () => {
  const numbers = fc.array(fc.integer({ min: 0, max: PLANS - 1 }), { minLength: 1, maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(numbers, fc.boolean(), async (list, racing) => {
      const run = await claimed();
      if (racing) await Promise.all(list.map((number) => recordTaken(pool, task(run, number), at(2))));
      else for (const number of list) await recordTaken(pool, task(run, number), at(2));
      expect((await readRun(pool, run))?.planHash).toBe(`plan ${Math.max(...list)}`);
    }),
    { numRuns: 60 },
  );
});

test('a verb is intended until an order tells that it was taken', async () => {
  const run = await claimed();
  const action = await intendAction(pool, verb(run));
  expect(await states(run)).toEqual(['intended']);
  await recordCarried(pool, task(run, 0, [action]), at(2));
  expect(await states(run)).toEqual(['done']);
});

test('what the run took stays done, even if its sender believes it was refused', async () => {
  const run = await claimed();
  const [first, second] = [await intendAction(pool, verb(run)), await intendAction(pool, verb(run))];
  await recordTaken(pool, task(run, 0, [first]), at(2));
  await refuseAction(pool, run, [first, second]);
  await recordTaken(pool, task(run, 0, [second]), at(3));
  expect(await states(run)).toEqual(['done', 'done']);
});

test('verbs that a run had not taken when it ended were refused; those of others and of closes by others are left alone', async () => {
  const [run, other] = [await claimed(), await claimed()];
  await recordAction(pool, verb(run));
  await intendAction(pool, verb(run));
  await intendAction(pool, verb(other));
  await endRun(pool, run, 'of another', 'abandoned', [], 'execution', at(3));
  expect(await states(run)).toEqual(['done', 'intended']);
  await endRun(pool, run, 'mine', 'succeeded', undefined, 'execution', at(4));
  expect(await states(run)).toEqual(['done', 'refused']);
  expect(await states(other)).toEqual(['intended']);
});
