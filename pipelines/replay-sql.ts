/**
 * The SQL that picks rows out of quarantine. A row is known by the file it came from, its content, and which of the equal
 * rows of that file it is: reading the file again, or a file that merely grew, gives every row the same name.
 */
import { quoteText } from './quote-sql';

/** Fills `aside` with the early and late rows of quarantine files. */
export function asideStatement(files: readonly string[]): string {
  return `create or replace temp table aside as
select file, line, reason, "row", event_time, row_number() over (partition by file, "row" order by line) as nth
from read_parquet(${list(files)}) where reason in ('early', 'late') and "row" is not null`;
}

/** Fills `aside` with the rows that checks put aside. */
export function checkedStatement(files: readonly string[]): string {
  return `create or replace temp table aside as
select file, line, reason, "row", checks from read_parquet(${list(files)}, union_by_name = true) where reason = 'check'`;
}

/** The rows of `aside`, which are replayed together. */
export const CHECKED = 'select file, line, reason, "row", checks from aside order by file, line';

/** The earliest instant of `aside` from `since` on, in microseconds of unix time as text; NULL when there is none. */
export function nextInstantQuery(since: string | undefined): string {
  const from = since === undefined ? '' : ` where event_time >= ${instant(since)}`;
  return `select cast(epoch_us(min(event_time)) as varchar) as at from aside${from}`;
}

/** Rows of `aside` that belong to a window and are in none of its replays, whose files are given. */
export function selectReplay(window: { readonly start: string; readonly end: string }, replayed: readonly string[]): string {
  const known = replayed.length === 0 ? '' : ` anti join (from read_parquet(${list(replayed)})) using (file, "row", nth)`;
  return `select file, line, nth, reason, "row" from aside${known} where event_time >= ${instant(window.start)} and event_time < ${instant(window.end)} order by file, line`;
}

/** Rows of a selection by reason. */
export function countReplayQuery(selection: string): string {
  return `select reason, count(*) as rows from (${selection}) group by reason order by reason`;
}

function list(files: readonly string[]): string {
  return `[${files.map(quoteText).join(', ')}]`;
}

function instant(iso: string): string {
  return `timestamp ${quoteText(iso.replace('T', ' ').replace('Z', ''))}`;
}
