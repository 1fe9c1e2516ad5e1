import fc from 'fast-check';
import {
  firstHead,
  homeOf,
  homesOfMain,
  movedSince,
  nextBranch,
  openBranch,
  standsOn,
  withBranch,
  withDiscarded,
  withIntent,
  withoutIntent,
  withPromoted,
  type ChainHead,
} from '../../../pipelines/chain-head';

const DAYS = Array.from({ length: 9 }, (_, at) => `2026-01-0${at + 1}`);
const day = fc.constantFrom(...DAYS);
/** One branch after the other: forked from a window on, then promoted or discarded. */
const history = fc.array(fc.record({ from: day, promoted: fc.boolean() }), { maxLength: 6 });

function play(branches: readonly { readonly from: string; readonly promoted: boolean }[]): ChainHead {
  return branches.reduce((head, { from, promoted }) => {
    const name = nextBranch(head);
    const built = withIntent(withBranch(head, name, from), name);
    return promoted ? withPromoted(built, name) : withDiscarded(built, name);
  }, firstHead('p'));
}

test('a chain that was never forked is made of its own sets', () => {
  expect(homeOf(firstHead('p'), 'main', '2026-01-01')).toBe('main');
  expect(homesOfMain(firstHead('p'))).toEqual(['main']);
});

test('a branch reads main before its fork, and main reads the branch from there on once it is promoted', () => {
  const open = withBranch(firstHead('p'), 'b1', '2026-01-03');
  expect([openBranch(open), nextBranch(open)]).toEqual(['b1', 'b2']);
  expect(['2026-01-02', '2026-01-03'].map((window) => homeOf(open, 'b1', window))).toEqual(['main', 'b1']);
  expect(homeOf(open, 'main', '2026-01-03')).toBe('main');
  const promoted = withPromoted(open, 'b1');
  expect(['2026-01-02', '2026-01-03'].map((window) => homeOf(promoted, 'main', window))).toEqual(['main', 'b1']);
  expect(openBranch(promoted)).toBeUndefined();
});

test('an intent changes nothing that anybody reads, and goes with the next change', () => {
  const open = withBranch(firstHead('p'), 'b1', '2026-01-03');
  const intended = withIntent(open, 'b1');
  expect(DAYS.map((window) => homeOf(intended, 'main', window))).toEqual(DAYS.map((window) => homeOf(open, 'main', window)));
  expect([intended.promoting, withoutIntent(intended).promoting, withPromoted(intended, 'b1').promoting]).toEqual([
    'b1',
    undefined,
    undefined,
  ]);
  expect([open.number, intended.number, withoutIntent(intended).number]).toEqual([1, 2, 3]);
});

test('whatever was promoted and discarded: each window is made of the last promoted branch that has it', () => {
  fc.assert(
    fc.property(history, day, (branches, window) => {
      const last = branches.findLastIndex(({ from, promoted }) => promoted && from <= window);
      expect(homeOf(play(branches), 'main', window)).toBe(last < 0 ? 'main' : `b${last + 1}`);
    }),
  );
});

test('of the sets of a window that anybody keeps exactly one stands on main, and of a closed branch no other stands', () => {
  fc.assert(
    fc.property(history, day, (branches, window) => {
      const head = play(branches);
      const homes = ['main', ...branches.map((_, at) => `b${at + 1}`)];
      const standing = homes.filter((home) => standsOn(head, home, window) !== undefined);
      expect(standing).toEqual([homeOf(head, 'main', window)]);
      expect(homesOfMain(head)).toContain(standing[0]);
    }),
  );
});

test('a window moved since a number exactly when a promotion after it changed where the window is read', () => {
  fc.assert(
    fc.property(history, history, day, (before, after, window) => {
      const old = play(before);
      const now = play([...before, ...after]);
      expect(movedSince(now, window, old.number)).toBe(homeOf(now, 'main', window) !== homeOf(old, 'main', window));
    }),
  );
});
