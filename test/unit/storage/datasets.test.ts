import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { createDatasetStore, type StorePoint } from '../../../activities/storage/datasets';
import type { Acceptance, CandidateInput, DatasetStore } from '../../../activities/storage/dataset-store';
import { createLocalStore } from '../../../activities/storage/local-store';
import type { AcceptedSet } from '../../../activities/storage/manifest';
import type { ObjectStore } from '../../../activities/storage/object-store';
import type { VersionRef } from '../../../pipelines/types';

const WINDOW = '2026-03-10';
const CLOCK = { now: () => new Date('2026-03-11T00:00:00Z') };
const run = (generation: number) => ({ pipeline: 'p', window: WINDOW, branch: 'main', generation });

let root: string;
let store: ObjectStore;
let datasets: DatasetStore;
beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), 'almanac-datasets-'));
  store = createLocalStore(root);
  datasets = createDatasetStore(store, CLOCK);
});
afterEach(() => rmSync(root, { recursive: true }));

async function candidate(key: string, body = key): Promise<CandidateInput> {
  const scratch = await store.scratch();
  const names = ['part-0', 'part-1', 'aside'];
  for (const name of names) writeFileSync(path.join(scratch, name), `${body} ${name}`);
  const at = (name: string): string => path.join(scratch, name);
  return {
    dataset: 'd',
    window: WINDOW,
    key,
    digest: `digest-${key}`,
    columns: [{ name: 'a', type: 'text' }],
    files: [
      { file: at('part-0'), rows: 2 },
      { file: at('part-1'), rows: 3, bucket: 1 },
    ],
    quarantine: { rows: { malformed: 1 }, files: [{ file: at('aside'), rows: 1 }] },
    rowsIn: 6,
    provenance: { run: run(1), stage: 's', attempt: 1, stageHash: 'h', inputs: [] },
  };
}

async function committed(key: string, of = datasets): Promise<VersionRef> {
  const { dataset, window, version, digest } = await of.commit(await candidate(key));
  return { dataset, window, version, digest };
}

const acceptance = (generation: number, versions: readonly VersionRef[]): Acceptance => ({
  pipeline: 'p',
  branch: 'main',
  window: WINDOW,
  run: run(generation),
  versions,
  gates: { judge: 'PASS' },
});

/** A process that ends at its n-th step: nothing after the step happens. */
function dyingAt(step: number): { point: StorePoint; died: () => boolean } {
  let left = step;
  return { point: () => (left-- === 0 ? Promise.reject(new Error('killed')) : Promise.resolve()), died: () => left < 0 };
}

test('a committed version is found by its key, with its files, rows and sums', async () => {
  const manifest = await datasets.commit(await candidate('k1'));
  expect(manifest).toMatchObject({
    version: 'k1',
    rows: 5,
    rowsIn: 6,
    quarantine: { rows: { malformed: 1 } },
    writtenAt: '2026-03-11T00:00:00.000Z',
  });
  expect(manifest.files.map(({ rows, bytes, bucket }) => [rows, bytes, bucket])).toEqual([
    [2, 9, undefined],
    [3, 9, 1],
  ]);
  expect(manifest.files[0]?.path).toMatch(/^datasets\/d\/2026-03-10\/data\/k1-[0-9a-f]+-0\.parquet$/);
  expect(manifest.quarantine?.files[0]?.path).toMatch(/^quarantine\/d\/2026-03-10\/k1-/);
  expect(await datasets.find('d', WINDOW, 'k1')).toEqual(manifest);
  expect(await datasets.find('d', WINDOW, 'k2')).toBeUndefined();
  await expect(datasets.manifest({ dataset: 'd', window: WINDOW, version: 'k2' })).rejects.toMatchObject({
    code: 'dataset.version-missing',
    class: 'missing',
  });
});

test('twenty finishers of one key converge on one manifest, and leave no file of the others', async () => {
  const candidates = await Promise.all(Array.from({ length: 20 }, (_, n) => candidate('k1', `finisher ${n}`)));
  const manifests = await Promise.all(candidates.map((one) => datasets.commit(one)));
  expect(new Set(manifests.map((one) => JSON.stringify(one))).size).toBe(1);
  const paths = [...(manifests[0]?.files ?? []), ...(manifests[0]?.quarantine?.files ?? [])].map((file) => file.path);
  const data = [...(await store.list('datasets/d/2026-03-10/data')), ...(await store.list('quarantine'))];
  expect(data.map((info) => info.path).sort()).toEqual(paths.sort());
});

test('killed between any two steps, a commit leaves nothing or the whole version, and the next try finishes it', async () => {
  for (let step = 0; ; step++) {
    const key = `k${step}`;
    const { point, died } = dyingAt(step);
    await createDatasetStore(store, CLOCK, point)
      .commit(await candidate(key))
      .catch(() => undefined);
    expect(await datasets.find('d', WINDOW, key)).toEqual(died() ? undefined : expect.objectContaining({ rows: 5 }));
    const manifest = await datasets.commit(await candidate(key));
    for (const file of manifest.files) expect(await store.get(file.path)).toBeDefined();
    if (!died()) break;
  }
});

test('of twenty generations accepting one window at once the newest is current in the end; who came after a newer one is refused', async () => {
  const versions = await Promise.all(Array.from({ length: 20 }, (_, n) => committed(`k${n}`)));
  const results = await Promise.allSettled(versions.map((version, index) => datasets.accept(acceptance(index + 1, [version]))));
  const won = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  for (const result of results)
    if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'run.fenced', class: 'refused' });
  expect(await store.list('accepted')).toHaveLength(won.length);
  expect(new Set(won.map(({ sequence }) => sequence)).size).toBe(won.length);
  expect(await datasets.accepted('p', 'main', WINDOW)).toMatchObject({ run: run(20), versions: [versions[19]], sequence: won.length });
});

test('the same run with the same versions again changes nothing', async () => {
  const version = await committed('k1');
  const first = await datasets.accept(acceptance(1, [version]));
  const again = await Promise.all([1, 2, 3].map(() => datasets.accept(acceptance(1, [version]))));
  expect(again).toEqual([first, first, first]);
  expect(await store.list('accepted')).toHaveLength(1);
});

test('a set naming a version that is not in the store is refused', async () => {
  const version = { dataset: 'd', window: WINDOW, version: 'gone', digest: 'x' };
  await expect(datasets.accept(acceptance(1, [version]))).rejects.toMatchObject({ code: 'dataset.version-missing' });
});

test('a generation replaces an older one, never a newer', async () => {
  const [one, two, three] = [await committed('k1'), await committed('k2'), await committed('k3')];
  await datasets.accept(acceptance(2, [two]));
  await expect(datasets.accept(acceptance(1, [one]))).rejects.toMatchObject({ code: 'run.fenced' });
  expect(await datasets.accept(acceptance(3, [three]))).toMatchObject({ sequence: 2, since: 2, versions: [three] });
});

test('a revoked generation is refused, before and after others were accepted', async () => {
  const [one, two] = [await committed('k1'), await committed('k2')];
  await datasets.revoke(run(1));
  await datasets.revoke(run(1));
  expect(await datasets.accepted('p', 'main', WINDOW)).toBeUndefined();
  expect(await datasets.acceptedWindows('p', 'main')).toEqual([]);
  await expect(datasets.accept(acceptance(1, [one]))).rejects.toMatchObject({ code: 'run.fenced', class: 'refused' });
  const accepted = await datasets.accept(acceptance(2, [two]));
  expect(accepted.versions).toEqual([two]);
  expect(accepted).not.toHaveProperty('nothing');
  expect(await datasets.acceptedWindows('p', 'main')).toEqual([WINDOW]);
  await expect(datasets.accept(acceptance(1, [one]))).rejects.toMatchObject({ code: 'run.fenced' });
});

test('a revoked generation commits no version any more, and leaves no file', async () => {
  await committed('k1');
  const before = await store.list('datasets');
  await datasets.revoke(run(1));
  await expect(datasets.commit(await candidate('k2'))).rejects.toMatchObject({ code: 'run.fenced' });
  expect(await store.list('datasets')).toEqual(before);
  expect((await datasets.commit(await candidate('k1'))).version).toBe('k1');
});

test('a revocation keeps the versions, and the next generation takes it over', async () => {
  const [one, two] = [await committed('k1'), await committed('k2')];
  await datasets.accept(acceptance(1, [one]));
  await datasets.revoke(run(2));
  const current = await datasets.accepted('p', 'main', WINDOW);
  expect(current).toMatchObject({ sequence: 2, since: 1, versions: [one], run: run(1), revoked: [2] });
  await expect(datasets.accept(acceptance(3, [two]))).resolves.toMatchObject({ versions: [two], revoked: [2] });
});

test('a revocation racing an acceptance of its generation: either it was accepted first, or it is refused', async () => {
  for (let round = 0; round < 20; round++) {
    const version = await committed(`k${round}`);
    const branch = `b${round}`;
    const of = { ...run(1), branch };
    const [accepting] = await Promise.allSettled([datasets.accept({ ...acceptance(1, [version]), branch, run: of }), datasets.revoke(of)]);
    const current = await datasets.accepted('p', branch, WINDOW);
    if (accepting?.status === 'fulfilled') expect(current?.versions).toEqual([version]);
    else expect([accepting?.reason.code, current]).toEqual(['run.fenced', undefined]);
    await expect(datasets.accept({ ...acceptance(1, [version]), branch, run: of })).rejects.toMatchObject({
      code: 'run.fenced',
    });
  }
});

type Step = { readonly accept: number; readonly killedAt: number } | { readonly revoke: number };

test('whatever is accepted, revoked and killed, the current set is whole, and generations never go back', async () => {
  const steps = fc.array(
    fc.oneof(
      fc.record({ accept: fc.integer({ min: 1, max: 4 }), killedAt: fc.integer({ min: 0, max: 3 }) }),
      fc.record({ revoke: fc.integer({ min: 1, max: 4 }) }),
    ),
    { maxLength: 12 },
  );
  let branches = 0;
  await fc.assert(
    fc.asyncProperty(steps, async (list: Step[]) => {
      const branch = `branch-${++branches}`;
      const revoked = new Set<number>();
      let current: AcceptedSet | undefined;
      for (const [index, step] of list.entries()) {
        if ('revoke' in step) {
          await datasets.revoke({ ...run(step.revoke), branch });
          revoked.add(step.revoke);
        } else {
          const { point } = dyingAt(step.killedAt);
          const version = await committed(`k-${branch}-${index}`);
          const next = { ...acceptance(step.accept, [version]), branch, run: { ...run(step.accept), branch } };
          await createDatasetStore(store, CLOCK, point)
            .accept(next)
            .then(
              () => expect(revoked).not.toContain(step.accept),
              () => undefined,
            );
        }
        const found = await datasets.accepted('p', branch, WINDOW);
        if (current) expect(found).toBeDefined();
        for (const version of found?.versions ?? []) await datasets.manifest(version);
        expect(found?.run.generation ?? 0).toBeGreaterThanOrEqual(current?.run.generation ?? 0);
        current = found;
      }
      expect(current?.revoked ?? []).toEqual(current ? [...revoked].sort() : []);
    }),
    { numRuns: 30 },
  );
});

test('the highest generation of a window is the highest that was accepted or revoked', async () => {
  const known = () => datasets.generations('p', 'main', WINDOW);
  expect(await known()).toEqual({ accepted: undefined, highest: 0 });
  await datasets.revoke(run(2));
  expect(await known()).toEqual({ accepted: undefined, highest: 2 });
  const versions = [await committed('k1')];
  await datasets.accept(acceptance(3, versions));
  expect(await known()).toMatchObject({ accepted: { run: run(3), versions }, highest: 3 });
  await datasets.revoke(run(5));
  expect(await known()).toMatchObject({ accepted: { run: run(3), versions }, highest: 5 });
});
