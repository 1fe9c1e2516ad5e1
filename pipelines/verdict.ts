/**
 * Verdicts: what a measured value means. A metric is a fact about a version; the verdict is an opinion about it, with
 * everything a person needs to check the opinion: the number, the band, the method and the windows it rests on.
 */
import { isInBand } from './band';
import { driftOf } from './drift-methods';
import { DRIFT_MIN_WINDOWS, type DriftScale, type HistoricValue } from './drift';
import { isRowMetric } from './quality/metrics';
import { valueText } from './quality/quality-text';
import type { MetricState } from './quality/states';
import { countText, describeMetric, metricText, percentText } from './metric-text';
import type { Band, CheckDeclaration, CheckStatus, GateSummary } from './types';

/** From best to worst. */
const LATTICE = ['PASS', 'NO_HISTORY', 'WARN', 'FAIL', 'ERROR'] as const satisfies readonly CheckStatus[];

/** The metric could not be computed; `reason` is the engine's or the store's word. */
export interface Unmeasured {
  readonly reason: string;
}

/** Accepted values of the same metric on the same branch, beside the window that is judged. */
export interface Baseline {
  readonly window: string;
  readonly accepted: readonly (HistoricValue & { readonly rows: number; readonly state?: MetricState })[];
  /** Why the window is like no other, when somebody put it on record: a holiday, a known incident. */
  readonly excluded?: string;
}

export interface Verdict {
  readonly status: CheckStatus;
  /** The value the bands were applied to: the count, or the ratio; null when there is none. */
  readonly observed: number | null;
  /** Bounds of the band that decided; null where it is open. */
  readonly low: number | null;
  readonly high: number | null;
  /** How it was judged: against a declared band, against history, or not at all. */
  readonly method: 'band' | 'drift' | 'rate' | 'proportion' | 'psi' | 'js' | 'none';
  /** Earlier windows a drift verdict rests on. */
  readonly n: number | null;
  readonly score: number | null;
  readonly message: string;
  /** Somebody let the run go on all the same. */
  readonly overridden?: Overruled;
}

/** Who lets a failing check pass, until when and why. */
export interface Overruled {
  readonly who: string;
  /** ISO instant; at it the override is over. */
  readonly until: string;
  readonly reason: string;
}

/** The worst of some statuses; PASS when there are none. */
export function worst(statuses: readonly CheckStatus[]): CheckStatus {
  return LATTICE[Math.max(0, ...statuses.map((status) => LATTICE.indexOf(status)))] ?? 'ERROR';
}

/** Whether a status holds the run before anything is accepted. */
export function blocks(status: CheckStatus): boolean {
  return status === 'FAIL' || status === 'ERROR';
}

/**
 * The verdict under the overrides of its check: one that blocks says who lets it pass, and keeps its status. Of several overrides
 * the one that lasts longest counts; one that is over at `now` counts no more, and nothing is overridden that does not block.
 */
export function overrule(verdict: Verdict, overrides: readonly Overruled[], now: Date): Verdict {
  if (!blocks(verdict.status)) return verdict;
  const [longest] = overrides
    .filter(({ until }) => Date.parse(until) > now.getTime())
    .sort((a, b) => Date.parse(b.until) - Date.parse(a.until));
  return longest === undefined ? verdict : { ...verdict, overridden: longest };
}

/** Whether a verdict holds the run: it blocks, and nobody overrode it. */
export function holds({ status, overridden }: { readonly status: CheckStatus; readonly overridden?: Overruled | null }): boolean {
  return blocks(status) && (overridden ?? null) === null;
}

/** What a gate says as a whole. A check that is overridden is as bad as a warning: the run goes on and somebody should look. */
export function summarize(verdicts: readonly (Pick<Verdict, 'status' | 'overridden'> & { readonly check: string })[]): GateSummary {
  const overridden = verdicts.filter((verdict) => verdict.overridden !== undefined).map(({ check }) => check);
  return {
    status: worst(verdicts.map((verdict) => (verdict.overridden === undefined ? verdict.status : 'WARN'))),
    checks: verdicts.length,
    warned: verdicts.filter(({ status }) => status === 'WARN').map(({ check }) => check),
    failed: verdicts.filter(holds).map(({ check }) => check),
    ...(overridden.length === 0 ? {} : { overridden }),
  };
}

/**
 * Judges one measured value. `rows` are the dataset's; what is not a finite number is an ERROR, never a pass. `state`: what the value
 * was made of, for drift of a distribution.
 */
export function judge(
  check: CheckDeclaration,
  observed: number | Unmeasured,
  rows: number,
  baseline: Baseline,
  state?: MetricState,
): Verdict {
  if (typeof observed !== 'number') return error(check, observed.reason);
  const value = scaled(check, observed, rows);
  if (!Number.isFinite(value)) return error(check, `the measured value is ${value}`);
  const found = `${check.id}: ${describeMetric(check, observed, rows)}`;
  const verdict = judged(check, value, rows, baseline, found, state);
  if (check.onFail !== 'warn' || verdict.status !== 'FAIL') return verdict;
  return { ...verdict, status: 'WARN' };
}

function judged(
  check: CheckDeclaration,
  value: number,
  rows: number,
  baseline: Baseline,
  found: string,
  state: MetricState | undefined,
): Verdict {
  const fail = failBand(check);
  if (fail !== undefined && breaches(value, fail)) return banded(check, 'FAIL', value, fail, found);
  if (check.warn === 'drift' || check.drift !== undefined) {
    const verdict = drifted(check, value, rows, baseline, found, state);
    const calm = verdict.status === 'PASS' || verdict.status === 'NO_HISTORY';
    if (!calm || check.warn === 'drift' || check.warn === undefined) return verdict;
    return breaches(value, check.warn) ? banded(check, 'WARN', value, check.warn, found) : verdict;
  }
  if (check.warn !== undefined && breaches(value, check.warn)) return banded(check, 'WARN', value, check.warn, found);
  return banded(check, 'PASS', value, check.warn ?? fail, found);
}

/** The band whose breach fails the check; `mostly` is one from it on. */
export function failBand({ fail, mostly }: CheckDeclaration): Band | undefined {
  return mostly === undefined ? fail : { ...fail, min: mostly };
}

/** The number the bands of a check apply to. 0 rows give a ratio of 0: nothing is wrong with no row. */
function scaled(check: CheckDeclaration, value: number, rows: number): number {
  if (check.as !== 'ratio' || check.measure.metric === 'quarantine-ratio') return value;
  return rows === 0 ? 0 : value / rows;
}

function breaches(value: number, band: Band): boolean {
  return !isInBand(value, band);
}

function error(check: CheckDeclaration, reason: string): Verdict {
  const message = `${check.id}: ${metricText(check.measure)} of ${check.dataset} could not be measured, which blocks as a failure does: ${reason}`;
  return { status: 'ERROR', observed: null, low: null, high: null, method: 'none', n: null, score: null, message };
}

function banded(check: CheckDeclaration, status: CheckStatus, observed: number, band: Band | undefined, found: string): Verdict {
  const judged = { status, observed, low: band?.min ?? band?.above ?? null, high: band?.max ?? band?.below ?? null, n: null, score: null };
  if (band === undefined) return { ...judged, method: 'none', message: `${found}; no band is declared.` };
  const allowed = `${status === 'WARN' ? 'expected' : 'allowed'}: ${bandText(check, band)}`;
  return { ...judged, method: 'band', message: sentence(check, status, `${found}; ${allowed}`) };
}

function drifted(
  check: CheckDeclaration,
  observed: number,
  rows: number,
  baseline: Baseline,
  found: string,
  state: MetricState | undefined,
): Verdict {
  const history = baseline.accepted.map((past) => ({ ...past, value: scaled(check, past.value, past.rows) }));
  const spec = check.drift ?? { method: 'level' };
  const method = spec.method === 'level' ? 'drift' : spec.method;
  if (baseline.excluded !== undefined) {
    const message = sentence(check, 'NO_HISTORY', `${found}; drift is not judged of this window: ${baseline.excluded}`);
    return { status: 'NO_HISTORY', observed, low: null, high: null, method, n: 0, score: null, message };
  }
  const result = driftOf(
    spec,
    { window: baseline.window, value: observed, rows, state, scale: scaleOf(check, [observed, ...history.map(({ value }) => value)]) },
    history,
  );
  if (result.score !== undefined && Number.isNaN(result.score)) {
    return error(check, `${method} has no score for ${observed} beside ${result.n} earlier windows; it is not for values of this kind`);
  }
  const status = ({ 'no-history': 'NO_HISTORY', 'normal': 'PASS', 'warn': 'WARN', 'fail': 'FAIL' } as const)[result.level];
  return {
    status,
    observed,
    low: result.low ?? null,
    high: result.high ?? null,
    method,
    n: result.n,
    score: result.score ?? null,
    message: sentence(check, status, `${found}; ${driftText(check, result)}`),
  };
}

function driftText(check: CheckDeclaration, { n, low, high, score, over, scored }: ReturnType<typeof driftOf>): string {
  if (scored !== undefined) return scored;
  if (score === undefined) {
    return `only ${n} earlier ${over}${n === 1 ? ' is' : 's are'} accepted, and drift is judged from ${DRIFT_MIN_WINDOWS} on`;
  }
  return `the last ${n} ${over}s lead one to expect ${bandText(check, { min: low, max: high })} (score ${score.toPrecision(2)})`;
}

/** The reason is given where somebody has to act on it; it would be untrue of a check that passes. */
function sentence(check: CheckDeclaration, status: CheckStatus, text: string): string {
  return status === 'WARN' || status === 'FAIL' ? `${text}. ${check.why}` : `${text}.`;
}

function bandText(check: CheckDeclaration, { min, max, above, below }: OpenBand): string {
  const scale = scaleOf(check, []);
  const text = scale === 'ratio' ? percentText : scale === 'value' ? valueText : countText;
  const parts = [
    ...(above === undefined ? [] : [`more than ${text(above)}`]),
    ...(below === undefined ? [] : [`less than ${text(below)}`]),
  ];
  if (min !== undefined && max !== undefined) parts.unshift(`${text(min)} to ${text(max)}`);
  else if (min !== undefined) parts.unshift(`at least ${text(min)}`);
  else if (max !== undefined) parts.unshift(`at most ${text(max)}`);
  return parts.length === 0 ? 'anything' : parts.join(' and ');
}

type OpenBand = { readonly [B in keyof Band]?: Band[B] | undefined };

/** Metrics that are counts, whose changes are judged by their ratio. */
const COUNTS = new Set([
  'rows',
  'null-count',
  'duplicate-keys',
  'rows-where',
  'missing-references',
  'size',
  'zeros-count',
  'count-distinct',
  'approx-count-distinct',
  'duplicate-row-count',
  'primary-key',
  'unexpected-rows',
]);

/** `values`: what is compared; sums are judged as counts are while none is negative. */
function scaleOf({ as, measure }: CheckDeclaration, values: readonly number[]): DriftScale {
  if (as === 'ratio' || measure.metric === 'quarantine-ratio') return 'ratio';
  if (COUNTS.has(measure.metric)) return 'count';
  if (measure.metric === 'sum' && values.length > 0 && values.every((value) => value >= 0)) return 'count';
  return isRowMetric(measure) || SHARES.has(measure.metric) ? 'ratio' : 'value';
}

const SHARES = new Set(['uniqueness', 'distinctness', 'unique-value-ratio', 'referential-integrity', 'data-set-match']);
