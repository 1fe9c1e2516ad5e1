/** Which rows fail a row metric, and which count at all: two SQL conditions over one row, neither of them ever NULL. */
import type { Dialect } from './dialect';
import { FORMS } from './forms';
import type { NamedPattern, NullRows, RowMetric, Scalar, ValueRange } from './metrics';

export interface RowCondition {
  /** True of the rows of which the statement of the metric is not true. */
  readonly fails: string;
  /** True of the rows that count; the share is taken among them. */
  readonly counts: string;
}

/** What a row without a value counts as where the declaration does not say; as in deequ. */
const DEFAULT_NULLS = {
  'compliance': 'fail',
  'pattern-match': 'fail',
  'contained-in': 'pass',
  'within': 'pass',
  'length-within': 'ignore',
  'parseable': 'ignore',
} as const satisfies Partial<Record<RowMetric['metric'], NullRows>>;

/**
 * `doubles`: columns that may hold NaN, which no comparison is true of. Engines order it above every number, so that it has to be told
 * apart. Infinities are numbers like others.
 */
export function rowCondition(measure: RowMetric, dialect: Dialect, doubles: ReadonlySet<string> = NONE): RowCondition {
  const condition = unnarrowed(measure, dialect, doubles);
  if (measure.where === undefined) return condition;
  const where = narrowing(measure.where);
  return { fails: `(${where} and ${condition.fails})`, counts: condition.counts === 'true' ? where : `(${where} and ${condition.counts})` };
}

const NONE: ReadonlySet<string> = new Set();

function narrowing(where: string): string {
  return `coalesce((${where}\n), false)`;
}

function unnarrowed(measure: RowMetric, dialect: Dialect, doubles: ReadonlySet<string>): RowCondition {
  const quote = (column: string): string => dialect.quote(column);
  switch (measure.metric) {
    case 'completeness':
      return { fails: `(${quote(measure.column)} is null)`, counts: 'true' };
    case 'columns-completeness': {
      const absent = measure.columns.map((column) => `${quote(column)} is null`);
      return { fails: `(${absent.join(measure.mode === 'all' ? ' or ' : ' and ')})`, counts: 'true' };
    }
    case 'compliance':
      // The line ends before the parenthesis closes: the predicate may end in a comment.
      return judged(`(${measure.predicate}\n)`, measure.nulls ?? DEFAULT_NULLS.compliance);
    case 'pattern-match':
      return judged(patternCondition(measure, dialect), measure.nulls ?? DEFAULT_NULLS['pattern-match']);
    case 'contained-in': {
      const found = memberCondition(quote(measure.column), measure.values, dialect);
      return judged(measure.not === true ? `(not ${found})` : found, measure.nulls ?? DEFAULT_NULLS['contained-in']);
    }
    case 'within':
      return judged(
        rangeCondition(quote(measure.column), measure, dialect, doubles.has(measure.column)),
        measure.nulls ?? DEFAULT_NULLS.within,
      );
    case 'length-within':
      return judged(
        rangeCondition(`length(${quote(measure.column)})`, measure, dialect, false),
        measure.nulls ?? DEFAULT_NULLS['length-within'],
      );
    case 'contained-in-tuples':
      return tupleCondition(measure, dialect);
    case 'increasing':
    case 'decreasing': {
      const { value, compared } = windowed(measure, dialect, doubles);
      const before = dialect.lag(compared, measure.orderBy.map(quote));
      const sign = `${measure.metric === 'increasing' ? '>' : '<'}${measure.strictly === true ? '' : '='}`;
      return {
        fails: `(${value} is not null and not coalesce(${compared} ${sign} ${before}, ${compared} is not null))`,
        counts: `(${value} is not null)`,
      };
    }
    case 'z-score-within': {
      const { value, compared } = windowed(measure, dialect, doubles);
      const score = `(${compared} - avg(${compared}) over ()) / nullif(${dialect.deviation(compared)}, 0)`;
      const inside = measure.doubleSided === true ? `abs(${score}) < ${number(measure.limit)}` : `${score} < ${number(measure.limit)}`;
      return {
        fails: `(${value} is not null and not coalesce(${inside}, ${compared} is not null))`,
        counts: `(${value} is not null)`,
      };
    }
    case 'parseable':
      return judged(parseCondition(quote(measure.column), measure, dialect), measure.nulls ?? DEFAULT_NULLS.parseable);
    case 'distinct-within-row': {
      const columns = measure.columns.map(quote);
      const equal = columns.flatMap((left, i) => columns.slice(i + 1).map((right) => `${left} is not distinct from ${right}`));
      const counts = `(not (${columns.map((column) => `${column} is null`).join(' and ')}))`;
      return { fails: `(${counts} and (${equal.join(' or ')}))`, counts };
    }
  }
}

/**
 * A column as a window over all rows sees it: NULL of a row that \`where\` leaves out, for a window is taken before the filter; \`compared\` is
 * NULL of NaN too.
 */
function windowed(
  { column, where }: { readonly column: string; readonly where?: string },
  dialect: Dialect,
  doubles: ReadonlySet<string>,
): { readonly value: string; readonly compared: string } {
  const name = dialect.quote(column);
  const value = where === undefined ? name : `(case when ${narrowing(where)} then ${name} end)`;
  return { value, compared: doubles.has(column) ? `nullif(${value}, ${number(Number.NaN)})` : value };
}

function judged(right: string, nulls: NullRows): RowCondition {
  if (nulls === 'fail') return { fails: `(not coalesce(${right}, false))`, counts: 'true' };
  return { fails: `(not coalesce(${right}, true))`, counts: nulls === 'pass' ? 'true' : `(${right} is not null)` };
}

/** TRUE, FALSE, or NULL where the value is NULL. */
function memberCondition(value: string, members: readonly Scalar[], dialect: Dialect): string {
  if (members.length === 0) return `(case when ${value} is not null then false end)`;
  return `(${value} in (${members.map((member) => literal(member, dialect)).join(', ')}))`;
}

/** `nan`: the value may be NaN, which lies in no range; an upper bound keeps it out by itself, being less. */
function rangeCondition(value: string, { min, max, above, below }: ValueRange, dialect: Dialect, nan: boolean): string {
  const bound = (sign: string, limit: number | string | undefined): string[] => {
    if (limit === undefined) return [];
    return [typeof limit === 'number' ? `${value} ${sign} ${number(limit)}` : `${value} ${sign} ${dialect.instant(limit)}`];
  };
  const open = nan && max === undefined && below === undefined;
  const bounds = [...bound('>=', min), ...bound('<=', open ? Infinity : max), ...bound('>', above), ...bound('<', below)];
  return bounds.length === 0 ? `(${value} is null or true)` : `(${bounds.join(' and ')})`;
}

function patternCondition(measure: Extract<RowMetric, { metric: 'pattern-match' }>, dialect: Dialect): string {
  const text = dialect.quote(measure.column);
  const one = (pattern: string): string => (measure.syntax === 'like' ? dialect.like(text, pattern) : dialect.matches(text, pattern));
  const found =
    typeof measure.patterns === 'string'
      ? namedCondition(measure.patterns, one)
      : `(${measure.patterns.map(one).join(measure.match === 'all' ? ' and ' : ' or ')})`;
  return measure.not === true ? `(not ${found})` : found;
}

/** Without look-around and back references, which RE2 has not. */
function namedCondition(name: NamedPattern, one: (pattern: string) => string): string {
  switch (name) {
    case 'email':
      return one(
        String.raw`[a-z0-9!#$%&'*+/=?^_\x60{|}~-]+(\.[a-z0-9!#$%&'*+/=?^_\x60{|}~-]+)*@([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]*[a-z0-9])?`,
      );
    case 'url':
      return one(String.raw`(https?|ftp)://[^\s/$.?#].[^\s]*`);
    case 'credit-card': {
      const cards = ['', ' ', '-'].flatMap((gap) => [
        String.raw`3[47]\d{2}${gap}\d{6}${gap}\d{5}`,
        String.raw`((4\d|5[1-5]|65)\d{2}|6011)${gap}\d{4}${gap}\d{4}${gap}\d{4}`,
      ]);
      return one(String.raw`\b(${cards.join('|')})\b`);
    }
    case 'us-social-security-number': {
      const area = String.raw`(00[1-9]|0[1-9]\d|[1-57-8]\d{2}|6[0-57-9]\d|66[0-57-9])`;
      const group = String.raw`(0[1-9]|[1-9]\d)`;
      const serial = String.raw`(000[1-9]|00[1-9]\d|0[1-9]\d{2}|[1-9]\d{3})`;
      const printed = ['', ' ', '-'].flatMap((gap) => [`219${gap}09${gap}9999`, `078${gap}05${gap}1120`]);
      const valid = ['', ' ', '-'].map((gap) => `${area}${gap}${group}${gap}${serial}`);
      return `(${one(`(${valid.join('|')})`)} and not ${one(`(${printed.join('|')})`)})`;
    }
  }
}

function tupleCondition(measure: Extract<RowMetric, { metric: 'contained-in-tuples' }>, dialect: Dialect): RowCondition {
  const columns = measure.columns.map((column) => dialect.quote(column));
  const equal = measure.tuples.map((tuple) => {
    const members = tuple.map((value, i) =>
      value === null ? `${columns[i]} is null` : `coalesce(${columns[i]} = ${literal(value, dialect)}, false)`,
    );
    return `(${members.join(' and ')})`;
  });
  const found = equal.length === 0 ? 'false' : `(${equal.join(' or ')})`;
  const nulls = measure.nulls ?? 'fail';
  const absent = `(${columns.map((column) => `${column} is null`).join(nulls === 'ignore-if-all' ? ' and ' : ' or ')})`;
  if (nulls === 'fail') return { fails: `(not ${found})`, counts: 'true' };
  return { fails: `(not ${absent} and not ${found})`, counts: nulls === 'pass' ? 'true' : `(not ${absent})` };
}

function parseCondition(value: string, { as, format }: Extract<RowMetric, { metric: 'parseable' }>, dialect: Dialect): string {
  return `(case when ${value} is not null then ${format === undefined ? formed(value, as, dialect) : dialect.parses(value, format)} end)`;
}

function formed(value: string, as: Extract<RowMetric, { metric: 'parseable' }>['as'], dialect: Dialect): string {
  if (as === 'json') return dialect.tryCast(value, as);
  // What is no text is judged as it is written.
  const text = dialect.varchar(value);
  return `(${dialect.matches(text, FORMS[as])} and ${dialect.tryCast(text, as)})`;
}

export function literal(value: Scalar, dialect: Dialect): string {
  if (typeof value === 'string') return dialect.text(value);
  return typeof value === 'number' ? number(value) : String(value);
}

/** Numbers as both engines read them; what is not finite is spelled as text and cast. */
export function number(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return `cast('${Number.isNaN(value) ? 'NaN' : value > 0 ? 'Infinity' : '-Infinity'}' as double)`;
}
