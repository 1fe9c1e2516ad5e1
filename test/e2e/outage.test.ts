import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { RunView } from '../../operator/runs/inspect';
import { countingProject, keys } from '../support/counting-project';
import { EmbeddedStack } from '../support/embedded-stack';
import type { ForeignProject } from '../support/foreign-project';
import { until } from '../support/until';

jest.setTimeout(300_000);

const OUTAGE_MS = 15_000;

let project: ForeignProject;
let stack: EmbeddedStack;
const faults = mkdtempSync(path.join(os.tmpdir(), 'almanac-faults-'));

beforeAll(async () => {
  project = countingProject();
  stack = await EmbeddedStack.start({ project: project.directory, env: { ALMANAC_TEST_FAULTS: faults } });
});
afterAll(async () => {
  await stack?.[Symbol.asyncDispose]();
  project?.[Symbol.dispose]();
  rmSync(faults, { recursive: true });
});

/** Takes the Temporal server away; returns how to bring it back. */
type TakeAway = () => Promise<() => void>;

const frozen: TakeAway = async () => {
  const server = await stack.pid('temporal');
  process.kill(server, 'SIGSTOP');
  return () => process.kill(server, 'SIGCONT');
};

/** A frozen supervisor restarts nothing. */
const killed: TakeAway = async () => {
  const [supervisor, server] = [await stack.pid('supervisor'), await stack.pid('temporal')];
  process.kill(supervisor, 'SIGSTOP');
  process.kill(server, 'SIGKILL');
  return () => process.kill(supervisor, 'SIGCONT');
};

test.each([
  ['frozen', '2026-01-01', frozen],
  ['dead', '2026-01-02', killed],
])('a server that is %s for 15 s while a stage ends costs no second computation', async (_how, window, takeAway) => {
  const worker = await stack.pid('worker-compute');
  const order = path.join(faults, 'count:computed');
  writeFileSync(order, 'SIGSTOP');
  stack.land('keys', window, 'a.csv', keys(window, 'ann', 'bob'));
  await stack.ok('run', 'counts', '--window', window, '--param', 'rows=10');
  await until('the worker has computed the stage', () => !existsSync(order));
  const database = await stack.database();
  const bringBack = await takeAway();
  const gone = Date.now();
  try {
    process.kill(worker, 'SIGCONT');
    await until('the stage has ended', async () => {
      const { rowCount } = await database.query(
        "select from almanac.attempt where window_key = $1 and stage = 'count' and state = 'succeeded'",
        [window],
      );
      return rowCount === 1;
    });
    await until('the server was gone for 15 s', () => Date.now() - gone > OUTAGE_MS);
  } finally {
    bringBack();
  }
  const back = Date.now();
  await stack.ok('run', 'counts', '--window', window, '--wait');
  process.stderr.write(`outage: the run had ended ${((Date.now() - back) / 1000).toFixed(1)} s after the server was back\n`);
  const { attempts } = await stack.json<RunView>('show', `counts/${window}`);
  expect(attempts.map(({ stage, attempt, state }) => [stage, attempt, state])).toEqual(
    ['count', 'judge', 'publish', 'read'].map((stage) => [stage, 1, 'succeeded']),
  );
  const logs = await stack.json<{ line: string }[]>('logs', `counts/${window}`, 'count');
  expect(logs.filter(({ line }) => line.startsWith('computed counted'))).toHaveLength(1);
});
