/** Pure: which stages a retry runs again, and why. */
import type { StageStatus } from './frontier';
import { downstream } from './graph';
import type { Plan } from './types';

export interface RetryQuestion {
  /** The plan the retry goes on with: the run's own, or the latest. */
  readonly plan: Plan;
  /** Stage → hash its standing output was made under. */
  readonly standing: Readonly<Record<string, string>>;
  /** The stages the operator named; none retries whatever is not done. */
  readonly stages: readonly string[];
  /** Stages whose landing files, references or pinned predecessor differ now. */
  readonly changedInputs: readonly string[];
  /** `all` also runs finished stages below the named ones. */
  readonly downstream: 'incomplete' | 'all';
  /** How far an open run is; a closed one has no stage that could stay held. */
  readonly progress?: Readonly<Record<string, StageStatus>>;
}

export interface RetryPlan {
  /** Stages that run, at once or when those above them are done, in plan order. */
  readonly reset: readonly string[];
  /** Stages that run again only when one that stays held is done. */
  readonly waits: readonly string[];
  /** Stages that failed and wait for a verb of their own. */
  readonly held: readonly string[];
  /** Stages whose outputs stand. */
  readonly kept: readonly string[];
  /** Why, of those that run and those that wait. */
  readonly reasons: Readonly<Record<string, 'asked' | 'not done' | 'input changed' | 'code changed' | 'below'>>;
}

export function planRetry(question: RetryQuestion): RetryPlan {
  const { plan, progress } = question;
  const reasons = reasonsOf(question);
  const ids = plan.stages.map(({ id }) => id);
  // Another stage that failed waits for a verb of its own, unless what it was given differs now.
  const held = ids.filter((id) => progress?.[id] === 'failed' && reasons[id] === 'not done');
  const blocked = new Set(held.flatMap((id) => [id, ...downstream(plan.stages, id)]));
  return {
    reset: ids.filter((id) => id in reasons && !blocked.has(id)),
    waits: ids.filter((id) => id in reasons && blocked.has(id) && !held.includes(id)),
    held,
    kept: ids.filter((id) => !(id in reasons)),
    reasons: Object.fromEntries(Object.entries(reasons).filter(([id]) => !held.includes(id))),
  };
}

function reasonsOf({
  plan,
  standing,
  stages,
  changedInputs,
  downstream: below,
}: RetryQuestion): Record<string, RetryPlan['reasons'][string]> {
  const reasons: Record<string, RetryPlan['reasons'][string]> = {};
  const mark = (id: string, reason: RetryPlan['reasons'][string], withBelow: boolean): void => {
    reasons[id] ??= reason;
    if (!withBelow) return;
    for (const lower of downstream(plan.stages, id)) reasons[lower] ??= 'below';
  };
  const named = stages.filter((id) => plan.stages.some((stage) => stage.id === id));
  for (const id of named) reasons[id] = 'asked';
  // A finished stage that is run again makes what was built on it old, whatever `downstream` says.
  for (const id of named) mark(id, 'asked', below === 'all' || id in standing);
  for (const id of changedInputs) mark(id, 'input changed', true);
  for (const { id, hash } of plan.stages) {
    if (id in standing && standing[id] !== hash) mark(id, 'code changed', true);
    // What stands below a stage that is not done was built on an output that is being replaced.
    if (!(id in standing)) mark(id, 'not done', true);
  }
  return reasons;
}
