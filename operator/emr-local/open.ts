import path from 'node:path';
import { writeFileAtomically } from '../../lib/atomic-file';
import { givenCredentials, type GivenCredentials } from './credentials';
import { startEmrLocal } from './server';
import { localSpark, writeSparkDefaults } from './spark-tools';
import type { Rate } from './throttle';

export interface OpenOptions {
  readonly stateDirectory: string;
  readonly port: number;
  readonly cores: number;
  readonly faults: boolean;
  readonly environment: NodeJS.ProcessEnv;
  readonly sparkSubmit?: string;
  readonly credentialsFile?: string;
  readonly throttle?: Rate;
  readonly tell: (line: string) => void;
}

/** A server that runs, as it is told to its user; holds no secrets. */
export interface OpenEmrLocal {
  readonly endpoint: string;
  readonly region: string;
  readonly stateDirectory: string;
  readonly credentials: GivenCredentials['source'];
  /** A shell file with what clients need; it may hold a secret and is its user's alone. */
  readonly environmentFile: string;
  /** Where faults are ordered; null when they are not. */
  readonly faults: string | null;
  close(): Promise<void>;
}

/** Finds Spark and credentials, and serves EMR. Throws `emr.local-*`. */
export async function openEmrLocal(options: OpenOptions): Promise<OpenEmrLocal> {
  const { stateDirectory, port, environment, faults, tell, throttle } = options;
  const spark = localSpark(options.sparkSubmit, environment);
  const region = environment.AWS_REGION || environment.AWS_DEFAULT_REGION || 'us-east-1';
  const given = givenCredentials(options.credentialsFile, environment, stateDirectory);
  const sparkConf = writeSparkDefaults(stateDirectory, spark, environment);
  const server = await startEmrLocal({
    stateDirectory,
    port,
    credentials: given.credentials,
    region,
    tools: { sparkSubmit: spark.sparkSubmit, cores: options.cores },
    environment: { ...environment, ...spark.environment, SPARK_CONF_DIR: sparkConf },
    faults,
    tell,
    ...(throttle === undefined ? {} : { throttle }),
  });
  const environmentFile = path.join(stateDirectory, 'environment.sh');
  writeFileAtomically(environmentFile, shellFile(server.endpoint, region, given), 0o600);
  return {
    endpoint: server.endpoint,
    region,
    stateDirectory,
    credentials: given.source,
    environmentFile,
    faults: faults ? `${server.endpoint}/faults` : null,
    close: () => server.close(),
  };
}

/** Credentials only where nobody but us has them. */
function shellFile(endpoint: string, region: string, { credentials, source }: GivenCredentials): string {
  const [pair] = credentials;
  const own = source === 'own' && pair ? { AWS_ACCESS_KEY_ID: pair.accessKeyId, AWS_SECRET_ACCESS_KEY: pair.secretAccessKey } : {};
  const variables = { AWS_ENDPOINT_URL_EMR: endpoint, AWS_REGION: region, ...own };
  return Object.entries(variables)
    .map(([name, value]) => `export ${name}='${value}'\n`)
    .join('');
}
