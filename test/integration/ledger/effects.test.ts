import type pg from 'pg';
import { closeAttempt, openAttempt } from '../../../activities/ledger/attempts';
import {
  claimSending,
  endCluster,
  endIntent,
  endUnwantedClusters,
  noteCluster,
  openCluster,
  wantedClusters,
  withdrawSending,
  type ClusterRow,
} from '../../../activities/ledger/clusters';
import {
  changeEffect,
  changeUnwanted,
  ledgerId,
  listEffects,
  listUnwanted,
  openEffectNames,
  takeUpEffect,
  type EffectRow,
} from '../../../activities/ledger/effects';
import { claimRun, endRun } from '../../../activities/ledger/runs';
import { migrate } from '../../../lib/migrate';
import type { RunRef } from '../../../pipelines/types';
import { testDatabase, type TestDatabase } from '../../support/postgres';

let database: TestDatabase;
let pool: pg.Pool;
let windows = 0;

beforeAll(async () => {
  database = await testDatabase();
  pool = database.pool;
  await migrate(pool);
  await pool.query("insert into almanac.plan (hash, pipeline, body) values ('plan', 'p', '{}')");
});
afterAll(() => database[Symbol.asyncDispose]());

const at = (second: number): Date => new Date(Date.UTC(2026, 0, 2, 0, 0, second));

async function newRun(): Promise<RunRef> {
  windows += 1;
  const run = { pipeline: 'p', window: `w${windows}`, branch: 'main', generation: 1 };
  const frozen = { planHash: 'plan', pins: {}, bootstrap: false, origin: false, matrix: {}, verb: 'run', who: 'test', now: at(0) };
  await claimRun(pool, { run, claim: 'mine', ...frozen });
  return run;
}

/** The next attempt of the stage; the one before counts as lost. */
async function attemptOf(run: RunRef, stage = 'compute'): Promise<number> {
  const order = { run, claim: 'mine', stage, kind: 'compute', epoch: 1, stageHash: 'h', worker: 'host:1', now: at(0) } as const;
  return (await openAttempt(pool, order))?.attempt ?? 0;
}

function close(run: RunRef): Promise<void> {
  return endRun(pool, run, 'mine', 'cancelled', undefined, null, at(9));
}

function takeUp(run: RunRef, attempt: number, candidate = 'c'): Promise<EffectRow | undefined> {
  return takeUpEffect(pool, { run, stage: 'compute', attempt, candidate, now: at(1) });
}

/** A round, as its first attempt has it. */
async function round(): Promise<{ run: RunRef; row: EffectRow }> {
  const run = await newRun();
  const row = await takeUp(run, await attemptOf(run));
  if (row === undefined) throw new Error('no round');
  return { run, row };
}

const names = async (): Promise<string[]> => (await listUnwanted(pool, 100)).map(({ name }) => name);

test('the open round of a stage is taken up by every attempt that follows, by its name', async () => {
  const { run, row } = await round();
  expect(row).toMatchObject({ round: 1, state: 'intended', attempt: 1, cluster: null, step: null, sentAt: null, token: null });
  expect(row.name).toBe(`almanac ${await ledgerId(pool)} c r1 p/${run.window} g1 compute`);
  expect(await takeUp(run, await attemptOf(run), 'other')).toMatchObject({ round: 1, attempt: 2, candidate: 'c', name: row.name });
  expect(await listEffects(pool, run)).toHaveLength(1);
});

test('what completed the same candidate is adopted; other inputs, and a failure, make the next round', async () => {
  const { run, row } = await round();
  await changeEffect(pool, row, { state: 'completed', step: 's-1', endedAt: at(2), seconds: 3, cost: 0.5 }, at(2));
  const attempt = await attemptOf(run);
  expect(await takeUp(run, attempt)).toMatchObject({ round: 1, state: 'completed', seconds: 3, cost: 0.5 });
  const next = await takeUp(run, attempt, 'other');
  expect(next).toMatchObject({ round: 2, state: 'intended', candidate: 'other' });
  if (next) await changeEffect(pool, next, { state: 'failed', endedAt: at(3) }, at(3));
  expect(await takeUp(run, attempt, 'other')).toMatchObject({ round: 3, state: 'intended' });
});

test('an attempt that was overtaken writes nothing more, nor does any once the run is over', async () => {
  const { run, row } = await round();
  expect(await changeEffect(pool, row, { cluster: 'j-1', sentAt: at(2) }, at(2))).toMatchObject({ cluster: 'j-1', sentAt: at(2) });
  const attempt = await attemptOf(run);
  // Its attempt is lost already, although nobody took up its round yet.
  expect(await changeEffect(pool, row, { step: 's-zombie' }, at(3))).toBeUndefined();
  expect(await takeUp(run, row.attempt)).toBeUndefined();
  const mine = await takeUp(run, attempt);
  expect(mine).toMatchObject({ cluster: 'j-1', step: null });
  if (mine === undefined) throw new Error('no round');
  expect(await changeEffect(pool, { ...mine, attempt: row.attempt }, { step: 's-zombie' }, at(3))).toBeUndefined();
  expect(await changeEffect(pool, mine, { step: 's-1', state: 'submitted' }, at(4))).toMatchObject({ step: 's-1' });
  await close(run);
  expect(await changeEffect(pool, mine, { state: 'completed', endedAt: at(5) }, at(5))).toBeUndefined();
  expect(await takeUp(run, attempt)).toBeUndefined();
  expect(await listEffects(pool, run)).toMatchObject([{ state: 'submitted', step: 's-1', endedAt: null }]);
});

test('a round that is over stays as it ended', async () => {
  const { row } = await round();
  await changeEffect(pool, row, { state: 'failed', endedAt: at(2), reason: 'on fire' }, at(2));
  expect(await changeEffect(pool, row, { state: 'completed', endedAt: at(3) }, at(3))).toBeUndefined();
});

test('what is absent from a change stays; an answer in doubt is told from none', async () => {
  const { row } = await round();
  await changeEffect(pool, row, { token: 't', cluster: 'j-1', sentAt: at(2) }, at(2));
  expect(await changeEffect(pool, row, { step: 's-1' }, at(3))).toMatchObject({ token: 't', cluster: 'j-1', sentAt: at(2) });
  expect(await changeEffect(pool, row, { sentAt: null }, at(4))).toMatchObject({ step: 's-1', sentAt: null });
});

test('two attempts that take up at once come to one round', async () => {
  const run = await newRun();
  const attempt = await attemptOf(run);
  const rows = await Promise.all(Array.from({ length: 8 }, () => takeUp(run, attempt)));
  expect(new Set(rows.map((row) => row?.round))).toEqual(new Set([1]));
});

test('nobody ends a round that is wanted; one of a run that is over, or of a stage that is done, anybody does', async () => {
  const open = await round();
  expect(await names()).not.toContain(open.row.name);
  expect(await changeUnwanted(pool, open.row, { state: 'cancelled', endedAt: at(2) }, at(2))).toBeUndefined();
  const done = await round();
  const output = { versions: [], rowsIn: 0, rowsOut: 0, bytesIn: 0, bytesOut: 0 };
  await closeAttempt(pool, {
    ...{ run: done.run, stage: 'compute', attempt: done.row.attempt, startedAt: at(0), state: 'succeeded', output, lines: [], now: at(3) },
  });
  await close(open.run);
  expect(await names()).toEqual(expect.arrayContaining([open.row.name, done.row.name]));
  for (const { row } of [open, done]) {
    expect(await changeUnwanted(pool, row, { state: 'cancelled', endedAt: at(4) }, at(4))).toMatchObject({ state: 'cancelled' });
    expect(await changeUnwanted(pool, row, { state: 'failed', endedAt: at(5) }, at(5))).toBeUndefined();
    expect(await openEffectNames(pool, [row.name])).toEqual(new Set());
  }
  expect(await names()).not.toContain(open.row.name);
});

test('names of rounds that are open are known among others', async () => {
  const { row } = await round();
  expect(await openEffectNames(pool, [row.name, 'almanac of somebody else'])).toEqual(new Set([row.name]));
});

async function cluster(run: RunRef): Promise<ClusterRow> {
  const row = await openCluster(pool, run, at(1));
  if (row === undefined) throw new Error('no cluster');
  return row;
}

test('a run has one cluster at a time, numbered, whoever asks and how many at once', async () => {
  const run = await newRun();
  const rows = await Promise.all(Array.from({ length: 8 }, () => cluster(run)));
  expect(new Set(rows.map(({ number }) => number))).toEqual(new Set([1]));
  const [first] = rows;
  expect(first?.name).toBe(`almanac ${await ledgerId(pool)} p/${run.window} g1 c1`);
  if (first) await endIntent(pool, first, 'j-1', at(2));
  expect(await cluster(run)).toMatchObject({ number: 2, cluster: null, sentAt: null });
});

test('of those who read the same row one may ask for the cluster', async () => {
  const row = await cluster(await newRun());
  const claims = await Promise.all([2, 3, 4, 5].map((second) => claimSending(pool, row, at(second))));
  expect(claims.filter((mine) => mine)).toHaveLength(1);
  const read = await cluster(row.run);
  expect(await claimSending(pool, read, at(6))).toBe(true);
  // What was sent since is not taken back by who sent before.
  await withdrawSending(pool, read, read.sentAt ?? at(0));
  expect(await cluster(row.run)).toMatchObject({ sentAt: at(6) });
  await withdrawSending(pool, read, at(6));
  expect(await cluster(row.run)).toMatchObject({ sentAt: null });
});

test('the first cluster that is noted stays; another is one too many', async () => {
  const row = await cluster(await newRun());
  expect(await noteCluster(pool, row, 'j-first')).toBe(true);
  expect(await noteCluster(pool, row, 'j-first')).toBe(true);
  expect(await noteCluster(pool, row, 'j-second')).toBe(false);
  expect(await claimSending(pool, row, at(2))).toBe(false);
  expect(await cluster(row.run)).toMatchObject({ cluster: 'j-first' });
});

test('a run that is over neither gets a cluster, asks for one, nor notes one', async () => {
  const run = await newRun();
  const row = await cluster(run);
  await close(run);
  expect(await openCluster(pool, run, at(2))).toBeUndefined();
  expect(await claimSending(pool, row, at(2))).toBe(false);
  expect(await noteCluster(pool, row, 'j-late')).toBe(false);
});

test('a cluster is wanted while its run is open, and after it while a round on it is', async () => {
  const { run, row } = await round();
  const made = await cluster(run);
  expect((await wantedClusters(pool)).get(made.name)).toBeNull();
  await noteCluster(pool, made, 'j-wanted');
  await changeEffect(pool, row, { cluster: 'j-wanted' }, at(2));
  expect((await wantedClusters(pool)).get(made.name)).toBe('j-wanted');
  await close(run);
  await endUnwantedClusters(pool, [], at(3));
  expect((await wantedClusters(pool)).get(made.name)).toBe('j-wanted');
  await changeUnwanted(pool, row, { state: 'cancelled', endedAt: at(4) }, at(4));
  expect((await wantedClusters(pool)).has(made.name)).toBe(false);
  const ended = async (): Promise<unknown> =>
    (await pool.query<{ ended_at: Date | null }>('select ended_at from almanac.emr_cluster where name = $1', [made.name])).rows[0]
      ?.ended_at;
  // While it goes on it is nobody's, but not over.
  await endUnwantedClusters(pool, ['j-wanted'], at(5));
  expect(await ended()).toBeNull();
  await endUnwantedClusters(pool, ['j-other'], at(6));
  expect(await ended()).toEqual(at(6));
});

test('a cluster that is over is followed by the next one of its run', async () => {
  const run = await newRun();
  await noteCluster(pool, await cluster(run), 'j-over');
  await endCluster(pool, 'j-over', 'The master node was terminated.', at(2));
  expect(await cluster(run)).toMatchObject({ number: 2, cluster: null });
});
