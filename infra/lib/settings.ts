/** How Almanac's processes prove who they are to Temporal: an API key (Temporal Cloud), a client certificate, or not at all. */
export type TemporalAuthentication = 'api-key' | 'certificate' | 'none';

/** `transient`: a cluster for each run that needs one; `existing`: one that stays, part of the EMR stack; `none`: stages run on DuckDB only. */
export type EmrMode = 'none' | 'transient' | 'existing';

export interface Settings {
  /** Prefix of all stacks and names; also the `almanac` tag by which one deployment's clusters are told from another's. */
  readonly name: string;
  /** Of the workers' image in the repository that the storage stack makes. */
  readonly imageTag: string;
  /** `HOST:PORT` of the Temporal frontend. */
  readonly temporalAddress: string;
  readonly temporalNamespace: string;
  readonly temporalAuthentication: TemporalAuthentication;
  readonly emr: EmrMode;
  /** Who gets the alarms by mail; undefined: whoever subscribes to the topic. */
  readonly alarmEmail: string | undefined;
  /** Instance class and size of Postgres, without `db.`. */
  readonly databaseInstance: string;
  /** GiB that Postgres begins with; it grows to ten times that by itself. */
  readonly databaseStorage: number;
  readonly controlWorkers: number;
  /** Compute workers for live stages: one, and more under load up to so many. */
  readonly liveWorkers: number;
  /** Compute workers most of whose places are for backfills, on spot capacity. */
  readonly backfillWorkers: number;
  /** One is cheaper, two outlive the loss of a zone. */
  readonly natGateways: number;
}

/** Reads a context value; undefined when it is not set. */
export type ContextReader = (key: string) => unknown;

const PREFIX = 'almanac:';

/**
 * The settings of a deployment from `-c almanac:NAME=VALUE` or `cdk.context.json`. Throws an Error that names the setting and what it may be.
 */
export function readSettings(read: ContextReader): Settings {
  const text = (name: string, pattern: RegExp, expected: string, fallback?: string): string => {
    const given = read(`${PREFIX}${name}`) ?? fallback;
    if (given === undefined) throw new Error(`${PREFIX}${name} is not set: expected ${expected}; pass -c ${PREFIX}${name}=…`);
    const value = String(given);
    if (!pattern.test(value)) throw new Error(`${PREFIX}${name} is ${JSON.stringify(value)}: expected ${expected}`);
    return value;
  };
  const count = (name: string, least: number, most: number, fallback: number): number => {
    const value = Number(text(name, /^\d+$/, `a whole number from ${least} to ${most}`, String(fallback)));
    if (value >= least && value <= most) return value;
    throw new Error(`${PREFIX}${name} is ${value}: expected a whole number from ${least} to ${most}`);
  };
  const oneOf = <T extends string>(name: string, choices: readonly T[], fallback: T): T => {
    const value = text(name, /^/, `one of ${choices.join(', ')}`, fallback);
    const choice = choices.find((known) => known === value);
    if (choice !== undefined) return choice;
    throw new Error(`${PREFIX}${name} is ${JSON.stringify(value)}: expected one of ${choices.join(', ')}`);
  };
  const email = read(`${PREFIX}alarmEmail`);
  return {
    name: text('name', /^[a-z][a-z0-9-]{0,29}$/, 'up to 30 lower-case letters, digits and dashes', 'almanac'),
    imageTag: text('imageTag', /^[\w][\w.-]{0,127}$/, 'the tag of an image you pushed'),
    temporalAddress: text('temporalAddress', /^[\w.-]+:\d{1,5}$/, 'HOST:PORT'),
    temporalNamespace: text('temporalNamespace', /^[\w.-]+$/, 'the name of a namespace', 'default'),
    temporalAuthentication: oneOf('temporalAuthentication', ['api-key', 'certificate', 'none'], 'api-key'),
    emr: oneOf('emr', ['none', 'transient', 'existing'], 'none'),
    alarmEmail: email === undefined ? undefined : text('alarmEmail', /^[^\s@]+@[^\s@]+$/, 'a mail address'),
    databaseInstance: text('databaseInstance', /^[a-z0-9]+\.[a-z0-9]+$/, 'a class and size like m7g.large', 'm7g.large'),
    databaseStorage: count('databaseStorage', 20, 6000, 100),
    controlWorkers: count('controlWorkers', 0, 10, 2),
    liveWorkers: count('liveWorkers', 0, 100, 4),
    backfillWorkers: count('backfillWorkers', 0, 100, 0),
    natGateways: count('natGateways', 1, 2, 1),
  };
}

/** The names that `almanac:` may stand before. */
const NAMES: readonly string[] = [
  'name',
  'imageTag',
  'temporalAddress',
  'temporalNamespace',
  'temporalAuthentication',
  'emr',
  'alarmEmail',
  'databaseInstance',
  'databaseStorage',
  'controlWorkers',
  'liveWorkers',
  'backfillWorkers',
  'natGateways',
];

/** A misspelt setting would be silently left at its default. Throws an Error that names it. */
export function refuseUnknown(keys: readonly string[]): void {
  const unknown = keys.find((key) => key.startsWith(PREFIX) && !NAMES.includes(key.slice(PREFIX.length)));
  if (unknown !== undefined) throw new Error(`${unknown} does not exist; known are ${NAMES.map((name) => PREFIX + name).join(', ')}`);
}
