import { renderRetry } from '../../../cli/render-retry';
import type { RetryAnswer } from '../../../operator/runs/retry';

const answer: RetryAnswer = {
  run: { pipeline: 'plays', window: '2026-01-02', branch: 'main', generation: 1 },
  stages: ['pixels'],
  plan: { reset: ['pixels'], waits: ['report'], held: ['adds'], kept: [], reasons: { pixels: 'asked', report: 'below' } },
  inputs: 'latest',
  code: 'same',
  matrix: { code: 'same', inputs: 'latest', params: 'same', values: {} },
  changes: [],
  unread: ['pixels'],
  codeDiffers: [],
  builtOn: [],
};

test('a retry lists what runs, what stays held with its command, and what waits for that', () => {
  expect(renderRetry(answer).split('\n').slice(1)).toEqual([
    '  pixels: its files were not read yet, so there is nothing to compare them with',
    '  other inputs: unchanged',
    '  runs pixels: asked',
    '  still held: adds; next: almanac retry plays/2026-01-02 --stage adds --reason …',
    '  waits for what is held: report',
  ]);
});

test('inputs are unchanged only where every one was compared', () => {
  expect(renderRetry({ ...answer, unread: [] })).toContain('  inputs: unchanged');
  expect(renderRetry({ ...answer, inputs: 'pinned', unread: [] })).not.toContain('unchanged');
});

test('a retry tells which later windows were built on what it replaces', () => {
  const later = ['2026-01-03', '2026-01-04'].map((window) => ({ pipeline: 'plays', window, branch: 'main' }));
  expect(renderRetry({ ...answer, builtOn: later })).toContain('built on what this replaces: plays/2026-01-03, plays/2026-01-04; ');
});
