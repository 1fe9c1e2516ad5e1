import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { packageRoot } from '../../lib/package-root';
import { cliEnvironment } from '../support/cli';

jest.setTimeout(300_000);

interface Report {
  readonly results: readonly { shape: string; bare: number[]; almanac: number[]; ratio: number; throughput: number }[];
}

interface UdbReport {
  readonly bare: readonly { readonly report: string }[];
  readonly almanac: readonly { readonly report: string }[];
  readonly oneGigabyte: { readonly report: string };
}

/** Standard output of a built bench; rejects with what it wrote to standard error when it fails. */
function bench(name: string, ...args: string[]): Promise<string> {
  const child = spawn(process.execPath, [path.join(packageRoot(), 'dist', 'bench', `${name}.js`), ...args], {
    env: cliEnvironment(path.join(os.tmpdir(), 'the-bench-has-a-home-of-its-own')),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => (code === 0 ? resolve(stdout) : reject(new Error(`the bench ended with ${String(code)}: ${stderr}`))));
  });
}

test('the overhead bench runs every shape to its end in both arms', async () => {
  const { results } = JSON.parse(await bench('overhead', '--quick', '--json')) as Report;
  expect(results.map(({ shape }) => shape)).toEqual(['chain of 4', 'fan-out of 10', '5 windows x 4']);
  for (const { bare, almanac, ratio, throughput } of results) {
    expect([bare.length, almanac.length]).toEqual([1, 1]);
    for (const figure of [...bare, ...almanac, ratio, throughput]) expect(figure).toBeGreaterThan(0);
  }
  expect(results.every(({ ratio }) => Number.isFinite(ratio))).toBe(true);
});

test('the schedules bench fires every slot once', async () => {
  const report = JSON.parse(await bench('schedules', '--pipelines', '20', '--minutes', '1', '--json')) as Record<string, number>;
  expect(report).toMatchObject({ slots: 20, expected: 20, ran: 20 });
  for (const figure of ['rowSecondsMax', 'firstStageP99', 'bareP99', 'ratio']) expect(report[figure]).toBeGreaterThan(0);
});

test('the udb bench computes the same report as bare DuckDB, also with little memory', async () => {
  const home = mkdtempSync(path.join(os.tmpdir(), 'almanac-bench-'));
  try {
    const report = JSON.parse(await bench('udb', '--rows', '50000', '--repeats', '1', '--home', home, '--json')) as UdbReport;
    expect(report.bare[0]?.report).toMatch(/^duckdb1-[1-9]/);
    expect(report.almanac[0]?.report).toBe(report.bare[0]?.report);
    expect(report.oneGigabyte.report).toBe(report.bare[0]?.report);
  } finally {
    rmSync(home, { recursive: true });
  }
});

interface QualityReport {
  readonly rows: number;
  readonly scan: QualityPart;
  readonly whole: QualityPart;
}

interface QualityPart {
  readonly metrics: number;
  readonly bare: readonly object[];
  readonly suite: readonly object[];
  readonly ratio: number;
  readonly cpuRatio: number;
  readonly peakMemoryBytes: { readonly bare: number; readonly suite: number };
}

test('the quality bench measures every metric of its suite beside bare statements, and those of the scan by themselves', async () => {
  const report = JSON.parse(await bench('quality', '--rows', '20000', '--repeats', '1', '--json')) as QualityReport;
  expect(report).toMatchObject({ rows: 20_000, scan: { metrics: 56 }, whole: { metrics: 60 } });
  for (const { bare, suite, ratio, cpuRatio, peakMemoryBytes } of [report.scan, report.whole]) {
    expect([bare.length, suite.length]).toEqual([1, 1]);
    for (const figure of [ratio, cpuRatio, peakMemoryBytes.bare, peakMemoryBytes.suite]) expect(figure).toBeGreaterThan(0);
  }
});

test('the quality bench shows a person both comparisons and the memory of each arm', async () => {
  const shown = await bench('quality', '--rows', '20000', '--repeats', '1');
  for (const line of [/^suite, 56 metrics .* GB$/m, /^suite, 60 metrics .* GB$/m, /^bare SQL, 56 metrics .* GB$/m])
    expect(shown).toMatch(line);
  expect(shown).toMatch(/times its CPU for what one scan answers \(56 metrics\)\n/);
});
