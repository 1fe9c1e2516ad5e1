/** How far two lists of counts by category are apart: maximum distance and chi-square, with the corrections deequ makes. */
import { chiSquareUpperTail } from './chi-square';

export type Counts = Readonly<Record<string, number>>;

/** Kolmogorov and Smirnov's factor for a false alarm in 300 comparisons. */
const DEFAULT_FACTOR = 1.8;

/**
 * The largest difference of shares. Less what two samples of these sizes may differ by chance, unless `raw`; `alpha` is how often
 * chance may exceed that.
 */
export function maximumDistance(
  sample: Counts,
  baseline: Counts,
  { raw = false, alpha }: { readonly raw?: boolean; readonly alpha?: number } = {},
): number {
  const n = total(sample);
  const m = total(baseline);
  const categories = new Set([...Object.keys(sample), ...Object.keys(baseline)]);
  const simple = Math.max(0, ...[...categories].map((category) => Math.abs((sample[category] ?? 0) / n - (baseline[category] ?? 0) / m)));
  if (raw) return simple;
  const factor = alpha === undefined ? DEFAULT_FACTOR : Math.sqrt(-Math.log(alpha / 2) / 2);
  return Math.max(0, simple - factor * Math.sqrt((n + m) / (n * m)));
}

/** Below this expected count a category is too small: in tables of two, and in larger ones, of which a fifth may be. */
const SMALL_OF_TWO = 10;
const SMALL = 5;
const SMALL_SHARE = 0.2;

export interface ChiSquare {
  readonly statistic: number;
  readonly p: number;
}

/**
 * Chi-square of a sample against a baseline scaled to it. The smallest expected categories are joined until the rules of Yates and
 * of Cochran hold; NaN when fewer than two are left.
 */
export function chiSquareDistance(sample: Counts, baseline: Counts): ChiSquare {
  const rows = total(Object.fromEntries(Object.entries(sample).filter(([category]) => category in baseline)));
  const scale = rows / total(baseline);
  const expected = new Map(Object.entries(baseline).map(([category, n]) => [category, n * scale]));
  const observed = new Map(Object.entries(sample));
  for (let small = tooSmall(expected); small && expected.size >= 2; small = tooSmall(expected)) {
    const [first, second] = [...expected].sort(([, a], [, b]) => a - b);
    if (first === undefined || second === undefined) break;
    const joined = (observed.get(first[0]) ?? 0) + (observed.get(second[0]) ?? 0);
    expected.delete(first[0]);
    observed.delete(first[0]);
    expected.set(second[0], first[1] + second[1]);
    observed.set(second[0], joined);
  }
  if (expected.size < 2) return { statistic: Number.NaN, p: Number.NaN };
  const pairs = [...expected].map(([category, wanted]) => ({ seen: observed.get(category) ?? 0, wanted }));
  const seen = pairs.reduce((sum, pair) => sum + pair.seen, 0);
  const factor = seen / pairs.reduce((sum, pair) => sum + pair.wanted, 0);
  const statistic = pairs.reduce((sum, pair) => sum + (pair.seen - pair.wanted * factor) ** 2 / (pair.wanted * factor), 0);
  return { statistic, p: chiSquareUpperTail(statistic, pairs.length - 1) };
}

function tooSmall(expected: ReadonlyMap<string, number>): boolean {
  if (expected.size < 2) return false;
  const [limit, allowed] = expected.size === 2 ? [SMALL_OF_TWO, 0] : [SMALL, Math.floor(SMALL_SHARE * expected.size)];
  return [...expected.values()].filter((n) => n < limit).length > allowed;
}

function total(counts: Counts): number {
  return Object.values(counts).reduce((sum, n) => sum + n, 0);
}
