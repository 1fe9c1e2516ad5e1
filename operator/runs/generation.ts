import { randomUUID } from 'node:crypto';
import { recordStanding } from '../../activities/ledger/attempts';
import { claimRun, type RunRow } from '../../activities/ledger/runs';
import { transaction } from '../../lib/postgres';
import { queueNames, type StageQueue } from '../../lib/queues';
import { AlmanacError } from '../../pipelines/failures';
import { formatRun } from '../../pipelines/run-id';
import type { Plan, RunRef, StageOutput, VersionRef } from '../../pipelines/types';
import type { OperatorSession } from '../session';
import { recordAction } from './actions';
import { claimOrigin } from './chain';
import { startExecution } from './execution';
import { claimUnder } from './head';

/** An output the next generation starts with instead of computing it. */
export interface CarriedOutput {
  readonly stage: string;
  readonly state: 'carried' | 'skipped';
  readonly output: StageOutput;
  readonly tainted: boolean;
}

export interface Generation {
  readonly run: RunRef;
  readonly plan: Plan;
  readonly pins: Readonly<Record<string, VersionRef>>;
  readonly pinsTainted: boolean;
  /** Whether it begins its chain. */
  readonly origin: boolean;
  /** The closed generation it goes on from. */
  readonly from: RunRow;
  readonly carried: readonly CarriedOutput[];
  readonly matrix: Readonly<Record<string, unknown>>;
  readonly verb: string;
  readonly stage: string | undefined;
  readonly reason: string;
  readonly detail: Readonly<Record<string, unknown>>;
  /** Default: the person at the terminal. */
  readonly who?: string | undefined;
  /** Where its stages run. Default: `live`. */
  readonly queue?: StageQueue | undefined;
  /** What {@link claimUnder} answered before anything was read that this goes by. Default: asked now. */
  readonly under?: Awaited<ReturnType<typeof claimUnder>> | undefined;
}

/** Claims the next generation of a closed run and starts it; of racing claimers one wins, the others get `run.stale`. */
export async function startGeneration(session: OperatorSession, generation: Generation): Promise<void> {
  const { run, plan, carried, from } = generation;
  const { database, clock, config } = session;
  const claim = randomUUID();
  const now = clock.now();
  const stages = carried.map(({ stage }) => stage);
  const under = generation.under ?? (await claimUnder(session, run));
  const won = await transaction(database, async (client) => {
    if (generation.origin) {
      await claimOrigin({ database: client, datasets: session.datasets, plan, branch: run.branch }, run.window, from.bootstrap);
    }
    const claimed = await claimRun(client, {
      run,
      claim,
      planHash: plan.hash,
      pins: generation.pins,
      bootstrap: from.bootstrap,
      origin: generation.origin,
      pinsTainted: generation.pinsTainted,
      matrix: { ...generation.matrix, ...under, carried: stages, ...(generation.queue === undefined ? {} : { queue: generation.queue }) },
      verb: generation.verb,
      who: generation.who ?? config.actor,
      reason: generation.reason,
      now,
    });
    if (!claimed) return false;
    for (const { stage, state, output, tainted } of carried) {
      const planned = plan.stages.find(({ id }) => id === stage);
      if (planned === undefined) continue;
      await recordStanding(client, run, {
        stage,
        attempt: 0,
        epoch: 0,
        kind: planned.kind,
        stageHash: planned.hash,
        state,
        output,
        tainted,
        now,
      });
    }
    await recordAction(client, {
      run,
      verb: generation.verb,
      who: generation.who ?? config.actor,
      stage: generation.stage,
      reason: generation.reason,
      detail: generation.detail,
      now,
    });
    return true;
  });
  if (!won) {
    throw new AlmanacError('run.stale', `generation ${run.generation} of ${formatRun(run)} was claimed by somebody faster`, {
      next: `almanac show ${formatRun(run)}`,
    });
  }
  await startExecution(await session.temporal(), queueNames(config, generation.queue), { run, claim, planHash: plan.hash }, plan, stages, {
    seconds: 0,
    declared: false,
  });
}
