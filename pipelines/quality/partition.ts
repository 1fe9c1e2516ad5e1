/** A column's distribution beside a declared one. */
import { chiSquareUpperTail } from './chi-square';
import type { DistanceMethod, GroupMetric, Partition } from './metrics';
import { NO_VALUES, type ComparisonDetail, type Reading } from './reading';

type DistanceMetric = Extract<GroupMetric, { metric: 'distribution-distance' }>;

/** Counts of the values a partition names, in its order, and what there is beside them. */
export interface Observed {
  readonly named: readonly number[];
  readonly other: OtherValues;
}

/** Values a partition does not name: how many kinds of them and rows, sums over the kinds, and the kinds that are told one by one. */
export interface OtherValues {
  readonly kinds: number;
  readonly n: number;
  readonly nLogN: number;
  readonly nSquared: number;
  readonly told: readonly { readonly v: string; readonly n: number }[];
}

/** Bins with finite edges only: infinite ones are tails. */
export interface FiniteBins {
  readonly edges: readonly number[];
  readonly weights: readonly number[];
  readonly tails: readonly [number, number];
  /** The upper side is a bin of its own, which holds its lower edge as all do; else the last bin holds its upper edge too. */
  readonly openAbove: boolean;
}

export function compareShares(labels: readonly string[], observed: readonly number[], expected: readonly number[]): ComparisonDetail {
  return { kind: 'comparison', labels, observed, expected };
}

/**
 * Compares counts by value with the weights of the values a partition names. Values it does not name are one category, `other`, whose
 * weight is held out of the others; of `kl` and `chi-square` each is a category, as in Great Expectations, which share that weight.
 */
export function compareWithPartition(measure: DistanceMetric, { named, other }: Observed): Omit<Reading, 'rows'> {
  const { expected, method, tailWeightHoldout = 0 } = measure;
  if (!('values' in expected)) return { value: undefined, reason: 'a distribution by value is compared with one by value' };
  const problem = distanceProblem(measure);
  if (problem !== undefined) return { value: undefined, reason: problem };
  const total = sum(named) + other.n;
  if (total === 0) return { value: undefined, reason: NO_VALUES };
  const held = other.kinds === 0 ? 0 : tailWeightHoldout;
  const observed = named.map((n) => n / total);
  const shares = expected.weights.map((weight) => weight * (1 - held));
  const labels = expected.values.map(String);
  const rest = other.told.length === other.kinds ? other.told : [{ v: OTHER, n: other.n }];
  const detail = compareShares(
    [...labels, ...rest.map(({ v }) => v)],
    [...observed, ...rest.map(({ n }) => n / total)],
    [...shares, ...rest.map(() => held / rest.length)],
  );
  if (other.kinds === 0) return { value: distance(method, observed, shares, total), detail };
  if (method === 'kl') return { value: divergence(observed, normal([...shares, held])) + restDivergence(other, held, total), detail };
  if (method === 'chi-square') {
    const statistic = chiSquare(observed, shares, total) + restChiSquare(other, held, total);
    return { value: chiSquareUpperTail(statistic, categories(observed, shares) + other.kinds - 1), detail };
  }
  return { value: distance(method, [...observed, other.n / total], [...shares, held], total), detail };
}

/** What a comparison calls all values that its partition does not name, where they are too many to be told. */
const OTHER = 'other values';

/** The sum of p ln(p / q) over kinds that share `held` equally, from the sums over their counts. */
function restDivergence({ kinds, n, nLogN }: OtherValues, held: number, total: number): number {
  return held === 0 ? Infinity : (nLogN - n * Math.log(total) - n * Math.log(held / kinds)) / total;
}

function restChiSquare({ kinds, n, nSquared }: OtherValues, held: number, total: number): number {
  const each = (held / kinds) * total;
  return each === 0 ? Infinity : nSquared / each - 2 * n + kinds * each;
}

/** The bins that are counted: the finite part of a partition's edges; the problem when there is none. */
export function finiteBins(measure: DistanceMetric): FiniteBins | string {
  const { expected, tailWeightHoldout = 0, internalWeightHoldout = 0 } = measure;
  const problem = distanceProblem(measure);
  if (problem !== undefined) return problem;
  if ('values' in expected) return 'bins are needed';
  const [openLow, openHigh] = openEdges(expected);
  const from = openLow ? 1 : 0;
  const to = expected.weights.length - (openHigh ? 1 : 0);
  // What is held out is shared by the tails that have no weight of their own.
  const heldTail = tailWeightHoldout / (openLow || openHigh ? 1 : 2);
  const empty = expected.weights.filter((weight) => weight === 0).length;
  const heldBins = empty === 0 ? 0 : internalWeightHoldout;
  const scaled = expected.weights.map((weight) => (weight === 0 ? heldBins / empty : weight * (1 - tailWeightHoldout - heldBins)));
  const tails: [number, number] = [
    openLow ? (scaled[0] ?? 0) : (expected.tailWeights?.[0] ?? heldTail),
    openHigh ? (scaled.at(-1) ?? 0) : (expected.tailWeights?.[1] ?? heldTail),
  ];
  return {
    edges: expected.bins.slice(from, to + 1).filter((edge) => edge !== null),
    weights: scaled.slice(from, to),
    tails,
    openAbove: openHigh,
  };
}

/** Compares counts of bins with a partition; `below` and `above` lie outside of its finite edges. */
export function compareWithBins(
  method: DistanceMethod,
  bins: FiniteBins,
  counts: readonly number[],
  below: number,
  above: number,
): Omit<Reading, 'rows'> {
  const all = [below, ...counts, above];
  const total = sum(all);
  if (total === 0) return { value: undefined, reason: NO_VALUES };
  const observed = all.map((n) => n / total);
  const expected = [bins.tails[0], ...bins.weights, bins.tails[1]];
  const labels = ['below', ...bins.weights.map((_, i) => `[${bins.edges[i]}, ${bins.edges[i + 1]})`), 'above'];
  return { value: distance(method, observed, expected, total), detail: compareShares(labels, observed, expected) };
}

/** `n`: how many values the observed shares are of. */
function distance(method: DistanceMethod, observed: readonly number[], expected: readonly number[], n: number): number {
  switch (method) {
    case 'kl':
      return divergence(normal(observed), normal(expected));
    case 'js':
      return jensenShannon(normal(observed), normal(expected));
    case 'psi': {
      const there = observed.map((share, i) => [share * n, (expected[i] ?? 0) * n] as const).filter(([p, q]) => p > 0 || q > 0);
      return psi(
        there.map(([p]) => p),
        there.map(([, q]) => q),
      );
    }
    case 'l-infinity':
      return Math.max(...observed.map((share, i) => Math.abs(share - (expected[i] ?? 0))));
    case 'chi-square':
      return chiSquareUpperTail(chiSquare(observed, expected, n), categories(observed, expected) - 1);
  }
}

/** Places that are empty on both sides are no categories: they have no degree of freedom. */
function categories(observed: readonly number[], expected: readonly number[]): number {
  return observed.filter((share, i) => share > 0 || (expected[i] ?? 0) > 0).length;
}

function chiSquare(observed: readonly number[], expected: readonly number[], n: number): number {
  return sum(observed.map((share, i) => term(share * n, (expected[i] ?? 0) * n)));
}

function term(observed: number, expected: number): number {
  if (expected === 0) return observed === 0 ? 0 : Infinity;
  return (observed - expected) ** 2 / expected;
}

/** Kullback and Leibler's divergence in nats; infinite when something is observed that is not expected at all. */
function divergence(observed: readonly number[], expected: readonly number[]): number {
  return sum(observed.map((p, i) => (p === 0 ? 0 : p * Math.log(p / (expected[i] ?? 0)))));
}

/** Divergence from the mean of both: 0 for equal shares, ln 2 for disjoint ones. */
export function jensenShannon(p: readonly number[], q: readonly number[]): number {
  const middle = p.map((share, i) => (share + (q[i] ?? 0)) / 2);
  return (divergence(p, middle) + divergence(q, middle)) / 2;
}

/** Population stability index of two lists of counts; empty places are taken as half a row. */
export function psi(observed: readonly number[], expected: readonly number[]): number {
  const p = normal(observed.map((n) => Math.max(n, 0.5)));
  const q = normal(expected.map((n) => Math.max(n, 0.5)));
  return sum(p.map((share, i) => (share - (q[i] ?? 0)) * Math.log(share / (q[i] ?? 0))));
}

function normal(weights: readonly number[]): number[] {
  const total = sum(weights);
  return weights.map((weight) => weight / total);
}

/** Weights add up to 1 within this much. */
const TOLERANCE = 1e-6;

/** What is wrong with a declared comparison; undefined when it can be made. */
export function distanceProblem({ expected, tailWeightHoldout = 0, internalWeightHoldout = 0 }: DistanceMetric): string | undefined {
  const problem = partitionProblem(expected, tailWeightHoldout, internalWeightHoldout);
  if (problem !== undefined || 'values' in expected) return problem;
  const [low, high] = openEdges(expected);
  if (tailWeightHoldout > 0 && (expected.tailWeights !== undefined || (low && high)))
    return 'the partition has weights of its tails already; leave `tailWeightHoldout` out';
  if (expected.tailWeights !== undefined && (low || high)) return 'a partition with an open edge has no `tailWeights` beside it';
  return undefined;
}

function openEdges({ bins }: Extract<Partition, { readonly bins: unknown }>): readonly [boolean, boolean] {
  return [bins[0] === null, bins.at(-1) === null];
}

function partitionProblem(partition: Partition, tail: number, internal: number): string | undefined {
  if (!(tail >= 0 && tail <= 1)) return '`tailWeightHoldout` lies between 0 and 1, less than or equal to 1';
  if (!(internal >= 0 && internal <= 1)) return '`internalWeightHoldout` lies between 0 and 1, less than or equal to 1';
  const values = 'values' in partition ? partition.values : undefined;
  const bins = 'bins' in partition ? partition.bins : undefined;
  const tails = 'tailWeights' in partition && partition.tailWeights !== undefined ? sum(partition.tailWeights) : 0;
  if (values === undefined && bins === undefined) return 'the partition names neither values nor bins';
  if (values !== undefined && internal > 0) return '`internalWeightHoldout` is for bins, not for values';
  if (partition.weights.length !== (values?.length ?? (bins?.length ?? 0) - 1))
    return 'the partition has not one weight for each value or bin';
  if (values !== undefined && new Set(values).size < values.length) return 'the partition names a value twice';
  if (Math.abs(sum(partition.weights) + tails - 1) > TOLERANCE) return 'the weights of the partition do not add up to 1';
  if (bins?.slice(1, -1).includes(null) === true) return 'only the first and the last edge may be null, which leaves their side open';
  const edges = bins?.filter((edge) => edge !== null) ?? [];
  if (edges.some((edge, i) => i > 0 && !(edge > (edges[i - 1] ?? Infinity)))) return 'the edges of the bins do not ascend';
  if (bins !== undefined && edges.length === 0) return 'a partition needs an edge';
  return undefined;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
