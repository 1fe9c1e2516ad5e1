/** What a backfill will take, from the history of its stages. */
import { layers } from './graph';
import type { BackfillPlan } from './backfill-plan';
import type { Plan } from './types';

/** Medians over the attempts of a stage that succeeded. */
export interface StageHistory {
  readonly seconds: number;
  readonly bytes: number;
}

export interface BackfillEstimate {
  /** Wall-clock minutes at the given width; null when stages run and none of them has a history. */
  readonly minutes: number | null;
  /** Bytes written; null likewise. */
  readonly bytes: number | null;
  /** Stages that run and never succeeded before: the estimate leaves them out. */
  readonly noHistory: readonly string[];
}

export function estimateBackfill(
  plan: Pick<Plan, 'stages'>,
  windows: BackfillPlan['windows'],
  history: Readonly<Record<string, StageHistory>>,
  concurrency: number,
): BackfillEstimate {
  const running = new Set(windows.flatMap(({ stages }) => stages.map(({ stage }) => stage)));
  const noHistory = plan.stages.map(({ id }) => id).filter((id) => running.has(id) && history[id] === undefined);
  if (running.size > 0 && running.size === noHistory.length) return { minutes: null, bytes: null, noHistory };
  let seconds = 0;
  let bytes = 0;
  for (const { stages } of windows) {
    const runs = new Set(stages.map(({ stage }) => stage));
    seconds += criticalPath(plan, runs, history);
    for (const id of runs) bytes += history[id]?.bytes ?? 0;
  }
  return { minutes: seconds / 60 / Math.max(1, Math.min(concurrency, windows.length)), bytes, noHistory };
}

/** Seconds of the longest way through the stages that run. */
function criticalPath(plan: Pick<Plan, 'stages'>, runs: ReadonlySet<string>, history: Readonly<Record<string, StageHistory>>): number {
  const needs = new Map(plan.stages.map((stage) => [stage.id, stage.needs]));
  const ends = new Map<string, number>();
  for (const id of layers(plan.stages).flat()) {
    const start = Math.max(0, ...(needs.get(id) ?? []).map((need) => ends.get(need) ?? 0));
    ends.set(id, start + (runs.has(id) ? (history[id]?.seconds ?? 0) : 0));
  }
  return Math.max(0, ...ends.values());
}
