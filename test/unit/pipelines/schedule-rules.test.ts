import { requireDeadline, requireTiling } from '../../../pipelines/schedule-rules';
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

const chained = (cron: string, timezone: string, window: PipelineSpec['window']): PipelineSpec =>
  ({
    ...{ id: 'plays', chain: 'ordered', window },
    schedule: { cron, timezone, gap: 'shift', fold: 'first', catchUp: 'all', overlap: 'queue' },
  }) as unknown as PipelineSpec;

test.each([
  ['ten minutes', '*/10 * * * *', 10, '2027-03-14T02:00'],
  ['an hour', '0 * * * *', 60, '2027-03-14T02:00'],
])('a chain of %s is refused in a zone whose clocks change months from now, with the slots that meet', (_, cron, minutes, slot) => {
  expect(() => requireTiling(chained(cron, 'America/New_York', { every: 'minutes', minutes }), FROM)).toThrow(
    expect.objectContaining({ code: 'schedule.windows', message: expect.stringContaining(slot) as string }),
  );
});

test.each([
  ['every ten minutes of UTC', chained('*/10 * * * *', 'UTC', { every: 'minutes', minutes: 10 })],
  ['every minute where clocks stand still', chained('* * * * *', 'Asia/Kolkata', { every: 'minutes', minutes: 1 })],
  ['a night of a zone with changes', chained('30 2 * * *', 'America/New_York', { every: 'day', timezone: 'UTC' })],
])('a chain of %s has each window once', (_, spec) => {
  expect(() => requireTiling(spec, FROM)).not.toThrow();
});
