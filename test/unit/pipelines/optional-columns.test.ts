import { createHash } from 'node:crypto';
import { daily, definePipeline, ingest } from '../../../pipelines/define';
import { buildPlan } from '../../../pipelines/plan';
import type { PipelineSpec } from '../../../pipelines/types';

const hash = (text: string): string => createHash('sha256').update(text).digest('hex');

function pipeline(optional: readonly string[]): PipelineSpec {
  return definePipeline({
    id: 'p',
    owner: 'o',
    window: daily(),
    chain: 'independent',
    datasets: { events: { columns: { a: 'text', b: 'text' }, ...(optional.length > 0 ? { optional } : {}) } },
    stages: { read: ingest({ landing: 'events', writes: 'events' }) },
  });
}

const stageHash = (spec: PipelineSpec): string | undefined => buildPlan(spec, new Map(), {}, hash).stages[0]?.hash;

test('which columns may be empty decides what an ingest accepts, so it is part of the stage’s hash', () => {
  expect(stageHash(pipeline(['b']))).not.toBe(stageHash(pipeline([])));
  expect(stageHash(pipeline(['b']))).toBe(stageHash(pipeline(['b'])));
});

test('an optional column that is not declared is refused', () => {
  expect(() => pipeline(['c'])).toThrow(
    expect.objectContaining({ code: 'pipeline.invalid', message: expect.stringContaining('datasets.events.optional') }),
  );
});
