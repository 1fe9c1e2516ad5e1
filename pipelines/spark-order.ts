import type { DigestPart } from './digest-sql';
import { columnsOf, type Column } from './duckdb-sql';
import { bare } from './output-sql';
import { SPARK_JOB_SETTINGS } from './spark-settings';
import type { ColumnType, DatasetSpec } from './types';

/** The version of {@link SparkOrder} and {@link SparkResult}; the job refuses another. */
const FORMAT = 1;

/** Files of the same columns, as URIs that Hadoop knows; no files are no rows. */
export interface SparkLayout {
  readonly columns: readonly Column[];
  readonly files: readonly string[];
}

/** A name of the text and what it stands for; several layouts are joined by name. */
export interface SparkView {
  readonly alias: string;
  readonly layouts: readonly SparkLayout[];
}

interface OutputColumn extends Column {
  /** A pattern of the types of Spark that become the column's without loss. */
  readonly accepts: string;
  /** Whether the result may tell its smallest and largest value: never of personal columns, unless they are the key. */
  readonly ranged: boolean;
}

/** All that a job (`spark/almanac/Job.java`) is told. Its own credentials open what it names; it holds none. */
export interface SparkOrder {
  readonly format: typeof FORMAT;
  /** URI of what the job claims as its first act, if absent. */
  readonly token: string;
  /** URI of the {@link SparkResult} it puts as its last act, if absent. */
  readonly result: string;
  readonly views: readonly SparkView[];
  /** Rendered; one query. */
  readonly text: string;
  readonly output: {
    readonly columns: readonly OutputColumn[];
    readonly key?: readonly string[];
    readonly buckets?: { readonly by: string; readonly count: number };
    /** URI, ending in a slash. */
    readonly folder: string;
    /** What the names of its files begin with; the job makes the rest unlike all others. */
    readonly prefix: string;
  };
  /** Of a fault that a value is to blame for, only its name is told: the rows are personal. */
  readonly maskValues?: boolean;
  /** Of the session. */
  readonly settings: Readonly<Record<string, string>>;
}

/** Files are named in the folder of the order; profiles are in the order of the columns, values as an engine session of DuckDB returns them. */
export interface SparkWritten {
  readonly files: readonly {
    readonly name: string;
    readonly rows: number;
    readonly bytes: number;
    readonly sha256: string;
    readonly bucket?: number;
  }[];
  readonly digest: DigestPart;
  readonly profiles: readonly { readonly nulls: number; readonly min: unknown; readonly max: unknown }[];
  /** Rows beyond the first of each key; of datasets with a key. */
  readonly duplicateKeys?: number;
  readonly cpuSeconds: number;
  /** Of the task that used most, as Spark accounts for it. */
  readonly peakMemoryBytes: number;
}

/** What no other try of the same order mends: the text returns other columns, is no query that Spark knows, or fails on a value. */
export type SparkFault =
  | { readonly kind: 'schema'; readonly returned: readonly { readonly name: string; readonly type: string }[] }
  | { readonly kind: 'statement' | 'value'; readonly message: string };

/** What a job took, by its own clock; instants in milliseconds since 1970. CPU and memory are those of its driver, which on one machine is all of it. */
export interface SparkSpent {
  readonly jvmStartedAt: number;
  /** Of the application: when there was a Spark. */
  readonly startedAt: number;
  /** When all was written and measured. */
  readonly endedAt: number;
  readonly cpuSeconds: number;
  /** Undefined where the system does not tell. */
  readonly peakMemoryBytes?: number;
}

export interface SparkResult {
  readonly format: typeof FORMAT;
  readonly written?: SparkWritten;
  readonly fault?: SparkFault;
  readonly spent?: SparkSpent;
}

/** Types of Spark that become a column's type without losing anything but width, which Spark checks row by row. */
export const SPARK_ACCEPTED: Readonly<Record<ColumnType, RegExp>> = {
  text: /^(string|varchar\(\d+\)|char\(\d+\)|void)$/,
  bigint: /^(tinyint|smallint|int|bigint|decimal\(\d+,0\)|void)$/,
  integer: /^(tinyint|smallint|int|bigint|decimal\(\d+,0\)|void)$/,
  double: /^(float|double|decimal\(\d+,\d+\)|tinyint|smallint|int|bigint|void)$/,
  boolean: /^(boolean|void)$/,
  timestamp: /^(timestamp|timestamp_ntz|date|void)$/,
  date: /^(date|void)$/,
};

export interface OrderRequest {
  readonly dataset: DatasetSpec;
  readonly text: string;
  readonly views: readonly SparkView[];
  /** Where things are, as the store names them: a file path, or an `s3://` URI. */
  readonly places: { readonly token: string; readonly result: string; readonly folder: string };
  readonly prefix: string;
  readonly maskValues?: boolean | undefined;
}

export function sparkOrder({ dataset, text, views, places, prefix, maskValues }: OrderRequest): SparkOrder {
  const { key, buckets, pii = [] } = dataset;
  return {
    format: FORMAT,
    token: hadoopUri(places.token),
    result: hadoopUri(places.result),
    views,
    text: bare(text),
    output: {
      columns: columnsOf(dataset).map(({ name, type }) => ({
        ...{ name, type, accepts: SPARK_ACCEPTED[type].source },
        ranged: !pii.includes(name) || key?.includes(name) === true,
      })),
      ...(key && { key }),
      ...(buckets && { buckets }),
      folder: `${hadoopUri(places.folder).replace(/\/+$/, '')}/`,
      prefix,
    },
    ...(maskValues === true && { maskValues }),
    settings: SPARK_JOB_SETTINGS,
  };
}

/** How Hadoop spells a place of the store; `s3a` is the name of its connector. */
export function hadoopUri(place: string): string {
  return place.startsWith('s3://') ? `s3a://${place.slice('s3://'.length)}` : `file://${place}`;
}
