/** The statements of metrics that do not share the scan: one for all metrics of the same groups, one for each other. */
import { binnedDistance, binnedHistogram } from './bin-sql';
import type { Dialect } from './dialect';
import { mutualInformationReading, groupReading, readGroups } from './group-readings';
import { groupingOf, groupSql, mutualInformationSql, narrowedSource, ownAggregates } from './group-sql';
import { hllSql, registersOf } from './hll';
import { isGroupMetric, isSketchMetric, type GroupMetric, type SketchMetric, type TableMetric } from './metrics';
import { DEFAULT_ERROR, quantileSql } from './quantile-bins';
import { count, NO_VALUES, type Reading } from './reading';
import { valueOf } from './state-values';
import type { MetricState } from './states';
import { tableStatement, type ColumnTypes } from './table-sql';
import type { ColumnType } from '../types';

export type OwnMetric = GroupMetric | SketchMetric | TableMetric;

/** A statement of one row, and the reading of each of its metrics, in the order they were given. */
export interface Statement<M> {
  readonly metrics: readonly M[];
  readonly sql: string;
  read(row: Readonly<Record<string, unknown>>): readonly Reading[];
}

interface Owner {
  readonly dataset: string;
  readonly measure: OwnMetric;
}

/** Metrics of datasets by the statement that answers them. `columnsOf`: all columns of a dataset, in order. */
export function ownStatements<M extends Owner>(
  metrics: readonly M[],
  columnsOf: (dataset: string) => ColumnTypes,
  dialect: Dialect,
): Statement<M>[] {
  const groups = new Map<string, { readonly metric: M; readonly measure: SharedGroupMetric }[]>();
  // Metrics that ask the same of the engine, such as quantiles of one column, share the answer.
  const alone = new Map<string, Statement<M>>();
  for (const metric of metrics) {
    const { measure } = metric;
    if (isGroupMetric(measure) && sharesGroups(measure)) {
      const key = JSON.stringify([metric.dataset, groupingOf(measure, Object.keys(columnsOf(metric.dataset)))]);
      groups.set(key, [...(groups.get(key) ?? []), { metric, measure }]);
    } else {
      const one = single(metric, columnsOf, dialect);
      const key = JSON.stringify([metric.dataset, one.sql]);
      alone.set(key, together(alone.get(key), one));
    }
  }
  return [...[...groups.values()].map((members) => grouped(members, columnsOf, dialect)), ...alone.values()];
}

function together<M>(first: Statement<M> | undefined, second: Statement<M>): Statement<M> {
  if (first === undefined) return second;
  return { ...first, metrics: [...first.metrics, ...second.metrics], read: (row) => [...first.read(row), ...second.read(row)] };
}

type SharedGroupMetric = Exclude<GroupMetric, { metric: 'mutual-information' }>;

function sharesGroups(measure: GroupMetric): measure is SharedGroupMetric {
  return measure.metric !== 'mutual-information' && !(measure.metric === 'distribution-distance' && 'bins' in measure.expected);
}

function grouped<M extends Owner>(
  members: readonly { readonly metric: M; readonly measure: SharedGroupMetric }[],
  columnsOf: (dataset: string) => ColumnTypes,
  dialect: Dialect,
): Statement<M> {
  const [first] = members;
  if (first === undefined) throw new TypeError('a group statement has a metric');
  const aggregates = members.map(({ measure }, i) => ownAggregates(measure, dialect).map((sql, j) => ({ name: `o${i}_${j}`, sql })));
  const own = aggregates.flat().map(({ name, sql }) => `${sql} as ${name}`);
  return {
    metrics: members.map(({ metric }) => metric),
    sql: groupSql(
      first.metric.dataset,
      groupingOf(first.measure, Object.keys(columnsOf(first.metric.dataset))),
      columnsOf(first.metric.dataset),
      own,
      dialect,
    ),
    read: (row) => {
      const groups = readGroups(row);
      return members.map(({ measure }, i) =>
        groupReading(
          measure,
          groups,
          (aggregates[i] ?? []).map(({ name }) => row[name]),
        ),
      );
    },
  };
}

function single<M extends Owner>(metric: M, columnsOf: (dataset: string) => ColumnTypes, dialect: Dialect): Statement<M> {
  const { dataset, measure } = metric;
  const { sql, read } = answer(dataset, measure, columnsOf, dialect);
  return { metrics: [metric], sql, read: (row) => [read(row)] };
}

function answer(
  dataset: string,
  measure: OwnMetric,
  columnsOf: (dataset: string) => ColumnTypes,
  dialect: Dialect,
): { readonly sql: string; read(row: Readonly<Record<string, unknown>>): Reading } {
  if (isGroupMetric(measure)) {
    if (measure.metric === 'mutual-information')
      return { sql: mutualInformationSql(dataset, measure.columns, measure.where, dialect), read: mutualInformationReading };
    if (measure.metric === 'distribution-distance') return binnedDistance(dataset, measure, columnsOf(dataset)[measure.column], dialect);
    throw new TypeError(`${measure.metric} shares the statement of its groups`);
  }
  if (isSketchMetric(measure)) return sketch(dataset, measure, columnsOf(dataset)[measure.column], dialect);
  return tableStatement(dataset, measure, columnsOf, dialect);
}

function sketch(
  dataset: string,
  measure: SketchMetric,
  type: ColumnType | undefined,
  dialect: Dialect,
): { readonly sql: string; read(row: Readonly<Record<string, unknown>>): Reading } {
  const source = narrowedSource(dataset, measure.where, dialect);
  switch (measure.metric) {
    case 'histogram-binned':
      return binnedHistogram(dataset, measure, type, dialect);
    case 'approx-count-distinct':
      return {
        sql: hllSql(source, measure.column, type, dialect),
        read: (row) => ofState(measure, { kind: 'hll', registers: registersOf((row['registers'] ?? []) as { b: string; t: string }[]) }, 0),
      };
    case 'approx-quantile': {
      const { quantile, relativeError = DEFAULT_ERROR } = measure;
      if (!(quantile >= 0 && quantile <= 1)) return impossible(`a quantile lies between 0 and 1, not at ${quantile}`);
      if (!(relativeError >= 0 && relativeError <= 1)) return impossible(`a relative error lies between 0 and 1, not at ${relativeError}`);
      return {
        sql: quantileSql(source, measure.column, relativeError, type, dialect),
        read: (row) => {
          const told = (row['bins'] ?? []) as Readonly<Record<'i' | 'n' | 'lo' | 'hi', unknown>>[];
          const bins = told.map(({ i, n, lo, hi }) => [count(i), count(n), count(lo), count(hi)] as const);
          // Neither fits a bin, nor would a state of it fit JSON.
          if (bins.some((bin) => !bin.every(Number.isFinite)))
            return { value: undefined, rows: 0, reason: 'the column holds NaN or an infinity, which have no place among quantiles' };
          return ofState(
            measure,
            { kind: 'quantiles', bins },
            bins.reduce((sum, [, n]) => sum + n, 0),
          );
        },
      };
    }
  }
}

function ofState(measure: SketchMetric, state: MetricState, rows: number): Reading {
  const value = valueOf(measure, state);
  return { value, rows, state, ...(value === undefined ? { reason: NO_VALUES } : {}) };
}

function impossible(reason: string): { readonly sql: string; read(): Reading } {
  return { sql: 'select 0 as none', read: () => ({ value: undefined, rows: 0, reason }) };
}
