/**
 * What engines spell differently, for the statements of quality metrics. DuckDB runs them here; Spark SQL's text is made by the same
 * generators. Both hash by md5, so that a sketch of one engine merges with one of the other.
 */
import { quoteName, quoteSparkText, quoteText } from '../quote-sql';
import { hasFullYear, javaPattern } from './date-formats';

export interface ListOrder {
  readonly member: string;
  readonly descending?: boolean;
}

export interface Dialect {
  readonly name: 'duckdb' | 'spark';
  quote(name: string): string;
  text(value: string): string;
  double(expression: string): string;
  varchar(expression: string): string;
  /** NULL where the text is no value of the type. */
  tryCast(expression: string, type: 'integer' | 'double' | 'date' | 'timestamp' | 'json'): string;
  /** TRUE of a text that is a date or a time as strftime would write it, nothing around it. */
  parses(text: string, format: string): string;
  matches(text: string, pattern: string): string;
  /** `%` and `_` stand for any characters and for one; nothing escapes them. */
  like(text: string, pattern: string): string;
  /** Population skewness; 0 of values that are all equal. */
  skewness(value: string): string;
  /** Excess kurtosis of the population; 0 of values that are all equal. */
  kurtosis(value: string): string;
  /** Interpolated between elements, as everybody's percentile. */
  quantile(value: string, quantile: number, filter: string): string;
  epoch(instant: string): string;
  instant(iso: string): string;
  /** One list of rows of a subquery: objects with these members, in an order of some of them. */
  list(members: Readonly<Record<string, string>>, orderBy?: readonly ListOrder[]): string;
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

function duckdbOrder(members: Readonly<Record<string, string>>, orderBy: readonly ListOrder[]): string {
  const by = orderBy.map(({ member, descending }) => `${members[member] ?? member}${descending === true ? ' desc' : ''}`);
  return by.length === 0 ? '' : ` order by ${by.join(', ')}`;
}

export const DUCKDB: Dialect = {
  name: 'duckdb',
  quote: quoteName,
  text: quoteText,
  double: (expression) => `cast(${expression} as double)`,
  varchar: (expression) => `cast(${expression} as varchar)`,
  tryCast: (expression, type) => (type === 'json' ? `json_valid(${expression})` : `try_cast(${expression} as ${TYPES[type]}) is not null`),
  parses: (text, format) => {
    // DuckDB takes a text with spaces around it, and a year of two digits for one of four.
    const parsed = `try_strptime(${text}, ${quoteText(format)})`;
    return `(${parsed} is not null and ${text} = trim(${text})${hasFullYear(format) ? ` and year(${parsed}) >= 1000` : ''})`;
  },
  matches: (text, pattern) => `regexp_matches(${text}, ${quoteText(pattern)})`,
  like: (text, pattern) => `${text} like ${quoteText(pattern)}`,
  skewness: duckdbSkewness,
  kurtosis: (value) => `case when var_pop(${value}) > 0 then kurtosis_pop(${value}) when count(${value}) > 0 then 0.0 end`,
  quantile: (value, quantile, filter) => `quantile_cont(${value}, ${quantile})${filter}`,
  epoch: (instant) => `epoch(cast(${instant} as timestamp))`,
  instant: (iso) => `timestamp ${quoteText(iso)}`,
  list: (members, orderBy = []) =>
    `list({${named(members, (name, value) => `${quoteName(name)}: ${value}`)}}${duckdbOrder(members, orderBy)})`,
  lag: (value, orderBy) => `lag(${value} ignore nulls) over (order by ${orderBy})`,
  describe: (view) => `(select column_name as name, column_type as type from (describe ${quoteName(view)}))`,
};

/** Backticks double themselves. */
const sparkName = (name: string): string => `\`${name.replaceAll('`', '``')}\``;

function sparkOrder({ member, descending }: ListOrder): string {
  const [before, after] = descending === true ? ['>', '<'] : ['<', '>'];
  return `when l.${member} ${before} r.${member} then -1 when l.${member} ${after} r.${member} then 1`;
}

/** DESCRIBE is no relation in Spark. The type of a whole row is, spelled `struct<name:type,…>`; rows of datasets hold no rows themselves. */
function sparkDescribe(view: string): string {
  const row = `select typeof(struct(v.*)) as t from (select 1 as one) as always left join ${sparkName(view)} as v on true limit 1`;
  const columns = `select explode(split(substr(t, 8, length(t) - 8), ',(?=[^,:<>()]+:)')) as c from (${row}) as typed`;
  return `(select substring_index(c, ':', 1) as name, substr(c, instr(c, ':') + 1) as type from (${columns}) as listed)`;
}

export const SPARK: Dialect = {
  name: 'spark',
  quote: sparkName,
  text: quoteSparkText,
  double: (expression) => `cast(${expression} as double)`,
  varchar: (expression) => `cast(${expression} as string)`,
  tryCast: (expression, type) =>
    // Lenient as Spark's reader of JSON is: what follows a whole value is not looked at.
    type === 'json' ? `get_json_object(${expression}, '$') is not null` : `try_cast(${expression} as ${TYPES[type]}) is not null`,
  parses: (text, format) => `try_to_timestamp(${text}, ${quoteSparkText(javaPattern(format))}) is not null`,
  matches: (text, pattern) => `${text} rlike ${quoteSparkText(pattern)}`,
  // Spark takes a backslash for an escape, and refuses it before most characters.
  like: (text, pattern) => `${text} like ${quoteSparkText(pattern.replaceAll('\\', '\\\\'))}`,
  skewness: (value) => `case when var_pop(${value}) > 0 then skewness(${value}) when count(${value}) > 0 then 0.0 end`,
  kurtosis: (value) => `case when var_pop(${value}) > 0 then kurtosis(${value}) when count(${value}) > 0 then 0.0 end`,
  quantile: (value, quantile, filter) => `percentile(${value}, ${quantile})${filter}`,
  epoch: (instant) => `(unix_micros(cast(${instant} as timestamp)) / 1e6)`,
  instant: (iso) => `timestamp ${quoteSparkText(iso)}`,
  list: (members, orderBy = []) => {
    const list = `collect_list(named_struct(${named(members, (name, value) => `${quoteSparkText(name)}, ${value}`)}))`;
    return orderBy.length === 0 ? list : `array_sort(${list}, (l, r) -> case ${orderBy.map(sparkOrder).join(' ')} else 0 end)`;
  },
  lag: (value, orderBy) => `lag(${value}) ignore nulls over (order by ${orderBy})`,
  describe: sparkDescribe,
};
