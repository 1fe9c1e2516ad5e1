import fc from 'fast-check';
import { FORGET_AFTER_MS, nextRestart, restartPauseMs } from '../../../../operator/stack/restart-policy';

test('restarts come at once, then after 0.5 s doubling to 5 s', () => {
  expect([1, 2, 3, 4, 5, 6, 7, 1000].map(restartPauseMs)).toEqual([0, 500, 1000, 2000, 4000, 5000, 5000, 5000]);
});

test('half a minute of health forgets all restarts, less forgets none', () => {
  fc.assert(
    fc.property(fc.nat(1000), fc.nat(2 * FORGET_AFTER_MS), (previous, healthyMs) => {
      expect(nextRestart(previous, healthyMs)).toBe(healthyMs >= FORGET_AFTER_MS ? 1 : previous + 1);
    }),
  );
});
