import fc from 'fast-check';
import { pricePerHour, stageCost } from '../../../pipelines/emr-cost';

const fleet = (onDemand: number, spot: number, price?: number, weight = 1) => ({
  onDemand,
  spot,
  instances: [{ weight, ...(price === undefined ? {} : { pricePerHour: price }) }],
});

test('an hour costs what all machines of all fleets do, those on spot as those on demand', () => {
  expect(pricePerHour([fleet(1, 0, 0.2), fleet(2, 3, 0.5)])).toBeCloseTo(0.2 + 5 * 0.5);
});

test('a machine that counts for several units is bought whole', () => {
  expect(pricePerHour([fleet(5, 0, 1, 4)])).toBe(2);
});

test('the first kind with a price stands for its fleet; a fleet without any leaves the cost unknown', () => {
  const mixed = { onDemand: 2, spot: 0, instances: [{ weight: 1 }, { weight: 2, pricePerHour: 3 }, { weight: 1, pricePerHour: 9 }] };
  expect(pricePerHour([mixed])).toBe(3);
  expect(pricePerHour([mixed, fleet(1, 0)])).toBeUndefined();
});

test('a stage costs its share of the hour; without a price or a time it is not known', () => {
  expect(stageCost(7.2, 90)).toBeCloseTo(0.18);
  expect(stageCost(undefined, 90)).toBeUndefined();
  expect(stageCost(7.2, undefined)).toBeUndefined();
  fc.assert(
    fc.property(fc.nat(1_000), fc.nat(100_000), fc.nat(100_000), (price, one, other) => {
      expect((stageCost(price, one) ?? 0) + (stageCost(price, other) ?? 0)).toBeCloseTo(stageCost(price, one + other) ?? 0, 6);
    }),
  );
});
