import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { createDatasetStore } from '../../activities/storage/datasets';
import { openStore } from '../../activities/storage/open-store';
import { systemClock } from '../../lib/clock';

/** What says which store it is. */
export type StorePlace = Parameters<typeof openStore>[0];

/** What the process is to do: commit and accept generation after generation, and die by SIGKILL at its n-th step. */
export interface CommitterOrder {
  readonly place: StorePlace;
  readonly firstGeneration: number;
  readonly lastGeneration: number;
  readonly dieAtStep: number;
}

const COMMITTED_WINDOW = '2026-03-10';

async function commitGenerations({ place, firstGeneration, lastGeneration, dieAtStep }: CommitterOrder): Promise<void> {
  let steps = 0;
  const point = (): Promise<void> => {
    steps += 1;
    if (steps === dieAtStep) process.kill(process.pid, 'SIGKILL');
    return Promise.resolve();
  };
  const store = await openStore(place);
  const datasets = createDatasetStore(store, systemClock, point);
  for (let generation = firstGeneration; generation <= lastGeneration; generation++) {
    const run = { pipeline: 'p', window: COMMITTED_WINDOW, branch: 'main', generation };
    const versions = [];
    for (const dataset of ['a', 'b']) {
      const scratch = await store.scratch();
      const files = [0, 1, 2].map((bucket) => ({ file: path.join(scratch, String(bucket)), rows: generation, bucket }));
      for (const { file, bucket } of files) writeFileSync(file, `${dataset} ${generation} ${bucket}`);
      const provenance = { run, stage: dataset, attempt: 1, stageHash: 'h', inputs: [] };
      const committed = await datasets.commit({
        dataset,
        window: COMMITTED_WINDOW,
        key: `g${generation}`,
        digest: `d${generation}`,
        columns: [],
        files,
        rowsIn: 3 * generation,
        provenance,
      });
      versions.push({ dataset, window: COMMITTED_WINDOW, version: committed.version, digest: committed.digest });
    }
    await datasets.accept({ pipeline: 'p', branch: 'main', window: COMMITTED_WINDOW, run, versions, gates: {} });
  }
}

process.once('message', (order: CommitterOrder) => {
  commitGenerations(order).then(
    () => process.disconnect(),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
});
