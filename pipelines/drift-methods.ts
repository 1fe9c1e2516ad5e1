/** Ways to hold a value against those of earlier windows. Each says what it expected and how far off the value is. */
import { calendarKey, drift, DRIFT_FAIL, DRIFT_MIN_WINDOWS, DRIFT_WARN, type Drift, type DriftScale, type HistoricValue } from './drift';
import { TOLD_VALUES } from './quality/group-sql';
import { jensenShannon, psi } from './quality/partition';
import { valueText } from './quality/quality-text';
import { mergeStates, type FrequencyState, type MetricState } from './quality/states';
import { isInBand } from './band';
import type { Band, DriftSpec } from './types';

export interface Past extends HistoricValue {
  readonly rows: number;
  readonly state?: MetricState;
}

export interface Tested {
  readonly window: string;
  readonly value: number;
  readonly rows: number;
  readonly state: MetricState | undefined;
  readonly scale: DriftScale;
}

export interface DriftResult extends Drift {
  /** What the windows compared with are called. */
  readonly over: string;
  /** The comparison in words, for methods that expect no range. */
  readonly scored?: string;
}

/** At these z-scores noise alarms as rarely as a level does. */
const PROPORTION = { warn: 3.5, fail: 6 };
/** A share that moved by less than this is no finding, however many rows there are. */
const SMALLEST_CHANGE = 0.005;
/** Conventions of the population stability index. */
const PSI = { warn: 0.1, fail: 0.25 };
/** Of ln 2, which is two distributions that share nothing. */
const JS = { warn: 0.02, fail: 0.06 };
const RATE: Band = { min: 0.5, max: 2 };
const MOST_WINDOWS = 8;
const NOT_KEPT = `more than ${TOLD_VALUES} different values are not kept; \`histogram-binned\` with \`edges\` keeps numbers, however many`;

/** Judges by the declared method. The tested window and later ones count for nothing; without a declared `fail` it only warns. */
export function driftOf(spec: DriftSpec, tested: Tested, history: readonly Past[]): DriftResult {
  const earlier = history.filter(({ window, value }) => window < tested.window && Number.isFinite(value));
  const result = compare(spec, tested, earlier);
  return result.level === 'fail' && spec.fail === undefined ? { ...result, level: 'warn' } : result;
}

function compare(spec: DriftSpec, tested: Tested, earlier: readonly Past[]): DriftResult {
  switch (spec.method) {
    case 'level': {
      const result = drift(tested.window, tested.value, earlier, tested.scale);
      const over = calendarKey(tested.window);
      return result.score === undefined
        ? { ...result, over }
        : { ...result, over, level: levelOf(result.score, spec, { warn: DRIFT_WARN, fail: DRIFT_FAIL }) };
    }
    case 'rate':
      return rate(spec, tested, earlier);
    case 'proportion':
      return proportion(spec, tested, season(tested.window, earlier));
    case 'psi':
    case 'js':
      return distribution(spec, tested, season(tested.window, earlier));
  }
}

/** The last windows of the same calendar key. */
function season(window: string, earlier: readonly Past[]): Past[] {
  const key = calendarKey(window);
  const sorted = [...earlier].sort((a, b) => (a.window < b.window ? 1 : -1));
  return sorted.filter((past) => calendarKey(past.window) === key).slice(0, MOST_WINDOWS);
}

function levelOf(score: number, { warn, fail }: DriftSpec, defaults: { readonly warn: number; readonly fail: number }): Drift['level'] {
  if (score >= (typeof fail === 'number' ? fail : defaults.fail)) return 'fail';
  return score >= (typeof warn === 'number' ? warn : defaults.warn) ? 'warn' : 'normal';
}

/** The ratio to the newest earlier window. From 0 there is no ratio: 0 again is normal, anything else has no history. */
function rate({ warn, fail }: DriftSpec, { value }: Tested, earlier: readonly Past[]): DriftResult {
  const over = 'window';
  const [before] = [...earlier].sort((a, b) => (a.window < b.window ? 1 : -1));
  if (before === undefined) return { level: 'no-history', n: 0, over, scored: 'no earlier window is accepted that it could be a ratio of' };
  if (before.value === 0 && value !== 0)
    return { level: 'no-history', n: 1, over, scored: `it was 0 in ${before.window}, and no ratio leads from 0` };
  const ratio = before.value === 0 ? 1 : value / before.value;
  const expected = typeof warn === 'object' ? warn : RATE;
  const low = expected.min ?? expected.above ?? -Infinity;
  const high = expected.max ?? expected.below ?? Infinity;
  const level = typeof fail === 'object' && !isInBand(ratio, fail) ? 'fail' : isInBand(ratio, expected) ? 'normal' : 'warn';
  const scored = `it is ${valueText(ratio)} times what it was in ${before.window} (${valueText(before.value)})`;
  const bounds = {
    ...(Number.isFinite(low) ? { low: low * before.value } : {}),
    ...(Number.isFinite(high) ? { high: high * before.value } : {}),
  };
  return { level, n: 1, over, ...bounds, score: ratio, scored };
}

/** The test of two proportions, with the smallest change that matters beside it: many rows make every change significant. */
function proportion(spec: DriftSpec, { window, value, rows }: Tested, past: readonly Past[]): DriftResult {
  const over = calendarKey(window);
  const before = past.reduce((sum, { rows: n }) => sum + n, 0);
  if (past.length < DRIFT_MIN_WINDOWS || before === 0 || rows === 0) return { level: 'no-history', n: past.length, over };
  const share = past.reduce((sum, { value: one, rows: n }) => sum + one * n, 0) / before;
  const pooled = (share * before + value * rows) / (before + rows);
  // A share that was never off may be off in one row of all without alarm.
  const spread = Math.max(Math.sqrt(pooled * (1 - pooled) * (1 / before + 1 / rows)), between(past, share), 1 / (before + rows));
  const change = Math.abs(value - share);
  // A value that is no share has no spread, and so no score.
  const score = change < SMALLEST_CHANGE && !Number.isNaN(spread) ? 0 : change / spread;
  const reach = Math.max(SMALLEST_CHANGE, PROPORTION.warn * spread);
  return {
    level: levelOf(score, spec, PROPORTION),
    n: past.length,
    over,
    low: Math.max(0, share - reach),
    high: Math.min(1, share + reach),
    score,
  };
}

/** Windows differ among themselves by more than chance draws: their own spread counts too. */
function between(past: readonly Past[], share: number): number {
  return Math.sqrt(past.reduce((sum, { value }) => sum + (value - share) ** 2, 0) / (past.length - 1));
}

/** Values are anybody's: one may be named like a member that every object has. */
function countOf(counts: Readonly<Record<string, number>>, value: string): number {
  return Object.hasOwn(counts, value) ? (counts[value] ?? 0) : 0;
}

function distribution(spec: DriftSpec, { window, state }: Tested, past: readonly Past[]): DriftResult {
  const over = calendarKey(window);
  const states = past.flatMap((one) => (one.state?.kind === 'frequencies' ? [one.state] : []));
  const merged = mergeStates(states);
  const unknown = { level: 'no-history', n: states.length, over } as const;
  if (state?.kind !== 'frequencies')
    return { ...unknown, scored: `its distribution is not compared: this window left none, for ${NOT_KEPT}` };
  if (states.length < DRIFT_MIN_WINDOWS || merged?.kind !== 'frequencies') {
    // Without this a history that is there, and cannot be used, would be called too short.
    const without = past.length - states.length;
    if (without === 0) return unknown;
    const scored = `of the last ${past.length} ${over}s ${without} left no distribution, and it is compared with ${DRIFT_MIN_WINDOWS} or more: ${NOT_KEPT}`;
    return { ...unknown, scored };
  }
  const values = [...new Set([...Object.keys(state.counts), ...Object.keys(merged.counts)])];
  const counts = (of: FrequencyState): number[] => values.map((value) => countOf(of.counts, value));
  const shares = (all: readonly number[]): number[] => {
    const total = all.reduce((sum, n) => sum + n, 0);
    return all.map((n) => (total === 0 ? 0 : n / total));
  };
  const [now, then] = [counts(state), counts(merged)];
  const score = spec.method === 'psi' ? psi(now, then) : jensenShannon(shares(now), shares(then));
  const fresh = values.filter((_, i) => then[i] === 0);
  const gone = values.filter((_, i) => now[i] === 0);
  const listed = (names: readonly string[], word: string): string =>
    names.length === 0 ? '' : `, ${word}: ${names.slice(0, MOST_WINDOWS).join(', ')}`;
  const scored = `its distribution is ${score.toPrecision(2)} from that of the last ${states.length} ${over}s by ${spec.method}${listed(fresh, 'new')}${listed(gone, 'gone')}`;
  return { level: levelOf(score, spec, spec.method === 'psi' ? PSI : JS), n: states.length, over, score, scored };
}
