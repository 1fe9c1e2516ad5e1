/** Pure: which stages a retry runs again, and why. */
import { downstream } from './graph';
import type { Plan } from './types';

export interface RetryQuestion {
  /** The plan the retry goes on with: the run's own, or the latest. */
  readonly plan: Plan;
  /** Stage → hash its standing output was made under. */
  readonly standing: Readonly<Record<string, string>>;
  /** The stage the operator named; undefined retries whatever is not done. */
  readonly stage: string | undefined;
  /** Stages whose landing files, references or pinned predecessor differ now. */
  readonly changedInputs: readonly string[];
  /** `all` also runs finished stages below the named one. */
  readonly downstream: 'incomplete' | 'all';
}

export interface RetryPlan {
  /** Stages to run again or for the first time, in plan order. */
  readonly reset: readonly string[];
  /** Stages whose outputs stand. */
  readonly kept: readonly string[];
  readonly reasons: Readonly<Record<string, 'asked' | 'not done' | 'input changed' | 'code changed' | 'below'>>;
}

export function planRetry(question: RetryQuestion): RetryPlan {
  const { plan, standing } = question;
  const reasons: Record<string, RetryPlan['reasons'][string]> = {};
  const mark = (id: string, reason: RetryPlan['reasons'][string], below: boolean): void => {
    reasons[id] ??= reason;
    if (!below) return;
    for (const lower of downstream(plan.stages, id)) reasons[lower] ??= 'below';
  };
  if (question.stage !== undefined && plan.stages.some(({ id }) => id === question.stage)) {
    // A finished stage that is run again makes what was built on it old, whatever `downstream` says.
    mark(question.stage, 'asked', question.downstream === 'all' || question.stage in standing);
  }
  for (const id of question.changedInputs) mark(id, 'input changed', true);
  for (const { id, hash } of plan.stages) {
    if (id in standing && standing[id] !== hash) mark(id, 'code changed', true);
    // What stands below a stage that is not done was built on an output that is being replaced.
    if (!(id in standing)) mark(id, 'not done', true);
  }
  const ids = plan.stages.map(({ id }) => id);
  return { reset: ids.filter((id) => id in reasons), kept: ids.filter((id) => !(id in reasons)), reasons };
}
