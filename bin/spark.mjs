// Makes ready what the Spark engine needs on one machine: Spark, its S3 connector and our job, once per user, outside every clone. Does only
// what is missing. The last line on stdout says where everything is: {sparkHome, sparkSubmit, python, jars, jobJar, environment}.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const PYSPARK = '3.5.6';
/** What reads and writes S3, for the Hadoop that this Spark brings along. */
const CONNECTOR = [
  'org.apache.hadoop:hadoop-aws:3.3.4',
  'com.amazonaws:aws-java-sdk-bundle:1.12.262',
  'org.wildfly.openssl:wildfly-openssl:1.0.7.Final',
];
const COPY_GOAL = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy';
const JAVA = 17;
const OLDEST_PYTHON = [3, 8];

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const cache = path.join(cacheBase(), 'almanac');

/** Thrown, so that what was begun is removed. */
class Unready extends Error {
  constructor(message, next) {
    super(message);
    this.next = next;
  }
}

try {
  process.stdout.write(`${JSON.stringify(runtime())}\n`);
} catch (error) {
  if (!(error instanceof Unready)) throw error;
  process.stderr.write(`error spark: ${error.message}\nnext: ${error.next}\n`);
  process.exitCode = 11;
}

function runtime() {
  requireJava();
  requirePython();
  const modules = kept(`pyspark-${PYSPARK}`, `Spark ${PYSPARK}, 320 MB`, (folder) =>
    command('python3', ['-m', 'pip', 'install', '--quiet', '--no-cache-dir', '--target', folder, `pyspark==${PYSPARK}`]),
  );
  const connector = kept(`spark-connector-${digest(CONNECTOR).slice(0, 12)}`, 'the S3 connector of Spark, 280 MB', (folder) => {
    if (spawnSync('mvn', ['--version']).status !== 0) throw new Unready('there is no `mvn`', 'install Maven, and put `mvn` on PATH');
    for (const artifact of CONNECTOR)
      command('mvn', ['--batch-mode', '--quiet', COPY_GOAL, `-Dartifact=${artifact}`, `-DoutputDirectory=${folder}`]);
  });
  const sparkHome = path.join(modules, 'pyspark');
  const jars = jarsOf(connector);
  return {
    sparkHome,
    sparkSubmit: path.join(sparkHome, 'bin', 'spark-submit'),
    python: 'python3',
    jars,
    jobJar: path.join(job([...jarsOf(path.join(sparkHome, 'jars')), ...jars]), 'almanac-job.jar'),
    environment: { SPARK_HOME: sparkHome, PYTHONPATH: modules, PYSPARK_PYTHON: 'python3', SPARK_LOCAL_IP: '127.0.0.1' },
  };
}

/** The folder of the job's jar, named by what it is made of. */
function job(classPath) {
  const folder = path.join(root, 'spark');
  const sources = readdirSync(folder, { recursive: true })
    .filter((name) => name.endsWith('.java'))
    .sort();
  const content = sources.flatMap((name) => [name, readFileSync(path.join(folder, name), 'utf8')]);
  return kept(`spark-job-${digest([PYSPARK, ...CONNECTOR, ...content]).slice(0, 20)}`, undefined, (target) => {
    const classes = path.join(target, 'classes');
    const options = ['--release', String(JAVA), '-encoding', 'UTF-8', '-proc:none', '-Xlint:all,-classfile,-path,-serial', '-Werror'];
    const files = sources.map((name) => path.join(folder, name));
    command(ofJava('javac'), [...options, '-cp', classPath.join(path.delimiter), '-d', classes, ...files]);
    command(ofJava('jar'), ['--create', '--file', path.join(target, 'almanac-job.jar'), '-C', classes, '.']);
    rmSync(classes, { recursive: true });
  });
}

/** A folder of the cache that `make` fills when it is not there. It gets its name when it is whole; whoever comes second uses the first one's. */
function kept(name, what, make) {
  const folder = path.join(cache, name);
  if (existsSync(folder)) return folder;
  mkdirSync(cache, { recursive: true });
  removeLeftovers(name);
  if (what !== undefined) say(`fetching ${what}, once per user …`);
  const scratch = mkdtempSync(path.join(cache, `${name}.new-${os.hostname()}-${process.pid}-`));
  try {
    make(scratch);
    renameSync(scratch, folder);
  } catch (error) {
    if (!existsSync(folder)) throw error;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  return folder;
}

/** What processes of this machine that are no more had begun. */
function removeLeftovers(name) {
  const prefix = `${name}.new-${os.hostname()}-`;
  for (const entry of readdirSync(cache)) {
    if (!entry.startsWith(prefix) || isAlive(Number.parseInt(entry.slice(prefix.length), 10))) continue;
    rmSync(path.join(cache, entry), { recursive: true, force: true });
  }
}

function isAlive(pid) {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error.code !== 'ESRCH';
  }
}

/** A full JDK: the job is compiled here. */
function requireJava() {
  for (const name of ['java', 'javac', 'jar']) {
    const asked = spawnSync(ofJava(name), ['--version'], { encoding: 'utf8' });
    const version = /\b(\d+)(\.\d+)*/.exec(asked.stdout ?? '')?.[1];
    if (asked.status === 0 && Number(version) === JAVA) continue;
    throw new Unready(
      asked.status === 0 ? `\`${ofJava(name)}\` is of Java ${version}, not ${JAVA}` : `there is no \`${ofJava(name)}\``,
      `install a JDK ${JAVA} (with javac), and put it on PATH or set JAVA_HOME to it`,
    );
  }
}

/** As Spark's own scripts look for it. */
function ofJava(name) {
  return process.env.JAVA_HOME ? path.join(process.env.JAVA_HOME, 'bin', name) : name;
}

function requirePython() {
  const asked = spawnSync('python3', ['-c', 'import sys, pip; print(*sys.version_info[:2])'], { encoding: 'utf8' });
  const [major, minor] = (asked.stdout ?? '').trim().split(' ').map(Number);
  if (asked.status === 0 && (major > OLDEST_PYTHON[0] || (major === OLDEST_PYTHON[0] && minor >= OLDEST_PYTHON[1]))) return;
  throw new Unready(
    `there is no \`python3\` of ${OLDEST_PYTHON.join('.')} or later with pip`,
    'install Python 3 with pip, so that `python3 -m pip` answers',
  );
}

function command(program, args) {
  const done = spawnSync(program, args, { stdio: ['ignore', 2, 2] });
  if (done.status === 0) return;
  const name = path.basename(program);
  throw new Unready(
    `${name} ended with ${done.error?.message ?? done.signal ?? done.status}`,
    'read its output above; what is fetched comes from PyPI and Maven Central',
  );
}

function jarsOf(folder) {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.jar'))
    .sort()
    .map((name) => path.join(folder, name));
}

function cacheBase() {
  const { XDG_CACHE_HOME: configured } = process.env;
  // As in lib/cache-directory.ts.
  return configured !== undefined && path.isAbsolute(configured) ? configured : path.join(os.homedir(), '.cache');
}

function digest(texts) {
  return texts.reduce((hash, text) => hash.update(`${text.length}\0${text}`), createHash('sha256')).digest('hex');
}

function say(line) {
  process.stderr.write(`${line}\n`);
}
