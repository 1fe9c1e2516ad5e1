/** What the groups of a column say of a metric. Pure. */
import { chiSquareUpperTail } from './chi-square';
import { compareWithPartition, compareShares } from './partition';
import type { GroupMetric } from './metrics';
import { count, NO_VALUES, numeric, type FrequencyDetail, type Reading } from './reading';
import { TOLD_VALUES } from './group-sql';
import { ABSENT_GROUP } from './state-values';
import type { FrequencyState } from './states';

/** The label deequ gives to rows without a value. */
const NULL_LABEL = 'NullValue';

interface Groups {
  readonly all: number;
  readonly rows: number;
  /** What the groups weigh together: their rows, unless another column is summed. */
  readonly weight: number;
  readonly groups: number;
  readonly counted: number;
  readonly single: number;
  readonly repeats: number;
  readonly inRepeats: number;
  readonly keyFaults: number;
  readonly weighted: number;
  readonly top: readonly { readonly v: string; readonly n: number }[];
}

export function readGroups(row: Readonly<Record<string, unknown>>): Groups {
  const of = (name: string): number => count(row[`g_${name}`]);
  const top = (row['g_top'] ?? []) as readonly { v: string; n: unknown }[];
  return {
    all: of('all'),
    rows: of('rows'),
    weight: of('weight'),
    groups: of('groups'),
    counted: of('counted'),
    single: of('single'),
    repeats: of('repeats'),
    inRepeats: of('in_repeats'),
    keyFaults: of('key_faults'),
    weighted: of('weighted'),
    top: top.map(({ v, n }) => ({ v, n: count(n) })),
  };
}

/** `own` are the values of the metric's own aggregates. */
export function groupReading(
  measure: Exclude<GroupMetric, { metric: 'mutual-information' }>,
  groups: Groups,
  own: readonly unknown[],
): Reading {
  const { rows, counted } = groups;
  const state = stateOf(groups);
  const reading = (value: number): Reading => ({ value, rows, ...(state === undefined ? {} : { state }) });
  const share = (value: () => number): Reading => (counted === 0 ? { value: undefined, rows, reason: NO_VALUES } : reading(value()));
  switch (measure.metric) {
    case 'count-distinct':
      return reading(groups.groups);
    case 'duplicate-row-count':
      return reading(groups.inRepeats);
    case 'primary-key':
      return { value: groups.keyFaults, rows };
    case 'uniqueness':
      return share(() => groups.single / counted);
    case 'distinctness':
      return share(() => groups.groups / counted);
    case 'unique-value-ratio':
      return share(() => groups.single / groups.groups);
    case 'entropy':
      return share(() => Math.max(0, Math.log(counted) - groups.weighted / counted));
    case 'histogram': {
      const limit = measure.maxDetailBins ?? TOLD_VALUES;
      if (limit > TOLD_VALUES)
        return { value: undefined, rows, reason: `a histogram tells at most ${TOLD_VALUES} values one by one, not ${limit}` };
      return { ...reading(groups.all), detail: histogram(groups, limit) };
    }
    case 'distinct-values': {
      const [found, others] = own.map(count);
      const missing = new Set(measure.values.map(String)).size - (found ?? 0);
      const extra = others ?? 0;
      const wrong = measure.relation === 'contains' ? missing : measure.relation === 'within' ? extra : missing + extra;
      return { ...reading(wrong), detail: histogram(groups, TOLD_VALUES) };
    }
    case 'most-common': {
      const present = groups.top.filter(({ v }) => v !== ABSENT_GROUP);
      const modes = present.filter(({ n }) => n === present[0]?.n).map(({ v }) => v);
      const named = new Set(measure.values.map(String));
      const right = (measure.ties === true || modes.length === 1) && modes.some((mode) => named.has(mode));
      return { ...reading(right ? 1 : 0), detail: histogram(groups, TOLD_VALUES) };
    }
    case 'distribution-distance': {
      if (!('values' in measure.expected)) return { value: undefined, rows, reason: 'bins are compared by a statement of their own' };
      const [kinds = 0, n = 0, nLogN = 0, nSquared = 0, ...named] = own.map(count);
      const names = new Set(measure.expected.values.map(String));
      const told = groups.top.filter(({ v }) => v !== ABSENT_GROUP && !names.has(v));
      return {
        rows: counted,
        ...compareWithPartition(measure, { named, other: { kinds, n, nLogN, nSquared, told } }),
        ...(state === undefined ? {} : { state }),
      };
    }
    case 'sample-ratio-mismatch':
      return sampleRatio(measure.expected, groups);
  }
}

/** Rows by value; those of NULL under deequ's label, unless the column holds that text itself. */
function histogram({ all, weight, top }: Groups, limit: number): FrequencyDetail {
  const told = top.slice(0, limit);
  const values = told.map(({ v, n }) => ({ value: v === ABSENT_GROUP ? NULL_LABEL : v, count: n, ratio: weight === 0 ? 0 : n / weight }));
  // Sums of fractions leave a rest where nothing is left.
  const tailCount = all <= told.length ? 0 : weight - told.reduce((sum, { n }) => sum + n, 0);
  return { kind: 'frequencies', bins: all, values, tailCount };
}

/** Kept when every group is told, so that states merge exactly or not at all. */
function stateOf({ all, rows, top }: Groups): FrequencyState | undefined {
  return all > top.length ? undefined : { kind: 'frequencies', counts: Object.fromEntries(top.map(({ v, n }) => [v, n])), rows };
}

/** How probable arms so unlike their design are by chance: the p-value of a chi-square test. A unit in no named arm has none. */
function sampleRatio(expected: Readonly<Record<string, number>>, { top, rows }: Groups): Reading {
  const design = Object.entries(expected);
  const total = design.reduce((sum, [, weight]) => sum + weight, 0);
  const observed = design.map(([arm]) => top.find(({ v }) => v === arm)?.n ?? 0);
  const counted = observed.reduce((sum, n) => sum + n, 0);
  if (counted < rows) return { value: 0, rows };
  if (rows === 0) return { value: undefined, rows, reason: NO_VALUES };
  const statistic = design.reduce((sum, [, weight], i) => {
    const wanted = (weight / total) * rows;
    return sum + ((observed[i] ?? 0) - wanted) ** 2 / wanted;
  }, 0);
  const detail = compareShares(
    design.map(([arm]) => arm),
    observed.map((n) => n / rows),
    design.map(([, weight]) => weight / total),
  );
  return { value: chiSquareUpperTail(statistic, design.length - 1), rows, detail };
}

/** Of {@link mutualInformationSql}'s one row. */
export function mutualInformationReading(row: Readonly<Record<string, unknown>>): Reading {
  const rows = count(row['m_rows']);
  const value = numeric(row['m_value']);
  return value === undefined ? { value, rows, reason: NO_VALUES } : { value: Math.max(0, value), rows };
}
