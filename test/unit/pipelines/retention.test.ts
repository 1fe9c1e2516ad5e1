import fc from 'fast-check';
import { collectable, keptWindows, type StoreState, type StoredVersion } from '../../../pipelines/retention';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NOW = new Date('2026-11-21T00:00:00Z');
const AGES = { now: NOW, candidates: 7 * DAY, litter: DAY, scratch: DAY };
const EMPTY: StoreState = { versions: [], current: [], named: [], openRuns: [], objects: [], states: new Set(['udb']) };
const day = (n: number): string => new Date(Date.parse('2026-01-15T00:00:00Z') + n * DAY).toISOString().slice(0, 10);
const run = (window: string, generation = 1, branch = 'main') => ({ pipeline: 'p', window, branch, generation });

function version(
  dataset: string,
  window: string,
  name: string,
  options: { ageDays?: number; generation?: number; branch?: string } = {},
): StoredVersion {
  const { ageDays = 100, generation = 1, branch } = options;
  return {
    dataset,
    window,
    version: name,
    files: [`datasets/${dataset}/${window}/data/${name}-0.parquet`, `quarantine/${dataset}/${window}/${name}-0.parquet`],
    run: run(window, generation, branch),
    writtenAt: new Date(NOW.getTime() - ageDays * DAY),
  };
}

const collectedNames = (store: StoreState): string[] =>
  collectable(store, AGES).versions.map(({ version: v, reason }) => `${v.dataset}@${v.window}#${v.version} ${reason}`);

test('of a chain the state of the last 35 accepted windows is kept, and that of the first of every month', () => {
  const windows = Array.from({ length: 120 }, (_, n) => day(n)).filter((window) => window !== '2026-03-01');
  const kept = [...keptWindows(windows)].sort();
  expect(kept.slice(0, 4)).toEqual(['2026-01-15', '2026-02-01', '2026-03-02', '2026-04-01']);
  expect(kept.slice(4)).toEqual(windows.slice(-35));
});

test('state beyond retention is collected, what else was accepted stays', () => {
  const windows = Array.from({ length: 50 }, (_, n) => day(n));
  const versions = windows.flatMap((window) => [version('udb', window, 'u'), version('report', window, 'r')]);
  const current = windows.map((window) => ({
    pipeline: 'p',
    branch: 'main',
    window,
    versions: versions.filter((v) => v.window === window),
  }));
  const named = [{ dataset: 'udb', window: day(3), version: 'u' }];
  const expected = windows.slice(0, 15).filter((window) => window !== day(0) && window !== day(3));
  expect(collectedNames({ ...EMPTY, versions, current, named })).toEqual(expected.map((window) => `udb@${window}#u retention`));
});

test('a version no set names goes after its grace, unless its run is open or something names it', () => {
  const versions = [
    version('udb', day(1), 'old'),
    version('udb', day(1), 'young', { ageDays: 6 }),
    version('udb', day(2), 'of-an-open-run', { generation: 2 }),
    version('udb', day(2), 'of-an-earlier-generation'),
    version('udb', day(3), 'pinned'),
  ];
  const store = { ...EMPTY, versions, openRuns: [run(day(2), 2)], named: [{ dataset: 'udb', window: day(3), version: 'pinned' }] };
  expect(collectedNames(store)).toEqual([`udb@${day(1)}#old unaccepted`, `udb@${day(2)}#of-an-earlier-generation unaccepted`]);
});

test('what a gate put rows aside of stays as long as the version that goes on', () => {
  const raw = version('report', day(1), 'raw');
  const clean = { ...version('report', day(1), 'clean'), from: raw };
  const set = { pipeline: 'p', branch: 'main', window: day(1), versions: [clean] };
  expect(collectedNames({ ...EMPTY, versions: [raw, clean], current: [set] })).toEqual([]);
  expect(collectedNames({ ...EMPTY, versions: [raw, clean] })).toHaveLength(2);
});

test('a file without a manifest goes when it is older than any stage runs and nobody works on its window', () => {
  const object = (path: string, ageDays: number, window?: string) => ({
    path,
    modifiedAt: new Date(NOW.getTime() - ageDays * DAY),
    ...(window === undefined ? {} : { window }),
  });
  const kept = version('udb', day(1), 'kept', { ageDays: 1 });
  const objects = [
    object('datasets/udb/a/data/litter.parquet', 2, day(5)),
    object('datasets/udb/a/data/fresh.parquet', 0.5, day(5)),
    object('datasets/udb/a/data/open.parquet', 2, day(6)),
    object('scratch/stage-1/x', 2),
    object(kept.files[0] ?? '', 200, day(1)),
  ];
  expect(collectable({ ...EMPTY, versions: [kept], objects, openRuns: [run(day(6))] }, AGES).litter).toEqual([
    'datasets/udb/a/data/litter.parquet',
    'scratch/stage-1/x',
  ]);
});

test('scratch files have an age of their own', () => {
  const objects = [{ path: 'scratch/stage-1/x', modifiedAt: new Date(NOW.getTime() - DAY / 2) }];
  expect(collectable({ ...EMPTY, objects }, { ...AGES, scratch: HOUR }).litter).toHaveLength(1);
  expect(collectable({ ...EMPTY, objects }, { ...AGES, litter: HOUR }).litter).toEqual([]);
});

test('whatever the store holds, nothing that is current within retention, named, young or open is collected', () => {
  const some = fc.record({
    dataset: fc.constantFrom('udb', 'report'),
    window: fc.integer({ min: 0, max: 90 }).map(day),
    branch: fc.constantFrom('main', 'rebuild'),
    accepted: fc.boolean(),
    named: fc.boolean(),
    open: fc.boolean(),
    generation: fc.integer({ min: 1, max: 3 }),
    ageDays: fc.integer({ min: 0, max: 20 }),
  });
  fc.assert(
    fc.property(fc.array(some, { maxLength: 60 }), (list) => {
      const all = list.map((one, n) => ({ ...one, stored: version(one.dataset, one.window, `v${n}`, one) }));
      const sets = new Map<string, (typeof all)[number][]>();
      for (const one of all.filter(({ accepted }) => accepted))
        sets.set(`${one.branch}/${one.window}`, [...(sets.get(`${one.branch}/${one.window}`) ?? []), one]);
      const current = [...sets.values()].map((members) => ({
        pipeline: 'p',
        branch: members[0]?.branch ?? '',
        window: members[0]?.window ?? '',
        versions: members.map(({ stored }) => stored),
      }));
      const named = all.filter((one) => one.named).map(({ stored }) => stored);
      const openRuns = all.filter((one) => one.open).map(({ stored }) => stored.run);
      const objects = all.flatMap(({ stored }) => stored.files.map((path) => ({ path, window: stored.window, modifiedAt: new Date(0) })));
      const { versions, litter } = collectable(
        { ...EMPTY, versions: all.map(({ stored }) => stored), current, named, openRuns, objects },
        AGES,
      );
      const gone = new Set([...versions.flatMap(({ version: { files } }) => files), ...litter]);
      const newest = (branch: string): string[] =>
        current
          .filter((set) => set.branch === branch)
          .map(({ window }) => window)
          .sort()
          .slice(-35);
      const mustStay = all.filter(
        (one) =>
          one.named ||
          openRuns.some((open) => JSON.stringify(open) === JSON.stringify(one.stored.run)) ||
          (one.accepted && (one.dataset !== 'udb' || newest(one.branch).includes(one.window))) ||
          (!one.accepted && one.ageDays <= 7),
      );
      for (const { stored } of mustStay) for (const file of stored.files) expect(gone).not.toContain(file);
      expect(litter).toEqual([]);
    }),
  );
});
