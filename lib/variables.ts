import { z } from 'zod';
import { parseSize } from '../pipelines/size';

const bytes = z.string().transform((text, context) => {
  const size = parseSize(text);
  if (size !== undefined && size >= 64e6) return size;
  context.addIssue('expected a size of at least 64MB, like 512MB or 2GiB');
  return z.NEVER;
});

/** Where a service listens; `port` 0 lets the kernel choose. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

const listenAddress = z.string().transform((text, context): ListenAddress => {
  const match = /^(.+):(\d{1,5})$/.exec(text);
  if (match && Number(match[2]) < 65536) return { host: match[1] ?? '', port: Number(match[2]) };
  context.addIssue('expected HOST:PORT, like 127.0.0.1:9464');
  return z.NEVER;
});

const flag = z.enum(['1', 'true', '0', 'false'], 'expected one of 1, true, 0, false').transform((text) => text === '1' || text === 'true');

/** Without a user: credentials come by the SDK's chain, and this is printed. */
const endpointUrl = z.string().refine((text) => /^https?:\/\//.test(text) && URL.canParse(text) && !/[@?#]/.test(text), {
  error: 'expected http(s)://HOST:PORT, without a user, a query or a fragment',
});

const wholeNumber = (maximum: number) =>
  z
    .string()
    .regex(/^[1-9]\d*$/, `expected a whole number from 1 to ${maximum}`)
    .transform(Number)
    .pipe(z.number().max(maximum, `expected a whole number from 1 to ${maximum}`));

const region = z.string().regex(/^[a-z0-9-]{1,40}$/, 'expected the name of a region, like eu-central-1');

/** Every variable Almanac reads; the keys are the list of known names. */
export const VARIABLES = {
  ALMANAC_HOME: z.string(),
  ALMANAC_DATA: z.string(),
  ALMANAC_S3_ENDPOINT: endpointUrl,
  ALMANAC_S3_REGION: region,
  ALMANAC_S3_PATH_STYLE: flag,
  ALMANAC_S3_KMS_KEY: z.string().max(2048, 'expected the id, the alias or the ARN of a KMS key'),
  ALMANAC_S3_REQUESTER_PAYS: flag,
  ALMANAC_S3_CACHE: bytes,
  ALMANAC_EMR_SETTINGS: z.string(),
  ALMANAC_EMR_CLUSTER: z.string().regex(/^j-[0-9A-Z]{4,32}$/, 'expected the id of a cluster, like j-2AXXXXXXGAPLF'),
  ALMANAC_EMR_ENDPOINT: endpointUrl,
  ALMANAC_EMR_REGION: region,
  ALMANAC_QUEUE: z.string().regex(/^[0-9A-Za-z-]{1,100}$/, 'expected letters, digits and dashes'),
  ALMANAC_BUILD: z.string().regex(/^[0-9A-Za-z._-]{1,100}$/, 'expected letters, digits, dots, dashes and underscores'),
  ALMANAC_PLACES: wholeNumber(256),
  ALMANAC_BACKFILL_PLACES: wholeNumber(256),
  ALMANAC_MEMORY: bytes,
  ALMANAC_THREADS: wholeNumber(256),
  ALMANAC_METRICS: listenAddress,
  ALMANAC_SDK_METRICS: listenAddress,
  ALMANAC_LOG_LEVEL: z.enum(['debug', 'info', 'warn', 'error'], 'expected debug, info, warn or error'),
  ALMANAC_ACTOR: z.string().max(200, 'expected at most 200 characters'),
};

/** The names of all `ALMANAC_*` variables, for `doctor` and the docs. */
export const VARIABLE_NAMES: readonly string[] = Object.keys(VARIABLES);
