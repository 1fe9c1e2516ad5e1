import { METRICS_PORT } from './network-stack';
import type { Settings } from './settings';
import { STORE_PREFIX } from './store-folders';

/** What a worker has room for: the stages it computes at a time, and of which kind. */
export interface Places {
  readonly live: number;
  readonly backfill: number;
}

export interface WorkerEnvironment {
  readonly settings: Settings;
  readonly dataBucket: string;
  readonly region: string;
  readonly places?: Places;
  readonly emr?: EmrEnvironment;
}

/** How workers find EMR. */
export interface EmrEnvironment {
  /** JSON that image/start.mjs writes into a file. */
  readonly settings: string;
  /** Undefined: clusters come and go. */
  readonly cluster?: string;
}

/** State that need not outlive a task: the read cache of the store, scratch of DuckDB. Made in image/Dockerfile. */
export const HOME = '/var/lib/almanac';

/** The variables of a worker that are no secrets, as lib/config.ts reads them. */
export function workerEnvironment({ settings, dataBucket, region, places, emr }: WorkerEnvironment): Record<string, string> {
  return {
    ALMANAC_HOME: HOME,
    ALMANAC_DATA: `s3://${dataBucket}/${STORE_PREFIX}`,
    ALMANAC_QUEUE: settings.name,
    ALMANAC_METRICS: `0.0.0.0:${METRICS_PORT}`,
    ALMANAC_SDK_METRICS: `127.0.0.1:${METRICS_PORT + 1}`,
    AWS_REGION: region,
    TEMPORAL_ADDRESS: settings.temporalAddress,
    TEMPORAL_NAMESPACE: settings.temporalNamespace,
    // Of the disk of its task (workers-stack.ts): the rest is for what DuckDB spills.
    ALMANAC_S3_CACHE: places === undefined ? '5GB' : '60GB',
    ...(emr === undefined
      ? {}
      : {
          ALMANAC_EMR_SETTINGS: `${HOME}/emr-settings.json`,
          EMR_SETTINGS: emr.settings,
          ALMANAC_EMR_REGION: region,
          ...(emr.cluster === undefined ? {} : { ALMANAC_EMR_CLUSTER: emr.cluster }),
        }),
    ...(places === undefined ? {} : { ALMANAC_PLACES: String(places.live), ALMANAC_BACKFILL_PLACES: String(places.backfill) }),
  };
}
