// Everything that infra/ must pass, as `npm run test:infra` of the root: dependencies, lint, types, tests, then for each way to deploy the
// templates (with cdk-nag) and cfn-lint over them. Needs Node, npm, Python 3.11 or later and no AWS account. Does only what is missing of the installs.
// Words after it go to jest.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const infra = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

// The environment's own script would name the folder it was made in.
const LINT = 'import sys, cfnlint.runner; sys.exit(cfnlint.runner.main())';

/** What the versions of requirements.txt ask for. */
const OLDEST_PYTHON = '3.11';

/** Each template that anyone may deploy is in one of these. */
const DEPLOYMENTS = {
  'cloud-transient': { temporalAddress: 'eu-central-1.aws.api.temporal.io:7233', temporalNamespace: 'almanac.a1b2c', emr: 'transient' },
  'own-existing': {
    temporalAddress: 'temporal.internal:7233',
    temporalAuthentication: 'certificate',
    emr: 'existing',
    alarmEmail: 'owner@example.com',
  },
  'duckdb-only': { temporalAddress: 'temporal.internal:7233', temporalAuthentication: 'none', natGateways: '2', backfillWorkers: '2' },
};

try {
  check();
} catch (error) {
  if (error.next === undefined) throw error;
  say(`error infra: ${error.message}\nnext: ${error.next}`);
  process.exitCode = 1;
}

function check() {
  if (!existsSync(path.join(infra, '..', 'node_modules')))
    fail('the dependencies of Almanac itself are not installed; tests compare with its code', 'npm ci');
  install();
  const python = linter();
  step('lint', 'npm', ['run', '--silent', 'lint']);
  step('types', 'npm', ['run', '--silent', 'typecheck']);
  step('tests', 'npm', ['test', '--silent', '--', ...process.argv.slice(2)]);
  const out = path.join(infra, 'cdk.out');
  rmSync(out, { recursive: true, force: true });
  for (const [name, settings] of Object.entries(DEPLOYMENTS)) {
    const context = Object.entries({ imageTag: 'checked', ...settings }).flatMap(([key, value]) => [
      '--context',
      `almanac:${key}=${value}`,
    ]);
    const assembly = path.join(out, name);
    step(`templates, ${name}`, 'npm', ['run', '--silent', 'synth', '--', '--strict', '--output', assembly, ...context]);
    const templates = readdirSync(assembly).filter((file) => file.endsWith('.template.json'));
    step(`cfn-lint, ${name}: ${templates.length} templates`, python, ['-c', LINT, ...templates.map((file) => path.join(assembly, file))]);
  }
  say('infra: everything passed');
}

/** The stamp lies in node_modules, so it goes when they go. */
function install() {
  const stamp = path.join(infra, 'node_modules', '.almanac-lock');
  const wanted = digest('package-lock.json');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  step('dependencies', 'npm', ['ci', '--no-audit', '--no-fund']);
  writeFileSync(stamp, wanted);
}

/** Python with cfn-lint, in an environment of its own in the user's cache, made under another name and moved when whole. */
function linter() {
  const { XDG_CACHE_HOME: configured } = process.env;
  const cache = path.join(configured && path.isAbsolute(configured) ? configured : path.join(os.homedir(), '.cache'), 'almanac');
  const home = path.join(cache, `cfn-lint-${digest('requirements.txt').slice(0, 12)}`);
  const python = (folder) => path.join(folder, 'bin', 'python');
  if (!existsSync(home)) {
    requirePython();
    mkdirSync(cache, { recursive: true });
    const making = mkdtempSync(path.join(cache, 'making-'));
    try {
      step('cfn-lint', 'python3', ['-m', 'venv', making]);
      step('cfn-lint', python(making), ['-m', 'pip', 'install', '--quiet', '--requirement', path.join(infra, 'requirements.txt')]);
      renameSync(making, home);
    } finally {
      rmSync(making, { recursive: true, force: true });
    }
  }
  return python(home);
}

function requirePython() {
  const words = ['-c', `import sys, venv, ensurepip; sys.exit(sys.version_info < (${OLDEST_PYTHON.replace('.', ', ')}))`];
  if (spawnSync('python3', words, { stdio: 'ignore' }).status !== 0)
    fail(
      `there is no \`python3\` of ${OLDEST_PYTHON} or later with venv`,
      `install Python ${OLDEST_PYTHON} or later with venv, for cfn-lint`,
    );
}

function digest(file) {
  return createHash('sha256')
    .update(readFileSync(path.join(infra, file)))
    .digest('hex');
}

function step(what, command, words) {
  say(`infra: ${what}`);
  // No news of the tools, no figures to their makers.
  const environment = { ...process.env, CI: 'true', CDK_DISABLE_CLI_TELEMETRY: 'true', JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION: '1' };
  const { status, error } = spawnSync(command, words, { cwd: infra, env: environment, stdio: ['ignore', 2, 2] });
  if (error) fail(`${command} could not be started: ${error.message}`, `install ${command}`);
  if (status !== 0) fail(`${what}: ${command} ended with ${status}`, 'read its output above');
}

function say(line) {
  process.stderr.write(`${line}\n`);
}

/** Thrown, so that what was begun is removed. */
function fail(message, next) {
  throw Object.assign(new Error(message), { next });
}
