import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils';

/** With `ALMANAC_TEST_RECORD_HISTORIES=DIR` every run of the suite leaves its history there, named after its test. */
export async function recordHistory(handle: WorkflowHandle): Promise<void> {
  const directory = process.env.ALMANAC_TEST_RECORD_HISTORIES;
  if (directory === undefined) return;
  const name = (expect.getState().currentTestName ?? 'unnamed').replace(/[^a-z0-9]+/gi, '-').slice(0, 60);
  const history = historyToJSON(await handle.fetchHistory());
  mkdirSync(directory, { recursive: true });
  writeFileSync(path.join(directory, `${name}.json`), `${JSON.stringify(JSON.parse(history), withoutTraces)}\n`);
}

/** Stack traces name directories of the machine they were recorded on. */
function withoutTraces(key: string, value: unknown): unknown {
  return key === 'stackTrace' ? '' : value;
}
