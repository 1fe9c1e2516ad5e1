import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadClientConfigProfile, type ClientConfigProfile } from '@temporalio/envconfig';
import { z } from 'zod';
import { AlmanacError } from '../pipelines/failures';
import { emrConfig, type EmrConfig, type EmrProblem } from './emr-settings';
import { nearest } from './nearest';
import { isS3, parseS3, s3Config, type GivenS3, type S3Config } from './s3-config';
import { VARIABLE_NAMES, VARIABLES, type ListenAddress } from './variables';

export interface TemporalConfig {
  readonly namespace: string;
  /** Connection of an external cluster; undefined means the embedded server. Holds secrets: never log it. */
  readonly external?: ClientConfigProfile & { readonly address: string };
}

export interface WorkerConfig {
  /** Stages a compute worker computes at a time: its DuckDB children. */
  readonly places: number;
  /** The same for stages of backfills, beside those: live stages keep theirs. */
  readonly backfillPlaces: number;
  /** Memory limit of one DuckDB session in bytes. */
  readonly memoryBytes: number;
  /** Threads of one DuckDB session. */
  readonly threads: number;
}

export interface Config {
  /** Absolute directory of all embedded state. */
  readonly home: string;
  /** Root of the object store: an absolute folder, or `s3://BUCKET/PREFIX`. */
  readonly data: string;
  /** Set when the objects lie in S3. */
  readonly s3?: S3Config;
  /** Set when stages may run on EMR. */
  readonly emr?: EmrConfig;
  /** Set when an external Postgres is used. Holds secrets: print it through `maskUrl`. */
  readonly databaseUrl?: string;
  readonly temporal: TemporalConfig;
  /** Prefix of the task queues; stacks that share a Temporal namespace need different ones. */
  readonly queue: string;
  /** The build that workers of a cluster with two of them are; undefined: workers are upgraded in place. */
  readonly build?: string;
  readonly worker: WorkerConfig;
  /** Where a worker serves /metrics; undefined: nowhere. */
  readonly metrics?: ListenAddress;
  /** Where a worker serves the Temporal SDK's own metrics; undefined: nowhere. */
  readonly sdkMetrics?: ListenAddress;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
  /** Who is recorded with an operator's verbs. */
  readonly actor: string;
}

export type Environment = Readonly<Record<string, string | undefined>>;

const PREFIX = 'ALMANAC_';

/** The project's own tests pass addresses in variables of this prefix; everything else ignores them. */
const TEST_PREFIX = 'ALMANAC_TEST_';

const FLAGS = ['1', 'true', '0', 'false'];

/**
 * Reads the whole configuration from environment variables; relative paths are taken from `base`. An empty variable counts
 * as unset. Throws AlmanacError `config.unknown` (an `ALMANAC_*` name that does not exist) and `config.invalid`.
 */
export function readConfig(environment: Environment, base: string): Config {
  const env = Object.fromEntries(Object.entries(environment).filter((entry): entry is [string, string] => Boolean(entry[1])));
  refuseUnknown(env);
  const parsed = z.object(VARIABLES).partial().safeParse(env);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const name = String(issue?.path[0]);
    // An address may have been given with a password.
    throw invalid(name, issue?.message ?? 'not usable', name.endsWith('_ENDPOINT') ? undefined : env[name]);
  }
  const given = parsed.data;
  const home = path.resolve(base, given.ALMANAC_HOME ?? '.almanac');
  const places = given.ALMANAC_PLACES ?? Math.max(2, os.availableParallelism());
  const backfillPlaces = given.ALMANAC_BACKFILL_PLACES ?? 1;
  const data = readData(given, base, home);
  const emr = emrConfig(given, base, data.s3 !== undefined);
  if (emr !== undefined && 'problem' in emr) throw refusedTogether(emr);
  return {
    home,
    ...data,
    ...optional('emr', emr),
    ...optional('databaseUrl', readDatabaseUrl(env)),
    temporal: readTemporal(env),
    queue: given.ALMANAC_QUEUE ?? 'almanac',
    ...optional('build', given.ALMANAC_BUILD),
    worker: {
      places,
      backfillPlaces,
      memoryBytes: given.ALMANAC_MEMORY ?? Math.max(256e6, Math.floor((usableMemory() * 0.6) / (places + backfillPlaces))),
      threads: given.ALMANAC_THREADS ?? os.availableParallelism(),
    },
    ...optional('metrics', given.ALMANAC_METRICS),
    ...optional('sdkMetrics', given.ALMANAC_SDK_METRICS),
    logLevel: given.ALMANAC_LOG_LEVEL ?? 'info',
    actor: given.ALMANAC_ACTOR ?? userName(),
  };
}

function readData(
  given: GivenS3 & { readonly ALMANAC_DATA?: string | undefined },
  base: string,
  home: string,
): Pick<Config, 'data' | 's3'> {
  const { ALMANAC_DATA: data } = given;
  if (data === undefined) return { data: path.join(home, 'data') };
  if (!isS3(data)) return { data: path.resolve(base, localFolder(data)) };
  const place = parseS3(data);
  if (place === undefined)
    throw invalid('ALMANAC_DATA', 'expected a folder, file:///FOLDER, or s3://BUCKET/PREFIX with a plain prefix', data);
  return { data: `s3://${place.bucket}/${place.prefix}`.replace(/\/$/, ''), s3: s3Config(place, given) };
}

/** A folder as it is given, or the one of a `file://` URI; a URI of any other kind is no name that one gives a folder. */
function localFolder(data: string): string {
  if (!/^[a-z][a-z0-9+.-]*:/i.test(data)) return data;
  try {
    if (/^file:\/\/\/[^?#]*$/i.test(data)) return fileURLToPath(data);
  } catch {
    // An encoded slash, say.
  }
  throw invalid('ALMANAC_DATA', 'expected a folder, file:///FOLDER or s3://BUCKET/PREFIX', data);
}

/** A connection string fit for a screen: the password, and parameters that may hold one, replaced. */
export function maskUrl(url: string): string {
  try {
    const parsed = new URL(url);
    if (parsed.password) parsed.password = '***';
    for (const name of parsed.searchParams.keys()) if (/pass|secret|token|key/i.test(name)) parsed.searchParams.set(name, '***');
    return parsed.href;
  } catch {
    return '***';
  }
}

function optional<K extends string, V>(key: K, value: V | undefined): Partial<Record<K, V>> {
  return value === undefined ? {} : ({ [key]: value } as Record<K, V>);
}

function refuseUnknown(env: Readonly<Record<string, string>>): void {
  for (const name of Object.keys(env)) {
    if (!name.startsWith(PREFIX) || name.startsWith(TEST_PREFIX) || name in VARIABLES) continue;
    // The prefix, which every name has, says nothing of what was meant.
    const meant = nearest(
      name.slice(PREFIX.length),
      VARIABLE_NAMES.map((known) => known.slice(PREFIX.length)),
    );
    const suggestion = meant === undefined ? undefined : `${PREFIX}${meant}`;
    throw new AlmanacError('config.unknown', `the environment variable ${name} does not exist`, {
      next: suggestion ? `did you mean ${suggestion}? Rename it, or: unset ${name}` : `unset ${name}`,
      details: { variable: name, known: VARIABLE_NAMES },
    });
  }
}

function readDatabaseUrl(env: Readonly<Record<string, string>>): string | undefined {
  const url = env.DATABASE_URL;
  if (url === undefined) return undefined;
  if (!/^postgres(ql)?:\/\//.test(url) || !URL.canParse(url)) {
    throw invalid('DATABASE_URL', 'expected postgres://USER:PASSWORD@HOST:PORT/DATABASE');
  }
  return url;
}

/** The file of the Temporal CLI is read only when it is asked for: a cluster someone configured for other work is not ours to use. */
function readTemporal(env: Readonly<Record<string, string>>): TemporalConfig {
  for (const name of ['TEMPORAL_TLS', 'TEMPORAL_TLS_DISABLE_HOST_VERIFICATION']) {
    const value = env[name];
    if (value !== undefined && !FLAGS.includes(value)) throw invalid(name, `expected one of ${FLAGS.join(', ')}`, value);
  }
  if (env.TEMPORAL_TLS_DISABLE_HOST_VERIFICATION === '1' || env.TEMPORAL_TLS_DISABLE_HOST_VERIFICATION === 'true') {
    throw invalid(
      'TEMPORAL_TLS_DISABLE_HOST_VERIFICATION',
      'not supported; name the authority in TEMPORAL_TLS_SERVER_CA_CERT_PATH instead',
    );
  }
  let profile: ClientConfigProfile;
  try {
    profile = loadClientConfigProfile({ overrideEnvVars: env, disableFile: !(env.TEMPORAL_CONFIG_FILE ?? env.TEMPORAL_PROFILE) });
  } catch (error) {
    // A parser's further lines quote the file, and the file holds keys.
    const [problem = ''] = (error instanceof Error ? error.message : String(error)).split('\n');
    throw invalid('TEMPORAL_CONFIG_FILE', problem);
  }
  const namespace = profile.namespace ?? 'default';
  const { address } = profile;
  if (address !== undefined) {
    if (!/^[^\s/:]+:\d+$|^\[[0-9a-f:]+\]:\d+$/i.test(address)) throw invalid('TEMPORAL_ADDRESS', 'expected HOST:PORT', address);
    return { namespace, external: { ...profile, address } };
  }
  if (profile.apiKey !== undefined) throw invalid('TEMPORAL_API_KEY', 'an API key needs the address of its cluster in TEMPORAL_ADDRESS');
  return { namespace };
}

function refusedTogether({ variable, problem, next }: EmrProblem): AlmanacError {
  return new AlmanacError('config.invalid', `${variable} ${problem}`, { next, details: { variable } });
}

/** `value` is left out for variables that may hold secrets. */
function invalid(variable: string, problem: string, value?: string): AlmanacError {
  const shown = value === undefined ? '' : ` is ${JSON.stringify(value)}`;
  return new AlmanacError('config.invalid', `${variable}${shown}: ${problem}`, {
    next: `correct ${variable}, or: unset ${variable}`,
    details: { variable },
  });
}

/** Bytes this process may use: the container's limit when there is one. */
function usableMemory(): number {
  const constrained = process.constrainedMemory();
  return constrained > 0 && constrained < os.totalmem() ? constrained : os.totalmem();
}

function userName(): string {
  try {
    return os.userInfo().username;
  } catch {
    // A container's uid need not have an entry in the password file.
    return `uid ${process.getuid?.() ?? 'unknown'}`;
  }
}
