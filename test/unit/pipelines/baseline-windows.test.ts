import { baselineWindows, SEASON_WINDOWS } from '../../../pipelines/baseline-windows';
import { calendarKey } from '../../../pipelines/drift';
import { parseWindow } from '../../../pipelines/window';

const WINDOW = { 1: '20261120T1040Z-PT1M', 5: '20261120T1040Z-PT5M', 10: '20261120T1040Z-PT10M', 60: '20261120T1000Z-PT1H' } as const;

function seasons(minutes: 1 | 5 | 10 | 60, method: 'level' | 'psi'): Map<string, number> {
  const spec = { every: 'minutes', minutes } as const;
  const { keys = [] } = baselineWindows(spec, WINDOW[minutes], method);
  const found = new Map<string, number>();
  for (const key of keys) {
    expect(parseWindow(spec, key).key < WINDOW[minutes]).toBe(true);
    found.set(calendarKey(key), (found.get(calendarKey(key)) ?? 0) + 1);
  }
  expect(new Set(keys).size).toBe(keys.length);
  return found;
}

test.each([
  [1, 144],
  [5, 144],
  [10, 144],
  [60, 24],
] as const)('of windows of %d minutes a level looks at weeks of the own time of day and of %d times in all', (minutes, times) => {
  const found = seasons(minutes, 'level');
  expect(found.size).toBe(times);
  expect(found.get(calendarKey(WINDOW[minutes]))).toBe(31);
  expect(Math.min(...found.values())).toBeGreaterThan(3 * SEASON_WINDOWS);
});

test('a distribution is compared with the own time of day alone, and a rate with the window before', () => {
  expect([...seasons(5, 'psi').keys()]).toEqual(['10:40 window']);
  expect(baselineWindows({ every: 'minutes', minutes: 5 }, WINDOW[5], 'rate')).toEqual({ limit: 1, states: false });
});

test('windows of days are the newest ones, and only distributions need their states', () => {
  const spec = { every: 'day', timezone: 'UTC' } as const;
  for (const method of ['level', 'proportion', 'psi', 'js'] as const)
    expect(baselineWindows(spec, '2026-11-20', method)).toEqual({ limit: 400, states: method === 'psi' || method === 'js' });
});
