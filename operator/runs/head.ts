import { followHead } from '../../activities/ledger/branches';
import type { ChainHead } from '../../pipelines/chain-head';
import { AlmanacError } from '../../pipelines/failures';
import { formatRun, MAIN_BRANCH, type RunAddress } from '../../pipelines/run-id';
import type { OperatorSession } from '../session';

type HeadServices = Pick<OperatorSession, 'database' | 'datasets' | 'clock'>;

/** The head of a chain, with the ledger brought to it: whoever moved it may have died over that. */
export async function headOf({ database, datasets, clock }: HeadServices, pipeline: string): Promise<ChainHead> {
  const head = await datasets.heads.read(pipeline);
  await followHead(database, head, clock.now());
  return head;
}

/**
 * What a claim notes of the head it is made under: its number and, on a branch, which set of `main` the window stands beside. To be
 * asked before anything that the claim goes by. Empty for a chain that was never forked. Throws `run.closed` for a closed branch.
 */
export async function claimUnder(services: HeadServices, address: RunAddress): Promise<{ readonly head?: number; readonly over?: number }> {
  const { pipeline, branch, window } = address;
  // A promotion that is about to happen would leave this run behind: it is withdrawn, as an acceptance withdraws it.
  const head = await services.datasets.heads.settled(pipeline);
  await followHead(services.database, head, services.clock.now());
  if (head.number === 0) return {};
  if (branch === MAIN_BRANCH) return { head: head.number };
  const state = head.branches[branch]?.state;
  if (state !== 'open') {
    throw new AlmanacError('run.closed', `${formatRun(address)} is on a branch that is ${state ?? 'not there'}`, {
      next: `almanac run ${pipeline} --window ${window} is about the chain as it is now`,
    });
  }
  return { head: head.number, over: (await services.datasets.accepted(pipeline, MAIN_BRANCH, window))?.since ?? 0 };
}
