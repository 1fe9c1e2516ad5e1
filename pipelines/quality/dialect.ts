/**
 * What engines spell differently, for the statements of quality metrics. DuckDB runs them here; Spark SQL's text is made by the same
 * generators. Both hash by md5, so that a sketch of one engine merges with one of the other.
 */
import { quoteName, quoteText } from '../quote-sql';

export interface Dialect {
  readonly name: 'duckdb' | 'spark';
  quote(name: string): string;
  text(value: string): string;
  double(expression: string): string;
  varchar(expression: string): string;
  /** NULL where the text is no value of the type. */
  tryCast(expression: string, type: 'integer' | 'double' | 'date' | 'timestamp' | 'json'): string;
  matches(text: string, pattern: string): string;
  /** Population skewness; 0 of values that are all equal. */
  skewness(value: string): string;
  /** Excess kurtosis of the population; 0 of values that are all equal. */
  kurtosis(value: string): string;
  /** Interpolated between elements, as everybody's percentile. */
  quantile(value: string, quantile: number, filter: string): string;
  epoch(instant: string): string;
  instant(iso: string): string;
  /** One list of rows of a subquery: objects with these members. */
  list(members: Readonly<Record<string, string>>, orderBy?: string): string;
  lag(value: string, orderBy: string): string;
  /** A relation of columns `name` and `type`, one row a column of the view, in order. */
  describe(view: string): string;
}

const named = (members: Readonly<Record<string, string>>, write: (name: string, value: string) => string): string =>
  Object.entries(members)
    .map(([name, value]) => write(name, value))
    .join(', ');

const TYPES = { integer: 'bigint', double: 'double', date: 'date', timestamp: 'timestamp' } as const;

/** Skewness of DuckDB is corrected for samples; this takes the correction back. */
function duckdbSkewness(value: string): string {
  const n = `count(${value})`;
  return `case when var_pop(${value}) > 0 then case when ${n} < 3 then 0.0 else skewness(${value}) * (${n} - 2) / sqrt(${n} * (${n} - 1.0)) end when ${n} > 0 then 0.0 end`;
}

export const DUCKDB: Dialect = {
  name: 'duckdb',
  quote: quoteName,
  text: quoteText,
  double: (expression) => `cast(${expression} as double)`,
  varchar: (expression) => `cast(${expression} as varchar)`,
  tryCast: (expression, type) => (type === 'json' ? `json_valid(${expression})` : `try_cast(${expression} as ${TYPES[type]}) is not null`),
  matches: (text, pattern) => `regexp_matches(${text}, ${quoteText(pattern)})`,
  skewness: duckdbSkewness,
  kurtosis: (value) => `case when var_pop(${value}) > 0 then kurtosis_pop(${value}) when count(${value}) > 0 then 0.0 end`,
  quantile: (value, quantile, filter) => `quantile_cont(${value}, ${quantile})${filter}`,
  epoch: (instant) => `epoch(cast(${instant} as timestamp))`,
  instant: (iso) => `timestamp ${quoteText(iso)}`,
  list: (members, orderBy) =>
    `list({${named(members, (name, value) => `${quoteName(name)}: ${value}`)}}${orderBy === undefined ? '' : ` order by ${orderBy}`})`,
  lag: (value, orderBy) => `lag(${value} ignore nulls) over (order by ${orderBy})`,
  describe: (view) => `(select column_name as name, column_type as type from (describe ${quoteName(view)}))`,
};

/** Backticks double themselves; quotes and backslashes are escaped, as Spark's own literals want it. */
const sparkName = (name: string): string => `\`${name.replaceAll('`', '``')}\``;
const sparkText = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;

export const SPARK: Dialect = {
  name: 'spark',
  quote: sparkName,
  text: sparkText,
  double: (expression) => `cast(${expression} as double)`,
  varchar: (expression) => `cast(${expression} as string)`,
  tryCast: (expression, type) =>
    type === 'json' ? `schema_of_json(${expression}) is not null` : `try_cast(${expression} as ${TYPES[type]}) is not null`,
  matches: (text, pattern) => `${text} rlike ${sparkText(pattern)}`,
  skewness: (value) => `case when var_pop(${value}) > 0 then skewness(${value}) when count(${value}) > 0 then 0.0 end`,
  kurtosis: (value) => `case when var_pop(${value}) > 0 then kurtosis(${value}) when count(${value}) > 0 then 0.0 end`,
  quantile: (value, quantile, filter) => `percentile(${value}, ${quantile})${filter}`,
  epoch: (instant) => `(unix_micros(cast(${instant} as timestamp)) / 1e6)`,
  instant: (iso) => `timestamp ${sparkText(iso)}`,
  list: (members, orderBy) => {
    const list = `collect_list(named_struct(${named(members, (name, value) => `${sparkText(name)}, ${value}`)}))`;
    return orderBy === undefined ? list : `sort_array(${list})`;
  },
  lag: (value, orderBy) => `lag(${value}) ignore nulls over (order by ${orderBy})`,
  describe: (view) => `(select col_name as name, data_type as type from (describe ${sparkName(view)}))`,
};
