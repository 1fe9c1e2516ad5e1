/**
 * SQL texts with `$name` placeholders. Values become typed literals, so one text serves every engine and nothing an
 * operator passes can end a literal early. What stands in quotes, comments or dollar quotes is left alone. Engines read
 * quotes, and so literals of text, each in its own way.
 */
import { AlmanacError } from './failures';
import { quoteSparkText, quoteText } from './quote-sql';
import { dateOf } from './window-grid';
import type { EngineName, Window } from './types';

/** A value of a placeholder; `timestamp` is an ISO instant in UTC (`…Z`), `date` is `YYYY-MM-DD`. */
export type SqlValue = string | number | bigint | boolean | null | { readonly timestamp: string } | { readonly date: string };

/** Placeholders every text may use beside the pipeline's params; {@link windowValues} fills them. */
export const BUILT_IN_PLACEHOLDERS: readonly string[] = ['as_of', 'window_end', 'window_start'];

/** One occurrence of `$name` in a text. */
export interface Placeholder {
  readonly name: string;
  /** From 1. */
  readonly line: number;
  readonly start: number;
  readonly end: number;
}

/** The placeholders every text may use: `$window_start`, `$window_end` (exclusive) and `$as_of`, the window's date. */
export function windowValues(window: Window): Readonly<Record<string, SqlValue>> {
  return { window_start: { timestamp: window.start }, window_end: { timestamp: window.end }, as_of: { date: dateOf(window.key) } };
}

/**
 * The text with every placeholder replaced by its value. Throws `sql.placeholder`, naming `textName` and the line, for a
 * name without a value and for a value that has no literal (NUL in text, a number that is not finite).
 */
export function renderSql(
  text: string,
  values: Readonly<Record<string, SqlValue>>,
  textName = 'the SQL text',
  engine: EngineName = 'duckdb',
): string {
  let rendered = '';
  let from = 0;
  for (const { name, line, start, end } of placeholdersOf(text, engine)) {
    const value = Object.hasOwn(values, name) ? values[name] : undefined;
    if (value === undefined) throw unknownPlaceholder(name, line, textName, Object.keys(values));
    rendered += text.slice(from, start) + sqlLiteral(value, `$${name} at line ${line} of ${textName}`, engine);
    from = end;
  }
  return rendered + text.slice(from);
}

/** The failure of a placeholder that is neither built in nor a param. */
export function unknownPlaceholder(name: string, line: number, textName: string, known: readonly string[]): AlmanacError {
  return new AlmanacError(
    'sql.placeholder',
    `$${name} at line ${line} of ${textName} has no value; known are ${known.map((other) => `$${other}`).join(', ')}.`,
    {
      next: `Declare \`${name}\` in the pipeline's \`params\`, or correct the name at line ${line} of ${textName}.`,
      details: { placeholder: name, line, text: textName },
    },
  );
}

/** A typed literal. Throws `sql.placeholder` for a value that has none; `place` says where it was wanted. */
export function sqlLiteral(value: SqlValue, place = 'a literal', engine: EngineName = 'duckdb'): string {
  if (value === null) return 'NULL';
  switch (typeof value) {
    case 'boolean':
      return value ? 'TRUE' : 'FALSE';
    case 'bigint':
      return signed(value < 0n, String(value));
    case 'number':
      if (!Number.isFinite(value)) throw noLiteral(place, `${value} is not a finite number`);
      // A fraction would be a decimal of just its digits, which DuckDB may miss by a bit when it makes it a double; with an exponent it is one.
      return Number.isSafeInteger(value) ? signed(value < 0, String(value)) : `CAST(${value.toExponential()} AS DOUBLE)`;
    case 'string':
      return engine === 'spark' ? quoteSparkText(value) : quoteText(value);
    default:
      return 'date' in value ? dateLiteral(value.date, place) : timestampLiteral(value.timestamp, place);
  }
}

/** `-` in front of a negative literal would start a comment. */
function signed(negative: boolean, digits: string): string {
  return negative ? `(${digits})` : digits;
}

function dateLiteral(date: string, place: string): string {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(date)) throw noLiteral(place, `"${date}" is not a date such as 2026-11-20`);
  return `DATE '${date}'`;
}

function timestampLiteral(instant: string, place: string): string {
  const parts = /^(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2}:\d{2})(?:\.(\d{1,6}))?Z$/.exec(instant);
  if (parts === null) throw noLiteral(place, `"${instant}" is not an instant in UTC such as 2026-11-20T00:00:00Z`);
  const [, date, time, fraction = ''] = parts;
  return `TIMESTAMP '${date} ${time}${/[1-9]/.test(fraction) ? `.${fraction}` : ''}'`;
}

function noLiteral(place: string, reason: string): AlmanacError {
  return new AlmanacError('sql.placeholder', `${place} cannot be written as SQL: ${reason}.`, { next: 'Correct the value of the param.' });
}

/** What hides a `$name`: comments (block comments nest), E'…' with backslashes, quoted text and names, dollar quotes. */
const DUCKDB_TOKEN =
  /--[^\n]*|\/\*|(?<![\w$])[eE]'(?:[^'\\]|\\.|'')*'|'[^']*'|"[^"]*"|`[^`]*`|(?<![\w$])\$(?<tag>[A-Za-z_]\w*)?\$|(?<![\w$])\$(?<name>[A-Za-z_]\w*)/gs;

/** The same of Spark: backslashes escape in all quotes but r'…' and backticks, and carry a comment over the end of its line. */
const SPARK_TOKEN =
  /--(?:\\\n|[^\r\n])*|\/\*|(?<![\w$])[rR](?:'[^']*'|"[^"]*")|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`[^`]*`|(?<![\w$])\$(?<name>[A-Za-z_]\w*)/gs;

/** Every placeholder of a text, in order. */
export function placeholdersOf(text: string, engine: EngineName = 'duckdb'): Placeholder[] {
  const found: Placeholder[] = [];
  const scan = new RegExp(engine === 'spark' ? SPARK_TOKEN : DUCKDB_TOKEN);
  let line = 1;
  let counted = 0;
  for (let match = scan.exec(text); match !== null; match = scan.exec(text)) {
    const [token] = match;
    const name = match.groups?.['name'];
    if (name !== undefined) {
      line += newlines(text.slice(counted, match.index));
      counted = match.index;
      found.push({ name, line, start: match.index, end: match.index + token.length });
    } else if (token === '/*') {
      scan.lastIndex = endOfComment(text, scan.lastIndex);
    } else if (token.startsWith('$')) {
      const close = text.indexOf(token, scan.lastIndex);
      scan.lastIndex = close < 0 ? text.length : close + token.length;
    }
  }
  return found;
}

/** Position after the comment whose opening ends at `from`; the end of the text when it is never closed. */
function endOfComment(text: string, from: number): number {
  const edges = /\/\*|\*\//g;
  edges.lastIndex = from;
  let depth = 1;
  for (let edge = edges.exec(text); edge !== null; edge = edges.exec(text)) {
    depth += edge[0] === '/*' ? 1 : -1;
    if (depth === 0) return edges.lastIndex;
  }
  return text.length;
}

function newlines(text: string): number {
  return text.split('\n').length - 1;
}
