import {
  DuckDBTimestampMillisecondsValue,
  DuckDBTimestampNanosecondsValue,
  DuckDBTimestampSecondsValue,
  DuckDBTimestampTZValue,
  DuckDBTimestampValue,
  JsonDuckDBValueConverter,
  type DuckDBConnection,
  type DuckDBValueConverter,
  type Json,
} from '@duckdb/node-api';

const MICROS_PER_MILLI = 1000n;

/** ISO 8601 in UTC: milliseconds as `Date` writes them, all six digits where there are microseconds. */
function isoInstant(micros: bigint): string {
  const rest = ((micros % MICROS_PER_MILLI) + MICROS_PER_MILLI) % MICROS_PER_MILLI;
  const iso = new Date(Number((micros - rest) / MICROS_PER_MILLI)).toISOString();
  return rest === 0n ? iso : `${iso.slice(0, -1)}${String(rest).padStart(3, '0')}Z`;
}

function epochMicros(value: unknown): bigint | undefined {
  if (value instanceof DuckDBTimestampValue || value instanceof DuckDBTimestampTZValue) return value.micros;
  if (value instanceof DuckDBTimestampSecondsValue) return value.seconds * 1_000_000n;
  if (value instanceof DuckDBTimestampMillisecondsValue) return value.millis * MICROS_PER_MILLI;
  if (value instanceof DuckDBTimestampNanosecondsValue) return value.nanos / MICROS_PER_MILLI;
  return undefined;
}

/** Outside what `Date` can hold (infinity, years beyond 275760) DuckDB's own text stands. */
const MAX_MICROS = 8_640_000_000_000_000n * MICROS_PER_MILLI;

const toJson: DuckDBValueConverter<Json> = (value, type, converter) => {
  const micros = epochMicros(value);
  if (micros !== undefined && micros <= MAX_MICROS && micros >= -MAX_MICROS) return isoInstant(micros);
  return JsonDuckDBValueConverter(value, type, converter);
};

/** The first `limit` rows of a query as JSON values. */
export async function jsonRows(connection: DuckDBConnection, sql: string, limit: number): Promise<Record<string, Json>[]> {
  const reader = await connection.streamAndReadUntil(sql, limit);
  return reader.convertRowObjects(toJson).slice(0, limit) as Record<string, Json>[];
}
