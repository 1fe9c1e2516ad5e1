/**
 * The effects ledger, pure: what to do next about one round of a Spark job that runs elsewhere. Submitting has no client token, so a round is
 * known by its name: whoever goes on with it looks the name up, adopts what is there, and submits only what surely is not. The job's own
 * token is the last line: of two steps of one name one commits, and a round that is given up is fenced by claiming its token.
 */

/** `intended`: nobody knows of a step. The last three are final. */
export type EffectState = 'intended' | 'submitted' | 'running' | 'completed' | 'failed' | 'cancelled';

export const FINAL_STATES: readonly EffectState[] = ['completed', 'failed', 'cancelled'];

/** What the ledger knows of a round. */
export interface EffectFacts {
  readonly state: EffectState;
  /** The step that is followed, or was accepted last. */
  readonly step: string | null;
  /** When a submission was last about to be sent whose answer is not known or was yes; null when none is in doubt. */
  readonly sentAt: Date | null;
}

/** States of a step, as EMR has them in capitals. */
export type StepState = 'pending' | 'running' | 'cancelling' | 'completed' | 'failed' | 'cancelled' | 'interrupted';

export interface ListedStep {
  readonly id: string;
  /** Which submission made it; undefined when it does not say. */
  readonly submission?: string | undefined;
  readonly state: StepState;
}

/** Who holds the token of a round. */
export interface TokenHolder {
  /** A submission, or `FENCE`; undefined when the token does not say. */
  readonly submission?: string | undefined;
}

/** Claims a token so that no job of the round commits any more. */
export const FENCE = 'fence';

export interface EffectView {
  readonly effect: EffectFacts;
  /** The stage still asks for this very round; otherwise it is to be ended. */
  readonly wanted: boolean;
  /** The steps of the round's name; `at` is when the list was asked for. Undefined before the first look. */
  readonly listing: { readonly at: Date; readonly steps: readonly ListedStep[] } | undefined;
  /** When the cluster was first seen to be over, which was asked before the list: what it ran is dead. Undefined while it is not. */
  readonly clusterEndedAt: Date | undefined;
  /** Known once the round was fenced or found fenced. */
  readonly token: TokenHolder | undefined;
  /** How long a step may take to be listed after it was submitted. */
  readonly settleMs: number;
}

export type EffectAction =
  /** List again, not before that instant; undefined: at the next poll. */
  | { readonly do: 'look'; readonly notBefore?: Date }
  /** Put on record that a submission is sent, then send it. */
  | { readonly do: 'submit' }
  /** Follow this step: adopted, or moved on. */
  | { readonly do: 'note'; readonly step: string; readonly state: 'submitted' | 'running' }
  /** Claim the token, or learn who has it. */
  | { readonly do: 'fence' }
  | { readonly do: 'cancel'; readonly steps: readonly string[] }
  | { readonly do: 'end'; readonly end: EffectEnd }
  | { readonly do: 'nothing' };

/** How a round ends. `why` of a failure: its step failed, its cluster was lost, or somebody else cancelled the step. */
export type EffectEnd =
  | { readonly state: 'completed'; readonly step: string }
  | { readonly state: 'failed'; readonly step: string | null; readonly why: 'step' | 'cluster' | 'cancelled' }
  | { readonly state: 'cancelled'; readonly step: string | null };

const LIVE: readonly StepState[] = ['pending', 'running', 'cancelling'];

/** Whether a step may still do something. */
export function isLive({ state }: Pick<ListedStep, 'state'>): boolean {
  return LIVE.includes(state);
}

/** What to do next; called again with what came of it. */
export function nextForEffect(view: EffectView): EffectAction {
  const { effect, listing, clusterEndedAt, token } = view;
  if (FINAL_STATES.includes(effect.state)) return { do: 'nothing' };
  if (listing === undefined) return { do: 'look' };
  const { steps } = listing;
  // What is to be ended is fenced first: from here on nothing new of it can commit.
  if (!view.wanted && token === undefined) return { do: 'fence' };
  const completed = steps.filter(({ state }) => state === 'completed');
  if (completed.length > 0 && token === undefined) return { do: 'fence' };
  const done = completed.find((step) => holds(step, token));
  if (done !== undefined) return { do: 'end', end: { state: 'completed', step: done.id } };
  // Accepted, or begun and holding the token, and not listed yet: it goes on somewhere, or did.
  const awaited = effect.step !== null && !steps.some(({ id }) => id === effect.step);
  const elsewhere = token !== undefined && isElsewhere(token, steps);
  const live = steps.filter(isLive);
  if (clusterEndedAt === undefined && live.length > 0) return view.wanted ? follow(effect, live) : stop(live);
  // A list asked for late enough has all that was accepted, and what completed just before its cluster ended.
  const settled = new Date(Math.max(effect.sentAt?.getTime() ?? 0, clusterEndedAt?.getTime() ?? 0) + view.settleMs);
  if ((effect.sentAt !== null || clusterEndedAt !== undefined) && listing.at < settled) return { do: 'look', notBefore: settled };
  if (awaited || elsewhere) return { do: 'look' };
  if (steps.length === 0 && view.wanted && clusterEndedAt === undefined) return { do: 'submit' };
  if (token === undefined) return { do: 'fence' };
  return { do: 'end', end: clusterEndedAt === undefined ? over(view) : lost(view) };
}

/** The one that runs, else the one that was followed, else the first: of two the token decides. */
function follow(effect: EffectFacts, live: readonly ListedStep[]): EffectAction {
  const chosen = live.find(({ state }) => state === 'running') ?? live.find(({ id }) => id === effect.step) ?? live[0];
  if (chosen === undefined) return { do: 'look' };
  const state = chosen.state === 'pending' ? 'submitted' : 'running';
  const known = effect.step === chosen.id && (effect.state === state || effect.state === 'running');
  return known ? { do: 'look' } : { do: 'note', step: chosen.id, state };
}

function stop(live: readonly ListedStep[]): EffectAction {
  const open = live.filter(({ state }) => state !== 'cancelling').map(({ id }) => id);
  return open.length > 0 ? { do: 'cancel', steps: open } : { do: 'look' };
}

/** A token that names nobody is that of whoever completed. */
function holds(step: ListedStep, token: TokenHolder | undefined): boolean {
  return token !== undefined && (token.submission === undefined || token.submission === step.submission);
}

/** A job that no list shows has the token, so it runs or ran. */
function isElsewhere({ submission }: TokenHolder, steps: readonly ListedStep[]): boolean {
  return submission !== undefined && submission !== FENCE && !steps.some((step) => step.submission === submission);
}

function over(view: EffectView): EffectEnd {
  const { effect, listing, token } = view;
  const steps = listing?.steps ?? [];
  const last =
    steps.find((step) => token?.submission !== undefined && holds(step, token)) ?? steps.find(({ id }) => id === effect.step) ?? steps[0];
  const step = last?.id ?? effect.step;
  if (!view.wanted) return { state: 'cancelled', step };
  return { state: 'failed', step, why: last?.state === 'cancelled' ? 'cancelled' : 'step' };
}

function lost({ effect, listing, wanted }: EffectView): EffectEnd {
  const step = effect.step ?? listing?.steps[0]?.id ?? null;
  return wanted ? { state: 'failed', step, why: 'cluster' } : { state: 'cancelled', step };
}

/** What a ledger calls itself on clusters that it may share with others. Every name of a step or cluster of ours begins so. */
export function ledgerPrefix(ledger: string): string {
  return `almanac ${ledger} `;
}

/** EMR takes so much of a name. */
const NAME_LENGTH = 256;

/** The name of a round: the same for everyone who means it, unique by candidate and round, readable beyond. */
export function effectName(ledger: string, candidate: string, round: number, what: string): string {
  return `${ledgerPrefix(ledger)}${candidate} r${round} ${what}`.slice(0, NAME_LENGTH);
}
