import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { isAlive } from '../../activities/compute/child-identity';
import type { ChildIdentity } from '../../activities/compute/engine';
import type { AttemptProof } from '../../activities/attempt-proof';
import { createLocalStore } from '../../activities/storage/local-store';
import { stopRun, type StopAnswer } from '../../operator/runs/stop';
import { openSession } from '../../operator/session';
import { parseRun } from '../../pipelines/parse-run';
import { countingProject, keys } from '../support/counting-project';
import { EmbeddedStack } from '../support/embedded-stack';
import type { ForeignProject } from '../support/foreign-project';
import { until } from '../support/until';

jest.setTimeout(300_000);

/** Processor time that tells a query that runs from one that is about to: a fifth of a second. */
const BUSY_TICKS = 20;
const WATCH_MS = 4000;
const FEW = ['--param', 'rows=10'];

let project: ForeignProject;
let stack: EmbeddedStack;
const faults = mkdtempSync(path.join(os.tmpdir(), 'almanac-faults-'));
const home = process.env.ALMANAC_HOME;

beforeAll(async () => {
  project = countingProject();
  stack = await EmbeddedStack.start({ project: project.directory, env: { ALMANAC_TEST_FAULTS: faults } });
  process.env.ALMANAC_HOME = stack.home;
  stack.land('keys', '2026-01-01', 'a.csv', keys('2026-01-01', 'live'));
  await stack.ok('run', 'counts', '--window', '2026-01-01', '--wait', ...FEW);
});
afterAll(async () => {
  if (home === undefined) delete process.env.ALMANAC_HOME;
  else process.env.ALMANAC_HOME = home;
  await stack?.[Symbol.asyncDispose]();
  project?.[Symbol.dispose]();
  rmSync(faults, { recursive: true });
});

/** Starts a window of one key and returns its run's name. */
async function begin(window: string, ...args: string[]): Promise<string> {
  stack.land('keys', window, 'a.csv', keys(window, `of ${window}`));
  await stack.ok('run', 'counts', '--window', window, ...args);
  return `counts/${window}`;
}

/** Resolves once the query of stage `count` uses the processor; returns its child. */
async function counting(window: string): Promise<ChildIdentity> {
  const database = await stack.database();
  let child: ChildIdentity | undefined;
  await until(`the query of ${window} runs`, async () => {
    const { rows } = await database.query<{ child: ChildIdentity }>(
      "select child from almanac.attempt where window_key = $1 and stage = 'count' and state = 'running' and child is not null",
      [window],
    );
    const found = rows[0]?.child;
    if (found === undefined) return false;
    if (child?.pid !== found.pid) before = cpuTicks(found.pid);
    child = found;
    return cpuTicks(found.pid) - before > BUSY_TICKS;
  });
  return child as unknown as ChildIdentity;
}
let before = 0;

function cpuTicks(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(fields[11]) + Number(fields[12]);
}

function proofOf({ proof }: StopAnswer, stage: string): AttemptProof {
  const found = proof.filter((one) => one.stage === stage).at(-1);
  if (found === undefined) throw new Error(`no proof for ${stage}`);
  return found;
}

/** `child-dead` must be true, `reported` and `fenced` claim nothing about a process. */
function expectTrue({ ended, child }: AttemptProof): void {
  if (ended === 'child-dead') expect(child === undefined || !isAlive(child)).toBe(true);
}

/** Everything a cancelled run might still change: files and catalog of versions, accepted sets, publications, what readers see. */
async function world(): Promise<string> {
  const store = createLocalStore(stack.data);
  const database = await stack.database();
  const files = await Promise.all(['datasets', 'accepted', 'quarantine'].map((prefix) => store.list(prefix)));
  const tables = await Promise.all(
    [
      'select dataset, window_key, version from almanac.dataset_version order by 1, 2, 3',
      'select window_key, sequence, generation from almanac.accepted_set order by 1',
      'select id, window_key, state from almanac.publication order by 1',
      'select publication from almanac.live',
      'select window_key, generation, state, ended_at, proof from almanac.run order by 1, 2',
      'select key, pairs from counted order by 1',
    ].map(async (sql) => (await database.query<Record<string, unknown>>(sql)).rows),
  );
  return JSON.stringify({ files: files.flat().map((file) => file.path), tables }, undefined, 1);
}

test('the query stops, the report says so, and the child serves the next run', async () => {
  const name = await begin('2026-01-02');
  const child = await counting('2026-01-02');
  const session = await openSession(project.directory);
  try {
    await session.temporal();
    const asked = Date.now();
    const answer = await stopRun(session, { address: parseRun(name), verb: 'cancel', reason: 'test' });
    const answered = (Date.now() - asked) / 1000;
    const { rows } = await session.database.query<{ ended_at: Date; state: string }>(
      "select ended_at, state from almanac.attempt where window_key = '2026-01-02' and stage = 'count'",
    );
    const stopped = ((rows[0]?.ended_at.getTime() ?? NaN) - asked) / 1000;
    process.stderr.write(
      `cancel: the query had stopped after ${stopped.toFixed(2)} s, the run had ended after ${answered.toFixed(2)} s, load ${os.loadavg()[0]?.toFixed(1)}\n`,
    );
    expect(answer.state).toBe('cancelled');
    expect(proofOf(answer, 'count')).toMatchObject({ ended: 'reported' });
    expect(rows).toMatchObject([{ state: 'cancelled' }]);
  } finally {
    await session.close();
  }
  // An interrupted child is as good as new, and rests until it is needed.
  expect(isAlive(child)).toBe(true);
  const resting = cpuTicks(child.pid);
  await new Promise((resolve) => setTimeout(resolve, 1000));
  expect(cpuTicks(child.pid) - resting).toBeLessThan(BUSY_TICKS);
  expect(await stack.json<StopAnswer>('cancel', name, '--reason', 'again')).toMatchObject({ state: 'cancelled' });
});

test('a frozen child is dead when the cancel answers', async () => {
  const name = await begin('2026-01-03');
  const child = await counting('2026-01-03');
  process.kill(child.pid, 'SIGSTOP');
  const answer = await stack.json<StopAnswer>('cancel', name, '--reason', 'the child hangs');
  expect(answer.state).toBe('cancelled');
  expect(isAlive(child)).toBe(false);
  expectTrue(proofOf(answer, 'count'));
});

/** Freezes the compute worker where it is told to, cancels, thaws it, and sees that nothing changes any more. */
async function cancelFrozen(
  window: string,
  stage: string,
  freeze: (worker: number) => Promise<void>,
  ...args: string[]
): Promise<AttemptProof> {
  const worker = await stack.pid('worker-compute');
  try {
    const name = await begin(window, ...args);
    await freeze(worker);
    const answer = await stack.json<StopAnswer>('cancel', name, '--reason', 'the worker hangs');
    expect(answer.state).toBe('cancelled');
    const proof = proofOf(answer, stage);
    expect(['child-dead', 'fenced']).toContain(proof.ended);
    for (const one of answer.proof) expectTrue(one);
    const ended = await world();
    process.kill(worker, 'SIGCONT');
    for (const end = Date.now() + WATCH_MS; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 200))) {
      expect(await world()).toBe(ended);
    }
    expect(await stack.pid('worker-compute')).toBe(worker);
    return proof;
  } finally {
    process.kill(worker, 'SIGCONT');
  }
}

async function frozenAt(point: string): Promise<void> {
  const order = path.join(faults, point);
  await until(`the worker freezes at ${point}`, () => !existsSync(order));
}

test('a worker frozen in a query: its child is dead, and when it thaws nothing changes', async () => {
  const proof = await cancelFrozen('2026-01-04', 'count', async (worker) => {
    await counting('2026-01-04');
    process.kill(worker, 'SIGSTOP');
  });
  expect(proof.ended).toBe('child-dead');
});

test.each([
  ['before it commits a version', '2026-01-05', 'count', 'count:computed'],
  ['between commit and report', '2026-01-06', 'count', 'count:before-close'],
  ['within the flip', '2026-01-07', 'publish', 'publish:flip-moved'],
])('a worker frozen %s: nothing of it comes through when it thaws', async (_where, window, stage, point) => {
  writeFileSync(path.join(faults, point), 'SIGSTOP');
  await cancelFrozen(window, stage, () => frozenAt(point), ...FEW);
});

test('the thawed worker goes on with other runs', async () => {
  const name = await begin('2026-01-09', ...FEW, '--wait');
  expect(await stack.json('show', name)).toMatchObject({ row: { state: 'succeeded' } });
  expect((await (await stack.database()).query('select key from counted')).rows).toEqual([{ key: 'of 2026-01-09' }]);
});
