import { touchesPii } from '../../../pipelines/pii';
import type { StageSpec } from '../../../pipelines/types';

const datasets = {
  people: { columns: { k: 'text' }, pii: ['k'] },
  counts: { columns: { n: 'bigint' } },
  bare: { columns: { k: 'text' }, pii: [] },
} as const;
const suite = (dataset: string, reference?: string): StageSpec => ({
  kind: 'check',
  suite: {
    checks: [
      {
        id: 'c',
        dataset,
        why: 'It must hold.',
        measure:
          reference === undefined
            ? { metric: 'rows' }
            : { metric: 'missing-references', column: 'k', in: { dataset: reference, column: 'k' } },
      },
    ],
  },
});

test.each<[StageSpec, boolean]>([
  [{ kind: 'ingest', landing: 'people', writes: 'people' }, true],
  [{ kind: 'ingest', landing: 'counts', writes: 'counts' }, false],
  [{ kind: 'compute', reads: { p: 'people' }, sql: 'a.sql', writes: 'counts' }, true],
  [{ kind: 'compute', reads: { p: { previous: 'people' } }, sql: 'a.sql', writes: 'counts' }, true],
  [{ kind: 'compute', reads: { c: 'counts' }, sql: 'a.sql', writes: 'people' }, true],
  [{ kind: 'compute', reads: { c: 'counts' }, sql: 'a.sql', writes: 'bare' }, false],
  [suite('people'), true],
  [suite('counts', 'people'), true],
  [suite('counts', 'bare'), false],
  [{ kind: 'publish', mode: 'newest', tables: { t: { from: 'people', key: ['k'] } } }, true],
  [{ kind: 'publish', mode: 'newest', tables: { t: { from: 'counts', key: ['n'] } } }, false],
])('%j: %s', (spec, touches) => {
  expect(touchesPii({ datasets }, { spec })).toBe(touches);
});
