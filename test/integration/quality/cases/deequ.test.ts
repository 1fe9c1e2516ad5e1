import path from 'node:path';
import {
  absoluteChanges,
  chiSquareDistance,
  differences,
  isRowLevel,
  maximumDistance,
  outsideRange,
  ratios,
  relativeChanges,
  rowLevelSql,
  type ChangeBounds,
  type SearchInterval,
} from '../../../../pipelines/define';
import { rankOf } from '../../../../pipelines/quality/quantile-bins';
import type { MetricDetail } from '../../../../pipelines/quality/reading';
import { valueOf } from '../../../../pipelines/quality/state-values';
import { mergeStates } from '../../../../pipelines/quality/states';
import { worst } from '../../../../pipelines/verdict';
import { batchNormal, holtWinters, onlineNormal } from '../../../../bench/deequ-strategies';
import { isFraction, readFractions, readJson, withCases } from '../../../support/quality/case-files';
import { constraintOf } from '../../../support/quality/deequ-checks';
import { declared, type Args } from '../../../support/quality/deequ-metrics';
import { DEEQU_DIFFERENCES } from '../../../support/quality/differences';
import { POSITION, Refused, Workbench, type Fixture, type Judged } from '../../../support/quality/workbench';

interface Case {
  readonly id: string;
  readonly kind: string;
  readonly test: string;
  readonly fixture?: string | readonly (string | Fixture)[];
  readonly analyzer: string;
  readonly args: Args;
  readonly where?: string;
  readonly expected: unknown;
  readonly tolerance?: number;
  readonly [more: string]: unknown;
}

const WHY = { dataset: 'case', why: 'Somebody else expects it.' };

withCases("deequ's published expectations", (folder) => {
  const { cases, fixtures } = readJson(path.join(folder, 'deequ_cases.json')) as {
    readonly cases: readonly Case[];
    readonly fixtures: Readonly<Record<string, Fixture>>;
  };
  const bench = new Workbench();
  beforeAll(() => bench.open());
  afterAll(() => bench.close());

  const marked = readFractions(path.join(folder, 'deequ_cases.json')) as { readonly fixtures: Readonly<Record<string, Fixture>> };
  const fixtureOf = (name: string | Fixture): Fixture => {
    if (typeof name !== 'string') return name;
    const fixture = fixtures[name];
    if (fixture === undefined) throw new Error(`no fixture ${name}`);
    const fractional = fixture.columns.filter((_, i) => marked.fixtures[name]?.rows.some((row) => isFraction(row[i])));
    return { ...fixture, types: Object.fromEntries(fractional.map((column) => [column, 'double'])) };
  };

  async function measured(of: Case, name: string, fixture: Fixture): Promise<Judged> {
    const dataset = await bench.load(name, fixture);
    const measure = declared(of.analyzer, of.args, of.where, bench.types(dataset));
    if (measure === undefined) throw new Error(`no declaration for ${of.analyzer}`);
    const [judged] = await bench.judge([{ ...WHY, id: 'it', dataset, measure }]);
    if (judged === undefined) throw new Error('nothing was judged');
    return judged;
  }

  const RUN: Readonly<Record<string, (of: Case) => Promise<void> | void>> = {
    metric: async (of) => {
      if (isFailure(of.expected)) {
        const refusal = await measured(of, String(of.fixture), fixtureOf(String(of.fixture))).catch((error: unknown) => error);
        if (refusal instanceof Refused) return;
      }
      const { measured: got, verdict } = await measured(of, String(of.fixture), fixtureOf(String(of.fixture)));
      if (isFailure(of.expected)) {
        expect(got).toHaveProperty('reason');
        expect(verdict.status).toBe('ERROR');
      } else if ('value' in got) expectMetric(got.value, got.detail, of);
      else throw new Error(`not measured: ${got.reason}`);
    },
    incremental: async (of) => {
      const parts = of.fixture as readonly (string | Fixture)[];
      const expected = of.expected as Readonly<Record<string, number>>;
      const got = [];
      for (const [i, part] of parts.entries())
        got.push(await measured(of, typeof part === 'string' ? part : `${of.id} ${i}`, fixtureOf(part)));
      const states = got.flatMap(({ measured: one }) => ('state' in one && one.state !== undefined ? [one.state] : []));
      const measure = declared(of.analyzer, of.args, of.where, {});
      const merged = mergeStates(states);
      if (measure === undefined || merged === undefined) throw new Error('no state to merge');
      for (const [i, name] of ['initial', 'delta'].entries()) {
        const one = got[i]?.measured;
        if (expected[name] !== undefined)
          expectNumber(one !== undefined && 'value' in one ? one.value : Number.NaN, expected[name], of.tolerance);
      }
      expectNumber(valueOf(measure, merged) ?? Number.NaN, expected['merged_state'] ?? Number.NaN, of.tolerance);
    },
    row_level: async (of) => {
      const dataset = await bench.load(String(of.fixture), fixtureOf(String(of.fixture)), true);
      const measure = declared(of.analyzer, of.args, of.where, bench.types(dataset));
      if (measure === undefined || !isRowLevel(measure)) throw new Error(`${of.analyzer} has no answer a row`);
      const sql = rowLevelSql(dataset, measure, { leftOut: of['filtered_rows_as'] === 'true' ? 'right' : 'null' });
      const rows = await bench.rows(`select answer from (${sql}) order by ${POSITION}`);
      const extremes: Readonly<Record<string, number>> = { 'Double.MinValue': -Number.MAX_VALUE, 'Double.MaxValue': Number.MAX_VALUE };
      expect(rows.map(({ answer }) => answer)).toEqual((of.expected as unknown[]).map((value) => extremes[String(value)] ?? value));
    },
    check_status: async (of) => {
      const dataset = await bench.load(String(of.fixture), fixtureOf(String(of.fixture)));
      const calls = of['check'] as readonly [string, ...unknown[]][];
      const onFail = of['level'] === 'Warning' ? 'warn' : 'block';
      const judged = await bench.judge(
        calls.map((call, i) => ({ ...WHY, ...constraintOf(call, bench.types(dataset)), id: `check-${i}`, dataset, onFail }) as const),
      );
      const statuses = judged.map(({ verdict }) => verdict.status);
      expect({ PASS: 'Success', WARN: 'Warning', FAIL: 'Error', ERROR: 'Error', NO_HISTORY: 'Success' }[worst(statuses)]).toBe(
        of['expected_status'],
      );
      const constraints = of['constraint_statuses'];
      if (constraints !== undefined) expect(statuses.map((status) => (status === 'PASS' ? 'Success' : 'Failure'))).toEqual(constraints);
    },
    anomaly: (of) => {
      const expected = of.expected as {
        readonly indices?: number[];
        readonly count?: number;
        readonly values?: number[];
        readonly error?: string;
      };
      if (expected.error !== undefined) {
        expect(() => anomalies(of)).toThrow(expect.objectContaining({ code: 'check.invalid' }));
        return;
      }
      const found = anomalies(of);
      if (expected.indices !== undefined) expect(found).toEqual(expected.indices);
      if (expected.count !== undefined) expect(found).toHaveLength(expected.count);
      if (expected.values !== undefined) {
        expect(found).toHaveLength(expected.values.length);
        for (const [i, value] of expected.values.entries()) expectNumber(found[i] ?? Number.NaN, value, of.tolerance);
      }
    },
    distance: (of) => {
      const [sample, baseline] = [of['sample'], of['baseline']] as Readonly<Record<string, number>>[];
      if (sample === undefined || baseline === undefined) throw new Error('no sample');
      if (of['method'] === 'linf') {
        const alpha = of['alpha'] as number | undefined;
        const value = maximumDistance(sample, baseline, {
          raw: of['correctForLowNumberOfSamples'] === true,
          ...(alpha === undefined ? {} : { alpha }),
        });
        expectNumber(value, Number(of.expected), of.tolerance);
      } else {
        const { statistic, p } = chiSquareDistance(sample, baseline);
        expectNumber(of['correctForLowNumberOfSamples'] === true ? statistic : p, Number(of.expected), of.tolerance);
      }
    },
    profile: async (of) => {
      const column = String(of.args['column']);
      const dataset = await bench.load(String(of.fixture), fixtureOf(String(of.fixture)));
      const expected = of.expected as Readonly<Record<string, unknown>>;
      for (const [name, value] of Object.entries(expected)) {
        const analyzer = PROFILE[name];
        if (analyzer === undefined) throw new Error(`no metric for ${name}`);
        const measure = declared(analyzer, { column, nullBehavior: 'EmptyString' }, undefined, {});
        if (measure === undefined) throw new Error(`no declaration for ${analyzer}`);
        const [judged] = await bench.judge([{ ...WHY, id: 'it', dataset, measure }]);
        const got = judged?.measured;
        if (got === undefined || !('value' in got)) throw new Error(`${name} was not measured`);
        if (typeof value === 'number') expectNumber(got.value, value, of.tolerance);
        else expect(frequencies(got.detail, name)).toEqual(value);
      }
    },
    referential_integrity: async (of) => {
      const dataset = await bench.load(`${of.id} primary`, of['primary'] as Fixture);
      const reference = await bench.load(`${of.id} reference`, of['reference'] as Fixture);
      const columns = of['primary_key'] as string[];
      const measure = {
        metric: 'referential-integrity',
        columns,
        in: { dataset: reference, columns: of['reference_key'] as string[] },
      } as const;
      const [judged] = await bench.judge([{ ...WHY, id: 'it', dataset, measure }]);
      expect(judged?.verdict.observed).toBeCloseTo(Number(of.expected), 9);
    },
    kll_rank_error: async () => {
      const part = (i: number): Promise<Judged[]> =>
        bench.session
          .exec(`create or replace table "stream" as select x from range(1, 1000001) as numbers(x) where hash(x) % 10 = ${i}`)
          .then(() =>
            bench.judge([{ ...WHY, id: 'it', dataset: 'stream', measure: { metric: 'approx-quantile', column: 'x', quantile: 0.5 } }]),
          );
      const states = [];
      for (let i = 0; i < 10; i++) {
        const [judged] = await part(i);
        if (judged !== undefined && 'state' in judged.measured && judged.measured.state !== undefined) states.push(judged.measured.state);
      }
      const merged = mergeStates(states);
      if (merged?.kind !== 'quantiles') throw new Error('no merged state');
      // The closest of the published bounds: k = 50,000.
      for (let value = 1; value <= 1_000_000; value += 9973)
        expect(Math.abs(rankOf(merged.bins, value) - value)).toBeLessThan((100 / 50_000) * 1_000_000);
    },
  };

  for (const of of cases) {
    const title = `${of.id} ${of.kind} ${of.analyzer ?? of['strategy'] ?? of['method'] ?? ''}: ${of.test ?? ''}`;
    const run = async (): Promise<void> => {
      const ours = RUN[of.kind];
      if (ours === undefined) throw new Error(`no words for cases of kind ${of.kind}`);
      await ours(of);
    };
    const difference = DEEQU_DIFFERENCES[of.id];
    if (difference === undefined) test(title, run);
    else test(`${title} is another on purpose: ${difference}`, () => expect(run()).rejects.toThrow());
  }

  test('isPrimaryKey is our primary key: unique, and no part of it NULL', async () => {
    const judged = async (...columns: string[]): Promise<string[]> => {
      const dataset = await bench.load('keys', {
        columns: ['a', 'b', 'c'],
        rows: [
          [1, null, 7],
          [2, 1, 7],
          [3, 2, 8],
        ],
      });
      return (await bench.judge([{ ...WHY, ...constraintOf(['isPrimaryKey', ...columns], {}), id: 'it', dataset }])).map(
        ({ verdict }) => verdict.status,
      );
    };
    expect([await judged('a'), await judged('a', 'c'), await judged('b'), await judged('c'), await judged('a', 'b')].flat()).toEqual([
      'PASS',
      'PASS',
      'FAIL',
      'FAIL',
      'FAIL',
    ]);
  });
});

const PROFILE: Readonly<Record<string, string>> = {
  completeness: 'Completeness',
  approximateNumDistinctValues: 'ApproxCountDistinct',
  dataType: 'DataType',
  typeCounts: 'DataType',
  zerosCount: 'ZerosCount',
  mean: 'Mean',
  maximum: 'Maximum',
  minimum: 'Minimum',
  range: 'Range',
  interquartileRange: 'InterquartileRange',
  sum: 'Sum',
  stdDev: 'StandardDeviation',
  variance: 'Variance',
  skewness: 'Skewness',
  kurtosis: 'Kurtosis',
  minLength: 'MinLength',
  maxLength: 'MaxLength',
  histogram: 'Histogram',
};

function frequencies(detail: MetricDetail | undefined, name: string): unknown {
  if (detail?.kind !== 'frequencies') throw new Error('no frequencies');
  if (name === 'dataType') return [...detail.values].sort((a, b) => b.count - a.count).find(({ value }) => value !== 'Unknown')?.value;
  return Object.fromEntries(detail.values.map(({ value, count, ratio }) => [value, name === 'typeCounts' ? count : [count, ratio]]));
}

function isFailure(expected: unknown): boolean {
  return typeof expected === 'object' && expected !== null && 'failure' in expected;
}

function expectNumber(got: number, wanted: number, tolerance = 1e-9): void {
  if (Number.isFinite(wanted)) expect(Math.abs(got - wanted)).toBeLessThanOrEqual(tolerance * Math.max(1, Math.abs(wanted)));
  else expect(got).toEqual(wanted);
}

function expectMetric(value: number, detail: MetricDetail | undefined, { expected, tolerance }: Case): void {
  if (typeof expected !== 'object' || expected === null) return expectNumber(value, Number(expected), tolerance);
  const wanted = expected as Readonly<Record<string, unknown>>;
  if (wanted['numberOfBins'] !== undefined) expect(value).toBe(wanted['numberOfBins']);
  if (detail?.kind === 'bins') {
    for (const [i, edge] of ((wanted['edges'] as number[] | undefined) ?? []).entries())
      expectNumber(detail.edges[i] ?? Number.NaN, edge, tolerance);
    if (wanted['frequencies'] !== undefined) expect(detail.counts).toEqual(wanted['frequencies']);
    const nulls = wanted['nullCount'] ?? (wanted['absolute'] as Record<string, number> | undefined)?.['NullValue'];
    if (nulls !== undefined) expect(detail.nulls).toBe(nulls);
    return;
  }
  if (detail?.kind !== 'frequencies') throw new Error('no frequencies were told');
  const told = new Map(detail.values.map(({ value: name, count, ratio }) => [name, [count, ratio] as const]));
  for (const [name, count] of Object.entries((wanted['absolute'] as Record<string, number> | undefined) ?? {}))
    expect([name, told.get(name)?.[0]]).toEqual([name, count]);
  for (const [name, ratio] of Object.entries((wanted['ratio'] as Record<string, number> | undefined) ?? {}))
    expectNumber(told.get(name)?.[1] ?? Number.NaN, ratio, tolerance);
  for (const [name, pair] of Object.entries((wanted['distribution'] as Record<string, number[]> | undefined) ?? {}))
    expect([name, told.get(name)]).toEqual([name, pair]);
  if (wanted['order'] !== undefined) expect(detail.values.map(({ value: name }) => name)).toEqual(wanted['order']);
  if (wanted['tailCount'] !== undefined) expect(detail.tailCount).toBe(wanted['tailCount']);
}

function anomalies(of: Case): number[] {
  const params = of['params'] as Readonly<Record<string, number | null | boolean>>;
  const series = of['series'] as number[];
  const interval = (of['search_interval'] as SearchInterval | null) ?? undefined;
  const number = (name: string): number | undefined => (typeof params[name] === 'number' ? params[name] : undefined);
  const bounds = (min: string, max: string): ChangeBounds => {
    const [low, high, order] = [number(min), number(max), number('order')];
    return {
      ...(low === undefined ? {} : { min: low }),
      ...(high === undefined ? {} : { max: high }),
      ...(order === undefined ? {} : { order }),
    };
  };
  switch (String(of['strategy'])) {
    case 'SimpleThreshold':
      return outsideRange(series, bounds('lowerBound', 'upperBound'), interval);
    case 'AbsoluteChange':
    case 'RateOfChange':
      return absoluteChanges(series, bounds('maxRateDecrease', 'maxRateIncrease'), interval);
    case 'RelativeRateOfChange':
      return relativeChanges(series, bounds('maxRateDecrease', 'maxRateIncrease'), interval);
    case 'AbsoluteChange.diff':
    case 'RateOfChange.diff':
      return differences(series, number('order') ?? 1);
    case 'RelativeRateOfChange.diff':
      return ratios(series, number('order') ?? 1);
    // Ours has another meaning: these are the rival's own rules, as the bench has them.
    case 'OnlineNormal':
      return onlineNormal(series, params, interval);
    case 'BatchNormal':
      return batchNormal(series, params, interval);
    case 'HoltWinters':
      return holtWinters(series, number('seriesPeriodicity') ?? 7, interval);
    default:
      throw new Error(`no words for ${String(of['strategy'])}`);
  }
}
