import type { ColumnType } from './types';

const EARLIEST_EPOCH = -62_135_596_800;
const LATEST_EPOCH = 253_402_300_799;

const NUMBER = String.raw`[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]{1,3})?`;
const DAY = '[0-9]{4}-[0-9]{2}-[0-9]{2}';
const TIME = String.raw`[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?`;
const OFFSET = '([+-])([01][0-9]|2[0-3])(:?([0-5][0-9]))?';

/**
 * DuckDB's expression for a column's value from its text as it lay in a file; NULL where the text is not one. Whole
 * numbers may have a fraction of zeros (what tools write that hold them as floats) and are never rounded; doubles are
 * finite. Timestamps: ISO 8601, without an offset in UTC, with one converted, digits after the microsecond cut; or a number
 * of seconds since 1970, rounded to the microsecond, within the years 1 to 9999 (milliseconds are outside, so not mistaken).
 */
export function parseExpression(type: ColumnType, text: string): string {
  const trimmed = `trim(${text})`;
  const matches = (pattern: string) => `regexp_full_match(${trimmed}, '${pattern}')`;
  switch (type) {
    case 'text':
      return text;
    case 'bigint':
    case 'integer':
      return `case when ${matches(String.raw`[+-]?[0-9]+(\.0*)?`)} then try_cast(rtrim(split_part(${trimmed}, '.', 1)) as ${type}) end`;
    case 'double':
      return `case when ${matches(String.raw`[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?`)} and isfinite(try_cast(${trimmed} as double)) then try_cast(${trimmed} as double) end`;
    case 'boolean':
      return `case lower(${trimmed}) when 'true' then true when 't' then true when '1' then true when 'false' then false when 'f' then false when '0' then false end`;
    case 'date':
      return `case when ${matches(DAY)} then try_cast(${trimmed} as date) end`;
    case 'timestamp': {
      const seconds = `try_cast(${trimmed} as decimal(18, 6))`;
      const zone = `regexp_extract(${trimmed}, '${OFFSET}$', ['sign', 'hours', 'colon', 'minutes'])`;
      const local = `try_cast(trim(regexp_replace(${trimmed}, '${OFFSET}$', '')) as timestamp)`;
      const minutes = `(cast(${zone}.hours as integer) * 60 + cast(coalesce(nullif(${zone}.minutes, ''), '0') as integer))`;
      return (
        `case when ${matches(`${DAY}([T ]${TIME} ?Z?)?`)} then try_cast(rtrim(replace(${trimmed}, 'Z', '')) as timestamp) ` +
        `when ${matches(`${DAY}[T ]${TIME} ?${OFFSET}`)} then ${local} - to_minutes(case ${zone}.sign when '-' then -1 else 1 end * ${minutes}) ` +
        `when ${matches(NUMBER)} and ${seconds} between ${EARLIEST_EPOCH} and ${LATEST_EPOCH} then make_timestamp(cast(cast(${seconds} as decimal(38, 6)) * 1000000 as bigint)) end`
      );
    }
  }
}
