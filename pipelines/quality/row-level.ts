/** One answer a row: whether it is right by a metric, or what the metric is taken of. For samples, quarantine and who looks closer. */
import { DUCKDB, type Dialect } from './dialect';
import { isRowMetric, type QualityMetric, type RowMetric } from './metrics';
import { rowCondition } from './row-conditions';
import { lengthSql } from './scan-parts';

interface UniqueMetric {
  readonly metric: 'uniqueness' | 'primary-key' | 'duplicate-row-count';
  readonly columns: readonly string[];
  readonly where?: string;
}

interface NumberMetric {
  readonly metric: 'minimum' | 'maximum';
  readonly column: string;
  readonly where?: string;
}

interface LengthMetric {
  readonly metric: 'min-length' | 'max-length';
  readonly column: string;
  readonly where?: string;
  readonly nulls?: 'ignore' | 'empty' | 'fail';
}

export type RowLevelMetric = RowMetric | UniqueMetric | NumberMetric | LengthMetric;

const ROW_LEVEL = new Set(['uniqueness', 'primary-key', 'duplicate-row-count', 'minimum', 'maximum', 'min-length', 'max-length']);

/** Whether rows have an answer of their own by a metric. */
export function isRowLevel(measure: QualityMetric): measure is Extract<QualityMetric, RowLevelMetric> & RowLevelMetric {
  return isRowMetric(measure) || ROW_LEVEL.has(measure.metric);
}

export interface RowLevelRequest {
  /** What rows that `where` leaves out are: without an answer (default), or right. */
  readonly leftOut?: 'null' | 'right';
  /** Columns that may hold NaN. */
  readonly doubles?: ReadonlySet<string>;
  readonly dialect?: Dialect;
}

/**
 * A query of every row of the view with the column `answer`: TRUE or FALSE where the metric is a share of rows, the number where it is
 * an extreme of numbers, NULL for a row that does not count.
 */
export function rowLevelSql(
  view: string,
  measure: RowLevelMetric,
  { leftOut = 'null', dialect = DUCKDB, doubles }: RowLevelRequest = {},
): string {
  const source = dialect.quote(view);
  const outside = leftOut === 'right' ? 'true' : 'null';
  if (isRowMetric(measure)) {
    const { fails, counts } = rowCondition(measure, dialect, doubles);
    return `select ${source}.*, case when not ${counts} then ${outside} else not ${fails} end as answer from ${source}`;
  }
  const where = measure.where === undefined ? 'true' : `coalesce((${measure.where}\n), false)`;
  if ('columns' in measure) {
    const keys = measure.columns.map((column) => dialect.quote(column)).join(', ');
    const alone = `count(case when ${where} then 1 end) over (partition by ${keys}) = 1`;
    return `select ${source}.*, case when not ${where} then ${outside} else ${alone} end as answer from ${source}`;
  }
  const column = dialect.quote(measure.column);
  const value = isLength(measure) ? lengthSql(measure, column, dialect) : dialect.number(column);
  return `select ${source}.*, case when ${where} then ${dialect.double(value)} end as answer from ${source}`;
}

function isLength(measure: NumberMetric | LengthMetric): measure is LengthMetric {
  return measure.metric === 'min-length' || measure.metric === 'max-length';
}
