import { renderStale } from '../../../cli/render-stale';
import type { StaleWindow } from '../../../pipelines/stale';

const window = (key: string, branch: string): StaleWindow => ({ pipeline: 'plays', branch, window: key, versions: [] });

test('commands are of windows on main; those of a branch are for its backfill', () => {
  const lines = renderStale([window('2026-01-02', 'main'), window('2026-01-02', 'b1'), window('2026-01-03', 'b1')]).split('\n');
  expect(lines.slice(3)).toEqual([
    'next, in this order:',
    '  almanac run plays --window 2026-01-02 --again --reason …',
    'or a pipeline at once, as planned:',
    '  almanac backfill plan plays --from 2026-01-02 --to 2026-01-02 --reprocess stale',
    'on a branch, for its backfill to resume or discard: almanac backfill list plays',
  ]);
  expect(renderStale([window('2026-01-02', 'b1')])).not.toContain('almanac run');
});
