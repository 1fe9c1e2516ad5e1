import { accessSync, constants, existsSync, readFileSync, statSync, statfsSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { maskUrl, readConfig, type Config, type Environment } from '../../lib/config';
import { packageRoot } from '../../lib/package-root';
import type { S3Config } from '../../lib/s3-config';
import { connect } from '../../lib/postgres';
import { emrFindings } from './doctor-emr';
import { failed, ok, unreachable, type Finding } from './finding';
import { postgresHome } from './postgres-server';
import { choosePostgresUser } from './postgres-user';
import { readStackState } from './stack-state';
import { stackStatus, type ProcessStatus, type StackStatus } from './status';
import { cachedTemporal, findOnPath, isRecent, locateTemporal, serverVersion } from './temporal-binary';
import { DYNAMIC_CONFIG, temporalAnswers } from './temporal-server';

/** Flips wait this long for a lock; a server whose deadlock detector is faster would end them, and readers, as deadlocks. */
const FLIP_LOCK_TIMEOUT_MS = 100;
const OLDEST_POSTGRES = 150_000;
const PROBE_MS = 5000;
const GB = 1e9;

/** Looks at everything a stack needs and changes nothing but one object that tells what a bucket does; every check is made, whatever the others found. */
export async function doctor(env: Environment, projectDirectory: string): Promise<readonly Finding[]> {
  const findings: Finding[] = [checkNode(), checkBuild()];
  let config: Config;
  try {
    config = readConfig(env, projectDirectory);
    findings.push(ok('configuration', `home ${config.home}, data ${config.data}`));
  } catch (error) {
    return [...findings, failed('configuration', error, 'correct the environment')];
  }
  findings.push(
    checkHome(config.home),
    config.s3 === undefined ? checkData(config.data) : await checkBucket(config.s3),
    ...(await emrFindings(config)),
    checkDisk(config.home),
    checkMemory(config),
  );
  if (config.temporal.external) findings.push(await checkExternalTemporal(config, config.temporal.external.address));
  else findings.push(checkTemporalBinary(env));
  if (config.databaseUrl === undefined) findings.push(checkPostgres(config));
  else findings.push(...(await checkDatabase(config.databaseUrl)));
  return [...findings, ...(await checkStack(config))];
}

function checkNode(): Finding {
  const { node } = process.versions;
  if (Number(node.split('.')[0]) >= 20) return ok('node', node);
  return { check: 'node', state: 'fail', message: `${node} is too old`, next: 'install Node 20 or later' };
}

function checkBuild(): Finding {
  const missing = ['cli/main.js', 'workflow-bundle.js'].filter((name) => !existsSync(path.join(packageRoot(), 'dist', name)));
  if (missing.length === 0) return ok('build', path.join(packageRoot(), 'dist'));
  return {
    check: 'build',
    state: 'fail',
    message: `dist lacks ${missing.join(', ')}`,
    next: `node ${path.join(packageRoot(), 'bin', 'setup.mjs')}`,
  };
}

function checkHome(home: string): Finding {
  try {
    accessSync(nearestExisting(home), constants.W_OK);
    return ok('home', home);
  } catch {
    return { check: 'home', state: 'fail', message: `${home} cannot be written to`, next: 'set ALMANAC_HOME to a directory of yours' };
  }
}

/** The folders the store writes to, as far as they are there; landing is written by others. */
function checkData(data: string): Finding {
  const folders = ['', 'scratch', 'datasets', 'accepted', 'quarantine'].map((name) => path.join(data, name));
  for (const folder of new Set(folders.map(nearestExisting))) {
    try {
      accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK);
      if (!statSync(folder).isDirectory()) throw new Error('it is no folder');
    } catch (error) {
      const message = `${folder} cannot be written to: ${error instanceof Error ? error.message : String(error)}`;
      return { check: 'data', state: 'fail', message, next: `give this user the folder ${folder}, or set ALMANAC_DATA to one of yours` };
    }
  }
  return ok('data', data);
}

/** The bucket is there, in the region that is asked, lets us in, and refuses the second of two writers. */
async function checkBucket(s3: S3Config): Promise<Finding> {
  try {
    const [{ s3Client }, { probeBucket }] = await Promise.all([import('../../lib/aws.js'), import('../../activities/storage/s3-store.js')]);
    await probeBucket(s3Client(s3), s3);
    return ok('data', `s3://${s3.bucket}/${s3.prefix}${s3.endpoint === undefined ? '' : ` at ${s3.endpoint}`}`);
  } catch (error) {
    return failed('data', error, 'correct ALMANAC_DATA, or unset it');
  }
}

function checkDisk(home: string): Finding {
  const { bavail, bsize } = statfsSync(nearestExisting(home));
  const free = bavail * bsize;
  const message = `${(free / GB).toFixed(1)} GB free for ${home}`;
  if (free >= 2 * GB) return ok('disk', message);
  return {
    check: 'disk',
    state: free < 0.3 * GB ? 'fail' : 'warn',
    message,
    next: 'almanac dataset gc --older-than 0s, or set ALMANAC_HOME to a larger disk',
  };
}

function checkMemory({ worker }: Config): Finding {
  const places = worker.places + worker.backfillPlaces;
  const wanted = places * worker.memoryBytes;
  const message = `${places} places (${worker.backfillPlaces} of backfills) of ${(worker.memoryBytes / GB).toFixed(1)} GB on a machine of ${(os.totalmem() / GB).toFixed(1)} GB`;
  if (wanted <= os.totalmem() * 0.9) return ok('memory', message);
  return { check: 'memory', state: 'warn', message, next: 'lower ALMANAC_PLACES or ALMANAC_MEMORY' };
}

function checkTemporalBinary(env: Environment): Finding {
  const found = locateTemporal(env);
  if (found) return ok('temporal', `${found.file} (${found.source}), server ${serverVersion(found.file) ?? 'unknown'}`);
  const onPath = findOnPath('temporal', env);
  if (onPath !== undefined && !isRecent(serverVersion(onPath))) {
    return {
      check: 'temporal',
      state: 'warn',
      message: `${onPath} is older than server 1.29 and is not used`,
      next: 'update it; almanac up gets another',
    };
  }
  if (findOnPath('go', env) !== undefined) {
    const message = `not here yet; it will be put into ${cachedTemporal(env)}`;
    return { check: 'temporal', state: 'warn', message, next: 'almanac up, which downloads it or builds it with Go in about 3 minutes' };
  }
  const message = 'no `temporal` on PATH or in the cache, and no Go to build it';
  return { check: 'temporal', state: 'fail', message, next: 'put a `temporal` binary or Go on PATH, or set TEMPORAL_ADDRESS' };
}

function checkPostgres(config: Config): Finding {
  try {
    const program = path.join(postgresHome(), 'bin', 'postgres');
    const user = choosePostgresUser(program, path.join(nearestExisting(config.home), 'postgres'));
    return ok('postgres', user.prefix.length > 0 ? `${program}, in a user namespace` : program);
  } catch (error) {
    return failed('postgres', error, 'npm ci');
  }
}

async function checkExternalTemporal(config: Config, address: string): Promise<Finding> {
  try {
    await temporalAnswers(config, address, PROBE_MS, AbortSignal.timeout(2 * PROBE_MS));
  } catch (error) {
    return unreachable(
      'temporal',
      error,
      `correct TEMPORAL_ADDRESS (${address}), its TLS and key, and that the namespace ${config.temporal.namespace} exists`,
    );
  }
  const settings = Object.entries(DYNAMIC_CONFIG).map(([name, value]) => `${name}=${value}`);
  return ok('temporal', `${address}, namespace ${config.temporal.namespace}; whether it has ${settings.join(', ')} cannot be asked`);
}

async function checkDatabase(databaseUrl: string): Promise<readonly Finding[]> {
  const pool = connect(databaseUrl, { max: 1, connectionTimeoutMillis: PROBE_MS });
  try {
    const { rows } = await pool.query<{ version: number; deadlock_ms: number; lock_ms: number; may_create: boolean; shown: string }>(
      `select current_setting('server_version_num')::int as version, current_setting('server_version') as shown,
              (select setting::int from pg_settings where name = 'deadlock_timeout') as deadlock_ms,
              (select setting::int from pg_settings where name = 'lock_timeout') as lock_ms,
              has_database_privilege(current_database(), 'create') as may_create`,
    );
    const [row] = rows;
    if (!row) throw new Error('the server answered nothing');
    const findings = [ok('postgres', `${maskUrl(databaseUrl)}, version ${row.shown}, lock_timeout ${row.lock_ms} ms`)];
    const complain = (state: 'warn' | 'fail', message: string, next: string): number =>
      findings.push({ check: 'postgres', state, message, next });
    if (row.version < OLDEST_POSTGRES) complain('fail', `version ${row.shown} is older than 15`, 'use Postgres 15 or later');
    if (!row.may_create) complain('fail', 'the user may not create schemas in this database', 'grant create on database DATABASE to USER');
    if (row.deadlock_ms <= FLIP_LOCK_TIMEOUT_MS) {
      complain(
        'fail',
        `deadlock_timeout is ${row.deadlock_ms} ms, not above the ${FLIP_LOCK_TIMEOUT_MS} ms a flip waits for a lock`,
        "alter system set deadlock_timeout = '1s'; select pg_reload_conf()",
      );
    }
    return findings;
  } catch (error) {
    return [
      unreachable('postgres', error, 'correct DATABASE_URL, or see that the server runs and about its TLS options (sslmode, sslrootcert)'),
    ];
  } finally {
    await pool.end();
  }
}

async function checkStack(config: Config): Promise<readonly Finding[]> {
  const status = await stackStatus(config);
  return [...damageFindings(config, status), ...stackFindings(config, status)];
}

/** With a readable copy a start or stop mends it; without one nobody knows which processes are ours. */
function damageFindings({ home }: Config, { damage }: StackStatus): readonly Finding[] {
  if (damage === null) return [];
  try {
    readStackState(home);
  } catch (error) {
    return [failed('stack', error, 'almanac down')];
  }
  const next = 'almanac down && almanac up --detach, which go by its copy';
  return [{ check: 'stack', state: 'warn', message: damage, next }];
}

function stackFindings(config: Config, status: StackStatus): readonly Finding[] {
  if (status.state === 'down') {
    const orphans = status.processes.filter(({ state }) => state === 'orphaned');
    if (orphans.length === 0) return [ok('stack', 'not running')];
    const message = `${orphans.map(({ name, pid }) => `${name} (${String(pid)})`).join(', ')} outlived the supervisor`;
    return [{ check: 'stack', state: 'warn', message, next: 'almanac up --detach, or almanac down' }];
  }
  const findings: Finding[] = status.processes
    .filter(({ state }) => state !== 'running' && state !== 'external')
    .map(({ name, state, lastExit }) => ({
      check: 'stack',
      state: 'warn' as const,
      message: `${name} is ${state}${lastExit === null ? '' : `: ${lastExit}`}`,
      next: nextFor(config, name, state),
    }));
  const temporal = status.processes.find(({ name }) => name === 'temporal');
  if (temporal?.pid) findings.push(checkDynamicConfig(temporal.pid));
  return findings.length > 0 ? findings : [ok('stack', 'running')];
}

/** An external service has no log here; what is not known was said already. */
function nextFor(config: Config, name: string, state: ProcessStatus['state']): string {
  if (state === 'unreachable') return `correct ${name === 'temporal' ? 'TEMPORAL_ADDRESS' : 'DATABASE_URL'}, or see that the service runs`;
  if (state === 'unknown') return 'almanac down && almanac up --detach';
  return `read ${path.join(config.home, 'logs', `${name}.log`)}`;
}

/** Of our own server the settings are on its command line; the server itself does not tell them. */
function checkDynamicConfig(pid: number): Finding {
  let words: readonly string[];
  try {
    words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return ok('stack', 'running; its dynamic configuration cannot be read on this system');
  }
  const missing = Object.entries(DYNAMIC_CONFIG).filter(([name, value]) => !words.includes(`${name}=${value}`));
  if (missing.length === 0) return ok('stack', 'running, dynamic configuration as it should be');
  const message = `the Temporal server runs without ${missing.map(([name, value]) => `${name}=${value}`).join(', ')}`;
  return { check: 'stack', state: 'warn', message, next: 'almanac down && almanac up --detach' };
}

function nearestExisting(directory: string): string {
  let current = directory;
  while (!existsSync(current)) current = path.dirname(current);
  return current;
}
