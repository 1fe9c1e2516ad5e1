import type pg from 'pg';
import type { RoundServices } from '../activities/compute/emr-rounds';
import type { SparkRunner } from '../activities/compute/spark-runner';
import type { ObjectStore } from '../activities/storage/object-store';
import { systemClock } from '../lib/clock';
import type { Config } from '../lib/config';
import { readEmrSettings, type EmrConfig, type EmrSettings } from '../lib/emr-settings';
import { pricePerHour } from '../pipelines/emr-cost';
import { objectSettings } from '../pipelines/spark-settings';

/** What a worker process works with EMR by. */
export interface Emr {
  readonly config: EmrConfig;
  readonly runner: SparkRunner;
  readonly services: RoundServices;
  close(): void;
}

/** How often the log of a failed step is looked for. */
const LOG_EVERY_MS = 2_000;

/** EMR as the configuration has it, one a process: who follows a step of a cluster shares its polls. Undefined without one. Throws `config.invalid`. */
export async function openEmr(
  config: Pick<Config, 'emr' | 's3'>,
  { database, store }: { readonly database: pg.Pool; readonly store: ObjectStore },
): Promise<Emr | undefined> {
  const { emr } = config;
  if (emr === undefined) return undefined;
  const settings = readEmrSettings(emr);
  // The SDK takes a while to load, and most workers need none of it.
  const [{ createEmrClient }, { createLogReader, failedLog }, { createEmrPoller }, { createEmrRunner }, { s3Client }] = await Promise.all([
    import('../activities/compute/emr-client.js'),
    import('../activities/compute/emr-logs.js'),
    import('../activities/compute/emr-poller.js'),
    import('../activities/compute/emr-steps.js'),
    import('../lib/aws.js'),
  ]);
  const client = createEmrClient(emr);
  const logs = s3Client(config.s3 ?? { pathStyle: false });
  const read = createLogReader(logs);
  const pollMs = settings.pollSeconds * 1000;
  const wait = { clock: systemClock, waitMs: settings.logSeconds * 1000, everyMs: Math.min(pollMs, LOG_EVERY_MS) };
  const services: RoundServices = {
    database,
    client,
    poller: createEmrPoller(client, systemClock, pollMs),
    clock: systemClock,
    store,
    settleMs: settings.settleSeconds * 1000,
    pollMs,
    pricePerHour: priceOf(settings),
    async logTail(cluster, step, signal, maskValues) {
      const { logs: place } = await client.describeCluster(cluster);
      return failedLog(read, place, cluster, step, { ...wait, maskValues }, signal);
    },
  };
  return {
    config: emr,
    runner: createEmrRunner({ services, config: emr, settings, objects: jobObjects(emr, config.s3) }),
    services,
    close() {
      client.close();
      logs.destroy();
    },
  };
}

/** How jobs read and write objects. The bucket's region is that of the clusters where nobody says, and both are those of AWS. */
export function jobObjects(emr: EmrConfig, s3: Config['s3']): Record<string, string> {
  if (s3 === undefined) return {};
  const ofAws = s3.endpoint === undefined && emr.endpoint === undefined;
  return objectSettings({ ...s3, region: s3.region ?? (ofAws ? emr.region : undefined) });
}

function priceOf({ transient, pricePerHour: ofCluster }: EmrSettings): number | undefined {
  return transient === undefined ? ofCluster : pricePerHour(transient.fleets);
}
