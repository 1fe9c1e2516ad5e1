import fc from 'fast-check';
import { calendarKey, drift, DRIFT_FAIL, DRIFT_WARN, type DriftScale, type HistoricValue } from '../../../pipelines/drift';
import { Random } from '../../support/random';

const DAY = 86_400_000;
const TESTED = '2026-11-20';

/** The window some days before (negative) or after the tested one. */
function windowAt(days: number): string {
  return new Date(Date.parse(TESTED) + days * DAY).toISOString().slice(0, 10);
}

/** A history of the days before the tested window, nearest first. */
function daysBefore(count: number, value: (day: number) => number): HistoricValue[] {
  return Array.from({ length: count }, (_, index) => ({ window: windowAt(-index - 1), value: value(index + 1) }));
}

function normal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next());
}

describe('the baseline', () => {
  test('is the same weekday: a quiet Sunday is normal where Sundays are quiet and strange on a Friday', () => {
    const weekend = (window: string): boolean => ['Saturday', 'Sunday'].includes(calendarKey(window));
    const history = daysBefore(56, (day) => (weekend(windowAt(-day)) ? 100 : 1000) + (day % 3));
    expect(drift(TESTED, 1000, history, 'count').level).toBe('normal');
    expect(drift(TESTED, 100, history, 'count').level).toBe('fail');
    const sunday = '2026-11-22';
    expect(calendarKey(sunday)).toBe('Sunday');
    expect(drift(sunday, 100, history, 'count').level).toBe('normal');
  });

  test('is nothing below four windows of the same weekday', () => {
    expect(
      drift(
        TESTED,
        1e9,
        daysBefore(27, () => 100),
        'count',
      ),
    ).toEqual({ level: 'no-history', n: 3 });
    expect(
      drift(
        TESTED,
        1e9,
        daysBefore(28, () => 100),
        'count',
      ),
    ).toMatchObject({ level: 'fail', n: 4 });
  });

  test('is the last eight windows there are, however long ago: gaps stay gaps and shift no weekday', () => {
    const all = daysBefore(140, (day) => (day > 56 ? 5000 : 100));
    expect(drift(TESTED, 100, all, 'count')).toMatchObject({ level: 'normal', n: 8 });
    const withoutTheLastTenDays = all.filter(({ window }) => window < windowAt(-10));
    expect(drift(TESTED, 100, withoutTheLastTenDays, 'count')).toMatchObject({ level: 'normal', n: 8 });
  });

  test('leaves out the tested window and later ones, so a rerun or a backfill is judged as if they were not there', () => {
    const earlier = daysBefore(56, (day) => 1000 + (day % 5));
    const later = Array.from({ length: 30 }, (_, day) => ({ window: windowAt(day), value: 9_000_000 }));
    expect(drift(TESTED, 9_000_000, [...later, ...earlier], 'count')).toEqual(drift(TESTED, 9_000_000, earlier, 'count'));
  });

  test('takes its scale from weekdays seen often enough only: a single Monday says nothing of the noise', () => {
    const fridays = daysBefore(56, (day) => 1000 + 40 * (day % 3)).filter(({ window }) => calendarKey(window) === 'Friday');
    const seldom = daysBefore(6, () => 1000);
    const alone = drift(TESTED, 1100, fridays, 'count');
    expect(alone.score).toBeGreaterThan(0);
    expect(drift(TESTED, 1100, [...fridays, ...seldom], 'count')).toEqual(alone);
  });

  test('does not depend on the order of arrival', () => {
    const history = daysBefore(70, (day) => 1000 + ((day * 37) % 91));
    fc.assert(
      fc.property(fc.shuffledSubarray(history, { minLength: history.length }), fc.integer({ min: 0, max: 5000 }), (shuffled, value) => {
        expect(drift(TESTED, value, shuffled, 'count')).toEqual(drift(TESTED, value, history, 'count'));
      }),
    );
  });

  test('one past outlier hides no later one', () => {
    const history = daysBefore(56, (day) => (day === 7 ? 1e6 : 100 + (day % 4)));
    expect(drift(TESTED, 100_000, history, 'count').level).toBe('fail');
    expect(drift(TESTED, 102, history, 'count').level).toBe('normal');
  });
});

describe('the score', () => {
  const scales: DriftScale[] = ['count', 'ratio'];

  test('grows with the distance from the level, and the verdict with it', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...scales),
        fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 56, maxLength: 56 }),
        fc.double({ min: 1, max: 4, noNaN: true }),
        fc.double({ min: 1, max: 4, noNaN: true }),
        (scale, values, a, b) => {
          const [near, far] = a < b ? [a, b] : [b, a];
          const history = daysBefore(56, (day) => values[day - 1] ?? 0);
          const scores = [near, far].map((value) => drift(TESTED, value, history, scale).score ?? Number.NaN);
          expect(scores[1]).toBeGreaterThanOrEqual(scores[0] ?? Number.NaN);
        },
      ),
    );
  });

  test('says warn outside of low and high and only there', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...scales),
        fc.array(fc.integer({ min: 0, max: 100_000 }), { minLength: 28, maxLength: 80 }),
        fc.integer({ min: 0, max: 200_000 }),
        (scale, values, value) => {
          const result = drift(
            TESTED,
            value,
            daysBefore(values.length, (day) => values[day - 1] ?? 0),
            scale,
          );
          const { low = Number.NaN, high = Number.NaN, level } = result;
          // At the bounds themselves rounding decides.
          if (Math.abs(value - low) < 1e-6 * (1 + low) || Math.abs(value - high) < 1e-6 * (1 + high)) return;
          expect(level === 'normal').toBe(value > low && value < high);
        },
      ),
    );
  });

  test('has its levels at 3.5 and 6', () => {
    expect([DRIFT_WARN, DRIFT_FAIL]).toEqual([3.5, 6]);
    const history = daysBefore(56, () => 0.5);
    const levels = [0.51, 0.53, 0.56].map((value) => drift(TESTED, value, history, 'ratio').level);
    expect(levels).toEqual(['normal', 'warn', 'fail']);
  });
});

describe('a constant series', () => {
  test.each([0, 1, 2, 10, 100, 1000, 1_000_000])('of %d neither alarms on one more or one less nor never', (constant) => {
    const history = daysBefore(56, () => constant);
    expect(drift(TESTED, constant + 1, history, 'count').level).toBe('normal');
    expect(drift(TESTED, Math.max(0, constant - 1), history, 'count').level).toBe('normal');
    expect(drift(TESTED, constant * 2 + 50, history, 'count').level).not.toBe('normal');
  });

  test('of ratios warns from about half a percentage point on', () => {
    const history = daysBefore(56, () => 0);
    expect(drift(TESTED, 0.004, history, 'ratio').level).toBe('normal');
    expect(drift(TESTED, 0.006, history, 'ratio').level).toBe('warn');
  });
});

describe('simulated series', () => {
  /** Share of simulated windows at each level. */
  function rates(
    days: number,
    trials: number,
    draw: (random: Random) => number,
    scale: DriftScale,
    shift = 0,
  ): { warn: number; fail: number } {
    const random = new Random(20261120);
    let warned = 0;
    let failed = 0;
    for (let trial = 0; trial < trials; trial += 1) {
      const history = daysBefore(days, () => draw(random));
      const { level } = drift(TESTED, draw(random) + shift, history, scale);
      if (level === 'warn' || level === 'fail') warned += 1;
      if (level === 'fail') failed += 1;
    }
    return { warn: warned / trials, fail: failed / trials };
  }

  test('of noise alone warn about 0.9 % of the time and fail hardly ever', () => {
    const { warn, fail } = rates(56, 6000, (random) => 100 + 10 * normal(random), 'ratio');
    expect(warn).toBeGreaterThan(0.005);
    expect(warn).toBeLessThan(0.013);
    expect(fail).toBeLessThan(0.0007);
  });

  test('of counts with noise in proportion to them behave alike', () => {
    const { warn, fail } = rates(56, 6000, (random) => Math.round(50_000 * Math.exp(0.08 * normal(random))), 'count');
    expect(warn).toBeLessThan(0.013);
    expect(fail).toBeLessThan(0.0007);
  });

  test('with the shortest history allowed warn too often for a person to trust, but seldom fail', () => {
    const { warn, fail } = rates(28, 4000, (random) => 100 + 10 * normal(random), 'ratio');
    expect(warn).toBeLessThan(0.05);
    expect(fail).toBeLessThan(0.006);
  });

  test('with a shift of eight deviations are noticed nearly always, whatever its size in rows', () => {
    expect(rates(56, 1000, (random) => 100 + 10 * normal(random), 'ratio', 80).warn).toBeGreaterThan(0.99);
    expect(rates(56, 1000, (random) => 1e6 + 1e5 * normal(random), 'ratio', 8e5).warn).toBeGreaterThan(0.99);
  });
});
