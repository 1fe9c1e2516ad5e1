import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { recordAccepted, recordVersion, reindex } from '../../../activities/storage/catalog';
import { createDatasetStore } from '../../../activities/storage/datasets';
import { createLocalStore } from '../../../activities/storage/local-store';
import type { Manifest } from '../../../activities/storage/manifest';
import { migrate } from '../../../lib/migrate';
import type { VersionRef } from '../../../pipelines/types';
import { testDatabase, type TestDatabase } from '../../support/postgres';

const CLOCK = { now: () => new Date('2026-03-12T00:00:00Z') };
const TABLES = ['dataset_version', 'version_input', 'accepted_set', 'accepted_version', 'quarantine', 'version_source'];

let database: TestDatabase;
let root: string;
beforeAll(async () => {
  database = await testDatabase();
  await migrate(database.pool);
});
beforeEach(async () => {
  root = mkdtempSync(path.join(tmpdir(), 'almanac-catalog-'));
  await database.pool.query('truncate almanac.dataset_version, almanac.version_input, almanac.accepted_set cascade');
});
afterEach(() => rmSync(root, { recursive: true }));
afterAll(() => database[Symbol.asyncDispose]());

async function snapshot(): Promise<Record<string, unknown[]>> {
  const entries = TABLES.map(
    async (table) => [table, (await database.pool.query(`select * from almanac.${table} t order by t::text`)).rows] as const,
  );
  return Object.fromEntries(await Promise.all(entries));
}

/** Two days of one chain: events are ingested, a state is carried, day 2 is accepted twice. */
async function fill() {
  const store = createLocalStore(root);
  const datasets = createDatasetStore(store, CLOCK);
  const run = (window: string, generation: number) => ({ pipeline: 'p', window, branch: 'main', generation });
  async function commit(dataset: string, window: string, key: string, inputs: readonly VersionRef[], generation = 1): Promise<Manifest> {
    const file = path.join(await store.scratch(), 'x');
    writeFileSync(file, key);
    const landing = [{ path: `landing/events/dt=${window}/a.csv`, bytes: 1, sha256: 'x' }];
    return datasets.commit({
      dataset,
      window,
      key,
      digest: key,
      columns: [{ name: 'a', type: 'text' }],
      files: [{ file, rows: 1 }],
      rowsIn: 2,
      ...(dataset === 'events' ? { quarantine: { rows: { malformed: 1 }, files: [] } } : {}),
      provenance: {
        run: run(window, generation),
        stage: dataset,
        attempt: 1,
        stageHash: 'h',
        inputs,
        ...(dataset === 'events' ? { landing } : {}),
      },
    });
  }
  const ref = ({ dataset, window, version, digest }: Manifest): VersionRef => ({ dataset, window, version, digest });
  const manifests: Manifest[] = [];
  const sets = [];
  let state: Manifest | undefined;
  for (const [window, generation] of [
    ['2026-03-10', 1],
    ['2026-03-11', 1],
    ['2026-03-11', 2],
  ] as const) {
    const events = await commit('events', window, `e${generation}`, [], generation);
    const next = await commit('udb', window, `u${generation}`, [ref(events), ...(state ? [ref(state)] : [])], generation);
    state ??= next;
    manifests.push(events, next);
    const acceptance = {
      pipeline: 'p',
      branch: 'main',
      window,
      run: run(window, generation),
      versions: [ref(events), ref(next)],
      gates: { judge: 'PASS' },
    };
    sets.push(await datasets.accept(acceptance));
  }
  await datasets.revoke(run('2026-03-12', 1));
  return { store, manifests, sets };
}

test('a reindex from the store alone gives the catalog that was noted along the way', async () => {
  const { store, manifests, sets } = await fill();
  for (const manifest of manifests) await recordVersion(database.pool, manifest);
  for (const set of sets) await recordAccepted(database.pool, set);
  const noted = await snapshot();
  expect(noted['accepted_set']).toMatchObject([
    { window_key: '2026-03-10', generation: 1 },
    { window_key: '2026-03-11', generation: 2, sequence: 2 },
  ]);
  expect(noted['version_input']).toHaveLength(5);
  await database.pool.query('truncate almanac.dataset_version, almanac.version_input, almanac.accepted_set cascade');
  expect(await reindex(store, database.pool)).toEqual({ versions: 6, windows: 2 });
  expect(await snapshot()).toEqual(noted);
  await Promise.all([reindex(store, database.pool), reindex(store, database.pool)]);
  expect(await snapshot()).toEqual(noted);
});

test('notes may come twice, late and out of order', async () => {
  const { manifests, sets } = await fill();
  for (const manifest of [...manifests, ...manifests].reverse()) await recordVersion(database.pool, manifest);
  for (const set of [...sets].reverse()) await recordAccepted(database.pool, set);
  const { accepted_version: current } = await snapshot();
  expect(current).toMatchObject([{ version: 'e1' }, { version: 'u1' }, { version: 'e2' }, { version: 'u2' }]);
  await Promise.all(sets.flatMap((set) => [recordAccepted(database.pool, set), recordAccepted(database.pool, set)]));
  expect((await snapshot())['accepted_version']).toEqual(current);
});

test('a reindex forgets what is no longer in the store', async () => {
  const { store, manifests } = await fill();
  await reindex(store, database.pool);
  await store.delete('datasets/udb/2026-03-10/u1.json');
  await reindex(store, database.pool);
  expect((await snapshot())['dataset_version']).toHaveLength(manifests.length - 1);
});
