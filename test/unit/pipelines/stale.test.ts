import fc from 'fast-check';
import { staleWindows, windowsBuiltOn, type AcceptedVersion } from '../../../pipelines/stale';

const DAYS = ['2026-01-01', '2026-01-02', '2026-01-03', '2026-01-04'];

interface Made {
  readonly digest: string;
  readonly read?: string;
  readonly branch?: string;
}

/** A chain of one state dataset: each day was built on what it `read` of the day before. */
function chain(days: readonly Made[]): AcceptedVersion[] {
  return days.map(({ digest, read, branch = 'main' }, index) => ({
    pipeline: 'air',
    branch,
    window: DAYS[index] ?? '',
    dataset: 'udb',
    versionWindow: DAYS[index] ?? '',
    version: `v${index}`,
    digest,
    inputs: read === undefined ? [] : [{ dataset: 'udb', window: DAYS[index - 1] ?? '', version: 'any', digest: read }],
  }));
}

const windows = (accepted: readonly AcceptedVersion[]): string[] => staleWindows(accepted, 'main').map(({ window }) => window);

test('nothing is stale while every window was built on what is current', () => {
  expect(windows(chain([{ digest: 'a' }, { digest: 'b', read: 'a' }, { digest: 'c', read: 'b' }]))).toEqual([]);
});

test('a window that was replaced by other rows makes the next one stale, and through it all that follow, oldest first', () => {
  const accepted = chain([{ digest: 'A' }, { digest: 'b', read: 'a' }, { digest: 'c', read: 'b' }]);
  expect(staleWindows([...accepted].reverse(), 'main')).toEqual([
    {
      pipeline: 'air',
      branch: 'main',
      window: DAYS[1],
      versions: [
        {
          dataset: 'udb',
          window: DAYS[1],
          version: 'v1',
          replaced: [{ dataset: 'udb', window: DAYS[0], built: 'a', current: 'A' }],
          stale: [],
        },
      ],
    },
    {
      pipeline: 'air',
      branch: 'main',
      window: DAYS[2],
      versions: [{ dataset: 'udb', window: DAYS[2], version: 'v2', replaced: [], stale: [{ dataset: 'udb', window: DAYS[1] }] }],
    },
  ]);
});

test('rows of another pipeline that were replaced make the reader stale, and a branch of that pipeline does not', () => {
  const of = (pipeline: string, dataset: string, branch: string, digest: string, read?: string): AcceptedVersion => ({
    ...{ pipeline, dataset, branch, digest, window: 'w', versionWindow: 'w', version: `${digest}-${branch}` },
    inputs: read === undefined ? [] : [{ dataset: 'air', window: 'w', version: 'any', digest: read }],
  });
  const air = [of('air', 'air', 'main', 'a'), of('air', 'air', 'b1', 'A')];
  expect(staleWindows([...air, of('sea', 'sea', 'main', 's', 'a'), of('sea', 'sea', 'b1', 's', 'a')], 'main')).toEqual([]);
  expect(staleWindows([...air, of('sea', 'sea', 'main', 's', 'old')], 'main')).toMatchObject([
    { pipeline: 'sea', versions: [{ replaced: [{ dataset: 'air', window: 'w', built: 'old', current: 'a' }] }] },
  ]);
});

test('a rebuild with the same rows makes nothing stale, whatever its version is called', () => {
  const [first, second] = chain([{ digest: 'a' }, { digest: 'b', read: 'a' }]);
  expect(windows([{ ...first, version: 'rebuilt' } as AcceptedVersion, second as AcceptedVersion])).toEqual([]);
});

test('staleness stops where a window was bootstrapped, and where it was rebuilt', () => {
  expect(windows(chain([{ digest: 'A' }, { digest: 'b', read: 'a' }, { digest: 'c' }, { digest: 'd', read: 'c' }]))).toEqual([DAYS[1]]);
  expect(windows(chain([{ digest: 'A' }, { digest: 'B', read: 'A' }, { digest: 'c', read: 'b' }]))).toEqual([DAYS[2]]);
});

test('only what reads the replaced dataset is stale', () => {
  const [first, second, third] = chain([{ digest: 'A' }, { digest: 'b', read: 'a' }, { digest: 'c' }]) as [
    AcceptedVersion,
    AcceptedVersion,
    AcceptedVersion,
  ];
  const report = { ...second, dataset: 'report', inputs: second.inputs };
  const udb = { ...second, inputs: [] };
  expect(staleWindows([first, udb, report, third], 'main')).toMatchObject([{ window: DAYS[1], versions: [{ dataset: 'report' }] }]);
});

test('an input that no window accepts any more, or whose rows nobody knows, judges nothing', () => {
  const [, second] = chain([{ digest: 'A' }, { digest: 'b', read: 'a' }]) as [AcceptedVersion, AcceptedVersion];
  expect(windows([second])).toEqual([]);
  const [first] = chain([{ digest: 'A' }]) as [AcceptedVersion];
  expect(windows([first, { ...second, inputs: second.inputs.map((input) => ({ ...input, digest: null })) }])).toEqual([]);
});

test('a branch is judged by its own windows, and by those of main it was forked from', () => {
  const main = chain([{ digest: 'a' }, { digest: 'b', read: 'a' }]);
  const rebuilt = chain([{ digest: 'a' }, { digest: 'B', read: 'a', branch: 'mend' }, { digest: 'c', read: 'B', branch: 'mend' }]).slice(1);
  expect(windows([...main, ...rebuilt])).toEqual([]);
  const changed = main.map((version) => (version.window === DAYS[0] ? { ...version, digest: 'A' } : version));
  expect(staleWindows([...changed, ...rebuilt], 'main').map(({ branch, window }) => [branch, window])).toEqual([
    ['main', DAYS[1]],
    ['mend', DAYS[1]],
    ['mend', DAYS[2]],
  ]);
});

test('what was built on a window is told before it is replaced', () => {
  const accepted = chain([{ digest: 'a' }, { digest: 'b', read: 'a' }, { digest: 'c', read: 'b' }, { digest: 'd' }]);
  const of = { pipeline: 'air', branch: 'main', window: DAYS[0] ?? '' };
  expect(windowsBuiltOn(accepted, of, 'main').map(({ window }) => window)).toEqual([DAYS[1], DAYS[2]]);
  expect(windowsBuiltOn(accepted, { ...of, window: DAYS[3] ?? '' }, 'main')).toEqual([]);
});

test('a long chain is as stale as the rule says, and replacing a window never makes more stale than was built on it', () => {
  const day = (index: number): string => new Date(Date.UTC(2026, 0, 1 + index)).toISOString().slice(0, 10);
  const links = fc.array(fc.record({ digest: fc.constantFrom('a', 'b'), read: fc.constantFrom('a', 'b', undefined) }), { maxLength: 40 });
  fc.assert(
    fc.property(links, (made) => {
      const accepted = made.map(({ digest, read }, index): AcceptedVersion => ({
        pipeline: 'air',
        branch: 'main',
        window: day(index),
        dataset: 'udb',
        versionWindow: day(index),
        version: `v${index}`,
        digest,
        inputs: read === undefined || index === 0 ? [] : [{ dataset: 'udb', window: day(index - 1), version: 'x', digest: read }],
      }));
      let stale = false;
      const expected = made.flatMap(({ read }, index) => {
        if (index === 0 || read === undefined) stale = false;
        else stale ||= read !== made[index - 1]?.digest;
        return stale ? [day(index)] : [];
      });
      expect(windows(accepted)).toEqual(expected);
      const below = accepted.map((of) => new Set(windowsBuiltOn(accepted, of, 'main').map(({ window }) => window)));
      accepted.forEach((of, index) => {
        const replaced = accepted.map((version) => (version === of ? { ...of, digest: 'other', inputs: [] } : version));
        for (const window of windows(replaced)) expect(below[index]?.has(window) === true || expected.includes(window)).toBe(true);
      });
    }),
    { numRuns: 60 },
  );
});
