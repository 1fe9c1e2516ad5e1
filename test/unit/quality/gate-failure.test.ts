import { gateFailure, rowText } from '../../../activities/quality/gate-failure';
import { paramsHash } from '../../../activities/quality/history';
import { quarantineRatio } from '../../../activities/quality/quarantine';
import type { CheckResult } from '../../../activities/quality/results';
import type { Manifest } from '../../../activities/storage/manifest';
import type { CheckDeclaration, StageOutput } from '../../../pipelines/types';
import { judge, summarize } from '../../../pipelines/verdict';

function result(id: string, value: number): CheckResult {
  const check: CheckDeclaration = {
    id,
    dataset: 'report',
    measure: { metric: 'null-count', column: 'id' },
    fail: { max: 0 },
    why: 'It must hold.',
  };
  return {
    check,
    verdict: judge(check, value, 9, { window: '2026-11-20', accepted: [] }),
    failedRows: value,
    sample: Array.from({ length: 5 }, (_, row) => ({ id: null, name: `n${row}` })),
  };
}

test('a gate’s failure leaves out what passed, and shows three rows of the first five checks', () => {
  const results = [result('good', 0), ...Array.from({ length: 7 }, (_, index) => result(`bad-${index}`, index + 1))];
  const summary = summarize(results.map(({ check, verdict }) => ({ check: check.id, status: verdict.status })));
  const error = gateFailure({ pipeline: 'p', window: '2026-11-20', branch: 'fix', generation: 2 }, 'judge', summary, results);
  expect(error.message).toMatch(/^gate judge of p\/2026-11-20~fix fails 7 of 8 checks; nothing was accepted\. bad-0: /);
  expect(error.message).toContain('Rows: id NULL, name n0; id NULL, name n1; id NULL, name n2; … | bad-1');
  expect(error.message).toMatch(/and 2 more$/);
  expect(error.message).not.toContain('good');
  expect(error.next).toContain('almanac retry p/2026-11-20~fix --stage judge --reason');
});

test('a row in a message is cut', () => {
  expect(rowText({ a: 'x'.repeat(500) })).toHaveLength(200);
});

test('the hash of a metric does not depend on the order of its members, and differs with what it measures', () => {
  expect(paramsHash({ metric: 'rows-where', predicate: 'a' })).toBe(paramsHash({ predicate: 'a', metric: 'rows-where' }));
  const hashes = [
    paramsHash({ metric: 'null-count', column: 'a' }),
    paramsHash({ metric: 'null-count', column: 'b' }),
    paramsHash({ metric: 'rows-where', predicate: 'a' }),
    paramsHash({ metric: 'duplicate-keys', key: ['a', 'b'] }),
    paramsHash({ metric: 'duplicate-keys', key: ['ab'] }),
  ];
  expect(new Set(hashes).size).toBe(hashes.length);
});

describe('the share in quarantine', () => {
  const metric = { metric: 'quarantine-ratio', stage: 'adds', reasons: ['early', 'malformed'] } as const;
  const manifest = { rowsIn: 40, quarantine: { rows: { early: 10 }, files: [] } } as unknown as Manifest;
  const output = (more: Partial<StageOutput>): StageOutput => ({
    versions: [],
    rowsIn: 100,
    rowsOut: 95,
    bytesIn: 0,
    bytesOut: 0,
    ...more,
  });

  test('adds up the reasons named and no others', () => {
    expect(quarantineRatio({ adds: output({ quarantined: { early: 1, malformed: 2, late: 50 } }) }, metric, manifest)).toEqual({
      value: 0.03,
      rows: 100,
      sample: [],
    });
  });

  test('is known from the version where an output named by hand has none', () => {
    expect(quarantineRatio({ adds: output({ rowsIn: 0 }) }, metric, manifest)).toEqual({ value: 0.25, rows: 40, sample: [] });
  });

  test('of no rows is 0, of a stage without output unknown', () => {
    expect(quarantineRatio({ adds: output({ rowsIn: 0, quarantined: {} }) }, metric, manifest)).toEqual({ value: 0, rows: 0, sample: [] });
    expect(quarantineRatio({}, metric, manifest)).toEqual({ reason: 'the stage adds has no output in this run' });
  });
});
