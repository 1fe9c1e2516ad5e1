/**
 * How every Spark session of ours reads a text, so that it says the same as DuckDB: what overflows or cannot be cast is an error, not
 * NULL; "name" is a name; `${name}` is no variable, wherever it stands; days and instants are as written, in UTC, whoever wrote the file.
 *
 * Plans adapt to what is there. Where some users have most of the rows, the partition they share is split, and read by several tasks
 * beside the whole of the other side. A user with s segments and p pixels makes s·p pairs of s + p rows, which no size of a partition
 * foretells: so partitions are merged for as many tasks as there are cores, not up to a size, and pairs are counted where they arise.
 */
export const SPARK_SETTINGS: Readonly<Record<string, string>> = {
  'spark.sql.ansi.enabled': 'true',
  'spark.sql.ansi.doubleQuotedIdentifiers': 'true',
  'spark.sql.variable.substitute': 'false',
  'spark.sql.session.timeZone': 'UTC',
  'spark.sql.legacy.timeParserPolicy': 'CORRECTED',
  'spark.sql.timestampType': 'TIMESTAMP_LTZ',
  'spark.sql.parquet.inferTimestampNTZ.enabled': 'false',
  'spark.sql.parquet.datetimeRebaseModeInRead': 'CORRECTED',
  'spark.sql.adaptive.enabled': 'true',
  'spark.sql.adaptive.skewJoin.enabled': 'true',
  'spark.sql.adaptive.coalescePartitions.parallelismFirst': 'true',
};

/** Nothing is deleted in bulk and no folder is marked: every S3 understands that. */
const PLAIN_S3: Readonly<Record<string, string>> = {
  'spark.hadoop.fs.s3a.multiobjectdelete.enable': 'false',
  'spark.hadoop.fs.s3a.directory.marker.retention': 'keep',
};

/** What our jobs add: no text opens a file by its name. */
export const SPARK_JOB_SETTINGS: Readonly<Record<string, string>> = { ...SPARK_SETTINGS, ...PLAIN_S3, 'spark.sql.runSQLOnFiles': 'false' };

const S3A_REGION = 'spark.hadoop.fs.s3a.endpoint.region';

/**
 * What a job is submitted with so that what it writes is encrypted, what it asks for is paid, and it asks in the region that the store of this
 * process does. EMR reads and writes `s3://` by a connector of its own; Hadoop's knows who pays since 3.3.5.
 */
export function objectSettings(s3: {
  readonly region?: string | undefined;
  readonly kmsKey?: string;
  readonly requesterPays: boolean;
}): Record<string, string> {
  const { region, kmsKey, requesterPays } = s3;
  return {
    ...(region !== undefined && { [S3A_REGION]: region }),
    ...(kmsKey !== undefined && {
      'spark.hadoop.fs.s3a.encryption.algorithm': 'SSE-KMS',
      'spark.hadoop.fs.s3a.encryption.key': kmsKey,
      'spark.hadoop.fs.s3.enableServerSideEncryption': 'true',
      'spark.hadoop.fs.s3.serverSideEncryption.kms.keyId': kmsKey,
    }),
    ...(requesterPays && {
      'spark.hadoop.fs.s3a.requester.pays.enabled': 'true',
      'spark.hadoop.fs.s3.useRequesterPaysHeader': 'true',
    }),
  };
}

/** What a job is submitted with where S3 is not that of AWS: it reads its order before it knows any other setting. */
export function s3aSettings(s3: {
  readonly endpoint?: string;
  readonly region?: string;
  readonly pathStyle: boolean;
}): Record<string, string> {
  const { endpoint, region, pathStyle } = s3;
  return {
    ...PLAIN_S3,
    ...(endpoint !== undefined && {
      'spark.hadoop.fs.s3a.endpoint': endpoint,
      'spark.hadoop.fs.s3a.connection.ssl.enabled': String(endpoint.startsWith('https:')),
    }),
    ...(region !== undefined && { [S3A_REGION]: region }),
    'spark.hadoop.fs.s3a.path.style.access': String(pathStyle),
  };
}
