import path from 'node:path';
import { isRowLevel, rowLevelSql } from '../../../../pipelines/define';
import { isRowMetric, type QualityMetric } from '../../../../pipelines/quality/metrics';
import { SAMPLE_ROWS } from '../../../../pipelines/sample-sql';
import type { CheckDeclaration } from '../../../../pipelines/types';
import { jsonFiles, readJson, withCases } from '../../../support/quality/case-files';
import { GREAT_EXPECTATIONS_DIFFERENCES } from '../../../support/quality/differences';
import { translate } from '../../../support/quality/ge-expectations';
import { comparable, conditionOf, evaluated, fixtureOf, type Kwargs } from '../../../support/quality/ge-kwargs';
import { quantileChecks } from '../../../support/quality/ge-quantiles';
import { POSITION, Refused, Workbench, type Cell, type Judged } from '../../../support/quality/workbench';

interface Expectation {
  readonly title: string;
  readonly in: Kwargs;
  readonly out: Readonly<Record<string, unknown>>;
  readonly error?: unknown;
  readonly tolerance?: number;
  readonly only_for?: readonly string[];
}

interface File {
  readonly expectation_type: string;
  readonly datasets: readonly {
    /** Of several tables the first is judged. */
    readonly data: Table['data'] | readonly Table[];
    readonly schemas?: Table['schemas'];
    readonly tests: readonly Expectation[];
  }[];
}

interface Table {
  readonly data: Readonly<Record<string, readonly Cell[]>>;
  readonly schemas?: Readonly<Record<string, Kwargs>>;
  readonly dataset_name?: string;
}

function isSeveral(data: Table['data'] | readonly Table[]): data is readonly Table[] {
  return Array.isArray(data);
}

/** Both conditions, where the expectation leaves rows out by itself. */
function narrowed(measure: QualityMetric, { where }: { readonly where?: string }): QualityMetric {
  const own = 'where' in measure ? measure.where : undefined;
  const both = [own, where].filter((one) => one !== undefined).map((one) => `(${one})`);
  return both.length === 0 ? measure : ({ ...measure, where: both.join(' and ') } as QualityMetric);
}

const NOW = new Date('2026-11-20T00:00:00Z');

withCases("Great Expectations' published expectations", (folder) => {
  const bench = new Workbench();
  beforeAll(() => bench.open());
  afterAll(() => bench.close());

  async function run(name: string, type: string, set: File['datasets'][number], of: Expectation): Promise<void> {
    const keyed = !type.startsWith('expect_table') && !type.startsWith('expect_column_to_exist');
    const tables: readonly Table[] = isSeveral(set.data) ? set.data : [{ data: set.data, ...(set.schemas && { schemas: set.schemas }) }];
    const others: Record<string, string> = {};
    for (const [i, { data, schemas, dataset_name: known }] of tables.entries())
      others[known ?? `${type}_dataset_${i + 1}`] = await bench.load(i === 0 ? name : `${name} ${i}`, fixtureOf(data, schemas), keyed);
    const view = keyed ? `${name} keyed` : name;
    const kwargs = evaluated(of.in, NOW);
    const wrong = of.error !== undefined || of.out['traceback_substring'] !== undefined;
    if (![undefined, 'pandas', 'great_expectations', 'spark'].includes(kwargs['condition_parser'] as string | undefined)) {
      // Ours has one language of predicates, so there is no other to name.
      expect(wrong).toBe(true);
      return;
    }
    const where = kwargs['row_condition'] === undefined ? {} : { where: conditionOf(String(kwargs['row_condition']), bench.types(view)) };
    if (type === 'expect_column_quantile_values_to_be_between') return expectQuantiles(view, kwargs, of, where, wrong);
    const told = translate(type, kwargs, view, { only: of.only_for, others });
    const check: CheckDeclaration = {
      id: 'it',
      dataset: view,
      measure: narrowed(told.measure, where),
      ...(told.fail === undefined ? {} : { fail: told.fail }),
      ...(told.mostly === undefined ? {} : { mostly: told.mostly }),
      ...(keyed ? { sample: [POSITION, ...(told.told ?? [])] } : {}),
      why: 'Somebody else expects it.',
    };
    const judged = await bench.judge([check]).catch((error: unknown) => {
      if (wrong && error instanceof Refused) return undefined;
      throw error;
    });
    if (judged === undefined) return;
    const [result] = judged;
    if (result === undefined) throw new Error('nothing was judged');
    if (wrong) {
      expect(result.verdict.status).toBe('ERROR');
      return;
    }
    const { verdict, measured } = result;
    const out = { ...of.out, ...(of.out['result'] as object | undefined) } as Readonly<Record<string, unknown>>;
    if ('reason' in measured && out['observed_value'] !== null) throw new Error(`not measured: ${measured.reason}`);
    if (out['success'] !== undefined) expect(verdict.status === 'PASS').toBe(out['success']);
    if (told.observed === 'value' && typeof out['observed_value'] === 'number') {
      const tolerance = Math.max(of.tolerance ?? 0, 1e-7) * Math.max(1, Math.abs(out['observed_value']));
      expect(Math.abs(Number(verdict.observed) - out['observed_value'])).toBeLessThanOrEqual(tolerance);
    }
    if (
      told.observed === 'values' &&
      Array.isArray(out['observed_value']) &&
      'detail' in measured &&
      measured.detail?.kind === 'frequencies'
    ) {
      const values = measured.detail.values.map(({ value }) => String(value)).filter((value) => value !== 'NullValue');
      expect(values.sort()).toEqual(out['observed_value'].map(String).sort());
    }
    if (told.observed === 'rows')
      expect(`${String(verdict.observed)} unexpected row${verdict.observed === 1 ? '' : 's'}`).toBe(out['observed_value']);
    for (const side of ['observed', 'expected'] as const)
      expectPartition(out[`${side}_partition`] ?? (out['details'] as Kwargs | undefined)?.[`${side}_partition`], measured, side);
    await expectRows(result, told.told ?? [], out);
  }

  async function expectQuantiles(dataset: string, kwargs: Kwargs, of: Expectation, where: object, wrong: boolean): Promise<void> {
    const verdicts = async (): Promise<Judged['verdict'][]> => {
      const checks = quantileChecks(kwargs, { id: 'it', dataset, why: 'Somebody else expects it.' });
      const judged = await bench.judge(checks.map(({ onFail: _, ...check }) => ({ ...check, measure: { ...check.measure, ...where } })));
      return judged.map(({ verdict }) => verdict);
    };
    if (wrong) {
      const judged = await verdicts().catch(() => undefined);
      expect(judged?.every(({ status }) => status !== 'ERROR') ?? false).toBe(false);
      return;
    }
    const judged = await verdicts();
    if (of.out['success'] !== undefined) expect(judged.every(({ status }) => status === 'PASS')).toBe(of.out['success']);
    const observed = of.out['observed_value'] as { readonly values?: readonly number[] } | undefined;
    if (observed?.values !== undefined) expect(judged.map((verdict) => verdict.observed)).toEqual(observed.values);
  }

  test('quantiles are held one by one, each to its own range', async () => {
    const view = await bench.load('quantiles', { columns: ['x'], rows: [[1], [2], [3], [4], [null]] });
    const kwargs = (high: number): Kwargs => ({
      column: 'x',
      quantile_ranges: {
        quantiles: [0, 0.5, 1],
        value_ranges: [
          [0, 1],
          [null, 2],
          [2, high],
        ],
      },
    });
    const of = (success: boolean): Expectation => ({ title: '', in: {}, out: { success, observed_value: { values: [1, 2, 4] } } });
    await expectQuantiles(view, kwargs(4), of(true), {}, false);
    await expectQuantiles(view, kwargs(3), of(false), {}, false);
  });

  /** The rows that are told to be wrong, by their position and their values, and the sample of them where it holds them all. */
  async function expectRows(
    { check, measured }: Judged,
    columns: readonly string[],
    out: Readonly<Record<string, unknown>>,
  ): Promise<void> {
    const { measure, dataset: view } = check;
    const [positions, values] = [out['unexpected_index_list'], out['unexpected_list']];
    if (!Array.isArray(positions) && !Array.isArray(values)) return;
    // A type is the column's here, and a schema names no row.
    if (measure.metric === 'schema-match') return;
    if (!isRowLevel(measure as never)) throw new Error('rows have no answer of their own');
    const sql = rowLevelSql(view, measure as never);
    const present = isRowMetric(measure) ? '' : ` and ${columns.map((column) => `"${column}" is not null`).join(' and ')}`;
    const wrong = await bench.rows(`select * from (${sql}) where answer = false${present} order by ${POSITION}`);
    const types = bench.types(view);
    const only = (names: readonly string[], row: Kwargs): unknown[] => names.map((name) => comparable(row[name], types[name]));
    if (Array.isArray(positions)) {
      for (const [i, told] of (positions as (Kwargs | number)[]).entries()) {
        const row: Kwargs = typeof told === 'number' ? { [POSITION]: told } : told;
        expect(only(Object.keys(row), wrong[i] ?? {})).toEqual(only(Object.keys(row), row));
      }
      expect(wrong).toHaveLength(positions.length);
    }
    if (Array.isArray(values)) {
      const told = (values as unknown[]).map((value): Kwargs => {
        if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Kwargs;
        return Object.fromEntries([value].flat().map((one, i) => [columns[i], one]));
      });
      expect(wrong).toHaveLength(told.length);
      for (const [i, row] of told.entries()) expect(only(Object.keys(row), wrong[i] ?? {})).toEqual(only(Object.keys(row), row));
    }
    if (isRowMetric(measure) && 'sample' in measured && wrong.length <= SAMPLE_ROWS) {
      const shown = measured.sample.map((row) => only([POSITION, ...columns], row)).sort(([a], [b]) => Number(a) - Number(b));
      expect(shown).toEqual(wrong.map((row) => only([POSITION, ...columns], row)));
    }
  }

  function expectPartition(wanted: unknown, measured: object, side: 'observed' | 'expected'): void {
    if (wanted === undefined || wanted === null || !('detail' in measured)) return;
    const detail = measured.detail as { readonly kind: string; readonly observed: number[]; readonly expected: number[] };
    const { weights, tail_weights: tails } = wanted as { weights: number[]; tail_weights?: [number, number] };
    const all = tails === undefined ? weights : [tails[0], ...weights, tails[1]];
    for (const [i, weight] of all.entries()) expect(detail[side][i]).toBeCloseTo(weight, 9);
  }

  for (const name of jsonFiles(path.join(folder, 'ge'))) {
    const file = readJson(path.join(folder, 'ge', name)) as File;
    const short = name
      .replace(/\.json$/, '')
      .split('__')
      .slice(1)
      .join(' ');
    describe(short, () => {
      for (const [i, set] of file.datasets.entries()) {
        for (const [j, of] of set.tests.entries()) {
          const id = `${short}/${i}/${j}`;
          const ours = (): Promise<void> => run(`${short} ${i}`, file.expectation_type, set, of);
          const difference = GREAT_EXPECTATIONS_DIFFERENCES[id];
          if (difference === undefined) test(`${id} ${of.title}`, ours);
          else test(`${id} ${of.title} is another on purpose: ${difference}`, () => expect(ours()).rejects.toThrow());
        }
      }
    });
  }
});
