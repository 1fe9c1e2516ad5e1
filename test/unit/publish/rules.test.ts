import fc from 'fast-check';
import { neededBy } from '../../../activities/publish/collect';
import { supersedes } from '../../../activities/publish/flip';
import { lockPauseMs } from '../../../activities/publish/lock-retry';

describe('the pause between tries for a lock', () => {
  it('lies in the upper half of 50 ms doubled each time, at most 2 s', () => {
    fc.assert(
      fc.property(fc.nat(10_000), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (attempt, random) => {
        const full = Math.min(2_000, 50 * 2 ** Math.min(attempt, 20));
        const pause = lockPauseMs(attempt, random);
        expect(pause).toBeGreaterThanOrEqual(full / 2);
        expect(pause).toBeLessThanOrEqual(full);
      }),
    );
  });
});

describe('what is live stays', () => {
  const at = (window: string, acceptedSequence: number): Parameters<typeof supersedes>[0] => ({
    window,
    windowEnd: `${window}T00:00:00Z`,
    acceptedSequence,
  });
  it.each([
    ['a later window', at('2026-01-02', 1), at('2026-01-01', 9), true],
    ['an earlier window', at('2026-01-01', 9), at('2026-01-02', 1), false],
    ['the same window, accepted later', at('2026-01-01', 2), at('2026-01-01', 1), true],
    ['the same window, accepted earlier', at('2026-01-01', 1), at('2026-01-01', 2), false],
    ['the same acceptance', at('2026-01-01', 1), at('2026-01-01', 1), false],
  ])('against %s: %#', (_what, live, next, stays) => {
    expect(supersedes(live, next)).toBe(stays);
  });
});

describe('a retired publication', () => {
  const now = new Date('2026-01-01T12:00:00Z');
  const retired = { id: 1, retired_xid: '1000', retired_at: new Date('2026-01-01T11:30:00Z') };
  const horizon = { oldest: 1001n, holder: 'session 7 (psql)', hiddenSessions: false, standbys: 0 };

  it('goes when every snapshot sees its retirement', () => expect(neededBy(retired, horizon, now)).toBeUndefined());
  it('stays while a snapshot is as old as its retirement', () => {
    expect(neededBy(retired, { ...horizon, oldest: 1000n }, now)).toBe('session 7 (psql) began before its retirement');
  });
  it('stays when some snapshots are hidden', () =>
    expect(neededBy(retired, { ...horizon, hiddenSessions: true }, now)).toMatch(/pg_read_all_stats/));
  it('stays for an hour where standbys follow, then goes', () => {
    expect(neededBy(retired, { ...horizon, standbys: 1 }, now)).toBe('a standby may still read it');
    expect(neededBy(retired, { ...horizon, standbys: 1 }, new Date('2026-01-01T12:30:00Z'))).toBeUndefined();
  });
  it('compares ids beyond 2^53 exactly', () => {
    expect(neededBy({ ...retired, retired_xid: '9007199254740993' }, { ...horizon, oldest: 9007199254740993n }, now)).toBeDefined();
  });
});
