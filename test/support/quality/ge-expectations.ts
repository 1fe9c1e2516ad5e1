import { likeOfSqlServer, rangeBand, type Kwargs } from './ge-kwargs';
import type { GroupMetric, NullRows, Partition, QualityMetric, Scalar } from '../../../pipelines/quality/metrics';
import type { Band } from '../../../pipelines/types';
import { POSITION, Refused } from './workbench';

/** An expectation as ours: what is measured, what fails it, and how the observed value is read off. */
export interface Translated {
  readonly measure: QualityMetric;
  readonly fail?: Band;
  readonly mostly?: number;
  /** Columns of the values that are told of failing rows. */
  readonly told?: readonly string[];
  /** What the expectation calls observed. */
  readonly observed?: 'value' | 'values' | 'rows' | 'none';
  /** Sets of duplicates are told whole. */
  readonly unique?: boolean;
}

const IGNORE: { readonly nulls: NullRows } = { nulls: 'ignore' };

/**
 * Throws for an expectation there are no words for. `only` are the engines whose spelling the arguments have, `others` the views of other
 * tables by their names.
 */
export function translate(
  expectation: string,
  kwargs: Kwargs,
  view: string,
  { only = [], others = {} }: { readonly only?: readonly string[] | undefined; readonly others?: Readonly<Record<string, string>> } = {},
): Translated {
  const column = String(kwargs['column']);
  const mostly = kwargs['mostly'] === undefined ? 1 : typeof kwargs['mostly'] === 'number' ? kwargs['mostly'] : Number.NaN;
  const rows = (measure: QualityMetric, told: readonly string[] = [column]): Translated => ({ measure, mostly, told });
  const number = (measure: QualityMetric, required = true): Translated => {
    const band = rangeBand(kwargs);
    return { measure, observed: 'value', ...(Object.keys(band).length > 0 || required ? { fail: band } : {}) };
  };
  const of = (metric: 'minimum' | 'maximum' | 'mean' | 'median' | 'sum' | 'sample-standard-deviation'): Translated =>
    number({ metric, column }, metric === 'minimum' || metric === 'maximum' || metric === 'sum');
  const set = kwargs['value_set'] as readonly (Scalar | null)[] | undefined;
  const values = (set === null ? undefined : set?.filter((value): value is Scalar => value !== null)) as readonly Scalar[];
  const pair = [String(kwargs['column_A']), String(kwargs['column_B'])] as const;
  const list = (kwargs['column_list'] as readonly string[] | null | undefined) ?? [];
  const anything: Translated = { measure: { metric: 'schema-match', columns: {}, mode: 'superset' }, fail: { max: 0 } };
  switch (expectation.replace('tz_naive', '')) {
    case 'expect_column_min_to_be_between':
      return of('minimum');
    case 'expect_column_max_to_be_between':
      return of('maximum');
    case 'expect_column_mean_to_be_between':
      return of('mean');
    case 'expect_column_median_to_be_between':
      return of('median');
    case 'expect_column_sum_to_be_between':
      return of('sum');
    case 'expect_column_stdev_to_be_between':
      return of('sample-standard-deviation');
    case 'expect_column_unique_value_count_to_be_between':
      return number({ metric: 'count-distinct', columns: [column] }, false);
    case 'expect_column_proportion_of_unique_values_to_be_between':
      return number({ metric: 'distinctness', columns: [column] }, false);
    case 'expect_column_proportion_of_non_null_values_to_be_between':
      return number({ metric: 'completeness', column }, false);
    case 'expect_table_row_count_to_be_between':
      return number({ metric: 'size' }, false);
    case 'expect_table_row_count_to_equal':
      return { measure: { metric: 'size' }, fail: exactly(kwargs['value']), observed: 'value' };
    case 'expect_table_column_count_to_be_between':
      return number({ metric: 'column-count' }, false);
    case 'expect_table_column_count_to_equal':
      return { measure: { metric: 'column-count' }, fail: exactly(kwargs['value']), observed: 'value' };
    case 'expect_column_distinct_values_to_contain_set':
      return distinct(column, values, 'contains');
    case 'expect_column_distinct_values_to_be_in_set':
      // No set, or an empty one, is one that everything is in.
      return (values ?? []).length === 0 ? { ...distinct(column, [], 'contains'), observed: 'values' } : distinct(column, values, 'within');
    case 'expect_column_distinct_values_to_equal_set':
      return distinct(column, values, 'equals');
    case 'expect_column_most_common_value_to_be_in_set':
      return {
        measure: { metric: 'most-common', column, values: values ?? [], ties: Boolean(kwargs['ties_okay']) },
        fail: { min: 1 },
        observed: 'none',
      };
    case 'expect_column_values_to_be_in_set':
      if (values === undefined) return rows({ metric: 'compliance', predicate: `"${column}" = "${column}"`, ...IGNORE });
      return rows({ metric: 'contained-in', column, values, ...IGNORE });
    case 'expect_column_values_to_not_be_in_set':
      return rows({ metric: 'contained-in', column, values, not: true, ...IGNORE });
    case 'expect_column_values_to_be_between':
      return rows({ metric: 'within', column, ...range(kwargs), ...IGNORE });
    case 'expect_column_value_lengths_to_be_between':
      return rows({ metric: 'length-within', column, ...lengths(kwargs['min_value'], kwargs['max_value']) });
    case 'expect_column_value_lengths_to_equal':
      return rows({ metric: 'length-within', column, ...lengths(kwargs['value'], kwargs['value']) });
    case 'expect_column_value_z_scores_to_be_less_than':
      return rows({ metric: 'z-score-within', column, ...zLimit(kwargs) });
    case 'expect_column_values_to_not_be_null':
      return rows({ metric: 'completeness', column });
    case 'expect_column_values_to_be_null':
      return rows({ metric: 'compliance', predicate: `"${column}" is null` });
    case 'expect_column_values_to_be_unique':
      return unique([column], mostly, counted([column], 'any_value_is_missing'));
    case 'expect_compound_columns_to_be_unique':
      return unique(list, mostly, counted(list, String(kwargs['ignore_row_if'] ?? 'all_values_are_missing')));
    case 'expect_select_column_values_to_be_unique_within_record':
    case 'expect_multicolumn_values_to_be_unique': {
      const ignored = String(kwargs['ignore_row_if'] ?? 'all_values_are_missing');
      if (ignored !== 'never') return rows({ metric: 'distinct-within-row', columns: list, ...counted(list, ignored) }, list);
      const pairs = list.flatMap((left, i) => list.slice(i + 1).map((right) => `"${left}" is distinct from "${right}"`));
      return rows({ metric: 'compliance', predicate: pairs.join(' and ') }, list);
    }
    case 'expect_column_values_to_be_increasing':
    case 'expect_column_values_to_be_decreasing':
      return rows({
        metric: expectation.endsWith('increasing') ? 'increasing' : 'decreasing',
        column,
        orderBy: [POSITION],
        ...(kwargs['strictly'] === true ? { strictly: true } : {}),
      });
    case 'expect_column_values_to_be_dateutil_parseable':
      return rows({ metric: 'parseable', column, as: 'date' });
    case 'expect_column_values_to_match_strftime_format':
      return rows({ metric: 'parseable', column, as: 'timestamp', format: String(kwargs['strftime_format']) });
    case 'expect_column_values_to_be_json_parseable':
      return rows({ metric: 'parseable', column, as: 'json' });
    case 'expect_column_values_to_match_regex':
    case 'expect_column_values_to_not_match_regex':
    case 'expect_column_values_to_match_regex_list':
    case 'expect_column_values_to_not_match_regex_list':
    case 'expect_column_values_to_match_like_pattern':
    case 'expect_column_values_to_not_match_like_pattern':
    case 'expect_column_values_to_match_like_pattern_list':
    case 'expect_column_values_to_not_match_like_pattern_list': {
      const like = expectation.includes('like');
      const one = kwargs[like ? 'like_pattern' : 'regex'] as string | undefined;
      const given = one === undefined ? (kwargs[like ? 'like_pattern_list' : 'regex_list'] as readonly string[]) : [one];
      const classes = like && only.includes('mssql') && given.some((pattern) => pattern.includes('['));
      const patterns = classes ? given.map(likeOfSqlServer) : given;
      return rows({
        metric: 'pattern-match',
        column,
        patterns,
        match: kwargs['match_on'] === 'all' ? 'all' : 'any',
        syntax: like && !classes ? 'like' : 'regex',
        not: expectation.includes('_not_'),
        ...IGNORE,
      });
    }
    case 'expect_column_pair_values_a_to_be_greater_than_b':
      return rows(
        {
          metric: 'compliance',
          predicate: `"${pair[0]}" >${kwargs['or_equal'] === true ? '=' : ''} "${pair[1]}"`,
          ...pairRows(pair, kwargs),
        },
        pair,
      );
    case 'expect_column_pair_values_to_be_equal':
      return rows({ metric: 'compliance', predicate: `"${pair[0]}" = "${pair[1]}"`, ...pairRows(pair, kwargs) }, pair);
    case 'expect_column_pair_values_to_be_in_set': {
      const nulls = {
        both_values_are_missing: 'ignore-if-all',
        either_value_is_missing: 'ignore',
        neither: 'fail',
        never: 'fail',
      } as const;
      const ignored = String(kwargs['ignore_row_if'] ?? 'both_values_are_missing') as keyof typeof nulls;
      if (!(ignored in nulls)) throw new Refused(`no such rows to leave out: ${ignored}`);
      return rows(
        { metric: 'contained-in-tuples', columns: pair, tuples: kwargs['value_pairs_set'] as Scalar[][], nulls: nulls[ignored] },
        pair,
      );
    }
    case 'expect_multicolumn_sum_to_equal': {
      const sum = list.map((name) => `"${name}"`).join(' + ');
      const ignored = String(kwargs['ignore_row_if'] ?? 'all_values_are_missing');
      return rows({ metric: 'compliance', predicate: `${sum} = ${Number(kwargs['sum_total'])}`, ...counted(list, ignored) }, list);
    }
    case 'expect_column_kl_divergence_to_be_less_than':
      return distribution(column, kwargs, 'kl', { max: Number(kwargs['threshold']) });
    case 'expect_column_chisquare_test_p_value_to_be_greater_than':
      return distribution(column, kwargs, 'chi-square', { above: Number(kwargs['p']) });
    case 'unexpected_rows_expectation':
      return {
        measure: { metric: 'unexpected-rows', sql: String(kwargs['unexpected_rows_query']).replaceAll('{batch}', `"${view}"`) },
        fail: { max: 0 },
        observed: 'rows',
      };
    case 'expect_column_values_to_be_of_type':
    case 'expect_column_values_to_be_in_type_list': {
      const list = kwargs['type_' in kwargs ? 'type_' : 'type_list'] as string | readonly string[] | null;
      // Without types it only asks for the column.
      const types = list === null ? '' : [list].flat().map(typeOf);
      return { measure: { metric: 'schema-match', columns: { [column]: types }, mode: 'superset' }, fail: { max: 0 } };
    }
    case 'expect_column_to_exist': {
      // 0 asks for no place there.
      const place = Number(kwargs['column_index'] ?? 0);
      const at = place > 0 ? { at: { [column]: place } } : {};
      return { measure: { metric: 'schema-match', columns: { [column]: '' }, mode: 'superset', ...at }, fail: { max: 0 } };
    }
    case 'expect_table_row_count_to_equal_other_table': {
      const other = others[String(kwargs['other_table_name'])];
      if (other === undefined) throw new Refused(`there is no table ${String(kwargs['other_table_name'])}`);
      return { measure: { metric: 'row-count-match', dataset: other }, fail: { min: 1, max: 1 }, observed: 'none' };
    }
    case 'expect_table_columns_to_match_ordered_list':
      if (kwargs['column_list'] === null) return anything;
      return { measure: { metric: 'schema-match', columns: named(list), mode: 'ordered' }, fail: { max: 0 } };
    case 'expect_table_columns_to_match_set':
      return {
        measure: {
          metric: 'schema-match',
          columns: named((kwargs['column_set'] as string[] | undefined) ?? []),
          mode: kwargs['exact_match'] === false ? 'superset' : 'exact',
        },
        fail: { max: 0 },
      };
    default:
      throw new Error(`no words for ${expectation}`);
  }
}

function named(columns: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(columns.map((name) => [name, '']));
}

/** What engines call the types we have. */
const TYPES: Readonly<Record<string, RegExp>> = {
  bigint: /^(big|small)?int(eger)?(type|64|64dtype)?$|^longtype$/i,
  double: /^(float|double)(64|type|_precision)?$|^numeric$|^decimal$/i,
  text: /^(str|string|text|n?varchar|stringtype|object_?|o)$/i,
  boolean: /^(bool|boolean|booleantype|bit|tinyint)$/i,
  timestamp: /^(datetime(64|tzdtypetype)?|timestamp(type)?)$/i,
};

function typeOf(name: string): string {
  return Object.entries(TYPES).find(([, names]) => names.test(name))?.[0] ?? name;
}

function exactly(value: unknown): Band {
  const number = typeof value === 'number' ? value : Number.NaN;
  return { min: number, max: number };
}

function distinct(column: string, values: readonly Scalar[], relation: 'contains' | 'within' | 'equals'): Translated {
  return { measure: { metric: 'distinct-values', column, values: values ?? [], relation }, fail: { max: 0 }, observed: 'values' };
}

/** Uniqueness of no value is an error here and success there; where all must be unique, repeated rows are counted, of which there are none. */
function unique(columns: readonly string[], mostly: number, of: Counted): Translated {
  const told = { told: columns, unique: true };
  if (mostly === 1) return { ...told, measure: { metric: 'duplicate-row-count', columns, ...of }, fail: { max: 0 } };
  return { ...told, measure: { metric: 'uniqueness', columns, ...of }, fail: { min: mostly } };
}

interface Counted {
  readonly where?: string;
}

/** The rows that count where some of them are to be left out for what is missing. */
function counted(columns: readonly string[], ignored: string): Counted {
  const join = { all_values_are_missing: ' or ', any_value_is_missing: ' and ' }[ignored];
  if (join === undefined && ignored !== 'never') throw new Refused(`no such rows to leave out: ${ignored}`);
  return join === undefined ? {} : { where: columns.map((column) => `"${column}" is not null`).join(join) };
}

/** Scores count on both sides unless they say otherwise. */
function zLimit(kwargs: Kwargs): { readonly limit: number; readonly doubleSided: boolean } {
  const doubleSided = kwargs['double_sided'] !== false;
  const limit = typeof kwargs['threshold'] === 'number' ? kwargs['threshold'] : Number.NaN;
  return { limit: doubleSided ? Math.abs(limit) : limit, doubleSided };
}

function lengths(min: unknown, max: unknown): { readonly min?: number; readonly max?: number } {
  const bound = (value: unknown): number | undefined =>
    value === null || value === undefined ? undefined : typeof value === 'number' ? value : Number.NaN;
  const [low, high] = [bound(min), bound(max)];
  return { ...(low === undefined ? {} : { min: low }), ...(high === undefined ? {} : { max: high }) };
}

function range(kwargs: Kwargs): Record<string, number | string> {
  const bounds: [string, unknown][] = [
    [kwargs['strict_min'] === true ? 'above' : 'min', kwargs['min_value']],
    [kwargs['strict_max'] === true ? 'below' : 'max', kwargs['max_value']],
  ];
  return Object.fromEntries(bounds.filter((bound): bound is [string, number | string] => bound[1] !== null && bound[1] !== undefined));
}

/** Rows of pairs count but when both are NULL, unless they say otherwise; one that has one NULL is wrong. */
function pairRows(pair: readonly [string, string], kwargs: Kwargs): Counted & { readonly nulls: NullRows } {
  const rows = { both_values_are_missing: 'all_values_are_missing', either_value_is_missing: 'any_value_is_missing', neither: 'never' };
  const ignored = String(kwargs['ignore_row_if'] ?? 'both_values_are_missing');
  return { nulls: 'fail', ...counted(pair, rows[ignored as keyof typeof rows] ?? ignored) };
}

function distribution(column: string, kwargs: Kwargs, method: 'kl' | 'chi-square', fail: Band): Translated {
  if (kwargs['partition_object'] === null && method === 'kl') return { measure: { metric: 'histogram-binned', column } };
  const partition = (kwargs['partition_object'] ?? {}) as Readonly<Record<string, unknown>>;
  const edge = (value: unknown): number => Number(value);
  const weights = ((partition['weights'] as unknown[] | undefined) ?? []).map(edge);
  const bins = (partition['bins'] as unknown[] | undefined)?.map(edge).map((bin) => (Math.abs(bin) === Infinity ? null : bin));
  const tails = partition['tail_weights'] as [number, number] | undefined;
  const expected = (
    bins === undefined
      ? { values: partition['values'] as Scalar[], weights }
      : { bins, weights, ...(tails === undefined ? {} : { tailWeights: tails }) }
  ) as Partition;
  const measure: GroupMetric = {
    metric: 'distribution-distance',
    column,
    expected,
    method,
    ...(kwargs['tail_weight_holdout'] === undefined ? {} : { tailWeightHoldout: Number(kwargs['tail_weight_holdout']) }),
    ...(kwargs['internal_weight_holdout'] === undefined ? {} : { internalWeightHoldout: Number(kwargs['internal_weight_holdout']) }),
  };
  return { measure, ...(kwargs['threshold'] === null ? {} : { fail }), observed: 'value' };
}
