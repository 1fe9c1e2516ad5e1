import { decidePublishing, type DueWindow } from '../../../pipelines/backfill-publishing';
import type { RunState } from '../../../pipelines/status';

const due = (window: string, run: RunState, generation = 1, after?: number): DueWindow => ({ window, generation, run, after });

test('windows are published one at a time, in the order given', () => {
  expect(decidePublishing([due('a', 'succeeded'), due('b', 'succeeded')])).toEqual({ do: 'publish', window: 'a' });
  expect(decidePublishing([due('a', 'running', 2, 1), due('b', 'succeeded')])).toEqual({ do: 'wait' });
  expect(decidePublishing([])).toEqual({ do: 'done' });
});

test('a start that was cut off is made again', () => {
  expect(decidePublishing([due('a', 'succeeded', 1, 1)])).toEqual({ do: 'publish', window: 'a' });
  expect(decidePublishing([due('a', 'claimed', 2, 1)])).toEqual({ do: 'publish', window: 'a' });
});

test.each<RunState>(['held', 'cancelled', 'abandoned', 'lost'])('what became %s halts, once the others are published', (run) => {
  expect(decidePublishing([due('a', run, 2, 1), due('b', 'succeeded')])).toEqual({ do: 'publish', window: 'b' });
  expect(decidePublishing([due('a', run, 2, 1), due('b', 'running', 2, 1)])).toEqual({ do: 'wait' });
  expect(decidePublishing([due('a', run, 2, 1), due('b', 'succeeded', 2, 1)])).toEqual({ do: 'halt', failed: ['a'] });
});

test('a run that ended before the promotion is no failure of it; one that went through is not made again', () => {
  expect(decidePublishing([due('a', 'abandoned')])).toEqual({ do: 'publish', window: 'a' });
  expect(decidePublishing([due('a', 'succeeded', 2, 1)])).toEqual({ do: 'done' });
});
