/** Defects found in others, each beside what happens here; those of engines and stores are in the integration suite of the same name. */
import { holtWinters, onlineNormal } from '../../../bench/deequ-strategies';
import { drift, type HistoricValue } from '../../../pipelines/drift';
import { driftOf } from '../../../pipelines/drift-methods';
import type { CheckDeclaration } from '../../../pipelines/types';
import { judge } from '../../../pipelines/verdict';
import { dailyKey, normal, seeded } from '../../support/histories';

const history = (values: readonly number[]): HistoricValue[] => values.map((value, i) => ({ window: dailyKey(i), value }));
const THREE = { lowerDeviationFactor: 3, upperDeviationFactor: 3 };

describe('deequ OnlineNormal', () => {
  test('counts the tested point in, so that factor 3 never fires before the tenth: here 1e9 fails with the fifth of its weekday', () => {
    const series = [100, 101, 102, 100, 101, 102, 100, 101, 1e9];
    expect(onlineNormal(series, { ...THREE, ignoreStartPercentage: 0 })).not.toContain(8);
    const fridays = series.slice(0, 4).map((value, i) => ({ window: dailyKey(4 + 7 * i), value }));
    const alone = drift(dailyKey(32), 1e9, fridays, 'count');
    expect(alone).toMatchObject({ level: 'fail', n: 4 });
    // Also where the history has it: an attempt before this one was accepted.
    expect(drift(dailyKey(32), 1e9, [...fridays, { window: dailyKey(32), value: 1e9 }], 'count')).toEqual(alone);
  });

  test('takes a past outlier into its deviation, which hides the next: here 1e5 fails after 1e6', () => {
    const series = Array.from({ length: 64 }, (_, i) => (i === 40 ? 1e6 : 100 + (i % 3)));
    const next = [...series.slice(0, 63), 1e5];
    expect(onlineNormal(next, { ...THREE, ignoreAnomalies: true }, [63, 64])).toEqual([]);
    expect(drift(dailyKey(63), 1e5, history(series.slice(0, 63)), 'count').level).toBe('fail');
  });
});

describe('deequ HoltWinters', () => {
  test('alarms on a quarter of pure noise by a band said to be of 95 %: here at most 2 % warn', () => {
    let [theirs, ours, total] = [0, 0, 0];
    for (let seed = 0; seed < 60; seed++) {
      const next = seeded(seed);
      const series = Array.from({ length: 63 }, () => 100 + 5 * normal(next));
      theirs += holtWinters(series, 7, [56, 63]).length;
      for (let i = 56; i < 63; i++) if (drift(dailyKey(i), series[i] ?? 0, history(series.slice(0, i)), 'value').level !== 'normal') ours++;
      total += 7;
    }
    expect(theirs / total).toBeGreaterThan(0.15);
    expect(ours / total).toBeLessThanOrEqual(0.02);
  });

  test('goes by the place in the list, so that one missing day moves the week: here Sundays stay Sundays', () => {
    const weekly = Array.from({ length: 64 }, (_, i) => ({ window: dailyKey(i), value: (i % 7 === 6 ? 100 : 1000) + (i % 3) }));
    const gap = weekly.filter((_, i) => i !== 59);
    const series = gap.map(({ value }) => value);
    expect(holtWinters(series, 7, [61, 63])).not.toEqual([]);
    for (const { window, value } of gap.slice(-7)) expect(drift(window, value, gap, 'count').level).toBe('normal');
  });

  test('throws before two full cycles: here there is no history yet', () => {
    expect(() => holtWinters([1, 2, 3], 7, [2, 3])).toThrow();
    expect(drift(dailyKey(2), 3, history([1, 2]), 'value')).toEqual({ level: 'no-history', n: 0 });
  });
});

test('deequ RelativeRateOfChange divides by 0: here a ratio from 0 has no history, and 0 after 0 is normal', () => {
  const zero = [{ window: dailyKey(0), value: 0, rows: 5 }];
  const tested = (value: number) =>
    driftOf({ method: 'rate' }, { window: dailyKey(1), value, rows: 5, state: undefined, scale: 'value' }, zero);
  expect(tested(0)).toMatchObject({ level: 'normal', score: 1 });
  expect(tested(7).level).toBe('no-history');
});

describe('deequ’s anomaly checks', () => {
  const SIZE: CheckDeclaration = { id: 'size', dataset: 'report', measure: { metric: 'size' }, warn: 'drift', why: 'It is watched.' };
  const past = Array.from({ length: 63 }, (_, i) => ({ window: dailyKey(i), value: 100 + (i % 3), rows: 100 }));

  test('throw in a first run: here it passes as NO_HISTORY', () => {
    expect(judge(SIZE, 100, 100, { window: dailyKey(0), accepted: [] }).status).toBe('NO_HISTORY');
  });

  test('throw of a date inside of the history: here a backfilled day is judged by the days before it', () => {
    const inside = { window: dailyKey(40), accepted: past.map((day, i) => (i > 40 ? { ...day, value: 9000 } : day)) };
    expect(judge(SIZE, 101, 101, inside).status).toBe('PASS');
    expect(judge(SIZE, 9000, 9000, inside).status).toBe('WARN');
    const { warn: _, ...plain } = SIZE;
    for (const method of ['rate', 'level'] as const) expect(judge({ ...plain, drift: { method } }, 101, 101, inside).status).toBe('PASS');
  });

  test('keep their bounds to themselves: here each verdict has them, with the score and the windows it rests on', () => {
    const verdict = judge(SIZE, 900, 900, { window: dailyKey(63), accepted: past });
    expect(verdict).toMatchObject({ status: 'WARN', observed: 900, method: 'drift', n: 8 });
    expect(verdict.low).toBeLessThan(101);
    expect(verdict.high).toBeGreaterThan(101);
    expect(verdict.score).toBeGreaterThan(6);
  });
});

describe('elementary', () => {
  test('scores the tested point against itself, so that sensitivity 3 fires for no n up to 10: here each of them fires', () => {
    for (let n = 4; n <= 10; n++) {
      const mondays = Array.from({ length: n }, (_, i) => ({ window: dailyKey(7 * i), value: 1000 + (i % 2) }));
      expect([n, drift(dailyKey(7 * n), 9000, mondays, 'count').level]).toEqual([n, 'fail']);
    }
  });

  test('scores a constant series 0, whatever comes: here it alarms on twice and on none, and not on one more', () => {
    const constant = history(Array.from({ length: 28 }, () => 1000));
    expect(drift(dailyKey(28), 1001, constant, 'count').level).toBe('normal');
    expect(drift(dailyKey(28), 2000, constant, 'count').level).toBe('fail');
    expect(drift(dailyKey(28), 0, constant, 'count').level).toBe('fail');
  });
});

test('soda evaluates no check whose result is 0: here 0 is a number, and passes or fails', () => {
  const zero: CheckDeclaration = { id: 'zero', dataset: 'report', measure: { metric: 'size' }, fail: { min: 1 }, why: 'Rows are needed.' };
  const none = { window: dailyKey(0), accepted: [] };
  expect(judge(zero, 0, 0, none)).toMatchObject({ status: 'FAIL', observed: 0 });
  expect(judge({ ...zero, fail: { max: 0 } }, 0, 0, none)).toMatchObject({ status: 'PASS', observed: 0 });
});

test('a test of proportions alone alarms on any change of many rows: here a share must change by half a point, and few rows hide no large change', () => {
  const shares = (rows: number) => Array.from({ length: 8 }, (_, i) => ({ window: dailyKey(7 * i), value: 0.99, rows }));
  const level = (value: number, rows: number) =>
    driftOf({ method: 'proportion', fail: 6 }, { window: dailyKey(56), value, rows, state: undefined, scale: 'ratio' }, shares(rows)).level;
  expect(level(0.987, 10_000_000)).toBe('normal');
  expect(level(0.9, 10_000_000)).toBe('fail');
  expect(level(0.5, 1000)).toBe('fail');
});
