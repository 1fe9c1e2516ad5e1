/** Where the demo on EMR keeps what it makes, and what its processes are told. */
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Environment } from '../../lib/config';

export const DEMO_REGION = 'us-east-1';
const BUCKET = 'almanac-demo';
/** Machines of this one alone: each step is a JVM of its own, and a small one. */
const DRIVER = { memory: '1g', partitions: 2 } as const;
const POLL_SECONDS = 0.25;
const SETTLE_SECONDS = 2;
const LOG_SECONDS = 30;

/** Nothing of the caller's stack, cluster, bucket or account may be reached by the demo. */
const FOREIGN = /^(ALMANAC_|TEMPORAL_|AWS_|DATABASE_URL$|SPARK_)/;

export interface DemoPlaces {
  /** What the next demo removes first. */
  readonly root: string;
  /** The home of the servers that stand in for S3 and EMR. */
  readonly services: string;
  /** The home of the stack. */
  readonly stack: string;
  /** Its folders are buckets. */
  readonly buckets: string;
  readonly bucket: string;
  readonly emr: string;
  readonly settings: string;
  /** For a shell; it holds the credentials. */
  readonly environment: string;
}

export function demoPlaces(home: string): DemoPlaces {
  const root = path.join(home, 'demo-emr');
  const made = path.join(root, 'made');
  return {
    root: made,
    services: path.join(root, 'services'),
    stack: path.join(made, 'stack'),
    buckets: path.join(made, 's3'),
    bucket: path.join(made, 's3', BUCKET),
    emr: path.join(made, 'emr'),
    settings: path.join(made, 'emr.json'),
    environment: path.join(made, 'environment.sh'),
  };
}

export interface DemoCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** Good for one demo, on this machine alone. */
export function madeUpCredentials(): DemoCredentials {
  return { accessKeyId: `AKIA${randomBytes(8).toString('hex').toUpperCase()}`, secretAccessKey: randomBytes(30).toString('base64url') };
}

export interface DemoAddresses {
  readonly s3: string;
  readonly emr: string;
}

/** What every process of the demo begins with. */
export function strangersEnvironment(environment: Environment, { accessKeyId, secretAccessKey }: DemoCredentials): NodeJS.ProcessEnv {
  return {
    ...Object.fromEntries(Object.entries(environment).filter(([name]) => !FOREIGN.test(name))),
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_REGION: DEMO_REGION,
    AWS_DEFAULT_REGION: DEMO_REGION,
    AWS_EC2_METADATA_DISABLED: 'true',
  };
}

/** What leads Almanac to the bucket and to EMR. */
export function demoVariables(places: DemoPlaces, { s3, emr }: DemoAddresses): Readonly<Record<string, string>> {
  return {
    ALMANAC_HOME: places.stack,
    ALMANAC_DATA: `s3://${BUCKET}/lake`,
    ALMANAC_S3_ENDPOINT: s3,
    ALMANAC_S3_REGION: DEMO_REGION,
    ALMANAC_S3_PATH_STYLE: '1',
    ALMANAC_EMR_SETTINGS: places.settings,
    ALMANAC_EMR_ENDPOINT: emr,
    ALMANAC_EMR_REGION: DEMO_REGION,
  };
}

/** The file that `ALMANAC_EMR_SETTINGS` names: each run makes a cluster of its own. */
export function demoSettings(jobJar: string): unknown {
  const conf = [
    'spark.driver.host=127.0.0.1',
    'spark.driver.bindAddress=127.0.0.1',
    `spark.sql.shuffle.partitions=${DRIVER.partitions}`,
    // A JVM that lives for seconds pays for the second compiler and gets nothing back.
    'spark.driver.extraJavaOptions=-XX:TieredStopAtLevel=1 -XX:+UseSerialGC',
  ];
  return {
    job: {
      jar: pathToFileURL(jobJar).href,
      sparkArguments: ['--driver-memory', DRIVER.memory, ...conf.flatMap((setting) => ['--conf', setting])],
    },
    transient: {
      release: 'emr-7.5.0',
      logs: `s3://${BUCKET}/emr-logs/`,
      serviceRole: 'demo-service',
      instanceProfile: 'demo-machines',
      fleets: [{ role: 'MASTER', onDemand: 1, instances: [{ type: 'm5.xlarge' }] }],
    },
    pollSeconds: POLL_SECONDS,
    settleSeconds: SETTLE_SECONDS,
    logSeconds: LOG_SECONDS,
  };
}

/** Lines for a shell that is to see the demo's stack. */
export function shellText(variables: Readonly<Record<string, string>>): string {
  return Object.entries(variables)
    .map(([name, value]) => `export ${name}='${value.replaceAll("'", String.raw`'\''`)}'\n`)
    .join('');
}
