/**
 * How every Spark session of ours reads a text, so that it says the same as DuckDB: what overflows or cannot be cast is an error, not
 * NULL; "name" is a name; days and instants are as written, in UTC, whoever wrote the file; skewed joins are split.
 */
export const SPARK_SETTINGS: Readonly<Record<string, string>> = {
  'spark.sql.ansi.enabled': 'true',
  'spark.sql.ansi.doubleQuotedIdentifiers': 'true',
  'spark.sql.session.timeZone': 'UTC',
  'spark.sql.timestampType': 'TIMESTAMP_LTZ',
  'spark.sql.parquet.inferTimestampNTZ.enabled': 'false',
  'spark.sql.parquet.datetimeRebaseModeInRead': 'CORRECTED',
  'spark.sql.adaptive.enabled': 'true',
  'spark.sql.adaptive.skewJoin.enabled': 'true',
};

/** What our jobs add: no text opens a file by its name; nothing is deleted in bulk and no folder is marked, which every S3 understands. */
export const SPARK_JOB_SETTINGS: Readonly<Record<string, string>> = {
  ...SPARK_SETTINGS,
  'spark.sql.runSQLOnFiles': 'false',
  'spark.hadoop.fs.s3a.multiobjectdelete.enable': 'false',
  'spark.hadoop.fs.s3a.directory.marker.retention': 'keep',
};
