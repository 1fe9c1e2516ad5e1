import type { QualityMetric, Scalar } from '../../../pipelines/quality/metrics';
import type { ColumnType } from '../../../pipelines/types';

export type Args = Readonly<Record<string, unknown>>;

const NAMED = { EMAIL: 'email', URL: 'url', CREDITCARD: 'credit-card', SOCIAL_SECURITY_NUMBER_US: 'us-social-security-number' } as const;
const TYPES = {
  Boolean: 'boolean',
  Integral: 'integral',
  Fractional: 'fractional',
  Numeric: 'numeric',
  String: 'text',
  Null: 'unknown',
  Unknown: 'unknown',
} as const;

/** deequ's analyzer as our declaration; undefined for one we have nothing like. */
export function declared(analyzer: string, args: Args, where: string | undefined, types: ColumnTypes): QualityMetric | undefined {
  const measure = unnarrowed(analyzer, args, types);
  return measure === undefined || where === undefined ? measure : ({ ...measure, where: spelled(where, types) } as QualityMetric);
}

export type ColumnTypes = Readonly<Record<string, ColumnType>>;

/**
 * Spark's spelling of a predicate as ours: double quotes around a text are single ones, columns may be words of SQL, and a text is a
 * number where it is compared with one.
 */
export function spelled(predicate: string, types: ColumnTypes): string {
  const texts = predicate.replace(/"([^"]*)"/g, "'$1'").replaceAll('`', '"');
  return texts.replace(
    /('[^']*'|"[^"]*")|\b([A-Za-z_]\w*)\b(\s*(?:[<>=!]+)\s*-?[0-9.]+)?/g,
    (all, quoted: string | undefined, word: string, compared = '') => {
      if (quoted !== undefined || types[word] === undefined) return all as string;
      return compared !== '' && types[word] === 'text' ? `cast("${word}" as double)${String(compared)}` : `"${word}"${String(compared)}`;
    },
  );
}

const COLUMN_NUMBERS = {
  Minimum: 'minimum',
  Maximum: 'maximum',
  Mean: 'mean',
  Sum: 'sum',
  StandardDeviation: 'standard-deviation',
  Variance: 'variance',
  Skewness: 'skewness',
  Kurtosis: 'kurtosis',
  Range: 'range',
  InterquartileRange: 'interquartile-range',
  ZerosCount: 'zeros-count',
  Median: 'median',
} as const;
const GROUPS = {
  Uniqueness: 'uniqueness',
  Distinctness: 'distinctness',
  UniqueValueRatio: 'unique-value-ratio',
  CountDistinct: 'count-distinct',
  DuplicateRowCount: 'duplicate-row-count',
  Entropy: 'entropy',
} as const;

function unnarrowed(analyzer: string, args: Args, types: ColumnTypes): QualityMetric | undefined {
  const column = String(args['column'] ?? (args['columns'] as string[] | undefined)?.[0] ?? '');
  const columns = (args['columns'] as string[] | undefined) ?? [column];
  if (analyzer in COLUMN_NUMBERS) return { metric: COLUMN_NUMBERS[analyzer as keyof typeof COLUMN_NUMBERS], column };
  if (analyzer in GROUPS) return { metric: GROUPS[analyzer as keyof typeof GROUPS], columns };
  const pair = columns as unknown as [string, string];
  switch (analyzer) {
    case 'Size':
      return { metric: 'size' };
    case 'ColumnCount':
      return { metric: 'column-count' };
    case 'Completeness':
      return { metric: 'completeness', column };
    case 'ColumnsCompleteness':
      return { metric: 'columns-completeness', columns, mode: args['mode'] === 'any' ? 'any' : 'all' };
    case 'AnyCompleteness':
      return { metric: 'columns-completeness', columns, mode: 'any' };
    case 'Compliance':
      return { metric: 'compliance', predicate: spelled(String(args['predicate']), types) };
    case 'PatternMatch': {
      const named = args['named_pattern'] as keyof typeof NAMED | undefined;
      return { metric: 'pattern-match', column, patterns: named === undefined ? [String(args['pattern'])] : NAMED[named] };
    }
    case 'ApproxCountDistinct':
      return { metric: 'approx-count-distinct', column };
    case 'ApproxQuantile':
      return {
        metric: 'approx-quantile',
        column,
        quantile: Number(args['quantile']),
        relativeError: Number(args['relativeError'] ?? 0.01),
      };
    case 'ExactQuantile':
      return { metric: 'exact-quantile', column, quantile: Number(args['quantile']) };
    case 'MutualInformation':
      return { metric: 'mutual-information', columns: pair };
    case 'Correlation':
      return { metric: 'correlation', columns: pair };
    case 'MinLength':
    case 'MaxLength': {
      const behaviour = { EmptyString: 'empty', Fail: 'fail' }[String(args['nullBehavior'])];
      const nulls = behaviour === undefined ? {} : { nulls: behaviour as 'empty' | 'fail' };
      return { metric: analyzer === 'MinLength' ? 'min-length' : 'max-length', column, ...nulls };
    }
    case 'RatioOfSums':
      return { metric: 'ratio-of-sums', numerator: String(args['numerator']), denominator: String(args['denominator']) };
    case 'DataType': {
      const type = args['type'] as keyof typeof TYPES | undefined;
      return { metric: 'data-type', column, ...(type === undefined ? {} : { type: TYPES[type] }) };
    }
    case 'Histogram':
      return {
        metric: 'histogram',
        column,
        ...(args['maxDetailBins'] === undefined ? {} : { maxDetailBins: Number(args['maxDetailBins']) }),
        ...(args['aggregate_column'] === undefined ? {} : { sumOf: String(args['aggregate_column']) }),
      };
    case 'HistogramBinned':
      return {
        metric: 'histogram-binned',
        column,
        ...(args['binCount'] === undefined ? {} : { bins: Number(args['binCount']) }),
        ...(args['customEdges'] === undefined ? {} : { edges: args['customEdges'] as number[] }),
        ...(args['aggregate_column'] === undefined ? {} : { sumOf: String(args['aggregate_column']) }),
      };
    case 'CustomSql':
      return { metric: 'custom-sql', sql: String(args['expression'] ?? args['sql']) };
    default:
      return undefined;
  }
}

export function scalars(values: unknown): readonly Scalar[] {
  return values as readonly Scalar[];
}
