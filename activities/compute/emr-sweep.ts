import { eachOf } from '../../lib/each-of';
import type { Queryable } from '../../lib/postgres';
import { ledgerPrefix } from '../../pipelines/effect';
import type { RunRef } from '../../pipelines/types';
import { endCluster, endUnwantedClusters, wantedClusters } from '../ledger/clusters';
import { changeUnwanted, ledgerId, listEffects, listUnwanted, openEffectNames, type EffectRow } from '../ledger/effects';
import { finishRound, isOpen, type RoundServices } from './emr-rounds';

/** How one round of a run that was stopped is known to do no more harm. */
export interface EffectProof {
  readonly stage: string;
  readonly round: number;
  /** The newest that took it up. */
  readonly attempt: number;
  readonly cluster: string | null;
  readonly step: string | null;
  /** `over`: EMR says so, or it was never submitted. `ending`: not yet. `fenced`: not seen to end, but nothing of it is committed any more. */
  readonly ended: 'over' | 'ending' | 'fenced';
  /** As the ledger has it, of one that is over. */
  readonly state: EffectRow['state'];
}

export interface Swept {
  readonly rounds: number;
  readonly steps: readonly string[];
  readonly clusters: readonly string[];
}

const ROUNDS_A_LOOK = 50;
const ROUNDS_AT_ONCE = 16;
/** A round that does not end within this goes on to be ended in the next look. */
const ROUND_MS = 120_000;
/** A cluster or step so young may not be on record yet. */
const YOUNG_MS = 600_000;

/** Ends the open rounds of a run that is over, and tells how each is known to be. Takes up to `withinMs`. */
export async function endRounds(services: RoundServices, run: RunRef, withinMs: number): Promise<EffectProof[]> {
  const signal = AbortSignal.timeout(withinMs);
  const rows = await listEffects(services.database, run);
  return Promise.all(
    rows.map(async (row): Promise<EffectProof> => {
      try {
        return proofOf(isOpen(row) ? await endUnwanted(services, row, signal) : row, 'over');
      } catch (error) {
        // The sweeper goes on with it. Its run is over: what it may still put is taken up by nobody.
        if (!signal.aborted && !isAnswerMissing(error)) throw error;
        return proofOf(row, 'fenced');
      }
    }),
  );
}

/** What the ledger says of the rounds of a run, `open` of those that are not over. */
export async function roundsOnRecord(database: Queryable, run: RunRef, open: EffectProof['ended']): Promise<EffectProof[]> {
  return (await listEffects(database, run)).map((row) => proofOf(row, isOpen(row) ? open : 'over'));
}

function proofOf({ stage, round, attempt, cluster, step, state }: EffectRow, ended: EffectProof['ended']): EffectProof {
  return { stage, round, attempt, cluster, step, ended, state };
}

function isAnswerMissing(error: unknown): boolean {
  return error instanceof Error && (error.name === 'EmrFault' || error.name === 'AlmanacError');
}

async function endUnwanted(services: RoundServices, row: EffectRow, signal: AbortSignal): Promise<EffectRow> {
  const { database, clock } = services;
  const nothing = (): void => undefined;
  const write = (change: Parameters<typeof changeUnwanted>[2]): Promise<EffectRow | undefined> =>
    changeUnwanted(database, row, change, clock.now());
  // Nobody here knows what its stage reads.
  return (await finishRound(services, { row, maskValues: true, write, log: nothing, point: () => Promise.resolve() }, signal)).row;
}

export interface SweepOptions {
  /** A cluster that stays, and may be shared with others. */
  readonly cluster?: string | undefined;
  readonly failed: (error: unknown) => void;
}

/**
 * Ends what nobody wants any more: rounds whose run is over or whose stage has another output, steps of ours that are no open round, and
 * clusters that runs made which are over. Only what bears the name of this ledger is touched.
 */
export async function sweepEmr(services: RoundServices, options: SweepOptions, signal: AbortSignal): Promise<Swept> {
  const { database, client, clock } = services;
  // What EMR refuses to end, as a cluster that somebody protected, keeps nothing else from its end.
  const ends = async (work: () => Promise<unknown>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      if (signal.aborted) throw error;
      options.failed(error);
    }
  };
  let rounds = 0;
  await eachOf(await listUnwanted(database, ROUNDS_A_LOOK), ROUNDS_AT_ONCE, (row) =>
    ends(async () => {
      await endUnwanted(services, row, AbortSignal.any([signal, AbortSignal.timeout(ROUND_MS)]));
      rounds += 1;
    }),
  );
  const prefix = ledgerPrefix(await ledgerId(database));
  const young = new Date(clock.now().getTime() - YOUNG_MS);
  const { cluster } = options;
  const steps: string[] = [];
  if (cluster !== undefined) await ends(async () => steps.push(...(await sweepSteps(services, cluster, prefix))));
  const clusters: string[] = [];
  const alive = (await client.listClusters(undefined, true)).filter(({ name }) => name.startsWith(prefix));
  // Read after the list: what was made meanwhile is not in that, and what is in it is on record.
  const wanted = await wantedClusters(database);
  for (const { id, name, state, createdAt } of alive) {
    if (state === 'TERMINATING') continue;
    const owner = wanted.get(name);
    if (owner === id || (owner === null && (createdAt === undefined || createdAt > young))) continue;
    await ends(async () => {
      await client.terminate(id);
      await endCluster(database, id, 'nobody needs it any more', clock.now());
      clusters.push(id);
    });
  }
  await endUnwantedClusters(
    database,
    alive.map(({ id }) => id),
    clock.now(),
  );
  return { rounds, steps, clusters };
}

/** Steps of a cluster that stays: a late submission of a round that is over is a duplicate and ends by itself, this ends it sooner. */
async function sweepSteps({ database, client }: RoundServices, cluster: string, prefix: string): Promise<string[]> {
  const live = (await client.listSteps(cluster, undefined, ['pending', 'running'])).filter(({ name }) => name.startsWith(prefix));
  const open = await openEffectNames(
    database,
    live.map(({ name }) => name),
  );
  const orphans = live.filter(({ name }) => !open.has(name)).map(({ id }) => id);
  if (orphans.length > 0) await client.cancelSteps(cluster, orphans);
  return orphans;
}
