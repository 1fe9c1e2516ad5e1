import { S3Client } from '@aws-sdk/client-s3';
import type { S3Config } from './s3-config';

// Node 20 is what Almanac asks for, and `doctor` says so; the SDK's own warning about it would stand before every answer.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';

/** With the SDK's waits between them, tries of one request last about half a minute; the stage is tried again after that. */
const TRIES = 6;
const CONNECT_MS = 5_000;
/** Nothing came for so long: the connection is given up. */
const SILENT_MS = 60_000;
/** Above what one stage transfers at once, so that stages beside each other do not wait for sockets. */
const SOCKETS = 128;

/** Where a service is that is not where the SDK would look for it. */
export interface ServicePlace {
  readonly endpoint?: string;
  readonly region?: string;
}

/** What every client of the SDK is made with. A request is tried `tries` times, with the SDK's waits between. Credentials come by its own chain and are seen by nobody here. */
export function clientOptions({ endpoint, region }: ServicePlace, tries: number): ServicePlace & { readonly maxAttempts: number } {
  return { ...(endpoint === undefined ? {} : { endpoint }), ...(region === undefined ? {} : { region }), maxAttempts: tries };
}

/** A client of the bucket's service. */
export function s3Client({ pathStyle, ...place }: Pick<S3Config, 'endpoint' | 'region' | 'pathStyle'>): S3Client {
  const agent = { keepAlive: true, maxSockets: SOCKETS };
  return new S3Client({
    ...clientOptions(place, TRIES),
    forcePathStyle: pathStyle,
    requestHandler: {
      connectionTimeout: CONNECT_MS,
      requestTimeout: SILENT_MS,
      throwOnRequestTimeout: true,
      socketTimeout: SILENT_MS,
      httpAgent: agent,
      httpsAgent: agent,
    },
  });
}
