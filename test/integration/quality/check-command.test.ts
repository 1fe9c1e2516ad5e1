import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { claimRun, storePlan } from '../../../activities/ledger/runs';
import { markAccepted, storeMetrics } from '../../../activities/quality/history';
import { storeResults } from '../../../activities/quality/results';
import { runCli } from '../../../cli/main';
import { migrate } from '../../../lib/migrate';
import type { CheckDeclaration, RunRef } from '../../../pipelines/types';
import { judge } from '../../../pipelines/verdict';
import { testDatabase, type TestDatabase } from '../../support/postgres';

const RUN: RunRef = { pipeline: 'example', window: '2026-11-20', branch: 'main', generation: 1 };
const NOW = new Date('2026-11-21T03:00:00Z');
const SIZE: CheckDeclaration = {
  id: 'report-size',
  dataset: 'report',
  measure: { metric: 'rows' },
  fail: { min: 1 },
  why: 'An empty report helps nobody.',
};
const COMPLETE: CheckDeclaration = {
  id: 'report-complete',
  dataset: 'report',
  measure: { metric: 'null-count', column: 'id' },
  fail: { max: 0 },
  owner: 'audience-team',
  why: 'Such a row cannot be looked up.',
};

let database: TestDatabase;
const home = mkdtempSync(path.join(tmpdir(), 'almanac-check-'));
const before = { ...process.env };
beforeAll(async () => {
  database = await testDatabase();
  Object.assign(process.env, { DATABASE_URL: database.url, TEMPORAL_ADDRESS: '127.0.0.1:1', ALMANAC_HOME: home });
  const { pool } = database;
  await migrate(pool);
  await storePlan(pool, {
    hash: 'p',
    pipeline: 'example',
    chain: 'ordered',
    window: { every: 'day', timezone: 'UTC' },
    params: {},
    datasets: {},
    stages: [],
  });
  await claimRun(pool, {
    run: RUN,
    claim: 'c',
    planHash: 'p',
    pins: {},
    bootstrap: false,
    origin: true,
    matrix: {},
    verb: 'run',
    who: 'test',
    now: NOW,
  });
  const baseline = { window: RUN.window, accepted: [] };
  await storeResults(
    pool,
    RUN,
    'judge',
    1,
    [
      { check: SIZE, verdict: judge(SIZE, 25, 25, baseline), failedRows: null, sample: [] },
      { check: COMPLETE, verdict: judge(COMPLETE, 2, 25, baseline), failedRows: 2, sample: [{ id: null, name: 'tea\u001b[2Jpot' }] },
    ],
    NOW,
  );
  await storeMetrics(pool, RUN, 'judge', [{ dataset: 'report', version: 'v1', measure: SIZE.measure, value: 25, rows: 25 }], NOW);
  await markAccepted(pool, RUN, [{ dataset: 'report', window: RUN.window, version: 'v1', digest: 'd' }]);
});
afterAll(async () => {
  process.env = before;
  await database[Symbol.asyncDispose]();
  rmSync(home, { recursive: true, force: true });
});

async function almanac(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  let out = '';
  let err = '';
  const code = await runCli(argv, { stdout: { write: (text) => (out += text) }, stderr: { write: (text) => (err += text) } });
  return { code, out, err };
}

test('check show has the worst first, and below the table why, which rows, and whom to ask', async () => {
  const { code, out } = await almanac('check', 'show', 'example/2026-11-20');
  expect(code).toBe(0);
  const lines = out.split('\n');
  expect(lines[0]).toMatch(/^STATUS +CHECK +DATASET +OBSERVED +LOW +HIGH +METHOD +JUDGED BY$/);
  expect(lines[1]).toMatch(/^FAIL +report-complete +report +2 +0 +band +judge, generation 1, attempt 1$/);
  expect(lines[2]).toMatch(/^PASS +report-size +report +25 +1 +band /);
  expect(lines.slice(3).join('\n').trim()).toBe(
    [
      'FAIL report-complete: 2 rows of report have no id; allowed: at most 0. Such a row cannot be looked up. Owner: audience-team.',
      '  1 of 2 rows:',
      '  id    name',
      '  NULL  tea\ufffd[2Jpot',
    ].join('\n'),
  );
});

test('check show --json is what is on record', async () => {
  const { code, out } = await almanac('check', 'show', 'example/2026-11-20#1', '--json');
  expect(code).toBe(0);
  expect(JSON.parse(out)).toMatchObject([
    { check: 'report-complete', status: 'FAIL', observed: 2, high: 0, failedRows: 2, stage: 'judge', attempt: 1 },
    { check: 'report-size', status: 'PASS', observed: 25, judgedAt: NOW.toISOString() },
  ]);
});

test('check history shows each window and whether it is a baseline', async () => {
  const { code, out } = await almanac('check', 'history', 'report', 'rows');
  expect(code).toBe(0);
  expect(out).toMatch(/^WINDOW +PIPELINE +METRIC +VALUE +ROWS +BASELINE +VERSION\n2026-11-20 +example +rows +25 +25 +yes +v1\n$/);
});

test.each([
  ['an unknown run', ['check', 'show', 'example/2026-11-21'], 'run.unknown'],
  ['an unknown metric', ['check', 'history', 'report', 'rowz'], 'check.unknown'],
])('%s is a coded error with the exit code of what is missing', async (_what, argv, code) => {
  const answer = await almanac(...argv, '--json');
  expect(answer.code).toBe(4);
  expect(JSON.parse(answer.out)).toMatchObject({ error: { code } });
});
