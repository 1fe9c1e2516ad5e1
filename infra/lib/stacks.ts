import { Tags, Validations, type App } from 'aws-cdk-lib';
import { SolutionsChecks } from './acknowledge';
import { DatabaseStack } from './database-stack';
import { EmrStack } from './emr-stack';
import { NetworkStack } from './network-stack';
import { ObservabilityStack } from './observability-stack';
import type { Settings } from './settings';
import { StorageStack } from './storage-stack';
import { WorkersStack } from './workers-stack';

export interface Stacks {
  readonly network: NetworkStack;
  readonly storage: StorageStack;
  readonly database: DatabaseStack;
  readonly emr: EmrStack | undefined;
  readonly workers: WorkersStack;
  readonly observability: ObservabilityStack;
}

/** All stacks of one deployment, in the account and region of whoever deploys; judged by cdk-nag when they are synthesised. */
export function createStacks(app: App, settings: Settings): Stacks {
  const name = (part: string): string => `${settings.name}-${part}`;
  const network = new NetworkStack(app, name('network'), { settings });
  const storage = new StorageStack(app, name('storage'), { settings });
  const database = new DatabaseStack(app, name('database'), { settings, network });
  const emr = settings.emr === 'none' ? undefined : new EmrStack(app, name('emr'), { settings, network, storage });
  const workers = new WorkersStack(app, name('workers'), { settings, network, storage, database, emr });
  const observability = new ObservabilityStack(app, name('observability'), { settings, database, workers, emr });
  Tags.of(app).add('deployment', settings.name);
  Validations.of(app).addPlugins(new SolutionsChecks(app));
  return { network, storage, database, emr, workers, observability };
}
