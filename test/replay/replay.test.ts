import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { DeterminismViolationError } from '@temporalio/workflow';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { bundleWorkflows } from '../../workers/bundle';

/**
 * Histories of earlier builds; `ALMANAC_TEST_RECORD_HISTORIES=test/replay/histories/VERSION npx jest test/integration/workflows`
 * records those of this one. Old ones stay: runs they stand for may still be open.
 */
const directory = path.join(__dirname, 'histories');
const files = readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.json'));

let bundle: { code: string };
beforeAll(async () => {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  bundle = await bundleWorkflows();
});

interface RecordedHistory {
  events: { eventType: string; activityTaskScheduledEventAttributes?: { activityType: { name: string } } }[];
}

function history(name: string): RecordedHistory {
  return JSON.parse(readFileSync(path.join(directory, name), 'utf8')) as RecordedHistory;
}

test.each(files)('%s replays on this build', async (name) => {
  await Worker.runReplayHistory({ workflowBundle: bundle }, history(name));
});

test('a history whose activities differ from what this build would do is refused', async () => {
  const changed = history(files[0] ?? '');
  for (const { activityTaskScheduledEventAttributes: scheduled } of changed.events) {
    if (scheduled?.activityType.name === 'runStage') scheduled.activityType.name = 'runStageOfAnotherBuild';
  }
  await expect(Worker.runReplayHistory({ workflowBundle: bundle }, changed)).rejects.toThrow(DeterminismViolationError);
});

test('the workflow bundle stays small: modules are evaluated anew for every run loaded', () => {
  const [code = ''] = bundle.code.split('//# sourceMappingURL');
  expect(code.length).toBeLessThan(584 * 1024);
});
