import { collectStore, type CollectionOptions, type CollectionReport } from '../activities/storage/collection';
import type { DatasetServices } from './dataset-names';

/**
 * Frees room now: what is older than `age` milliseconds goes at once instead of a week and an hour later. Two looks, one right after
 * the other, so that a run which opens in between keeps its versions; those of open runs, live tables and accepted sets always stay.
 */
export async function freeRoom(
  services: DatasetServices,
  age: number,
  options: Pick<CollectionOptions, 'wait' | 'dryRun'> = {},
): Promise<CollectionReport> {
  const now: CollectionOptions = { wait: 0, ...options, candidates: age, litter: age };
  const first = await collectDatasets(services, now);
  if (options.dryRun === true) return first;
  const second = await collectDatasets(services, now);
  return { deleted: [...first.deleted, ...second.deleted], marked: second.marked, deletedBytes: first.deletedBytes + second.deletedBytes };
}

/** Collects the project's store: the declarations say which datasets are state and fall under retention. */
export async function collectDatasets(services: DatasetServices, options: CollectionOptions = {}): Promise<CollectionReport> {
  const states = new Set<string>();
  for (const { spec } of (await services.project()).pipelines.values()) {
    for (const [name, dataset] of Object.entries(spec.datasets)) if (dataset.kind === 'state') states.add(name);
  }
  return collectStore(services, states, options);
}
