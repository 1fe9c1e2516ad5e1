/** Samples of failing rows: a few of them, cut, and masked where they are personal. */
import { quoteName, quoteText } from './quote-sql';
import type { DatasetSpec } from './types';

/** A failing row: column → text as the engine prints it, cut and masked; null where there is no value. */
export type SampleRow = Readonly<Record<string, string | null>>;

export const SAMPLE_ROWS = 5;
/** Longer values are cut, with an ellipsis as their last character. */
const SAMPLE_CHARACTERS = 200;
/** What stands for a personal value: one text for all of them, since a hash of what has few values can be looked up. */
const MASK = '(personal)';

/**
 * The first failing rows by a hash of what they show: spread over the data, the same in every try, whatever thread comes
 * first. The CASE has the hash and the mask computed for failing rows only, the FILTER keeps the others out of the
 * aggregate, which keeps no more rows than are shown however many fail.
 */
export function sampled(
  failingRow: string,
  columns: readonly string[],
  spec: DatasetSpec | undefined,
  salt: string,
  more: readonly string[] = [],
): string {
  const shown = columns.map((column) => `${quoteName(column)}: ${shownValue(column, spec)}`);
  const order = `hash(${[...columns.map(quoteName), quoteText(salt)].join(', ')})`;
  const only = (value: string): string => `case when ${failingRow} then ${value} end`;
  return `arg_min(${only(`{${[...shown, ...more].join(', ')}}`)}, ${only(order)}, ${SAMPLE_ROWS}) filter (where ${failingRow})`;
}

function shownValue(column: string, spec: DatasetSpec | undefined): string {
  const text = `cast(${quoteName(column)} as varchar)`;
  if (spec?.pii?.includes(column) === true) return `case when ${text} is not null then ${quoteText(MASK)} end`;
  if (spec?.columns[column] !== 'text') return text;
  return `case when length(${text}) > ${SAMPLE_CHARACTERS} then left(${text}, ${SAMPLE_CHARACTERS - 1}) || '…' else ${text} end`;
}
