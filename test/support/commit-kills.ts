/** Committers of versions and accepted sets that are killed at any of their steps, over any store. */
import { createHash } from 'node:crypto';
import { createDatasetStore } from '../../activities/storage/datasets';
import { openStore } from '../../activities/storage/open-store';
import { systemClock } from '../../lib/clock';
import type { CommitterOrder, StorePlace } from './committer-child';
import { Random } from './random';
import { killedOrDone, startSource } from './source-process';

const WINDOW = '2026-03-10';
const KILLS = Number(process.env.ALMANAC_TEST_KILLS ?? '3');
/** Steps of one generation: three files and a manifest of two datasets, and the put of the set. */
const STEPS = 9;

/** Runs a committer in a process of its own until it is done or dead. */
async function committer(order: CommitterOrder): Promise<{ killed: boolean }> {
  const committing = startSource('committer-child.ts');
  committing.process.send(order);
  return { killed: await killedOrDone(committing) };
}

/** Declares the test; `place` answers with an empty store of its own. */
export function commitKills(place: () => StorePlace): void {
  test(
    'a committer killed at any step leaves the old set whole or the new set whole',
    async () => {
      const random = new Random(20261121);
      const store = await openStore(place());
      const datasets = createDatasetStore(store, systemClock);
      let before = 0;
      for (let kill = 0; kill < KILLS; kill++) {
        // Versions an earlier victim finished are adopted, so three generations have a step to die at.
        const dieAtStep = 1 + random.below(2 * STEPS);
        const { killed } = await committer({ place: place(), firstGeneration: before + 1, lastGeneration: before + 3, dieAtStep });
        expect(killed).toBe(true);
        const current = await datasets.accepted('p', 'main', WINDOW);
        const generation = current?.run.generation ?? 0;
        expect([before, before + 1, before + 2]).toContain(generation);
        for (const version of current?.versions ?? []) {
          expect(version.version).toBe(`g${generation}`);
          const manifest = await datasets.manifest(version);
          expect(manifest.files).toHaveLength(3);
          for (const file of manifest.files) {
            const body = await store.get(file.path);
            const hash = createHash('sha256').update(body ?? '');
            expect(hash.digest('hex')).toBe(file.sha256);
          }
        }
        before = generation;
      }
      await committer({ place: place(), firstGeneration: before + 1, lastGeneration: before + 1, dieAtStep: -1 });
      expect(await datasets.accepted('p', 'main', WINDOW)).toMatchObject({ run: { generation: before + 1 }, sequence: before + 1 });
      expect(await store.list('accepted')).toHaveLength(before + 1);
    },
    60_000 + KILLS * 20_000,
  );
}
