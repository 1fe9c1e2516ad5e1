import { recordAccepted, recordVersion } from '../../../activities/storage/catalog';
import type { AcceptedSet, Manifest } from '../../../activities/storage/manifest';
import { migrate } from '../../../lib/migrate';
import { builtOn, findStale } from '../../../operator/stale';
import { staleWindows, windowsBuiltOn, type AcceptedVersion } from '../../../pipelines/stale';
import { testDatabase, type TestDatabase } from '../../support/postgres';
import { Random } from '../../support/random';

const SEEDS = [1, 2, 3, 4, 5, 6];
const STEPS = 60;
const WINDOWS = ['2026-01-01', '2026-01-02', '2026-01-03', '2026-01-04', '2026-01-05'];
const at = '2026-02-01T00:00:00.000Z';

let database: TestDatabase;
beforeEach(async () => {
  database = await testDatabase();
  await migrate(database.pool);
});
afterEach(() => database[Symbol.asyncDispose]());

/** Two pipelines: `up` with state, `down` that reads it; every window is run again and again, on two branches, sometimes after a skip. */
class Catalog {
  private readonly accepted = new Map<string, { sequence: number; versions: Map<string, AcceptedVersion> }>();
  private made = 0;

  constructor(private readonly random: Random) {}

  async step(): Promise<void> {
    const pipeline = this.random.chance(0.6) ? 'up' : 'down';
    const branch = this.random.chance(0.8) ? 'main' : 'fork';
    const index = this.random.below(WINDOWS.length);
    const window = WINDOWS[index] ?? '';
    const place = `${pipeline}/${branch}/${window}`;
    const before = this.accepted.get(place);
    const versions = new Map<string, AcceptedVersion>();
    const make = (dataset: string, inputs: readonly (AcceptedVersion | undefined)[]): AcceptedVersion => {
      const version = `v${(this.made += 1)}`;
      const read = inputs.flatMap((input) => (input === undefined ? [] : [input]));
      const made = {
        ...{ pipeline, branch, window, dataset, versionWindow: window, version, digest: `d${this.random.below(3)}` },
        inputs: read.map((input) => ({
          ...{ dataset: input.dataset, window: input.versionWindow },
          version: input.version,
          digest: input.digest,
        })),
      };
      versions.set(dataset, made);
      return made;
    };
    if (pipeline === 'up') {
      const rows = make('rows', []);
      make('state', [rows, this.current(branch, 'up', WINDOWS[index - 1], 'state')]);
    } else make('report', [this.current(branch, 'up', window, 'state'), this.current(branch, 'up', WINDOWS[index - 1], 'state')]);
    for (const version of versions.values()) await this.record(version);
    // A skip puts another version of the rows into the set than its state was computed from.
    const skipped = pipeline === 'up' && this.random.chance(0.15);
    if (skipped) await this.record(make('rows', []));
    const sequence = (before?.sequence ?? 0) + 1;
    this.accepted.set(place, { sequence, versions });
    const refs = [...versions.values()].map(({ dataset, versionWindow, version, digest }) => ({
      dataset,
      window: versionWindow,
      version,
      digest,
    }));
    const set = {
      pipeline,
      branch,
      window,
      sequence,
      since: sequence,
      run: { pipeline, branch, window, generation: sequence },
      versions: refs,
      gates: {},
      at,
    };
    await recordAccepted(database.pool, { ...set, ...(skipped ? { tainted: true } : {}) } as unknown as AcceptedSet);
  }

  everything(): AcceptedVersion[] {
    return [...this.accepted.values()].flatMap(({ versions }) => [...versions.values()]);
  }

  private current(branch: string, pipeline: string, window: string | undefined, dataset: string): AcceptedVersion | undefined {
    return (
      this.accepted.get(`${pipeline}/${branch}/${window ?? ''}`) ?? this.accepted.get(`${pipeline}/main/${window ?? ''}`)
    )?.versions.get(dataset);
  }

  private async record({ pipeline, branch, window, dataset, version, digest, inputs }: AcceptedVersion): Promise<void> {
    const run = { pipeline, branch, window, generation: 1 };
    const provenance = { run, stage: dataset, attempt: 1, stageHash: 'h', inputs };
    const manifest = { dataset, window, version, digest, rows: 1, bytes: 1, files: [], rowsIn: 1, writtenAt: at, provenance };
    await recordVersion(database.pool, manifest as unknown as Manifest);
  }
}

test.each(SEEDS)('looking only where rows may have been replaced finds all that is stale: seed %i', async (seed) => {
  const catalog = new Catalog(new Random(seed));
  let seen = 0;
  for (let step = 1; step <= STEPS; step++) {
    await catalog.step();
    if (step % 6 > 0) continue;
    const expected = staleWindows(catalog.everything(), 'main');
    expect(sorted(await findStale(database.pool))).toEqual(sorted(expected));
    seen += expected.length;
    for (const window of WINDOWS) {
      const address = { pipeline: 'up', branch: 'main', window };
      expect(await builtOn(database.pool, address)).toEqual(windowsBuiltOn(catalog.everything(), address, 'main'));
    }
  }
  expect(seen).toBeGreaterThan(0);
});

/** What is said of a version does not depend on the order in which it is asked. */
function sorted(stale: readonly object[]): unknown[] {
  const order = (value: unknown): unknown =>
    Array.isArray(value)
      ? value.map(order).sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
      : typeof value === 'object' && value !== null
        ? Object.fromEntries(Object.entries(value).map(([key, of]) => [key, order(of)]))
        : value;
  return order(stale) as unknown[];
}
