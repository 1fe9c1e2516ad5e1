// Makes ready what the Spark engine needs on one machine: Spark, its S3 connector and our job, once per user, outside every clone. Does only
// what is missing. The last line on stdout says where everything is: {sparkHome, sparkSubmit, python, jars, jobJar, environment}; with --job-jar
// only where the job's jar is, for who uploads it.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { kept } from './kept.mjs';

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

/** Thrown, so that what was begun is removed. */
class Unready extends Error {
  constructor(message, next) {
    super(message);
    this.next = next;
  }
}

try {
  const [wanted, ...more] = process.argv.slice(2);
  if (more.length > 0 || (wanted !== undefined && wanted !== '--job-jar'))
    throw new Unready(`there is no option ${more[0] ?? wanted}`, 'node bin/spark.mjs, or node bin/spark.mjs --job-jar');
  const ready = runtime();
  process.stdout.write(`${wanted === undefined ? JSON.stringify(ready) : ready.jobJar}\n`);
} catch (error) {
  if (!(error instanceof Unready)) throw error;
  process.stderr.write(`error spark: ${error.message}\nnext: ${error.next}\n`);
  process.exitCode = 11;
}

function runtime() {
  requireJava();
  requirePython();
  const modules = kept(`pyspark-${PYSPARK}`, (folder) => {
    say(`fetching Spark ${PYSPARK}, 320 MB, once per user …`);
    command('python3', ['-m', 'pip', 'install', '--quiet', '--no-cache-dir', '--target', folder, `pyspark==${PYSPARK}`]);
  });
  const connector = kept(`spark-connector-${digest(CONNECTOR).slice(0, 12)}`, (folder) => {
    say('fetching the S3 connector of Spark, 280 MB, once per user …');
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
  return kept(`spark-job-${digest([PYSPARK, ...CONNECTOR, ...content]).slice(0, 20)}`, (target) => {
    const classes = path.join(target, 'classes');
    const options = ['--release', String(JAVA), '-encoding', 'UTF-8', '-proc:none', '-Xlint:all,-classfile,-path,-serial', '-Werror'];
    const files = sources.map((name) => path.join(folder, name));
    command(ofJava('javac'), [...options, '-cp', classPath.join(path.delimiter), '-d', classes, ...files]);
    command(ofJava('jar'), ['--create', '--file', path.join(target, 'almanac-job.jar'), '-C', classes, '.']);
    rmSync(classes, { recursive: true });
  });
}

/** A full JDK: the job is compiled here. */
function requireJava() {
  for (const name of ['java', 'javac', 'jar']) {
    const asked = spawnSync(ofJava(name), ['--version'], { encoding: 'utf8' });
    // Options of the user's may have the machine say other things first.
    const version = /^\w+ (\d+)\b/m.exec(asked.stdout ?? '')?.[1];
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

function digest(texts) {
  return texts.reduce((hash, text) => hash.update(`${text.length}\0${text}`), createHash('sha256')).digest('hex');
}

function say(line) {
  process.stderr.write(`${line}\n`);
}
