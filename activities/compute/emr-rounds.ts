import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import type { Clock } from '../../lib/clock';
import { FENCE, FINAL_STATES, nextForEffect, type EffectEnd, type TokenHolder } from '../../pipelines/effect';
import { stageCost } from '../../pipelines/emr-cost';
import { logTail } from '../../pipelines/log-tail';
import { endCluster } from '../ledger/clusters';
import type { EffectChange, EffectRow } from '../ledger/effects';
import type { ObjectStore } from '../storage/object-store';
import { isOver, type EmrClient, type EmrCluster, type EmrStep } from './emr-client';
import { EmrFault } from './emr-fault';
import type { EmrPoller, Look } from './emr-poller';
import { overtaken } from './emr-failures';
import { pause } from './pause';

export interface RoundServices {
  readonly database: pg.Pool;
  readonly client: EmrClient;
  readonly poller: EmrPoller;
  readonly clock: Clock;
  readonly store: ObjectStore;
  readonly settleMs: number;
  readonly pollMs: number;
  /** Of a cluster; undefined without prices. */
  readonly pricePerHour: number | undefined;
  /** The end of the log of a failed step, as far as it comes. */
  logTail(cluster: string, step: string, signal: AbortSignal, maskValues: boolean): Promise<string | undefined>;
}

/** One round on its way to its end. */
export interface Round {
  readonly row: EffectRow;
  /** Where it is submitted when it was not yet; undefined for one that is only to be ended. */
  readonly cluster?: string;
  /** Undefined: it is to be ended. */
  readonly args?: (submission: string) => readonly string[];
  /** Nothing that may quote a row goes on record. */
  readonly maskValues: boolean;
  /** Undefined when the writer has no say about the round any more. */
  write(change: EffectChange): Promise<EffectRow | undefined>;
  log(line: string): void;
  point(name: string): Promise<void>;
}

/** Why a round ended otherwise than COMPLETED; undefined for one that ended well or was ended. */
export interface EndedRound {
  readonly row: EffectRow;
  readonly why?: 'step' | 'cluster' | 'cancelled';
}

/** Carries out what `nextForEffect` decides until the round is over. Throws EmrFault, `service.unavailable` for a zombie, and the signal's reason. */
export async function finishRound(services: RoundServices, round: Round, signal: AbortSignal): Promise<EndedRound> {
  const { client, poller, clock, settleMs } = services;
  let { row } = round;
  let look: Look | undefined;
  let clusterEndedAt: Date | undefined;
  let token: TokenHolder | undefined;
  let refused: EmrFault | undefined;
  const write = async (change: EffectChange): Promise<void> => {
    const written = await round.write(change);
    if (written === undefined) throw overtaken(row.run);
    row = written;
  };
  for (;;) {
    signal.throwIfAborted();
    const cluster = row.cluster ?? round.cluster;
    const wanted = round.args !== undefined;
    // What was sent nowhere is listed nowhere.
    const listing = cluster === undefined ? { at: clock.now(), steps: [] } : look;
    const action = nextForEffect({ effect: row, wanted, listing, clusterEndedAt, token, settleMs });
    switch (action.do) {
      case 'nothing':
        return { row };
      case 'look': {
        look = await poller.look({ cluster: cluster ?? '', name: row.name, since: row.intentAt, notBefore: action.notBefore }, signal);
        if (look.cluster.ended) clusterEndedAt ??= look.at;
        break;
      }
      case 'note':
        if (action.step !== row.step) round.log(`step ${action.step} on cluster ${cluster} is followed`);
        await write({ step: action.step, state: action.state });
        break;
      case 'submit': {
        // A cluster about to end takes no steps; soon it has ended.
        if (look?.cluster.state === 'TERMINATING') {
          look = undefined;
          break;
        }
        if (refused !== undefined) {
          // Nothing of the round is there: who mends the settings is not held to this cluster.
          await write({ cluster: null });
          throw refused;
        }
        await write({ cluster: cluster ?? '', sentAt: clock.now() });
        await round.point('step-intended');
        const submission = `${row.attempt}-${randomBytes(6).toString('hex')}`;
        look = undefined;
        try {
          const step = await client.addStep(cluster ?? '', { name: row.name, args: round.args?.(submission) ?? [] });
          await round.point('step-submitted');
          round.log(`step ${step} was submitted to cluster ${cluster}`);
          await write({ step, state: 'submitted' });
        } catch (error) {
          if (!(error instanceof EmrFault)) throw error;
          if (error.kind === 'doubt') {
            round.log(`whether the step was accepted is not known (${error.message}): it is looked for`);
            break;
          }
          await write({ sentAt: null });
          // Surely not accepted. A refusal stands, unless the next look finds the cluster ending.
          if (error.kind === 'refused') refused = error;
          else await pause(services.pollMs, signal);
        }
        break;
      }
      case 'fence':
        token = await claimToken(services.store, row.token);
        await round.point('fenced');
        break;
      case 'cancel':
        round.log(`steps ${action.steps.join(', ')} on cluster ${cluster} are cancelled`);
        await cancel(client, cluster ?? '', action.steps);
        look = undefined;
        break;
      case 'end': {
        const over = look && (await overCluster(client, look.cluster, action.end));
        // A step that fails ends no cluster of ours, and a cluster that ends cancels what waits on it: the end of the cluster was first.
        const end = over && action.end.state === 'failed' ? { ...action.end, why: 'cluster' as const } : action.end;
        const change = await endOf(services, { ...round, row }, end, { look, over }, signal);
        await round.point('step-ended');
        await write(change);
        if (over !== undefined) await endCluster(services.database, over.id, over.reason, clock.now());
        return { row, ...(end.state === 'failed' && { why: end.why }) };
      }
    }
  }
}

/** The cluster as it is now, if it is over. It was looked at before its steps: what failed or was cancelled since may be its end. */
async function overCluster(client: EmrClient, seen: EmrCluster, end: EffectEnd): Promise<EmrCluster | undefined> {
  if (isOver(seen)) return seen;
  if (end.state !== 'failed') return undefined;
  try {
    const cluster = await client.describeCluster(seen.id);
    return isOver(cluster) ? cluster : undefined;
  } catch (error) {
    // The step has ended, whatever became of the cluster.
    if (error instanceof EmrFault) return undefined;
    throw error;
  }
}

/** The end as the ledger has it. */
async function endOf(
  services: RoundServices,
  { row, maskValues }: Pick<Round, 'row' | 'maskValues'>,
  end: EffectEnd,
  { look, over }: { readonly look: Look | undefined; readonly over: EmrCluster | undefined },
  signal: AbortSignal,
): Promise<EffectChange> {
  const step = look?.steps.find(({ id }) => id === end.step);
  const seconds = secondsOf(step);
  const failed = end.state === 'failed';
  const tail =
    failed && end.why === 'step' && row.cluster !== null && end.step !== null
      ? services.logTail(row.cluster, end.step, signal, maskValues)
      : undefined;
  return {
    state: end.state,
    step: end.step,
    endedAt: services.clock.now(),
    reason: failed && end.why === 'cluster' ? shown(over?.reason, false) : shown(step?.reason, maskValues),
    logTail: await tail,
    seconds,
    cost: stageCost(services.pricePerHour, seconds),
  };
}

/** EMR quotes the log of a step in the reason of its failure. */
function shown(reason: string | undefined, maskValues: boolean): string | undefined {
  const text = reason === undefined ? '' : logTail(reason, maskValues);
  return text === '' ? undefined : text;
}

function secondsOf(step: EmrStep | undefined): number | undefined {
  const { startedAt, endedAt } = step ?? {};
  return startedAt === undefined || endedAt === undefined ? undefined : (endedAt.getTime() - startedAt.getTime()) / 1000;
}

/** Ends the step of a round without looking first, as far as one request can: it commits nothing any more and is told to end. */
export async function endKnownStep({ store, client }: RoundServices, { token, cluster, step }: EffectRow): Promise<void> {
  if (cluster === null || step === null) return;
  await claimToken(store, token);
  await cancel(client, cluster, [step]);
}

/** Claims the token of a round, or tells who has it. One whose order was never written was never submitted. */
async function claimToken(store: ObjectStore, token: string | null): Promise<TokenHolder> {
  if (token === null || (await store.putIfAbsent(token, JSON.stringify({ submission: FENCE })))) return { submission: FENCE };
  const body = await store.get(token);
  try {
    const claim: unknown = JSON.parse(body?.toString('utf8') ?? '');
    const submission = typeof claim === 'object' && claim !== null && 'submission' in claim ? claim.submission : undefined;
    return { submission: typeof submission === 'string' && submission !== '' ? submission : undefined };
  } catch (error) {
    if (error instanceof SyntaxError) return {};
    throw error;
  }
}

async function cancel(client: EmrClient, cluster: string, steps: readonly string[]): Promise<void> {
  try {
    await client.cancelSteps(cluster, steps);
  } catch (error) {
    // It is asked again after the next look, which says what became of them.
    if (!(error instanceof EmrFault) || error.kind === 'refused') throw error;
  }
}

/** Whether anything of a round may still go on. */
export function isOpen({ state }: Pick<EffectRow, 'state'>): boolean {
  return !FINAL_STATES.includes(state);
}
