import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { packageRoot } from '../../lib/package-root';
import { AlmanacError } from '../../pipelines/failures';
import { findOnPath } from '../stack/temporal-binary';

/** A Spark on this machine, and what a process of it is given. */
export interface LocalSpark {
  readonly sparkSubmit: string;
  /** Put before the class path of every driver: the connector to S3. */
  readonly jars: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

/**
 * The spark-submit that was named; else the one the project installs for itself, once per user; else the one on PATH. Throws
 * `emr.local-spark`. Blocks while it installs; that says itself what it fetches.
 */
export function localSpark(named: string | undefined, environment: NodeJS.ProcessEnv): LocalSpark {
  if (named !== undefined) return { sparkSubmit: executable(path.resolve(named)), jars: [], environment: {} };
  const installer = path.join(packageRoot(), 'bin', 'spark.mjs');
  if (existsSync(installer)) return installed(installer, environment);
  const onPath = findOnPath('spark-submit', environment);
  if (onPath !== undefined) return { sparkSubmit: onPath, jars: [], environment: {} };
  throw missing('there is no spark-submit on PATH');
}

function executable(file: string): string {
  try {
    accessSync(file, constants.X_OK);
    return file;
  } catch (error) {
    throw missing(`${file} cannot be executed: ${(error as NodeJS.ErrnoException).code ?? 'unknown'}`);
  }
}

function installed(installer: string, environment: NodeJS.ProcessEnv): LocalSpark {
  const { status, stdout } = spawnSync(process.execPath, [installer], {
    env: environment,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (status !== 0) throw missing('Spark could not be installed; the reason is above');
  const { sparkSubmit, jars, environment: own } = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as LocalSpark;
  return { sparkSubmit, jars, environment: own };
}

function missing(reason: string): AlmanacError {
  return new AlmanacError('emr.local-spark', `no Spark to run steps with: ${reason}`, {
    next: 'almanac emr-local --spark-submit FILE, naming the spark-submit of a Spark 3.5',
  });
}

/**
 * Writes the defaults of every Spark of this server and returns their directory, for SPARK_CONF_DIR. They make `s3://` mean what it does
 * on EMR, through the connector and the endpoint of the environment.
 */
export function writeSparkDefaults(stateDirectory: string, spark: LocalSpark, environment: NodeJS.ProcessEnv): string {
  const directory = path.join(stateDirectory, 'spark-conf');
  mkdirSync(directory, { recursive: true });
  const lines = Object.entries(sparkDefaults(spark.jars, environment)).map(([name, value]) => `${name} ${value}\n`);
  writeFileSync(path.join(directory, 'spark-defaults.conf'), lines.join(''));
  return directory;
}

/** What `spark-defaults.conf` says; credentials stay in the environment. */
export function sparkDefaults(jars: readonly string[], environment: NodeJS.ProcessEnv): Readonly<Record<string, string>> {
  const endpoint = environment.AWS_ENDPOINT_URL_S3 ?? environment.AWS_ENDPOINT_URL;
  const region = environment.AWS_REGION ?? environment.AWS_DEFAULT_REGION;
  return {
    'spark.ui.enabled': 'false',
    ...(jars.length === 0
      ? {}
      : {
          'spark.driver.extraClassPath': jars.join(path.delimiter),
          'spark.hadoop.fs.s3.impl': 'org.apache.hadoop.fs.s3a.S3AFileSystem',
          'spark.hadoop.fs.s3n.impl': 'org.apache.hadoop.fs.s3a.S3AFileSystem',
        }),
    ...(region === undefined ? {} : { 'spark.hadoop.fs.s3a.endpoint.region': region }),
    ...(endpoint === undefined
      ? {}
      : {
          'spark.hadoop.fs.s3a.endpoint': endpoint,
          'spark.hadoop.fs.s3a.path.style.access': 'true',
          'spark.hadoop.fs.s3a.connection.ssl.enabled': String(endpoint.startsWith('https:')),
        }),
  };
}
