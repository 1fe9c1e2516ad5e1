/** Quoting, alike in DuckDB and Postgres. */
import { AlmanacError } from './failures';

/** A name as a quoted SQL identifier. Throws `sql.placeholder` for an empty name or NUL, which no engine holds. */
export function quoteName(name: string): string {
  if (name === '' || name.includes('\0')) throw refused('an identifier', `${JSON.stringify(name)} names nothing`, 'correct the name');
  return `"${name.replaceAll('"', '""')}"`;
}

/** Text as a SQL literal. Throws `sql.placeholder` for NUL, which no engine holds. */
export function quoteText(text: string): string {
  if (text.includes('\0')) throw refused('a literal', 'the text holds a NUL character', 'pass a text without NUL');
  return `'${text.replaceAll("'", "''")}'`;
}

function refused(what: string, why: string, next: string): AlmanacError {
  return new AlmanacError('sql.placeholder', `${what} cannot be written as SQL: ${why}`, { next });
}
