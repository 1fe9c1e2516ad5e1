/** What the steps of a run on EMR took, and their clusters. */
import { listAttempts } from '../activities/ledger/attempts';
import { wantedClusters } from '../activities/ledger/clusters';
import { ledgerId, listEffects } from '../activities/ledger/effects';
import { jobPath } from '../activities/storage/store-paths';
import { ledgerPrefix } from '../pipelines/effect';
import type { SparkResult, SparkSpent } from '../pipelines/spark-order';
import type { RunRef } from '../pipelines/types';
import type { OperatorSession } from './session';

/** A stage of a run, with the step that computed it. */
export interface DemoStage {
  readonly stage: string;
  /** From the start of the attempt to its end. */
  readonly seconds: number;
  /** Absent where no step did. */
  readonly step?: DemoStep;
}

export interface DemoStep {
  readonly cluster: string;
  readonly step: string;
  readonly state: string;
  /** From the request that submitted it until its result was known. */
  readonly seconds: number;
  /** From the start of the application to the end of its work, as the job tells it; null where it told nothing. */
  readonly sparkSeconds: number | null;
}

/** The stages of a run in the order in which they began. */
export async function stagesOf({ database, store }: OperatorSession, run: RunRef): Promise<DemoStage[]> {
  const effects = await listEffects(database, run);
  const stages: DemoStage[] = [];
  const attempts = await listAttempts(database, run);
  for (const { stage, startedAt, endedAt, output } of attempts.sort((a, b) => Date.parse(a.startedAt) - Date.parse(b.startedAt))) {
    if (endedAt === null) continue;
    const seconds = (Date.parse(endedAt) - Date.parse(startedAt)) / 1000;
    const effect = effects.filter((one) => one.stage === stage).at(-1);
    if (effect?.cluster == null || effect.step === null || effect.sentAt === null || effect.endedAt === null) {
      stages.push({ stage, seconds });
      continue;
    }
    const [version] = output?.versions ?? [];
    const place = version && jobPath(version.dataset, run.window, effect.candidate, effect.round, 'result');
    const spent = place === undefined ? undefined : spentOf(await store.get(place));
    const { cluster, step, state } = effect;
    stages.push({
      stage,
      seconds,
      step: {
        ...{ cluster, step, state, seconds: (effect.endedAt.getTime() - effect.sentAt.getTime()) / 1000 },
        sparkSeconds: spent === undefined ? null : (spent.endedAt - spent.startedAt) / 1000,
      },
    });
  }
  return stages;
}

function spentOf(result: Buffer | undefined): SparkSpent | undefined {
  return result === undefined ? undefined : (JSON.parse(result.toString('utf8')) as SparkResult).spent;
}

const POLL_MS = 200;
/** EMR takes minutes to give machines back; they cost nothing any more once it has begun. */
const TERMINATING = 'TERMINATING';

/**
 * Ends the clusters that runs of this ledger made and nobody wants any more, as the workers do within a minute. Answers with the ids of all
 * that are ended: those, and the ones among `used` that a worker ended first.
 */
export async function endClusters({ config, database }: OperatorSession, used: Iterable<string>): Promise<readonly string[]> {
  if (config.emr === undefined || config.emr.cluster !== undefined) return [];
  const { createEmrClient } = await import('../activities/compute/emr-client.js');
  const client = createEmrClient(config.emr);
  try {
    const prefix = ledgerPrefix(await ledgerId(database));
    const ended = new Set(used);
    for (;;) {
      const alive = (await client.listClusters(undefined, true)).filter(({ name }) => name.startsWith(prefix));
      const wanted = await wantedClusters(database);
      const unwanted = alive.filter(({ name, state }) => !wanted.has(name) && state !== TERMINATING);
      if (unwanted.length === 0) return [...ended].filter((id) => !alive.some((one) => one.id === id && one.state !== TERMINATING));
      for (const { id } of unwanted) {
        await client.terminate(id);
        ended.add(id);
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  } finally {
    client.close();
  }
}
