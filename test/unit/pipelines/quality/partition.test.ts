import fc from 'fast-check';
import type { DistanceMethod, Scalar } from '../../../../pipelines/quality/metrics';
import { compareWithBins, compareWithPartition } from '../../../../pipelines/quality/partition';

type Counts = Readonly<Record<string, number>>;

/** What a full scan of groups tells, of which at most `told` one by one. */
function compared(method: DistanceMethod, weights: Counts, counts: Counts, { held = 0, told = 1000 } = {}): number | undefined {
  const values: readonly Scalar[] = Object.keys(weights);
  const others = Object.entries(counts).filter(([value]) => !values.includes(value));
  const sum = (of: (n: number) => number): number => others.reduce((total, [, n]) => total + of(n), 0);
  const { value } = compareWithPartition(
    {
      metric: 'distribution-distance',
      column: 'x',
      method,
      expected: { values, weights: Object.values(weights) },
      tailWeightHoldout: held,
    },
    {
      named: values.map((name) => counts[String(name)] ?? 0),
      other: {
        kinds: others.length,
        n: sum((n) => n),
        nLogN: sum((n) => n * Math.log(n)),
        nSquared: sum((n) => n * n),
        told: others.slice(0, told).map(([v, n]) => ({ v, n })),
      },
    },
  );
  return value;
}

const EXPECTED = { a: 0.5, b: 0.5 };

test('values the partition does not name are counted, as one category', () => {
  const counts = { a: 400, b: 400, c: 150, d: 50 };
  expect(compared('l-infinity', EXPECTED, counts)).toBeCloseTo(0.2, 12);
  expect(compared('js', EXPECTED, counts)).toBeCloseTo(jensenShannon([0.4, 0.4, 0.2], [0.5, 0.5, 0]), 12);
  expect(compared('psi', EXPECTED, counts)).toBeCloseTo(populationStability([400, 400, 200], [500, 500, 0.5]), 12);
});

test('what is observed and not expected at all is infinitely far, and no chance', () => {
  const counts = { a: 5, b: 5, c: 1 };
  expect(compared('kl', EXPECTED, counts)).toBe(Infinity);
  expect(compared('chi-square', EXPECTED, counts)).toBe(0);
});

test('of how many others are told one by one nothing depends', () => {
  const counts = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g'), fc.integer({ min: 1, max: 50 }), { minKeys: 1 });
  const method = fc.constantFrom<DistanceMethod>('kl', 'chi-square', 'l-infinity', 'psi', 'js');
  fc.assert(
    fc.property(counts, method, fc.constantFrom(0, 0.1), (of, by, held) => {
      expect(compared(by, EXPECTED, of, { held, told: 1 })).toBe(compared(by, EXPECTED, of, { held }));
    }),
  );
});

test('kl and chi-square share what is held out among all kinds of others, by their definitions', () => {
  const counts = { a: 40, b: 40, c: 15, d: 5 };
  const observed = [0.4, 0.4, 0.15, 0.05];
  const expected = [0.45, 0.45, 0.05, 0.05];
  const kl = observed.reduce((sum, p, i) => sum + p * Math.log(p / (expected[i] ?? 0)), 0);
  expect(compared('kl', EXPECTED, counts, { held: 0.1 })).toBeCloseTo(kl, 12);
  // The statistic is 2 * 25/45 + 100/5 + 0 = 21.11 at 3 degrees of freedom.
  expect(compared('chi-square', EXPECTED, counts, { held: 0.1 })).toBeCloseTo(0.0000998, 6);
});

test('values beyond the outer edges are counted below and above them', () => {
  const bins = { edges: [0, 1, 2], weights: [0.5, 0.5], tails: [0, 0], openAbove: false } as const;
  expect(compareWithBins('l-infinity', bins, [40, 40], 5, 15)).toMatchObject({
    value: 0.15,
    detail: { labels: ['below', '[0, 1)', '[1, 2)', 'above'], observed: [0.05, 0.4, 0.4, 0.15] },
  });
  expect(compareWithBins('chi-square', bins, [40, 40], 5, 15).value).toBe(0);
});

test('tails that are empty and expected to be are no degree of freedom', () => {
  const bins = { edges: [0, 1, 2], weights: [0.5, 0.5], tails: [0, 0], openAbove: false } as const;
  // (60 - 50)² / 50 twice is 4, whose p-value at one degree of freedom is 0.0455.
  expect(compareWithBins('chi-square', bins, [60, 40], 0, 0).value).toBeCloseTo(0.0455, 4);
});

function jensenShannon(p: readonly number[], q: readonly number[]): number {
  const half = (a: number, m: number): number => (a === 0 ? 0 : (a * Math.log(a / m)) / 2);
  return p.reduce((sum, share, i) => {
    const other = q[i] ?? 0;
    return sum + half(share, (share + other) / 2) + half(other, (share + other) / 2);
  }, 0);
}

function populationStability(observed: readonly number[], expected: readonly number[]): number {
  const total = (counts: readonly number[]): number => counts.reduce((sum, n) => sum + n, 0);
  return observed.reduce((sum, n, i) => {
    const [p, q] = [n / total(observed), (expected[i] ?? 0) / total(expected)];
    return sum + (p - q) * Math.log(p / q);
  }, 0);
}
