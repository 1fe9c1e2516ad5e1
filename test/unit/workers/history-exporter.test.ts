import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { History } from '@temporalio/common/lib/proto-utils';
import { isWhole } from '../../../workers/history-exporter';

const directory = path.join(__dirname, '..', '..', 'replay', 'histories', '0.1.0');

function recorded(name: string): NonNullable<History['events']> {
  return (JSON.parse(readFileSync(path.join(directory, name), 'utf8')) as { events: NonNullable<History['events']> }).events;
}

const closed = 'a-run-goes-from-its-first-stage-to-its-close.json';

test('a history is exported whole: only once its last event closes the execution', () => {
  const events = recorded(closed);
  expect(isWhole({ events })).toBe(true);
  for (let length = 0; length < events.length; length++) expect(isWhole({ events: events.slice(0, length) })).toBe(false);
});

test('an execution someone terminated counts as closed', () => {
  const events = recorded(closed);
  expect(isWhole({ events: [...events.slice(0, -1), { workflowExecutionTerminatedEventAttributes: { reason: 'by hand' } }] })).toBe(true);
});
