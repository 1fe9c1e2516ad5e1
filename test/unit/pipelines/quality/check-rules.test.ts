import { canonicalJson } from '../../../../pipelines/canonical';
import { declarationProblems } from '../../../../pipelines/quality/check-rules';
import type { Partition } from '../../../../pipelines/quality/metrics';
import type { CheckDeclaration } from '../../../../pipelines/types';

type BlockingCheck = Exclude<CheckDeclaration, { onFail: 'quarantine' }>;

function check(more: Partial<BlockingCheck>): CheckDeclaration {
  return { id: 'it', dataset: 'orders', measure: { metric: 'size' }, why: 'It must hold.', ...more };
}

const compared = (expected: Partition): CheckDeclaration =>
  check({ measure: { metric: 'distribution-distance', column: 'x', method: 'js', expected } });

test('a side is left open by leaving it out, or by an outer edge that is null', () => {
  const open = [
    check({ fail: { min: 1 } }),
    check({ fail: { below: 5 } }),
    compared({ bins: [null, 0, 1, null], weights: [0.1, 0.8, 0.1] }),
  ];
  for (const declared of open) {
    expect(declarationProblems(declared)).toEqual([]);
    expect(() => canonicalJson(declared)).not.toThrow();
  }
});

test.each<[what: string, CheckDeclaration, problem: RegExp]>([
  ['an infinite bound', check({ fail: { min: -Infinity, max: 1 } }), /`fail` must be finite numbers; a side that is left out is open/],
  ['an infinite edge', compared({ bins: [-Infinity, 0, 1], weights: [0.5, 0.5] }), /expected\.bins\.0 is -Infinity.*null/],
  ['an infinite range', check({ measure: { metric: 'within', column: 'x', max: Infinity } }), /measure\.max is Infinity/],
  ['a score that is no number', check({ drift: { method: 'level', warn: Number.NaN } }), /drift\.warn is NaN/],
  ['an inner edge that is open', compared({ bins: [0, null, 1], weights: [0.5, 0.5] }), /only the first and the last edge may be null/],
  ['no edge at all', compared({ bins: [null, null], weights: [1] }), /needs an edge/],
  ['a distribution of what keeps none', check({ drift: { method: 'psi' } }), /`psi` compares distributions by value, and size keeps none/],
  [
    'a distribution of bins that move with the data',
    check({ measure: { metric: 'histogram-binned', column: 'x' }, drift: { method: 'js' } }),
    /histogram-binned keeps none; take histogram, or histogram-binned with `edges`/,
  ],
  [
    'a format with a part that no engine knows alike',
    check({ measure: { metric: 'parseable', column: 'x', as: 'date', format: '%G-%V' } }),
    /the format has %G, which is none of %a, %A/,
  ],
  [
    'a format that ends within a part',
    check({ measure: { metric: 'parseable', column: 'x', as: 'date', format: '%Y %' } }),
    /the format has %,/,
  ],
  ['a format of no part', check({ measure: { metric: 'parseable', column: 'x', as: 'date', format: '100%%' } }), /names no part of a date/],
  [
    'a format of numbers',
    check({ measure: { metric: 'parseable', column: 'x', as: 'double', format: '%Y' } }),
    /a format is of dates, and double is none/,
  ],
  ['a value named twice', compared({ values: ['a', 'a'], weights: [0.5, 0.5] }), /names a value twice/],
])('%s is refused where it is declared, not where the plan is hashed', (_what, declared, problem) => {
  expect(declarationProblems(declared).join('\n')).toMatch(problem);
});

test.each<[CheckDeclaration['measure']]>([
  [{ metric: 'histogram', column: 'x' }],
  [{ metric: 'histogram-binned', column: 'x', edges: [0, 1] }],
  [{ metric: 'distribution-distance', column: 'x', method: 'js', expected: { values: ['a'], weights: [1] } }],
])('distributions of %j are compared', (measure) => {
  expect(declarationProblems(check({ measure, drift: { method: 'psi' } } as Partial<BlockingCheck>))).toEqual([]);
});
