import fc from 'fast-check';
import type { CheckDeclaration, CheckStatus } from '../../../pipelines/types';
import { blocks, holds, judge, overrule, summarize, worst, type Baseline } from '../../../pipelines/verdict';

const STATUSES: readonly CheckStatus[] = ['PASS', 'NO_HISTORY', 'WARN', 'FAIL', 'ERROR'];
const NO_BASELINE: Baseline = { window: '2026-11-20', accepted: [] };

function check(more: Partial<CheckDeclaration>): CheckDeclaration {
  return {
    id: 'report-complete',
    dataset: 'report',
    measure: { metric: 'null-count', column: 'pixel_id' },
    why: 'Nobody can look such a row up.',
    ...more,
  };
}

describe('statuses', () => {
  test('are a lattice: PASS < NO_HISTORY < WARN < FAIL < ERROR, and the worst of several stands for all', () => {
    expect(worst([])).toBe('PASS');
    for (const [a, better] of STATUSES.entries()) {
      for (const worse of STATUSES.slice(a)) expect([worst([better, worse]), worst([worse, better])]).toEqual([worse, worse]);
    }
  });

  test('FAIL and ERROR block, nothing else does', () => {
    expect(STATUSES.filter(blocks)).toEqual(['FAIL', 'ERROR']);
  });

  test('are summed up with the checks behind them', () => {
    const verdicts = STATUSES.map((status) => ({ check: status.toLowerCase(), status }));
    expect(summarize(verdicts)).toEqual({ status: 'ERROR', checks: 5, warned: ['warn'], failed: ['fail', 'error'] });
  });
});

describe('overrides', () => {
  const now = new Date('2026-11-20T12:00:00Z');
  const verdictOf = (status: CheckStatus) => ({ ...judge(check({}), 0, 1, NO_BASELINE), status });
  const override = (until: string, who = 'ann') => ({ who, until, reason: 'known' });

  test('let FAIL and ERROR pass until their time, and touch nothing else', () => {
    const overruled = STATUSES.map((status) => overrule(verdictOf(status), [override('2026-11-20T12:00:01Z')], now));
    expect(overruled.map(({ status }) => status)).toEqual(STATUSES);
    expect(overruled.filter(({ overridden }) => overridden !== undefined).map(({ status }) => status)).toEqual(['FAIL', 'ERROR']);
    expect(overruled.filter(holds)).toEqual([]);
  });

  test('are over at their time', () => {
    expect(holds(overrule(verdictOf('FAIL'), [override('2026-11-20T12:00:00Z'), override('2026-11-20T11:00:00Z')], now))).toBe(true);
  });

  test('that last longest count', () => {
    const several = [override('2026-11-20T13:00:00Z'), override('2026-11-21T00:00:00Z', 'bob'), override('2026-11-20T14:00:00Z')];
    expect(overrule(verdictOf('FAIL'), several, now).overridden).toMatchObject({ who: 'bob' });
  });

  test('are summed up as warnings, with their names', () => {
    const overridden = override('2026-11-21T00:00:00Z');
    expect(
      summarize([
        { check: 'a', status: 'FAIL', overridden },
        { check: 'b', status: 'PASS' },
      ]),
    ).toEqual({
      status: 'WARN',
      checks: 2,
      warned: [],
      failed: [],
      overridden: ['a'],
    });
  });
});

describe('bands', () => {
  test('include their bounds', () => {
    const within = check({ fail: { min: 1, max: 3 } });
    expect([0, 1, 3, 4].map((value) => judge(within, value, 10, NO_BASELINE).status)).toEqual(['FAIL', 'PASS', 'PASS', 'FAIL']);
  });

  test('fail goes before warn, and each names the band that decided', () => {
    const both = check({ warn: { max: 0 }, fail: { max: 5 } });
    expect(judge(both, 0, 10, NO_BASELINE)).toMatchObject({ status: 'PASS', low: null, high: 0, method: 'band' });
    expect(judge(both, 3, 10, NO_BASELINE)).toMatchObject({ status: 'WARN', observed: 3, low: null, high: 0, method: 'band' });
    expect(judge(both, 6, 10, NO_BASELINE)).toMatchObject({ status: 'FAIL', observed: 6, low: null, high: 5, method: 'band' });
  });

  test('with a bound that is no number let nothing pass', () => {
    expect(judge(check({ fail: { max: Number.NaN } }), 0, 10, NO_BASELINE).status).toBe('FAIL');
  });

  test('not declared leave a number on record that nobody judged', () => {
    expect(judge(check({}), 3, 10, NO_BASELINE)).toMatchObject({ status: 'PASS', observed: 3, method: 'none' });
  });

  test('apply to the ratio where one is declared; no rows give 0', () => {
    const ratio = check({ as: 'ratio', fail: { max: 0.1 } });
    expect(judge(ratio, 3, 25, NO_BASELINE)).toMatchObject({ status: 'FAIL', observed: 0.12 });
    expect(judge(ratio, 2, 20, NO_BASELINE)).toMatchObject({ status: 'PASS', observed: 0.1 });
    expect(judge(ratio, 0, 0, NO_BASELINE)).toMatchObject({ status: 'PASS', observed: 0 });
  });

  test('never get better when the value moves further outside', () => {
    const order = (status: CheckStatus): number => STATUSES.indexOf(status);
    fc.assert(
      fc.property(fc.nat(1000), fc.nat(1000), fc.nat(1000), fc.nat(1000), (warn, fail, a, b) => {
        const judged = [Math.min(a, b), Math.max(a, b)].map((value) =>
          order(judge(check({ warn: { max: warn }, fail: { max: warn + fail } }), value, 10, NO_BASELINE).status),
        );
        expect(judged[0]).toBeLessThanOrEqual(judged[1] ?? -1);
      }),
    );
  });
});

describe('what could not be computed', () => {
  test.each([
    ['a refused statement', { reason: 'Binder Error: no column "pixel_idd"' }],
    ['NaN', Number.NaN],
    ['infinity', Infinity],
  ])('%s is an ERROR, never a pass', (_what, observed) => {
    const verdict = judge(check({ warn: { max: 5 } }), observed, 10, NO_BASELINE);
    expect(verdict).toMatchObject({ status: 'ERROR', observed: null, low: null, high: null });
    expect(verdict.message).toMatch(/^report-complete: null-count\(pixel_id\) of report could not be measured/);
  });
});

describe('drift', () => {
  const size = check({
    id: 'udb-size',
    dataset: 'udb',
    measure: { metric: 'rows' },
    warn: 'drift',
    why: 'The size is unlike that of the weeks before.',
  });
  const fridays = ['2026-10-23', '2026-10-30', '2026-11-06', '2026-11-13'];
  const baseline = (windows: readonly string[]): Baseline => ({
    window: '2026-11-20',
    accepted: windows.map((window) => ({ window, value: 100, rows: 100 })),
  });

  test('without enough history passes as NO_HISTORY and says what is missing', () => {
    const verdict = judge(size, 1e6, 1e6, baseline(fridays.slice(1)));
    expect(verdict).toMatchObject({ status: 'NO_HISTORY', method: 'drift', n: 3, score: null });
    expect(verdict.message).toBe('udb-size: udb has 1,000,000 rows; only 3 earlier Fridays are accepted, and drift is judged from 4 on.');
  });

  test('only warns, however far off, and stores what the opinion rests on', () => {
    const verdict = judge(size, 1e6, 1e6, baseline(fridays));
    expect(verdict).toMatchObject({ status: 'WARN', observed: 1e6, method: 'drift', n: 4 });
    expect(verdict.low).toBeLessThan(100);
    expect(verdict.high).toBeGreaterThan(100);
    expect(verdict.score).toBeGreaterThan(6);
    expect(judge(size, 101, 101, baseline(fridays))).toMatchObject({ status: 'PASS', method: 'drift', n: 4 });
  });

  test('does not soften a declared failure', () => {
    expect(judge({ ...size, fail: { min: 1 } }, 0, 0, baseline(fridays))).toMatchObject({ status: 'FAIL', method: 'band' });
    expect(judge({ ...size, fail: { min: 1 } }, 100, 100, baseline(fridays))).toMatchObject({ status: 'PASS', method: 'drift' });
  });

  test('of a ratio compares ratios, not counts', () => {
    const share = check({ as: 'ratio', warn: 'drift' });
    const history: Baseline = {
      window: '2026-11-20',
      accepted: fridays.map((window, week) => ({ window, value: 10 * 2 ** week, rows: 100 * 2 ** week })),
    };
    expect(judge(share, 1000, 10_000, history)).toMatchObject({ status: 'PASS', observed: 0.1 });
    expect(judge(share, 5000, 10_000, history)).toMatchObject({ status: 'WARN', observed: 0.5 });
  });
});

describe('the message names check, dataset, number, band and why', () => {
  test.each<[string, Partial<CheckDeclaration>, number, number, string]>([
    [
      'nulls',
      { fail: { max: 0 } },
      1,
      9,
      'report-complete: 1 row of report has no pixel_id; allowed: at most 0. Nobody can look such a row up.',
    ],
    [
      'a ratio',
      { as: 'ratio', fail: { max: 0.1 } },
      3,
      25,
      'report-complete: 3 of 25 rows of report (12 %) have no pixel_id; allowed: at most 10 %. Nobody can look such a row up.',
    ],
    [
      'a predicate',
      { measure: { metric: 'rows-where', predicate: 'a > b' }, warn: { max: 1 } },
      2,
      9,
      'report-complete: 2 rows of report are such that a > b; expected: at most 1. Nobody can look such a row up.',
    ],
    [
      'repeated keys',
      { measure: { metric: 'duplicate-keys', key: ['p', 's'] }, fail: { max: 0 } },
      1200,
      9000,
      'report-complete: 1,200 rows of report repeat the key (p, s) of another row; allowed: at most 0. Nobody can look such a row up.',
    ],
    [
      'references',
      { measure: { metric: 'missing-references', column: 'p', in: { dataset: 'names', column: 'p' } }, fail: { max: 0 } },
      2,
      9,
      'report-complete: 2 rows of report have a p that is not in names; allowed: at most 0. Nobody can look such a row up.',
    ],
    [
      'quarantine',
      { measure: { metric: 'quarantine-ratio', stage: 'adds', reasons: ['early', 'malformed'] }, fail: { max: 0.05 } },
      0.0501,
      9000,
      'report-complete: 5.01 % of the 9,000 rows read for report are in quarantine as early or malformed; allowed: at most 5 %. Nobody can look such a row up.',
    ],
    [
      'a size',
      { measure: { metric: 'rows' }, fail: { min: 1, max: 10 } },
      0,
      0,
      'report-complete: report has 0 rows; allowed: 1 to 10. Nobody can look such a row up.',
    ],
    [
      'a pass, which needs no reason',
      { fail: { max: 0 } },
      0,
      9,
      'report-complete: 0 rows of report have no pixel_id; allowed: at most 0.',
    ],
  ])('%s', (_what, declaration, observed, rows, message) => {
    expect(judge(check(declaration), observed, rows, NO_BASELINE).message).toBe(message);
  });
});

describe('drift', () => {
  const weeks = ['2026-10-16', '2026-10-23', '2026-10-30', '2026-11-06', '2026-11-13'];
  const counts = (of: Record<string, number>) => ({ kind: 'frequencies', counts: of, nulls: 0 }) as never;

  test('that has no score could not be measured: it never passes', () => {
    const accepted = weeks.map((window) => ({ window, value: 400, rows: 1000 }));
    const found = judge(check({ drift: { method: 'proportion' } }), 400, 1000, { window: '2026-11-20', accepted });
    expect(found).toMatchObject({ status: 'ERROR', message: expect.stringContaining('proportion has no score for 400') });
  });

  test('of a distribution that was not kept says so, and not that the history is too short', () => {
    const psi = check({ drift: { method: 'psi' } });
    const accepted = (kept: number) =>
      weeks.map((window, i) => ({ window, value: 1, rows: 100, ...(i < kept ? { state: counts({ a: 100 }) } : {}) }));
    const said = (kept: number, state?: ReturnType<typeof counts>): string => {
      const { status, message } = judge(psi, 1, 100, { window: '2026-11-20', accepted: accepted(kept) }, state);
      expect(status).toBe('NO_HISTORY');
      return message;
    };
    const limit = /more than 1000 different values are not kept; `histogram-binned` with `edges` keeps numbers, however many/;
    expect(said(5)).toMatch(/its distribution is not compared: this window left none/);
    expect(said(5)).toMatch(limit);
    expect(said(3, counts({ a: 1 }))).toMatch(/of the last 5 Fridays 2 left no distribution, and it is compared with 4 or more/);
    expect(said(3, counts({ a: 1 }))).toMatch(limit);
    expect(judge(psi, 1, 100, { window: '2026-11-20', accepted: accepted(4) }, counts({ a: 1 })).status).toBe('PASS');
    const short = { window: '2026-11-20', accepted: accepted(5).slice(0, 2) };
    expect(judge(psi, 1, 100, short, counts({ a: 1 })).message).toMatch(/only 2 earlier Fridays are accepted/);
  });

  test.each(['constructor', 'toString', '__proto__'])('sees a value called %s come, as any other', (name) => {
    const accepted = weeks.map((window) => ({ window, value: 1, rows: 100, state: counts({ a: 100 }) }));
    const now = counts(
      Object.fromEntries([
        ['a', 50],
        [name, 50],
      ]),
    );
    const found = judge(check({ drift: { method: 'psi', fail: 0.25 } }), 2, 100, { window: '2026-11-20', accepted }, now);
    expect(found.status).toBe('FAIL');
  });
});
