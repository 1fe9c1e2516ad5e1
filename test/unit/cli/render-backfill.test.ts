import type { BackfillState } from '../../../pipelines/backfill-steps';
import { renderBranchDiff, renderPlan } from '../../../cli/render-backfill';
import type { BranchDiff } from '../../../operator/backfills/diff';
import type { PlannedBackfill } from '../../../operator/backfills/plan';

const BEHIND: BranchDiff['behind'] = [{ window: '2026-01-07', why: 'not built' }];

function nextOf(state: BackfillState, behind: BranchDiff['behind'] = []): string {
  const diff = { hash: 'abc', pipeline: 'plays', branch: 'b1', state, from: '2026-01-03', windows: 4, differences: [], behind };
  return renderBranchDiff(diff).split('\n').at(-1) ?? '';
}

test('what is said to come next after a diff is what the state of the backfill allows', () => {
  expect(nextOf('built')).toBe('next: almanac backfill promote abc --reason …, or almanac backfill discard abc --reason …');
  expect(nextOf('built', BEHIND)).toBe('next: almanac backfill resume abc --reason … builds what is behind');
  expect(nextOf('halted', BEHIND)).toBe(
    'next: almanac backfill resume abc --reason … builds it on, or almanac backfill discard abc --reason …',
  );
  expect(nextOf('running', BEHIND)).toBe('next: almanac backfill show abc: it is running');
  for (const behind of [[], BEHIND])
    expect(nextOf('quiesced', behind)).toBe(
      'next: almanac backfill discard abc --reason …: its backfill was cancelled and builds no more, so the branch cannot be promoted; then almanac backfill plan plays --from 2026-01-03 --to … builds another',
    );
});

function planned(reprocess: 'missing' | 'all', windows: PlannedBackfill['plan']['windows'] = []): PlannedBackfill {
  const request = { pipeline: 'plays', from: '2026-01-01', to: '2026-01-02', reprocess, fromStage: null, order: 'forward' } as const;
  const plan = { request, chain: 'independent', planHash: 'p', params: {}, pins: [], windows, left: [] } as const;
  return { hash: 'abc', plan, concurrency: 1, estimate: { minutes: 0, bytes: 0, noHistory: [] } };
}

test('a plan with nothing to build offers no start, but what would build more', () => {
  expect(renderPlan(planned('missing'))).toMatch(
    /hash abc\nthere is nothing to start; --reprocess failed or stale or all takes more of these windows, or name others$/,
  );
  expect(renderPlan(planned('all'))).toMatch(/there is nothing to start; name other windows$/);
  const window = { window: '2026-01-01', after: 0, stages: [], carried: [] };
  expect(renderPlan(planned('missing', [window]))).toMatch(/next: almanac backfill start abc --reason …$/);
});
