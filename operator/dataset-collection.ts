import { collectStore, type CollectionOptions, type CollectionReport } from '../activities/storage/collection';
import type { DatasetServices } from './dataset-names';

/** Collects the project's store: the declarations say which datasets are state and fall under retention. */
export async function collectDatasets(services: DatasetServices, options: CollectionOptions = {}): Promise<CollectionReport> {
  const states = new Set<string>();
  for (const { spec } of (await services.project()).pipelines.values()) {
    for (const [name, dataset] of Object.entries(spec.datasets)) if (dataset.kind === 'state') states.add(name);
  }
  return collectStore(services, states, options);
}
