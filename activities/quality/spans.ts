/** Metrics over many windows, from the states that each window left: nothing is scanned again. */
import { previousKey } from '../../pipelines/window';
import { TOLD_VALUES } from '../../pipelines/quality/group-sql';
import { isQualityMetric } from '../../pipelines/quality/metrics';
import { valueOf } from '../../pipelines/quality/state-values';
import { mergeStates } from '../../pipelines/quality/states';
import { baseOf, type Measurement } from '../../pipelines/suite-sql';
import type { CheckDeclaration, Metric, Plan, RunRef } from '../../pipelines/types';
import type { Unmeasured } from '../../pipelines/verdict';
import type { Queryable } from '../../lib/postgres';
import { readStates } from './history';

export interface Span {
  readonly measured: Measurement | Unmeasured;
  /** How many windows it is of, and how many it is over. */
  readonly windows: number;
  readonly over: number;
}

/** How many windows a metric is over; undefined for one of its own window only. */
export function spanOf(measure: Metric): number | undefined {
  return 'over' in measure ? measure.over : undefined;
}

/** What merging needs of a run. */
export interface SpanContext {
  readonly database: Queryable;
  readonly run: RunRef;
  readonly plan: Pick<Plan, 'window'>;
}

/** Merges a window's measurement with those of the accepted windows before it. A window that left no state is missing only if it was not run. */
export async function mergeSpan(
  { database, run, plan }: SpanContext,
  check: CheckDeclaration,
  own: Measurement | Unmeasured,
  over: number,
): Promise<Span> {
  if (!('value' in own)) return { measured: own, windows: 0, over };
  const base = baseOf(check.measure);
  if (own.state === undefined || !isQualityMetric(base)) return unmerged(`this window ${LEFT_NONE}`, over);
  let first = run.window;
  for (let i = 1; i < over; i++) first = previousKey(plan.window, first);
  const earlier = await readStates(database, run, { dataset: check.dataset, measure: base }, first);
  const without = earlier.filter(({ state }) => state === null).map(({ window }) => window);
  if (without.length > 0) return unmerged(`${without.join(', ')} ${LEFT_NONE}`, over);
  const merged = mergeStates([own.state, ...earlier.flatMap(({ state }) => state ?? [])]);
  const value = merged === undefined ? undefined : valueOf(base, merged);
  if (merged === undefined || value === undefined) return unmerged('the states of the windows do not merge', over);
  const rows = own.rows + earlier.reduce((sum, past) => sum + past.rows, 0);
  return { measured: { value, rows, sample: own.sample, state: merged }, windows: earlier.length + 1, over };
}

const LEFT_NONE = `left nothing to merge: more than ${TOLD_VALUES} different values are not kept; approx-count-distinct and approx-quantile merge whatever there is`;

function unmerged(reason: string, over: number): Span {
  return { measured: { reason }, windows: 0, over };
}
