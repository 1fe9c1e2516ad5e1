/**
 * What engines spell differently, for the statements of quality metrics. DuckDB runs them here; Spark SQL's text is made by the same
 * generators. Both hash by md5, so that a sketch of one engine merges with one of the other.
 */
import { quoteName, quoteSparkText, quoteText } from '../quote-sql';
import type { ColumnType } from '../types';
import { writtenForm, javaPattern, WEEKDAYS } from './date-formats';
import { JSON_ODDITIES, JSON_TEXTS } from './forms';
import { javaRegex } from './java-regex';
import { sparkDoubleText } from './spark-double-text';

export interface ListOrder {
  readonly member: string;
  readonly descending?: boolean;
}

export interface Dialect {
  readonly name: 'duckdb' | 'spark';
  quote(name: string): string;
  text(value: string): string;
  double(expression: string): string;
  /** As DuckDB prints a value of the type. */
  varchar(expression: string, type?: ColumnType): string;
  /** The value itself, and a refusal of what is no number, a text among them. */
  number(expression: string, type?: ColumnType): string;
  /** Of whole numbers exactly, however large it gets. */
  sum(value: string): string;
  /** Sample deviation over all rows; a refusal where infinities leave none. */
  deviation(value: string): string;
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
  /** Rows without a value of the order come last. */
  lag(value: string, orderBy: readonly string[]): string;
  /** A relation of columns `name` and `type`, one row a column of the view, in order. */
  describe(view: string): string;
}

const named = (members: Readonly<Record<string, string>>, write: (name: string, value: string) => string): string =>
  Object.entries(members)
    .map(([name, value]) => write(name, value))
    .join(', ');

/** Types of columns that hold numbers. */
export const NUMBERS: ReadonlySet<ColumnType> = new Set(['bigint', 'integer', 'double']);

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
  number: (expression) => `${expression} + 0`,
  sum: (value) => `sum(${value})`,
  deviation: (value) => `stddev_samp(${value}) over ()`,
  tryCast: (expression, type) =>
    type === 'json'
      ? `(json_valid(${expression}) and not ${DUCKDB.matches(`regexp_replace(${expression}, ${quoteText(JSON_TEXTS)}, '0', 'g')`, JSON_ODDITIES)})`
      : `try_cast(${expression} as ${TYPES[type]}) is not null`,
  // DuckDB takes a text with spaces around it, a year of two digits for one of four, and words such as `epoch`.
  parses: (text, format) => `(${DUCKDB.matches(text, writtenForm(format))} and try_strptime(${text}, ${quoteText(format)}) is not null)`,
  matches: (text, pattern) => `regexp_matches(${text}, ${quoteText(pattern)})`,
  like: (text, pattern) => `${text} like ${quoteText(pattern)}`,
  skewness: duckdbSkewness,
  kurtosis: (value) => `case when var_pop(${value}) > 0 then kurtosis_pop(${value}) when count(${value}) > 0 then 0.0 end`,
  quantile: (value, quantile, filter) => `quantile_cont(${value}, ${quantile})${filter}`,
  epoch: (instant) => `epoch(cast(${instant} as timestamp))`,
  instant: (iso) => `timestamp ${quoteText(iso)}`,
  list: (members, orderBy = []) =>
    `list({${named(members, (name, value) => `${quoteName(name)}: ${value}`)}}${duckdbOrder(members, orderBy)})`,
  lag: (value, orderBy) => `lag(${value} ignore nulls) over (order by ${orderBy.join(', ')})`,
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

function sparkDeviation(value: string): string {
  const deviation = `stddev_samp(${value}) over ()`;
  return `case when ${deviation} < cast('Infinity' as double) then ${deviation} when ${deviation} is not null then raise_error('the deviation is no number') end`;
}

/** Spark reads one value and looks at nothing that follows; within a list and an object nothing may follow. */
function sparkJson(text: string): string {
  const within = (before: string, after: string): string =>
    `get_json_object(concat(${quoteSparkText(before)}, ${text}, ${quoteSparkText(after)}), '$') is not null`;
  const odd = SPARK.matches(`regexp_replace(${text}, ${quoteSparkText(JSON_TEXTS)}, '0')`, JSON_ODDITIES);
  return `(trim(${text}) <> '' and ${within('[', ']')} and ${within('{"v":', '}')} and not ${odd})`;
}

export const SPARK: Dialect = {
  name: 'spark',
  quote: sparkName,
  text: quoteSparkText,
  double: (expression) => `cast(${expression} as double)`,
  varchar: (expression, type) => (type === 'double' ? sparkDoubleText(expression) : `cast(${expression} as string)`),
  // Arithmetic takes a text for a number. A name nobody has: refused before a row is read, as DuckDB refuses what is of another type.
  number: (expression, type) => (type === undefined || NUMBERS.has(type) ? `${expression} + 0` : `no_number(${expression})`),
  // A sum of BIGINT overflows; whole numbers times a decimal are decimals, floats stay floats.
  sum: (value) => `sum(${value} * 1BD)`,
  deviation: sparkDeviation,
  tryCast: (expression, type) => (type === 'json' ? sparkJson(expression) : `try_cast(${expression} as ${TYPES[type]}) is not null`),
  parses: (text, format) => {
    // Days of the week are not read, and add nothing to a date.
    const read = /%[aA]/.test(format) ? `regexp_replace(${text}, ${quoteSparkText(WEEKDAYS)}, '')` : text;
    return `(${SPARK.matches(text, writtenForm(format))} and try_to_timestamp(${read}, ${quoteSparkText(javaPattern(format))}) is not null)`;
  },
  matches: (text, pattern) => {
    const java = javaRegex(pattern);
    // Refused as DuckDB refuses such a pattern, before a row is read.
    return java === undefined ? `no_expression_of_re2(${text}, ${quoteSparkText(pattern)})` : `${text} rlike ${quoteSparkText(java)}`;
  },
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
  lag: (value, orderBy) => `lag(${value}) ignore nulls over (order by ${orderBy.map((by) => `${by} nulls last`).join(', ')})`,
  describe: sparkDescribe,
};
