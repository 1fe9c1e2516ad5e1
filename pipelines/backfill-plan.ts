/**
 * What a backfill would do. Pure: the plan of today, what the ledger and the store know of each window of the range and what the
 * operator asked for go in; every (window, stage) that runs comes out with its reason, and every window left alone with why.
 */
import { canonicalJson } from './canonical';
import { AlmanacError } from './failures';
import type { Hash } from './plan';
import { isPrevious } from './reads';
import { planRetry } from './retry-plan';
import type { EngineName, ParamValue, Plan, PlanStage } from './types';

/** Each mode does what those before it do: never built; also failed; also built from other code or inputs; also all the rest. */
export const REPROCESS = ['missing', 'failed', 'stale', 'all'] as const;
export type Reprocess = (typeof REPROCESS)[number];

export type BackfillReason = 'missing' | 'failed' | 'code changed' | 'input changed' | 'forced';

export interface BackfillRequest {
  readonly pipeline: string;
  /** Window keys, both included. */
  readonly from: string;
  readonly to: string;
  readonly reprocess: Reprocess;
  /** Windows that run do so from this stage on at the latest. */
  readonly fromStage: string | null;
  readonly order: 'forward' | 'backward';
  /** In the place of the declared ones. */
  readonly params?: Readonly<Record<string, ParamValue>>;
  /** Computes every stage that computes; absent: what each declares. */
  readonly engine?: EngineName;
}

/** How the newest run of a window stands; `stopped` ended without a failure and without acceptance. */
export type RunFact = 'none' | 'open' | 'held' | 'failed' | 'stopped' | 'succeeded';

export interface WindowFacts {
  readonly window: string;
  /** Newest generation that anybody knows; 0 before the first. */
  readonly generation: number;
  readonly run: RunFact;
  /** Versions its window accepts, as `DATASET@WINDOW#VERSION`; null when nothing is accepted. */
  readonly accepted: readonly string[] | null;
  /** Outputs that stand, by stage: the stage hash they were made under and their versions. */
  readonly standing: Readonly<Record<string, { readonly hash: string; readonly versions: readonly string[] }>>;
  /** Stages whose landing files differ now. */
  readonly changedInputs: readonly string[];
  /** Stages that wrote what is stale: of rows that are no longer current, or without rows that were replayed. */
  readonly stale: readonly string[];
}

export interface BackfillQuestion {
  readonly plan: Plan;
  readonly request: BackfillRequest;
  /** Every window of the range, oldest first; of an ordered chain from the one after its anchor up to its last accepted one. */
  readonly facts: readonly WindowFacts[];
  /** The last accepted window before the facts; null where the chain begins with them. */
  readonly anchor: Pick<WindowFacts, 'window' | 'accepted'> | null;
  /** Accepted windows after the range. */
  readonly successors: readonly string[];
  /** What a branch would be called. */
  readonly nextBranch: string;
}

export interface BackfillWindow {
  readonly window: string;
  /** The generation that its run follows; on a branch 0. */
  readonly after: number;
  readonly stages: readonly { readonly stage: string; readonly hash: string; readonly reason: BackfillReason }[];
  readonly carried: readonly { readonly stage: string; readonly versions: readonly string[] }[];
}

export interface BackfillPlan {
  readonly request: BackfillRequest;
  readonly chain: Plan['chain'];
  readonly planHash: string;
  readonly params: Readonly<Record<string, ParamValue>>;
  /** Versions that the first window of an ordered chain goes on from. */
  readonly pins: readonly string[];
  /** In the order to run them. */
  readonly windows: readonly BackfillWindow[];
  readonly left: readonly { readonly window: string; readonly why: string }[];
  /** Where it builds when windows after the range stand on what it rebuilds: a branch from this window on, with all after it. */
  readonly branch?: { readonly name: string; readonly from: string };
}

/**
 * Throws `run.usage` (a stage or an order that does not fit) and `backfill.gap` (a window between that it would leave unbuilt). A chain
 * is appended to in place; what lies below accepted windows is not pulled from under them, but rebuilt on a branch with all of them.
 */
export function planBackfill(question: BackfillQuestion): BackfillPlan {
  const { plan, request, facts, anchor, successors } = question;
  requireUsable(plan, request);
  const ordered = plan.chain === 'ordered';
  const branched = ordered && successors.length > 0 && previousReaders(plan).length > 0;
  const windows: BackfillWindow[] = [];
  const left: { window: string; why: string }[] = [];
  for (const fact of facts) {
    const rebuilt = ordered && windows.length > 0;
    const follows = fact.window > request.to;
    if (follows && !(branched && rebuilt)) break;
    const choice = choose(plan, follows ? following(request) : request, fact, rebuilt, branched);
    if (typeof choice !== 'string') windows.push(choice);
    else {
      left.push({ window: fact.window, why: choice });
      if (ordered && fact.accepted === null) throw gap(request, fact, choice);
    }
  }
  const first = facts.findIndex(({ window }) => window === windows[0]?.window);
  const before = first > 0 ? facts[first - 1] : anchor;
  const from = windows[0]?.window;
  return {
    request,
    chain: plan.chain,
    planHash: plan.hash,
    params: plan.params,
    pins: ordered && windows.length > 0 ? (before?.accepted ?? []) : [],
    windows: request.order === 'backward' ? windows.reverse() : windows,
    left,
    ...(branched && from !== undefined ? { branch: { name: question.nextBranch, from } } : {}),
  };
}

/** What a window does that `main` has and the branch is to have as well. Throws `backfill.gap`. */
export function planFollowing(plan: Plan, request: BackfillRequest, fact: WindowFacts): BackfillWindow {
  const choice = choose(plan, following(request), fact, true, true);
  if (typeof choice === 'string') throw gap(request, fact, choice);
  return choice;
}

/** Windows after the range are rebuilt for what they stand on and read, and for nothing else: a branch with stale windows is never built. */
function following(request: BackfillRequest): BackfillRequest {
  return { ...request, reprocess: 'missing', fromStage: null };
}

/** One name for everything the plan would do; what it leaves alone is not part of it. */
export function backfillHash(plan: BackfillPlan, hash: Hash): string {
  const { left: _left, ...done } = plan;
  return hash(canonicalJson(done)).slice(0, 16);
}

/** What a window does, or why nothing. */
function choose(
  plan: Plan,
  request: BackfillRequest,
  fact: WindowFacts,
  predecessorRebuilt: boolean,
  branched: boolean,
): BackfillWindow | string {
  const wants = (mode: Reprocess): boolean => REPROCESS.indexOf(request.reprocess) >= REPROCESS.indexOf(mode);
  const didFail = fact.run === 'failed' || fact.run === 'held';
  // What goes on on `main` is in nobody's way on a branch.
  if (fact.run === 'open' && !branched) return 'its run is open';
  if (didFail && !wants('failed') && fact.accepted === null)
    return fact.run === 'held' ? 'its run is held; --reprocess failed runs it' : 'its last run failed; --reprocess failed runs it';
  const forced = request.fromStage !== null ? [request.fromStage] : request.reprocess === 'all' ? plan.stages.map(({ id }) => id) : [];
  const due = fact.accepted === null || (didFail && wants('failed')) || wants('stale');
  if (!due && !predecessorRebuilt) return 'accepted';
  const named = due && (fact.accepted === null || didFail || wants('all')) ? forced : [];
  const changedInputs = [
    ...(due ? fact.changedInputs : []),
    ...(due || branched ? fact.stale : []),
    ...(predecessorRebuilt ? previousReaders(plan) : []),
  ];
  const hashes = Object.fromEntries(Object.entries(fact.standing).map(([stage, { hash }]) => [stage, hash]));
  const retry = planRetry({ plan, standing: hashes, stages: named, changedInputs, downstream: 'all' });
  const reset = new Set([...retry.reset, ...retry.waits]);
  // What the ledger lost cannot be judged; it stays unless it is asked for, or what it was built on goes.
  const unknown = Object.keys(fact.standing).length === 0 && !wants('all') && !predecessorRebuilt;
  if (fact.accepted !== null && (reset.size === 0 || unknown)) return 'accepted, and made by this code from these inputs';
  return {
    window: fact.window,
    after: branched ? 0 : fact.generation,
    stages: plan.stages
      .filter(({ id }) => reset.has(id))
      .map((stage) => ({ stage: stage.id, hash: stage.hash, reason: reasonOf(stage, fact, changedInputs, named) })),
    carried: plan.stages.filter(({ id }) => !reset.has(id)).map(({ id }) => ({ stage: id, versions: fact.standing[id]?.versions ?? [] })),
  };
}

/** The strongest reason: there is nothing, it is of other code, it read something else, somebody wants it. */
function reasonOf(
  { id, hash }: Pick<PlanStage, 'id' | 'hash'>,
  fact: WindowFacts,
  changedInputs: readonly string[],
  forced: readonly string[],
): BackfillReason {
  const stands = fact.standing[id];
  if (stands === undefined) return fact.run === 'failed' || fact.run === 'held' ? 'failed' : 'missing';
  if (stands.hash !== hash) return 'code changed';
  if (changedInputs.includes(id) || !forced.includes(id)) return 'input changed';
  return 'forced';
}

/** Stages that read what the window before accepted. */
export function previousReaders(plan: Plan): string[] {
  return plan.stages.filter(({ spec }) => spec.kind === 'compute' && Object.values(spec.reads ?? {}).some(isPrevious)).map(({ id }) => id);
}

function requireUsable(plan: Plan, request: BackfillRequest): void {
  if (request.fromStage !== null && !plan.stages.some(({ id }) => id === request.fromStage)) {
    throw new AlmanacError('run.usage', `${request.pipeline} has no stage ${request.fromStage}`, {
      next: `use one of: ${plan.stages.map(({ id }) => id).join(', ')}`,
    });
  }
  if (plan.chain === 'ordered' && request.order === 'backward') {
    throw new AlmanacError('run.usage', `${request.pipeline} is an ordered chain: each window is built on the one before`, {
      next: 'leave --order out; it goes forward',
    });
  }
}

function gap(request: BackfillRequest, fact: WindowFacts, why: string): AlmanacError {
  const run = `${request.pipeline}/${fact.window}`;
  return new AlmanacError('backfill.gap', `${run} is not accepted and would be left alone (${why}); the windows after it need it`, {
    next:
      fact.run === 'open'
        ? `almanac run ${request.pipeline} --window ${fact.window} --wait, then plan again`
        : `almanac backfill plan ${request.pipeline} --from ${request.from} --to ${request.to} --reprocess failed`,
    details: { window: fact.window },
  });
}
