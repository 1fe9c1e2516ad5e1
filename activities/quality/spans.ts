/** Metrics over many windows, from the states that each window left: nothing is scanned again. */
import { previousKey } from '../../pipelines/window';
import { isQualityMetric, type QualityMetric } from '../../pipelines/quality/metrics';
import { valueOf } from '../../pipelines/quality/state-values';
import { mergeStates, type MetricState } from '../../pipelines/quality/states';
import { baseOf, type Measurement } from '../../pipelines/suite-sql';
import type { CheckDeclaration, Metric } from '../../pipelines/types';
import type { Unmeasured } from '../../pipelines/verdict';
import type { StageContext } from '../stage';
import { paramsHash } from './history';

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

/** Merges a window's measurement with those of the accepted windows before it. Windows that left no state are missing, not zero. */
export async function mergeSpan(
  context: StageContext,
  check: CheckDeclaration,
  own: Measurement | Unmeasured,
  over: number,
): Promise<Span> {
  if (!('value' in own)) return { measured: own, windows: 0, over };
  const base = baseOf(check.measure);
  if (own.state === undefined || !isQualityMetric(base))
    return { measured: { reason: 'this window has too many different values to keep them for a longer span' }, windows: 0, over };
  const earlier = await readStates(context, check.dataset, base, over);
  const merged = mergeStates([own.state, ...earlier.map(({ state }) => state)]);
  const value = merged === undefined ? undefined : valueOf(base, merged);
  if (merged === undefined || value === undefined)
    return { measured: { reason: 'the states of the windows do not merge' }, windows: 0, over };
  const rows = own.rows + earlier.reduce((sum, past) => sum + past.rows, 0);
  return { measured: { value, rows, sample: own.sample, state: merged }, windows: earlier.length + 1, over };
}

interface PastState {
  readonly state: MetricState;
  readonly rows: number;
}

async function readStates({ database, run, plan }: StageContext, dataset: string, base: QualityMetric, over: number): Promise<PastState[]> {
  let first = run.window;
  for (let i = 1; i < over; i++) first = previousKey(plan.window, first);
  const { rows } = await database.query<PastState>(
    `select distinct on (window_key) state, row_count::float8 as rows from almanac.check_metric
     where pipeline = $1 and branch = $2 and dataset = $3 and metric = $4 and params_hash = $5 and window_key >= $6 and window_key < $7
       and accepted and state is not null
     order by window_key, measured_at desc`,
    [run.pipeline, run.branch, dataset, base.metric, paramsHash(base), first, run.window],
  );
  return rows;
}
