import { spawn } from 'node:child_process';
import path from 'node:path';
import { packageRoot } from '../../lib/package-root';
import { logFile } from '../stack/log-file';
import type { ProcessSpec } from '../stack/process-spec';
import { listens, withLog } from '../stack/processes';
import { DEMO_REGION, type DemoCredentials, type DemoPlaces } from './places';

const START_MS = 180_000;
/** Steps that are under way are ended within it. */
const GRACE_MS = 15_000;

export interface ServiceOptions {
  readonly places: DemoPlaces;
  readonly credentials: DemoCredentials;
  readonly ports: { readonly s3: number; readonly emr: number };
  /** The S3 gateway. */
  readonly versitygw: string;
  readonly environment: NodeJS.ProcessEnv;
}

/** The servers that stand in for AWS: an S3 whose objects are files, and EMR over the Spark of this machine. */
export function demoServices({ places, credentials, ports, versitygw, environment }: ServiceOptions): readonly ProcessSpec[] {
  const s3 = `127.0.0.1:${ports.s3}`;
  const cli = path.join(packageRoot(), 'bin', 'almanac.js');
  return [
    server('s3', places, ports.s3, [], {
      file: versitygw,
      args: ['--region', DEMO_REGION, '--port', s3, '--quiet', 'posix', places.buckets],
      environment: { ...environment, ROOT_ACCESS_KEY: credentials.accessKeyId, ROOT_SECRET_KEY: credentials.secretAccessKey },
    }),
    server('emr', places, ports.emr, ['s3'], {
      file: process.execPath,
      args: [cli, 'emr-local', '--port', String(ports.emr), '--state-dir', places.emr],
      environment: { ...environment, AWS_ENDPOINT_URL_S3: `http://${s3}`, ALMANAC_HOME: places.stack },
    }),
  ];
}

interface Program {
  readonly file: string;
  readonly args: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
}

function server(
  name: string,
  places: DemoPlaces,
  port: number,
  after: readonly string[],
  { file, args, environment }: Program,
): ProcessSpec {
  const log = logFile(places.services, name);
  return {
    ...{ name, after, address: `127.0.0.1:${port}`, logFile: log },
    launch: () =>
      withLog(log, (handle) =>
        spawn(file, [...args], { cwd: places.root, env: environment, detached: true, stdio: ['ignore', handle, handle] }),
      ),
    ready: (signal) => listens(port, START_MS, signal),
    stopSignal: 'SIGTERM',
    stopGraceMs: GRACE_MS,
  };
}
