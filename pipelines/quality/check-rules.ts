/** What is wrong with a check by itself, whatever its dataset: contradictions a compiler does not see. */
import type { Band, CheckDeclaration, Metric } from '../types';
import { baseOf } from '../suite-sql';
import { failBand } from '../verdict';
import { formatProblem } from './date-formats';
import { isRowMetric } from './metrics';
import { distanceProblem } from './partition';

/** Metrics whose states merge, so that they can be taken over many windows. */
const MERGED = new Set([
  'size',
  'zeros-count',
  'minimum',
  'maximum',
  'range',
  'mean',
  'sum',
  'variance',
  'standard-deviation',
  'sample-standard-deviation',
  'skewness',
  'kurtosis',
  'min-length',
  'max-length',
  'ratio-of-sums',
  'correlation',
  'approx-count-distinct',
  'approx-quantile',
  'count-distinct',
  'uniqueness',
  'distinctness',
  'unique-value-ratio',
  'duplicate-row-count',
  'entropy',
  'histogram',
]);
const MOST_WINDOWS = 400;

/** Metrics that leave the rows by value, which `psi` and `js` compare. */
const DISTRIBUTED = new Set([
  'histogram',
  'count-distinct',
  'uniqueness',
  'distinctness',
  'unique-value-ratio',
  'duplicate-row-count',
  'entropy',
  'distinct-values',
  'most-common',
]);

/** One sentence a problem; none when the check can be judged. */
export function declarationProblems(check: CheckDeclaration): string[] {
  const { fail, warn, mostly, drift, measure } = check;
  const problems = [...bandProblems('fail', fail), ...(warn === 'drift' ? [] : bandProblems('warn', warn))];
  if (mostly !== undefined) {
    if (!(mostly >= 0 && mostly <= 1)) problems.push(`\`mostly\` is a share from 0 to 1, not ${String(mostly)}`);
    if (fail !== undefined && check.onFail !== 'quarantine') problems.push('`mostly` is a `fail` band of its own; declare one of them');
    if (!isRowMetric(measure)) problems.push(`\`mostly\` is for shares of rows, and ${measure.metric} is none`);
  }
  if (warn === 'drift' && drift !== undefined) problems.push("`warn: 'drift'` and `drift` say the same; declare one of them");
  if (drift?.fail !== undefined && fail === undefined && mostly === undefined) {
    problems.push('drift that may fail needs a `fail` band too: it is what holds while there is no history');
  }
  if ((drift?.method === 'psi' || drift?.method === 'js') && !isDistributed(measure))
    problems.push(
      `\`${drift.method}\` compares distributions by value, and ${measure.metric} keeps none; take histogram, or histogram-binned with \`edges\``,
    );
  return [
    ...problems,
    ...putAsideProblems(check),
    ...measureProblems(measure),
    ...unholdable(measure, 'measure'),
    ...unholdable(drift, 'drift'),
  ];
}

function isDistributed(measure: Metric): boolean {
  if (measure.metric === 'histogram-binned') return measure.edges !== undefined;
  if (measure.metric === 'distribution-distance') return 'values' in measure.expected;
  return DISTRIBUTED.has(measure.metric);
}

/** Numbers that JSON has not: a plan, which is hashed as text, cannot hold them. */
function unholdable(value: unknown, place: string): string[] {
  if (typeof value === 'number' && !Number.isFinite(value))
    return [`${place} is ${value}, which no plan can hold: a bound that is left out is open, and so is an outer edge that is null`];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, member]) => unholdable(member, `${place}.${name}`));
}

/** What is put aside must be rows, and it must be said how many of them a window can do without. */
function putAsideProblems(check: CheckDeclaration): string[] {
  if (check.onFail !== 'quarantine') return [];
  // Declarations are not always compiled against their types.
  const measure: Metric = check.measure;
  if (!isRowMetric(measure) && !COUNTED_ROWS.has(measure.metric))
    return [`only rows go to quarantine, and ${measure.metric} says nothing of any one row`];
  if ('over' in measure && measure.over !== undefined) return ['rows go to quarantine window by window; leave `over` out'];
  const limit = failBand(check);
  const none = limit === undefined || (isRowMetric(measure) ? (limit.min ?? 0) >= 1 : (limit.max ?? Infinity) <= 0);
  if (!none) return [];
  return [
    isRowMetric(measure)
      ? 'rows go to quarantine up to a limit: say with `mostly` which share of them must be right, such as 0.99, or 0 for none'
      : "rows go to quarantine up to a limit: say with `fail: { max }` how many of them, or with `as: 'ratio'` which share",
  ];
}

const COUNTED_ROWS = new Set<string>(['null-count', 'rows-where', 'missing-references']);

function bandProblems(name: string, band: Band | undefined): string[] {
  if (band === undefined) return [];
  const bounds = [band.min, band.max, band.above, band.below].filter((bound) => bound !== undefined);
  if (bounds.length === 0) return [`\`${name}\` bounds nothing: give \`min\`, \`max\`, \`above\` or \`below\``];
  if (bounds.some((bound) => typeof bound !== 'number' || !Number.isFinite(bound)))
    return [`the bounds of \`${name}\` must be finite numbers; a side that is left out is open`];
  const low = Math.max(band.min ?? -Infinity, band.above ?? -Infinity);
  const high = Math.min(band.max ?? Infinity, band.below ?? Infinity);
  return low > high ? [`\`${name}\` holds nothing: its lower bound ${low} is greater than its upper bound ${high}`] : [];
}

function measureProblems(measure: Metric): string[] {
  const problems: string[] = [];
  if ('over' in measure && measure.over !== undefined) {
    if (!Number.isInteger(measure.over) || measure.over < 2 || measure.over > MOST_WINDOWS)
      problems.push(`\`over\` is a number of windows from 2 to ${MOST_WINDOWS}, not ${String(measure.over)}`);
    if (!MERGED.has(measure.metric) && !(isRowMetric(measure) && measure.metric !== 'increasing' && measure.metric !== 'decreasing'))
      problems.push(`${measure.metric} cannot be merged over windows; measure it of each`);
  }
  if ('quantile' in measure && !(measure.quantile >= 0 && measure.quantile <= 1))
    problems.push(`a quantile lies between 0 and 1, not at ${measure.quantile}`);
  const base = baseOf(measure);
  if (base.metric === 'pattern-match' && base.patterns.length === 0) problems.push('there is no pattern to match');
  if (base.metric === 'parseable' && base.format !== undefined) {
    const problem =
      base.as === 'date' || base.as === 'timestamp' ? formatProblem(base.format) : `a format is of dates, and ${base.as} is none`;
    if (problem !== undefined) problems.push(problem);
  }
  if (base.metric === 'contained-in' && !Array.isArray(base.values)) problems.push('`values` is a list');
  if (base.metric === 'length-within' && base.min === undefined && base.max === undefined)
    problems.push('a length needs a bound, `min` or `max`');
  if (base.metric === 'length-within' && [base.min, base.max].some((bound) => bound !== undefined && !Number.isInteger(bound)))
    problems.push('a length is a whole number');
  if (base.metric === 'within' && [base.min, base.max, base.above, base.below].every((bound) => bound === undefined))
    problems.push('a range needs a bound: `min`, `max`, `above` or `below`');
  if (base.metric === 'distribution-distance') problems.push(...[distanceProblem(base)].filter((problem) => problem !== undefined));
  if (base.metric === 'within' && emptyRange(base.min ?? base.above, base.max ?? base.below))
    problems.push('the range holds nothing: its lower bound is greater than its upper bound');
  return problems;
}

function emptyRange(low: number | string | undefined, high: number | string | undefined): boolean {
  return low !== undefined && high !== undefined && typeof low === typeof high && low > high;
}
