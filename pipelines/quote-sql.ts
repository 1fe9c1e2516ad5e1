/** Quoting, alike in DuckDB and Postgres; texts also as Spark reads them. */
import { AlmanacError } from './failures';

/** A name as a quoted SQL identifier. Throws `sql.placeholder` for an empty name or NUL, which no engine holds. */
export function quoteName(name: string): string {
  if (name === '' || name.includes('\0')) throw refused('an identifier', `${JSON.stringify(name)} names nothing`, 'correct the name');
  return `"${name.replaceAll('"', '""')}"`;
}

/** Text as a SQL literal. Throws `sql.placeholder` for NUL, which no engine holds. */
export function quoteText(text: string): string {
  refuseNul(text);
  return `'${text.replaceAll("'", "''")}'`;
}

/** Text as a literal of Spark, which escapes by backslashes and takes `''` for the end of one text and the start of another. */
export function quoteSparkText(text: string): string {
  refuseNul(text);
  const escaped = text.replaceAll('\\', '\\\\').replaceAll("'", "\\'");
  return `'${escaped.replace(/\p{Cc}/gu, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)}'`;
}

function refuseNul(text: string): void {
  if (text.includes('\0')) throw refused('a literal', 'the text holds a NUL character', 'pass a text without NUL');
}

function refused(what: string, why: string, next: string): AlmanacError {
  return new AlmanacError('sql.placeholder', `${what} cannot be written as SQL: ${why}`, { next });
}
