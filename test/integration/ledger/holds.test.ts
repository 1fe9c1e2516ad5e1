import fc from 'fast-check';
import type pg from 'pg';
import { openAttempt } from '../../../activities/ledger/attempts';
import { claimRun, holdRun, readRun, storePlan } from '../../../activities/ledger/runs';
import { recordTaken } from '../../../activities/ledger/taken';
import { migrate } from '../../../lib/migrate';
import type { FailureInfo } from '../../../pipelines/failures';
import type { Plan, RunRef } from '../../../pipelines/types';
import { testDatabase, type TestDatabase } from '../../support/postgres';

let database: TestDatabase;
let pool: pg.Pool;

beforeAll(async () => {
  database = await testDatabase();
  pool = database.pool;
  await migrate(pool);
  await storePlan(pool, { hash: 'plan', pipeline: 'p' } as Plan);
});
afterAll(() => database[Symbol.asyncDispose]());

const at = (second: number): Date => new Date(Date.UTC(2026, 0, 1, 0, 0, second));

let windows = 0;
async function claimed(): Promise<RunRef> {
  const run = { pipeline: 'p', window: `w${++windows}`, branch: 'main', generation: 1 };
  const rest = { pins: {}, bootstrap: false, origin: false, matrix: {}, verb: 'run', who: 'test' };
  await claimRun(pool, { ...rest, run, claim: 'mine', planHash: 'plan', now: at(0) });
  return run;
}

async function open(run: RunRef): Promise<void> {
  const order = { run, claim: 'mine', stage: 's', kind: 'compute', epoch: 1, stageHash: 'h', worker: 'host:1', now: at(9) } as const;
  if ((await openAttempt(pool, order)) === undefined) throw new Error('the ledger refused the attempt');
}

const failed = (number: number): Record<string, FailureInfo> => ({
  s: { code: 'internal', class: 'platform', message: `hold ${number}`, next: 'retry', details: {} },
});
const hold = (run: RunRef, number: number): Promise<void> => holdRun(pool, run, 'mine', failed(number), at(1), number);
const wake = (run: RunRef, woken: number): Promise<void> =>
  recordTaken(pool, { run, claim: 'mine', planHash: 'plan', taken: { woken, plans: 0, actions: [] } }, at(2));

test('a hold that is recorded after the verb that ended it changes nothing', async () => {
  const run = await claimed();
  await open(run);
  await wake(run, 1);
  await hold(run, 1);
  expect(await readRun(pool, run)).toMatchObject({ state: 'running', failure: null });
});

test('a verb ends the hold it met, not the one after', async () => {
  const run = await claimed();
  await open(run);
  await hold(run, 1);
  await hold(run, 2);
  await wake(run, 1);
  expect(await readRun(pool, run)).toMatchObject({ state: 'held', failure: failed(2) });
  await wake(run, 2);
  expect(await readRun(pool, run)).toMatchObject({ state: 'running', failure: null, changedAt: at(2).toISOString() });
});

test('a stage that opens late, ordered before the hold, does not hide the hold', async () => {
  const run = await claimed();
  await open(run);
  await hold(run, 1);
  await open(run);
  expect((await readRun(pool, run))?.state).toBe('held');
});

test('a run that was held before any stage opened is running after the verb, and started when the first one opens', async () => {
  const run = await claimed();
  await hold(run, 1);
  await wake(run, 1);
  await open(run);
  expect(await readRun(pool, run)).toMatchObject({ state: 'running', startedAt: at(9).toISOString() });
});

test('neither a hold nor a verb of another claim is recorded', async () => {
  const run = await claimed();
  await holdRun(pool, run, 'of another', {}, at(1), 1);
  expect((await readRun(pool, run))?.state).toBe('claimed');
  await hold(run, 1);
  await recordTaken(pool, { run, claim: 'of another', planHash: 'plan', taken: { woken: 1, plans: 0, actions: [] } }, at(2));
  expect((await readRun(pool, run))?.state).toBe('held');
});

/** Writes of a run that was held some times and woken, perhaps from the last hold too, as they may reach the ledger: late, repeated, in any order. */
const writes = fc
  .integer({ min: 1, max: 4 })
  .chain((holds) =>
    fc
      .array(fc.record({ verb: fc.boolean(), number: fc.integer({ min: 1, max: holds }) }), { minLength: 1, maxLength: 10 })
      .chain((some) => fc.shuffledSubarray(some, { minLength: some.length })),
  );

type Write = { readonly verb: boolean; readonly number: number };

const newest = (list: readonly Write[], verb: boolean): number => Math.max(0, ...list.filter((w) => w.verb === verb).map((w) => w.number));

test('whatever the order of the writes: held exactly while the newest hold is newer than the newest that was ended', async () => {
  await fc.assert(
    fc.asyncProperty(writes, async (list) => {
      const run = await claimed();
      await open(run);
      for (const [index, { verb, number }] of list.entries()) {
        await (verb ? wake(run, number) : hold(run, number));
        const seen = list.slice(0, index + 1);
        const held = newest(seen, false) > newest(seen, true);
        expect(await readRun(pool, run)).toMatchObject(
          held ? { state: 'held', failure: failed(newest(seen, false)) } : { state: 'running', failure: null },
        );
      }
    }),
    { numRuns: 100 },
  );
});

test('writes that race on connections of their own end the same', async () => {
  await fc.assert(
    fc.asyncProperty(writes, async (list) => {
      const run = await claimed();
      await Promise.all([open(run), ...list.map(({ verb, number }) => (verb ? wake(run, number) : hold(run, number)))]);
      expect((await readRun(pool, run))?.state).toBe(newest(list, false) > newest(list, true) ? 'held' : 'running');
    }),
    { numRuns: 60 },
  );
});
