import { once } from 'node:events';
import { listEffects } from '../../../activities/ledger/effects';
import { isEnded } from '../../../operator/emr-local/states';
import type { RunRef } from '../../../pipelines/types';
import { emrComplaints } from '../../support/emr-chaos-facts';
import { plannedEmrKills } from '../../support/emr-chaos-kills';
import { describeEmrReport, finishStage, playEmrKill } from '../../support/emr-chaos-scenario';
import { EmrChaosStack } from '../../support/emr-chaos-stack';
import type { StageWorker } from '../../support/emr-stage-worker';
import { testDatabase, type TestDatabase } from '../../support/postgres';
import { until } from '../../support/until';

const SEED = Number(process.env['ALMANAC_TEST_SEED'] ?? Date.now() % 1_000_000);
const KILLS = Number(process.env['ALMANAC_TEST_KILLS'] ?? '3');
const DEADLINE_MS = 120_000;

let database: TestDatabase;
let stack: EmrChaosStack;
let digest: string;
const runs: RunRef[] = [];

beforeAll(async () => {
  database = await testDatabase();
  stack = await EmrChaosStack.start(database);
  const run = await newRun();
  const ends: string[] = [];
  await finishStage(stack, run, 'left', 1, ends);
  expect(ends).toEqual(['succeeded']);
  await stack.endRun(run, 'succeeded');
  digest = (await stack.versions(run, 'left'))[0]?.digest ?? '';
}, DEADLINE_MS);
afterAll(async () => {
  await stack[Symbol.asyncDispose]();
  await database[Symbol.asyncDispose]();
});

async function newRun(): Promise<RunRef> {
  const run = await stack.newRun();
  runs.push(run);
  return run;
}

/** All that is wrong once everything is swept. */
function complaints(): Promise<string[]> {
  return emrComplaints(stack, { runs, digest });
}

/** Resolves when a worker has come to the point, which it leaves when `leave` is called. */
function heldAt(worker: StageWorker, point: string): { readonly reached: Promise<void>; readonly leave: () => void } {
  let leave = (): void => undefined;
  const left = new Promise<void>((resolve) => (leave = resolve));
  const reached = new Promise<void>((resolve) => {
    worker.atPoint = async (name) => {
      if (name !== point) return;
      resolve();
      await left;
    };
  });
  return { reached, leave };
}

test(
  `killed, frozen and lost around submit, poll and commit, each stage commits once (seed ${SEED})`,
  async () => {
    for (const kill of plannedEmrKills(KILLS, SEED)) {
      const report = await playEmrKill(stack, kill);
      runs.push(...report.runs);
      if (process.env['CI'] === undefined) console.info(describeEmrReport(report));
    }
    expect(await complaints()).toEqual([]);
  },
  KILLS * DEADLINE_MS,
);

test(
  'a cluster that is lost under a stage is a failure of the platform; no version is seen of it, and the next attempt has a new cluster',
  async () => {
    const run = await newRun();
    const worker = await stack.work(run, 'left', 1, stack.place(4_000));
    await until('the job to have written its rows', () => stack.notes(run).some(({ act }) => act === 'wrote'), DEADLINE_MS);
    await stack.fault({ fault: 'lose-cluster', cluster: stack.clusterOf(run) ?? '' });
    expect(await worker.ended).toMatchObject({ how: 'failed', code: 'emr.cluster-lost', retryable: true });
    expect(await stack.versions(run, 'left')).toEqual([]);
    expect((await stack.store.list(`datasets/left/${run.window}/data/`)).length).toBe(1);
    await finishStage(stack, run, 'left', 1);
    const effects = await listEffects(database.pool, run);
    expect(effects.map(({ state }) => state)).toEqual(['failed', 'completed']);
    expect(new Set(effects.map(({ cluster }) => cluster)).size).toBe(2);
    await stack.endRun(run, 'succeeded');
    expect(await complaints()).toEqual([]);
  },
  DEADLINE_MS,
);

test(
  'two stages of a run that make its cluster at once make one, which ends with the run',
  async () => {
    const run = await newRun();
    const workers = await Promise.all([stack.work(run, 'left', 1), stack.work(run, 'right', 1)]);
    expect(await Promise.all(workers.map(({ ended }) => ended))).toMatchObject([{ how: 'succeeded' }, { how: 'succeeded' }]);
    const [cluster, ...others] = stack.clustersOf(run);
    expect(others).toEqual([]);
    expect(await stack.sweep()).toMatchObject({ clusters: [] });
    await stack.endRun(run, 'succeeded');
    expect(await stack.sweep()).toMatchObject({ clusters: [cluster?.id] });
    expect(await complaints()).toEqual([]);
  },
  DEADLINE_MS,
);

test(
  'a maker that is frozen with its request unsent keeps nobody out; woken, it ends the cluster that is one too many',
  async () => {
    const run = await newRun();
    let held: ReturnType<typeof heldAt> | undefined;
    const frozen = await stack.work(run, 'left', 1, stack.place(), (worker) => (held = heldAt(worker, 'left:cluster-intended')));
    await held?.reached;
    frozen.kill('SIGSTOP');
    const other = await stack.work(run, 'right', 1);
    expect(await other.ended).toMatchObject({ how: 'succeeded' });
    held?.leave();
    frozen.kill('SIGCONT');
    expect(await frozen.ended).toMatchObject({ how: 'succeeded' });
    expect(stack.clustersOf(run)).toHaveLength(2);
    await until('the second one to end', () => stack.clustersOf(run).filter(({ state }) => isEnded(state)).length === 1, DEADLINE_MS);
    await stack.endRun(run, 'succeeded');
    expect(await complaints()).toEqual([]);
  },
  DEADLINE_MS,
);

test(
  'a cluster whose maker was killed when the answer was lost is adopted by the next, or ended with the run',
  async () => {
    for (const adopted of [true, false]) {
      const run = await newRun();
      await stack.fault({ fault: 'lose-response', operation: 'RunJobFlow', count: 1, milliseconds: 0 });
      const maker = await stack.work(run, 'left', 1);
      await until('the cluster', () => stack.clusterOf(run) !== undefined, DEADLINE_MS, 1);
      maker.kill('SIGKILL');
      await once(maker.process, 'exit');
      if (adopted) await finishStage(stack, run, 'left', 1);
      expect(stack.clustersOf(run)).toHaveLength(1);
      await stack.endRun(run, adopted ? 'succeeded' : 'cancelled');
      expect(await stack.sweep()).toMatchObject({ clusters: [stack.clustersOf(run)[0]?.id] });
    }
    runs.pop();
    expect(await complaints()).toEqual([]);
  },
  DEADLINE_MS,
);

test(
  'the facts convict jobs that take no token',
  async () => {
    await using own = await testDatabase();
    await using unfenced = await EmrChaosStack.start(own);
    const run = await unfenced.newRun();
    const worker = await unfenced.work(run, 'left', 1, unfenced.place(2_000, false));
    const claimed = (): number => unfenced.notes(run).filter(({ act }) => act === 'claimed').length;
    await until('the first job', () => claimed() === 1, DEADLINE_MS);
    // What a request does that arrives late.
    for (const { id, steps } of unfenced.clustersOf(run))
      for (const { name, jar } of steps)
        await unfenced.runner.client.addStep(id, { name, args: (jar.Args ?? []).map((word) => word.replace(/(submission=).*/, '$1late')) });
    await until('the second job', () => claimed() === 2, DEADLINE_MS);
    await worker.ended;
    await unfenced.endRun(run, 'succeeded');
    expect(await emrComplaints(unfenced, { runs: [run], digest })).toContainEqual(expect.stringMatching(/^2 jobs claimed for /));
  },
  DEADLINE_MS,
);
