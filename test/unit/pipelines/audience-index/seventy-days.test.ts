import fc from 'fast-check';
import { byKey, MEMBERSHIP, type AudienceEvent } from '../../../support/audience-reference';
import { expectation, expectRows, memberText, sorted } from '../../../support/audience-expectation';
import { AudienceSql } from '../../../support/audience-sql';
import { randomLanding } from '../../../support/random-landing';

const DAY = 86_400_000_000;
/** Set ALMANAC_TEST_SEED to repeat a run; the seed is in the failure. */
const SEED = Number(process.env.ALMANAC_TEST_SEED ?? Date.now() % 1_000_000);

describe('70 days of random landing data', () => {
  it('give the state and the report of the reference every day, in buckets or not, and the state of the bootstrap', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.integer({ min: 2, max: 5 }), async (seed, buckets) => {
        const landing = randomLanding(seed, 70);
        const whole = await AudienceSql.open(1);
        const bucketed = await AudienceSql.open(buckets);
        const scan = await AudienceSql.open(1);
        try {
          for (const sql of [whole, bucketed, scan]) {
            await sql.reference('segments', landing.segments);
            await sql.reference('pixels', landing.pixels);
            await sql.landAll(landing.days);
          }
          const adds: AudienceEvent[] = [];
          const fires: AudienceEvent[] = [];
          for (const day of landing.days) {
            adds.push(...day.adds.accepted);
            fires.push(...day.fires.accepted);
            const expected = expectation(landing, day, adds, fires);
            for (const sql of [whole, bucketed, scan]) {
              if (sql === scan) await sql.bootstrap(day.date);
              else await sql.update(day.date);
              expect(memberText(await sql.memberships())).toBe(expected.memberships);
              expect(memberText(await sql.visits())).toBe(expected.visits);
              if (sql === scan) continue;
              await sql.report(day.date);
              expectRows(await sql.rows(), expected.rows, day.date);
              expect(sorted(await sql.names('audience_segments'))).toEqual(sorted(expected.segments));
              expect(sorted(await sql.names('audience_pixels'))).toEqual(sorted(expected.pixels));
            }
          }
        } finally {
          for (const sql of [whole, bucketed, scan]) sql.close();
        }
      }),
      { seed: SEED, numRuns: 1, endOnFailure: true },
    );
  }, 240_000);

  it('hold what the rules are about', () => {
    const landings = [1, 2, 3, 4, 5].map((seed) => randomLanding(seed, 70));
    const distances = landings.flatMap(({ days }) =>
      [...byKey(days.flatMap((day) => day.adds.accepted)).values()].flatMap(({ instants }) =>
        instants.slice(1).map((at, n) => at - (instants[n] ?? 0)),
      ),
    );
    for (const off of [0, 1_000_000, -1_000_000, 1, -1]) expect(distances).toContain(MEMBERSHIP + off);
    for (const { days } of landings) {
      const adds = days.flatMap((day) => day.adds.accepted);
      const fires = days.flatMap((day) => day.fires.accepted);
      expect(new Set(adds.map((event) => JSON.stringify(event))).size).toBeLessThan(adds.length);
      const instants = new Set(adds.map(({ user, at }) => JSON.stringify([user, at])));
      expect(fires.some(({ user, at }) => instants.has(JSON.stringify([user, at])))).toBe(true);
      expect(days.some((day) => day.adds.accepted.length + day.fires.accepted.length === 0)).toBe(true);
      const outside = days.flatMap((day) => [...day.adds.outside, ...day.fires.outside].map(({ at }) => at - day.end));
      expect(outside).toContain(0);
      expect(outside).toContain(-DAY - 1);
      expect(days.some((day) => day.adds.malformed > 0)).toBe(true);
    }
  });

  it('is the same for the same seed', () => {
    expect(randomLanding(7, 10)).toEqual(randomLanding(7, 10));
    expect(randomLanding(7, 10)).not.toEqual(randomLanding(8, 10));
  });
});
