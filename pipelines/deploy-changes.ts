/** Pure: what a deploy changes. A run keeps the plan it was claimed with; what is new is for the runs after. */
import type { Plan } from './types';

export interface StageChange {
  readonly stage: string;
  readonly change: 'changed' | 'added' | 'removed';
}

/** Stages that compute otherwise under the newer plan: their hash covers texts, params, settings, schema and all they need. */
export function changedStages(older: Pick<Plan, 'stages'>, newer: Pick<Plan, 'stages'>): StageChange[] {
  const [before, after] = [older, newer].map(({ stages }) => new Map(stages.map(({ id, hash }) => [id, hash])));
  const changes: StageChange[] = [];
  for (const [stage, hash] of after ?? []) {
    const old = before?.get(stage);
    if (old === undefined) changes.push({ stage, change: 'added' });
    else if (old !== hash) changes.push({ stage, change: 'changed' });
  }
  for (const stage of before?.keys() ?? []) if (after?.has(stage) !== true) changes.push({ stage, change: 'removed' });
  return changes.sort((a, b) => (a.stage < b.stage ? -1 : a.stage > b.stage ? 1 : 0));
}
