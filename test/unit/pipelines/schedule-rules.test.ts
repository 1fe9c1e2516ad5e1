import { requireDeadline } from '../../../pipelines/schedule-rules';
import type { PipelineSpec } from '../../../pipelines/types';

const FROM = new Date('2026-11-21T12:00:00Z');
const scheduled = (cron: string, published: string): PipelineSpec =>
  ({
    ...{ id: 'plays', deadline: { published } },
    schedule: { cron, timezone: 'Europe/Berlin', gap: 'shift', fold: 'first', catchUp: 'all', overlap: 'queue' },
  }) as unknown as PipelineSpec;

test('a deadline that no slot can meet is refused, with the slot it comes too late for', () => {
  expect(() => requireDeadline(scheduled('0 22 * * *', '06:00'), FROM)).toThrow(
    expect.objectContaining({ code: 'schedule.deadline', message: expect.stringContaining('2026-11-21T22:00') as string }),
  );
});

test.each([
  ['a slot before it', '30 2 * * *', '06:00'],
  ['some slots before it', '0 * * * *', '06:00'],
])('%s is enough', (_, cron, published) => {
  expect(() => requireDeadline(scheduled(cron, published), FROM)).not.toThrow();
});
