import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { packageRoot } from '../../../lib/package-root';
import { cliEnvironment } from '../../support/cli';
import { processesNaming } from '../../support/processes';

const STAGES = ['updateUdb', 'updateSite', 'countOverlaps', 'aggregate', 'nameSegments', 'namePixels'];
const DEADLINE_MS = 850_000;

const home = mkdtempSync(path.join(os.tmpdir(), 'almanac-demo-emr-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));

function demo(
  environment: Readonly<Record<string, string>>,
  ...args: readonly string[]
): ReturnType<typeof spawnSync> & { stdout: string; stderr: string } {
  const cli = path.join(packageRoot(), 'bin', 'almanac.js');
  return spawnSync(process.execPath, [cli, 'demo', '--emr', ...args], {
    env: cliEnvironment(home, environment),
    encoding: 'utf8',
    timeout: DEADLINE_MS,
  });
}

test('one command computes a day of the audience index on Spark, over an S3 and an EMR of its own, shows its steps and leaves no process', () => {
  const script = (JSON.parse(readFileSync(path.join(packageRoot(), 'package.json'), 'utf8')) as { scripts: Record<string, string> })
    .scripts;
  expect(script['demo:emr']).toBe('node bin/setup.mjs && node bin/almanac.js demo --emr');
  // What the caller works with is not the demo's to use.
  const foreign = { ALMANAC_DATA: 's3://not-there/lake', AWS_ACCESS_KEY_ID: 'theirs', DATABASE_URL: 'postgres://127.0.0.1:1/theirs' };
  const { status, stdout, stderr } = demo(foreign, '--days', '1');
  expect([status, status === 0 ? '' : stdout + stderr]).toEqual([0, '']);

  expect(stderr).toMatch(/^2011-10-31 {2}\d.* report rows, publication 1$/m);
  for (const stage of STAGES) {
    const [, cluster, state, ...seconds] =
      new RegExp(`^  ${stage} +[\\d.]+ +s-\\w+ on (j-\\w+) +(\\w+) +([\\d.]+) +([\\d.]+) +([\\d.]+)$`, 'm').exec(stderr) ?? [];
    const [submitToResult = NaN, spark = NaN, overhead = NaN] = seconds.map(Number);
    expect([stage, state]).toEqual([stage, 'completed']);
    expect(spark).toBeGreaterThan(0);
    expect(overhead).toBeCloseTo(submitToResult - spark, 1);
    expect(stderr).toContain(`cluster ${cluster} is terminated`);
  }
  expect(stdout.match(/users were in a segment before/g)).toHaveLength(3);
  expect(stdout).toMatch(/\bover\b/);

  expect(processesNaming(home)).toEqual([]);
  const made = path.join(home, 'demo-emr', 'made');
  expect(existsSync(path.join(made, 's3', 'almanac-demo', 'lake', 'datasets'))).toBe(true);
  expect(existsSync(path.join(made, 's3', 'almanac-demo', 'emr-logs'))).toBe(true);
  expect(statSync(path.join(made, 'environment.sh')).mode & 0o077).toBe(0);
  expect(existsSync(path.join(home, 'data'))).toBe(false);
});

test('what the machine lacks is named with the step that mends it, and nothing is started', () => {
  const { status, stderr } = demo({ PATH: '/nowhere', XDG_CACHE_HOME: path.join(home, 'empty-cache') });
  expect(status).toBe(11);
  expect(stderr).toContain('error demo.unready: what the demo needs is not there: there is no `go` to build it with');
  expect(stderr).toContain('next: install Go 1.21 or later, and put `go` on PATH');
  expect(processesNaming(home)).toEqual([]);
});
