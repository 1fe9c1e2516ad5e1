import type pg from 'pg';
import { openAttempt, closeAttempt } from '../../../activities/ledger/attempts';
import { stageHistory } from '../../../activities/ledger/backfills';
import { stageDurations } from '../../../activities/ledger/deadlines';
import {
  freePermits,
  installPools,
  readLeases,
  listPools,
  setPermits,
  takePermits,
  type PermitAsk,
} from '../../../activities/ledger/pools';
import { claimRun, endRun, holdRun } from '../../../activities/ledger/runs';
import { migrate } from '../../../lib/migrate';
import { failureInfo, AlmanacError } from '../../../pipelines/failures';
import type { RunRef } from '../../../pipelines/types';
import { testDatabase, type TestDatabase } from '../../support/postgres';

let database: TestDatabase;
let pool: pg.Pool;
beforeEach(async () => {
  database = await testDatabase();
  pool = database.pool;
  await migrate(pool);
  await pool.query("insert into almanac.plan (hash, pipeline, body) values ('plan', 'a', '{}')");
  await installPools(pool, { warehouse: 2 }, at(0));
});
afterEach(() => database[Symbol.asyncDispose]());

const at = (second: number): Date => new Date(Date.UTC(2026, 0, 2, 0, 0, second));
const BY = { who: 'ann', reason: 'night', now: new Date(0) };

interface Stage {
  readonly run: RunRef;
  /** Opens the next attempt of the order and asks; the number of the attempt with the answer. */
  ask(second: number, more?: { epoch?: number; permits?: number; pool?: string }): Promise<[number, string]>;
  readonly last: () => PermitAsk;
}

/** A claimed run with one stage, which asks for one permit of `warehouse` unless told otherwise. */
async function stageOf(pipeline: string, window: string, queue: 'live' | 'backfill' = 'live'): Promise<Stage> {
  const run = { pipeline, window, branch: 'main', generation: 1 };
  await claimRun(pool, {
    ...{ run, claim: 'mine', planHash: 'plan', pins: {}, bootstrap: false, origin: false, matrix: queue === 'live' ? {} : { queue } },
    ...{ verb: 'run', who: 'test', now: at(0) },
  });
  let last: PermitAsk | undefined;
  return {
    run,
    last: () => last as PermitAsk,
    async ask(second, { epoch = 1, permits = 1, pool: name = 'warehouse' } = {}) {
      const order = {
        run,
        claim: 'mine',
        stage: 'load',
        kind: 'compute',
        epoch,
        stageHash: 'h',
        worker: 'host:1',
        now: at(second),
      } as const;
      const opened = await openAttempt(pool, order);
      if (opened === undefined) return [0, 'no order'];
      last = { run, claim: 'mine', stage: 'load', epoch, attempt: opened.attempt, pool: { name, permits }, now: at(second) };
      const answer = await takePermits(pool, last);
      if (answer.state === 'waiting') await wait(last, second);
      return [opened.attempt, answer.state === 'waiting' ? `${answer.position} of ${answer.of}` : answer.state];
    },
  };
}

/** As the shell does with an attempt that has to wait. */
async function wait(ask: PermitAsk, second: number): Promise<void> {
  const failure = failureInfo(new AlmanacError('pool.full', 'waits', { next: 'n' }));
  await closeAttempt(pool, { ...ask, state: 'waiting', failure, waitsUntil: at(600), lines: [], now: at(second) });
}

async function out(): Promise<string[]> {
  return (await readLeases(pool, 'warehouse', at(0))).held.map((lease) => `${lease.run.pipeline}/${lease.run.window}`).sort();
}
async function line(): Promise<string[]> {
  return (await readLeases(pool, 'warehouse', at(0))).waiting.map((lease) => `${lease.run.pipeline}/${lease.run.window}`);
}

test('what is free is taken, the others wait in turn and get what is given back', async () => {
  const [a1, a2, a3, b1] = await Promise.all([stageOf('a', '1'), stageOf('a', '2'), stageOf('a', '3'), stageOf('b', '1')]);
  expect(await a1.ask(1)).toEqual([1, 'held']);
  expect(await a2.ask(2)).toEqual([1, 'held']);
  expect(await a3.ask(3)).toEqual([1, '1 of 1']);
  expect(await b1.ask(4)).toEqual([1, '1 of 2']);
  expect(await line()).toEqual(['b/1', 'a/3']);
  expect(await freePermits(pool, a1.last())).toBe(true);
  expect(await a3.ask(5)).toEqual([1, '2 of 2']);
  expect(await b1.ask(6)).toEqual([1, 'held']);
  expect(await freePermits(pool, a2.last())).toBe(true);
  expect(await a3.ask(7)).toEqual([1, 'held']);
  expect(await out()).toEqual(['a/3', 'b/1']);
});

test('of twenty that ask at once never more than the size get permits', async () => {
  const stages = await Promise.all(
    Array.from({ length: 20 }, (_, i) => stageOf(`p${i % 5}`, String(i), i % 2 === 0 ? 'live' : 'backfill')),
  );
  for (let left = stages; left.length > 0;) {
    const answers = await Promise.all(left.map(async (stage) => [stage, (await stage.ask(1))[1]] as const));
    const holders = answers.filter(([, answer]) => answer === 'held').map(([stage]) => stage);
    expect(holders).toHaveLength(Math.min(2, left.length));
    expect(await out()).toHaveLength(holders.length);
    await Promise.all(holders.map((stage) => freePermits(pool, stage.last())));
    left = left.filter((stage) => !holders.includes(stage));
  }
  expect(await line()).toEqual([]);
});

test('the next attempt of a stage takes over what a killed worker held; the old one gives nothing back and takes nothing', async () => {
  const [a, b, c] = await Promise.all([stageOf('a', '1'), stageOf('b', '1'), stageOf('c', '1')]);
  await a.ask(1);
  await b.ask(1);
  const zombie = a.last();
  expect(await a.ask(20)).toEqual([2, 'held']);
  expect((await readLeases(pool, 'warehouse', at(20))).held.find(({ pipeline }) => pipeline === 'a')).toMatchObject({
    ...{ attempt: 2, since: at(1).toISOString() },
  });
  expect(await freePermits(pool, zombie)).toBe(false);
  expect(await takePermits(pool, zombie)).toEqual({ state: 'fenced' });
  expect(await c.ask(21)).toEqual([1, '1 of 1']);
  await freePermits(pool, a.last());
  expect(await takePermits(pool, zombie)).toEqual({ state: 'fenced' });
  expect(await c.ask(22)).toEqual([1, 'held']);
});

test('a new order of a stage takes over as well, and gives back what its plan no longer asks for', async () => {
  await installPools(pool, { mail: 1 }, at(0));
  const a = await stageOf('a', '1');
  await a.ask(1);
  expect(await a.ask(2, { epoch: 2 })).toEqual([2, 'held']);
  expect(await a.ask(3, { epoch: 3, permits: 2 })).toEqual([3, 'held']);
  expect(await a.ask(4, { epoch: 4, pool: 'mail' })).toEqual([4, 'held']);
  expect(await out()).toEqual([]);
});

test('a pool made smaller than what is out takes nothing away and lends nothing until enough came back', async () => {
  const [a, b, c] = await Promise.all([stageOf('a', '1'), stageOf('b', '1'), stageOf('c', '1')]);
  await a.ask(1);
  await b.ask(1);
  expect(await setPermits(pool, 'warehouse', 1, BY)).toBe(true);
  expect(await c.ask(2)).toEqual([1, '1 of 1']);
  await freePermits(pool, a.last());
  expect(await c.ask(3)).toEqual([1, '1 of 1']);
  await freePermits(pool, b.last());
  expect(await c.ask(4)).toEqual([1, 'held']);
});

test('a pool of 0 permits is closed, and what an operator set outlives a new declaration until it is taken back', async () => {
  const a = await stageOf('a', '1');
  await setPermits(pool, 'warehouse', 0, BY);
  expect(await a.ask(1)).toEqual([1, '1 of 1']);
  await installPools(pool, { warehouse: 5 }, at(0));
  expect(await listPools(pool)).toMatchObject([{ declared: 5, permits: 0, reason: 'night', who: 'ann' }]);
  await setPermits(pool, 'warehouse', null, BY);
  expect(await listPools(pool)).toMatchObject([{ declared: 5, permits: 5 }]);
  expect(await a.ask(2)).toEqual([1, 'held']);
  expect(await setPermits(pool, 'nowhere', 1, BY)).toBe(false);
});

test('a large request is not overtaken, but when the pool was made smaller than it: it gets nothing then, nor does it wait', async () => {
  const [a, b, c] = await Promise.all([stageOf('a', '1'), stageOf('b', '1'), stageOf('c', '1')]);
  await a.ask(1);
  expect(await b.ask(2, { permits: 2 })).toEqual([1, '1 of 1']);
  expect(await c.ask(3)).toEqual([1, '2 of 2']);
  await setPermits(pool, 'warehouse', 1, BY);
  await freePermits(pool, a.last());
  expect(await c.ask(4)).toEqual([1, 'held']);
  expect(await b.ask(5, { permits: 2 })).toEqual([1, 'too-small']);
});

test('a waiting stage that does not look is passed over until it does', async () => {
  const [a, b, c, d] = await Promise.all([stageOf('a', '1'), stageOf('b', '1'), stageOf('c', '1'), stageOf('d', '1')]);
  await a.ask(1);
  await b.ask(1);
  expect(await c.ask(2)).toEqual([1, '1 of 1']);
  expect(await d.ask(40)).toEqual([1, '2 of 2']);
  await freePermits(pool, a.last());
  expect(await d.ask(41)).toEqual([1, 'held']);
  await freePermits(pool, b.last());
  expect(await c.ask(42)).toEqual([1, 'held']);
});

test.each(['cancelled', 'abandoned', 'lost'] as const)(
  'a run that is %s has no permit and does not wait for one; nothing is taken for it',
  async (outcome) => {
    const [a, b, c, d] = await Promise.all([stageOf('a', '1'), stageOf('b', '1'), stageOf('c', '1'), stageOf('d', '1')]);
    await a.ask(1);
    await b.ask(1);
    await c.ask(2);
    for (const { run } of [a, c]) await endRun(pool, run, 'mine', outcome, undefined, null, at(3));
    expect([await out(), await line()]).toEqual([['b/1'], []]);
    expect(await takePermits(pool, a.last())).toEqual({ state: 'fenced' });
    expect(await d.ask(4)).toEqual([1, 'held']);
  },
);

test('an end that comes while permits are being taken leaves none behind', async () => {
  for (let round = 0; round < 20; round += 1) {
    const stage = await stageOf('a', String(round));
    await stage.ask(1);
    await freePermits(pool, stage.last());
    await Promise.all([takePermits(pool, stage.last()), endRun(pool, stage.run, 'mine', 'cancelled', undefined, null, at(2))]);
    expect(await out()).toEqual([]);
  }
});

test('a hold gives back what its failed stages have, those that are not in it keep theirs', async () => {
  const [a, b] = await Promise.all([stageOf('a', '1'), stageOf('b', '1')]);
  await a.ask(1);
  await b.ask(1);
  const failure = failureInfo(new AlmanacError('internal', 'x', { next: 'n' }));
  await holdRun(pool, a.run, 'mine', { load: failure }, at(2));
  await holdRun(pool, b.run, 'mine', { other: failure }, at(2));
  expect(await out()).toEqual(['b/1']);
});

test('a stage of a pool that the ledger does not know is told so', async () => {
  expect(await (await stageOf('a', '1')).ask(1, { pool: 'nowhere' })).toEqual([1, 'unknown-pool']);
});

test('the time a stage waited for permits is not taken for the time it takes', async () => {
  const [a, b] = [await stageOf('a', '1'), await stageOf('b', '1')];
  const output = { versions: [], rowsIn: 1, rowsOut: 1, bytesIn: 1, bytesOut: 1 };
  const succeed = async ({ run, last }: Stage, second: number): Promise<void> => {
    await closeAttempt(pool, { ...last(), state: 'succeeded', output, lines: [], now: at(second) });
    await freePermits(pool, last());
    await endRun(pool, run, 'mine', 'succeeded', undefined, null, at(second));
  };
  await setPermits(pool, 'warehouse', 1, BY);
  await a.ask(10);
  for (const second of [20, 30]) expect(await b.ask(second)).toEqual([1, '1 of 1']);
  await succeed(a, 40);
  expect(await b.ask(50)).toEqual([1, 'held']);
  await succeed(b, 55);
  const seconds = await stageDurations(pool, ['a', 'b']);
  expect([seconds.get('a')?.get('load')?.usual, seconds.get('b')?.get('load')?.usual]).toEqual([30, 5]);
  expect((await stageHistory(pool, 'b')).load?.seconds).toBe(5);
});
