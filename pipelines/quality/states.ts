/**
 * States: what is kept of a window's metric so that longer spans need no second look at its rows. States of one kind merge,
 * in any order, into the state of all their rows together.
 */
export type MetricState = CountState | MomentState | PairState | ExtremeState | FrequencyState | HllState | QuantileState | SumsState;

/** Rows that hold, of rows that count. */
export interface CountState {
  readonly kind: 'count';
  readonly holds: number;
  readonly rows: number;
}
/** Count, mean and as many central moments as were asked for (sums of powers of the distances from the mean). */
export interface MomentState {
  readonly kind: 'moments';
  readonly n: number;
  readonly sum: number;
  readonly mean: number;
  readonly m2?: number;
  readonly m3?: number;
  readonly m4?: number;
}
export interface PairState {
  readonly kind: 'pair';
  readonly n: number;
  readonly meanX: number;
  readonly meanY: number;
  readonly xx: number;
  readonly yy: number;
  readonly xy: number;
}
export interface ExtremeState {
  readonly kind: 'extremes';
  readonly min: number;
  readonly max: number;
}
/** Weight by value; `rows` are all rows that count. */
export interface FrequencyState {
  readonly kind: 'frequencies';
  readonly counts: Readonly<Record<string, number>>;
  readonly rows: number;
}
/** One character a register, counted from `0` on: the longest run of leading zeros plus one. */
export interface HllState {
  readonly kind: 'hll';
  readonly registers: string;
}
/** Logarithmic bins: index, count, smallest and largest value in it. */
export interface QuantileState {
  readonly kind: 'quantiles';
  readonly bins: readonly (readonly [number, number, number, number])[];
}
export interface SumsState {
  readonly kind: 'sums';
  readonly numerator: number;
  readonly denominator: number;
}

/** The state of all rows together; undefined when there is nothing to merge or the kinds differ. */
export function mergeStates(states: readonly MetricState[]): MetricState | undefined {
  const [first, ...rest] = states;
  let merged = first;
  for (const state of rest) merged = merged === undefined ? undefined : merge(merged, state);
  return merged;
}

function merge(a: MetricState, b: MetricState): MetricState | undefined {
  if (a.kind === 'count' && b.kind === 'count') return { kind: 'count', holds: a.holds + b.holds, rows: a.rows + b.rows };
  if (a.kind === 'sums' && b.kind === 'sums')
    return { kind: 'sums', numerator: a.numerator + b.numerator, denominator: a.denominator + b.denominator };
  if (a.kind === 'extremes' && b.kind === 'extremes') return { kind: 'extremes', min: Math.min(a.min, b.min), max: Math.max(a.max, b.max) };
  if (a.kind === 'moments' && b.kind === 'moments') return mergeMoments(a, b);
  if (a.kind === 'pair' && b.kind === 'pair') return mergePairs(a, b);
  if (a.kind === 'frequencies' && b.kind === 'frequencies') return mergeFrequencies(a, b);
  if (a.kind === 'hll' && b.kind === 'hll') return mergeRegisters(a, b);
  if (a.kind === 'quantiles' && b.kind === 'quantiles') return mergeBins(a, b);
  return undefined;
}

/** Pairwise, after Chan, Golub and LeVeque, with Pébay's third and fourth moment; what one lacks the result lacks. */
function mergeMoments(a: MomentState, b: MomentState): MomentState {
  if (a.n === 0) return b;
  if (b.n === 0) return a;
  const n = a.n + b.n;
  const delta = b.mean - a.mean;
  const share = (a.n * b.n) / n;
  const base: MomentState = { kind: 'moments', n, sum: a.sum + b.sum, mean: a.mean + (delta * b.n) / n };
  if (a.m2 === undefined || b.m2 === undefined) return base;
  const second = { ...base, m2: a.m2 + b.m2 + delta ** 2 * share };
  if (a.m3 === undefined || b.m3 === undefined) return second;
  const m3 = a.m3 + b.m3 + (delta ** 3 * share * (a.n - b.n)) / n + (3 * delta * (a.n * b.m2 - b.n * a.m2)) / n;
  if (a.m4 === undefined || b.m4 === undefined) return { ...second, m3 };
  const m4 =
    a.m4 +
    b.m4 +
    (delta ** 4 * share * (a.n ** 2 - a.n * b.n + b.n ** 2)) / n ** 2 +
    (6 * delta ** 2 * (a.n ** 2 * b.m2 + b.n ** 2 * a.m2)) / n ** 2 +
    (4 * delta * (a.n * b.m3 - b.n * a.m3)) / n;
  return { ...second, m3, m4 };
}

function mergePairs(a: PairState, b: PairState): PairState {
  if (a.n === 0) return b;
  if (b.n === 0) return a;
  const n = a.n + b.n;
  const dx = b.meanX - a.meanX;
  const dy = b.meanY - a.meanY;
  const share = (a.n * b.n) / n;
  return {
    kind: 'pair',
    n,
    meanX: a.meanX + (dx * b.n) / n,
    meanY: a.meanY + (dy * b.n) / n,
    xx: a.xx + b.xx + dx * dx * share,
    yy: a.yy + b.yy + dy * dy * share,
    xy: a.xy + b.xy + dx * dy * share,
  };
}

function mergeFrequencies(a: FrequencyState, b: FrequencyState): FrequencyState {
  const counts = new Map(Object.entries(a.counts));
  for (const [value, count] of Object.entries(b.counts)) counts.set(value, (counts.get(value) ?? 0) + count);
  return { kind: 'frequencies', counts: Object.fromEntries(counts), rows: a.rows + b.rows };
}

function mergeRegisters(a: HllState, b: HllState): HllState {
  const larger = [...a.registers].map((left, i) => {
    const right = b.registers[i] ?? left;
    return left > right ? left : right;
  });
  return { kind: 'hll', registers: larger.join('') };
}

function mergeBins(a: QuantileState, b: QuantileState): QuantileState {
  const bins = new Map(a.bins.map((bin) => [bin[0], bin]));
  for (const bin of b.bins) {
    const [index, count, min, max] = bin;
    const other = bins.get(index);
    bins.set(index, other === undefined ? bin : [index, other[1] + count, Math.min(other[2], min), Math.max(other[3], max)]);
  }
  return { kind: 'quantiles', bins: [...bins.values()].sort(([x], [y]) => x - y) };
}
