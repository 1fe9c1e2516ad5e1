import { createHash } from 'node:crypto';
import { listEffects, type EffectRow } from '../../activities/ledger/effects';
import type { DataFile, Manifest } from '../../activities/storage/manifest';
import type { Step } from '../../operator/emr-local/cluster';
import { isActive, isEnded } from '../../operator/emr-local/states';
import { formatRun } from '../../pipelines/run-id';
import type { SparkResult } from '../../pipelines/spark-order';
import type { RunRef } from '../../pipelines/types';
import { STAGES, type EmrChaosStack } from './emr-chaos-stack';
import type { JobNote } from './fake-spark';
import { processesNaming } from './processes';
import { until } from './until';

const DEADLINE_MS = 60_000;
const SWEEP_EVERY_MS = 250;

/** Runs by what is expected of them, and the digest that an undisturbed run came to. */
export interface Played {
  readonly runs: readonly RunRef[];
  readonly digest: string;
}

/**
 * Whatever is not as it should be once all runs are over, as lines for a person: judged by the store, the ledger, what the local EMR wrote down
 * and what the jobs themselves noted. Sweeps first, until all that has ended.
 */
export async function emrComplaints(stack: EmrChaosStack, { runs, digest }: Played): Promise<string[]> {
  const found: string[] = [];
  // A request that was held up makes its cluster whenever it arrives: as a control worker does, sweeps again until nothing is left.
  const swept = async (): Promise<boolean> => {
    await stack.sweep();
    return stack.clusters().every(({ state }) => isEnded(state));
  };
  await until('what was swept to end', swept, DEADLINE_MS, SWEEP_EVERY_MS).catch(() =>
    found.push(
      `clusters go on: ${stack
        .clusters()
        .filter(({ state }) => !isEnded(state))
        .map(({ request }) => request.Name)
        .join(', ')}`,
    ),
  );
  const steps = stack.clusters().flatMap((cluster) => cluster.steps);
  found.push(...steps.filter(({ state }) => state === 'PENDING' || isActive(state)).map(({ id, name }) => `step ${id} goes on: ${name}`));
  for (const run of runs) found.push(...(await runComplaints(stack, run, steps, digest)));
  found.push(...noteComplaints(stack.spark.notes()));
  found.push(...(await ledgerComplaints(stack)));
  found.push(...jobsLeft(stack));
  return found;
}

async function runComplaints(stack: EmrChaosStack, run: RunRef, steps: readonly Step[], digest: string): Promise<string[]> {
  const name = `${formatRun(run)} g${run.generation}`;
  const say = (what: string): string => `${name}: ${what}`;
  const effects = await listEffects(stack.database.pool, run);
  const found = effects.filter(({ endedAt }) => endedAt === null).map(({ round }) => say(`round ${round} is open`));
  for (const stage of STAGES) {
    const attempts = await attemptsOf(stack, run, stage);
    if (attempts.length === 0) continue;
    const wrong = attempts.filter(({ state, failure }) => state === 'running' || (failure !== null && failure !== 'platform'));
    found.push(
      ...wrong.map(({ attempt, state, failure }) => say(`attempt ${attempt} of ${stage} is ${state}, ${failure ?? 'no failure'}`)),
    );
    // An operator's retry of what is done adopts it.
    const epochs = attempts.filter(({ state }) => state === 'succeeded').map(({ epoch }) => epoch);
    if (new Set(epochs).size !== epochs.length) found.push(say(`${stage} succeeded more than once in an epoch`));
    const rounds = effects.filter((effect) => effect.stage === stage);
    const manifests = await stack.versions(run, stage);
    if (!attempts.some(({ state }) => state === 'cancelled') && (epochs.length === 0 || manifests.length !== 1))
      found.push(say(`${stage} has ${epochs.length} successes and ${manifests.length} versions`));
    for (const manifest of manifests) {
      if (manifest.digest !== digest) found.push(say(`${stage} has other rows: ${manifest.digest}`));
      found.push(...(await fileComplaints(stack, manifest.files)).map(say));
      found.push(...(await originComplaints(stack, rounds, manifest, steps)).map(say));
    }
    if (rounds.filter(({ state }) => state === 'completed').length > 1) found.push(say(`${stage} has several rounds that completed`));
  }
  return found;
}

interface AttemptFact {
  readonly attempt: number;
  readonly epoch: number;
  readonly state: string;
  readonly failure: string | null;
}

async function attemptsOf({ database }: EmrChaosStack, run: RunRef, stage: string): Promise<readonly AttemptFact[]> {
  const { rows } = await database.pool.query<AttemptFact>(
    `select attempt, epoch, state, failure ->> 'class' as failure from almanac.attempt
     where (pipeline, window_key, generation, stage) = ($1, $2, $3, $4) order by attempt`,
    [run.pipeline, run.window, run.generation, stage],
  );
  return rows;
}

async function fileComplaints({ store }: EmrChaosStack, files: readonly DataFile[]): Promise<string[]> {
  const found: string[] = [];
  for (const file of files) {
    const body = await store.get(file.path);
    const sha256 = createHash('sha256')
      .update(body ?? '')
      .digest('hex');
    if (sha256 !== file.sha256) found.push(`${file.path} is not what its manifest says`);
  }
  return found;
}

/** A version is what the job of a completed round put, whose step held the token and is COMPLETED. */
async function originComplaints(
  { store }: EmrChaosStack,
  rounds: readonly EffectRow[],
  { files, dataset }: Manifest,
  steps: readonly Step[],
): Promise<string[]> {
  const names = files.map(({ path }) => path.split('/').at(-1)).join();
  for (const round of rounds) {
    if (round.token === null) continue;
    const result = await store.get(round.token.replace('token.json', 'result.json'));
    const { written } = JSON.parse(result?.toString('utf8') ?? '{}') as Partial<SparkResult>;
    if (written?.files.map(({ name }) => name).join() !== names) continue;
    const step = steps.find(({ id }) => id === round.step);
    const token = JSON.parse((await store.get(round.token))?.toString('utf8') ?? '{}') as { readonly submission?: string };
    const found: string[] = [];
    if (round.state !== 'completed') found.push(`${dataset} is of round ${round.round}, which is ${round.state}`);
    if (step?.state !== 'COMPLETED') found.push(`${dataset} is of step ${round.step}, which is ${step?.state ?? 'unknown'}`);
    if (!(step?.jar.Args ?? []).includes(`spark.almanac.submission=${token.submission}`))
      found.push(`the token of round ${round.round} is held by ${token.submission}, not by ${round.step}`);
    return found;
  }
  return [`${dataset} is of no round on record`];
}

/** Of the jobs of one order one claims, computes and puts. */
function noteComplaints(notes: readonly JobNote[]): string[] {
  return [...new Set(notes.map(({ order }) => order))].flatMap((order) =>
    (['claimed', 'wrote', 'put'] as const).flatMap((act) => {
      const jobs = new Set(notes.filter((note) => note.order === order && note.act === act).map(({ submission }) => submission));
      return jobs.size > 1 ? [`${jobs.size} jobs ${act} for ${order}`] : [];
    }),
  );
}

async function ledgerComplaints({ database }: EmrChaosStack): Promise<string[]> {
  const { rows } = await database.pool.query<{ name: string }>(
    'select name from almanac.emr_cluster where ended_at is null and cluster_id is not null',
  );
  return rows.map(({ name }) => `the ledger has cluster ${name} as open`);
}

function jobsLeft(stack: EmrChaosStack): string[] {
  const alive = new Set(processesNaming(stack.directory));
  return [...new Set(stack.spark.notes().map(({ pid }) => pid))]
    .filter((pid) => alive.has(pid))
    .map((pid) => `Spark process ${pid} is alive`);
}
