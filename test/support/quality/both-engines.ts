import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { AlmanacError } from '../../../pipelines/failures';
import { metricText } from '../../../pipelines/metric-text';
import { SPARK } from '../../../pipelines/quality/dialect';
import { quoteName, quoteText } from '../../../pipelines/quote-sql';
import { suiteQueries, type MetricQuery } from '../../../pipelines/suite-sql';
import type { CheckDeclaration, ColumnType, DatasetSpec } from '../../../pipelines/types';
import { SparkSession } from '../spark';
import { Workbench, type Judged } from './workbench';

/** A check of which the engines tell different numbers, or one of them none. */
export interface Difference {
  readonly dataset: string;
  readonly metric: string;
  readonly duckdb: unknown;
  readonly spark: unknown;
}

/** A workbench whose tables a Spark session has too, as Parquet that DuckDB wrote. */
export class BothEngines extends Workbench {
  readonly spark = new SparkSession();
  readonly #files = mkdtempSync(path.join(tmpdir(), 'almanac-both-'));
  #tables = 0;

  override async close(): Promise<void> {
    await this.spark[Symbol.asyncDispose]();
    await super.close();
    rmSync(this.#files, { recursive: true, force: true });
  }

  override async declare(view: string, spec: DatasetSpec, files = 1): Promise<void> {
    await super.declare(view, spec);
    const folder = path.join(this.#files, `table-${(this.#tables += 1)}`);
    const columns = Object.entries(spec.columns);
    await this.session.exec(
      `copy (select * from ${quoteName(view)}) to ${quoteText(files === 1 ? `${folder}.parquet` : folder)} (format parquet${files === 1 ? '' : ', per_thread_output true'})`,
    );
    const typed = columns.map(([name, type]) => `${SPARK.quote(name)} ${SPARK_TYPES[type]}`).join(', ');
    await this.spark.sql(
      `create or replace temporary view ${SPARK.quote(view)} (${typed}) using parquet options (path ${SPARK.text(files === 1 ? `${folder}.parquet` : folder)})`,
    );
  }

  /** What Spark is asked for checks: one statement a scan, and those that cannot share it. */
  sparkQueries(checks: readonly CheckDeclaration[], reference?: string): MetricQuery[] {
    return suiteQueries(this.metrics(checks), this.scope({ dialect: SPARK, ...(reference === undefined ? {} : { reference }) }));
  }

  judgeOnSpark(checks: readonly CheckDeclaration[], reference?: string): Promise<Judged[]> {
    const rows = async <T extends Record<string, unknown>>(sql: string): Promise<T[]> => {
      try {
        return (await this.spark.rows(sql)) as T[];
      } catch (error) {
        throw new AlmanacError('engine.sql', error instanceof Error ? error.message : String(error), { next: 'mend the statement' });
      }
    };
    return this.judgeBy({ rows }, checks, { dialect: SPARK, ...(reference === undefined ? {} : { reference }) });
  }

  /** Judges checks on both engines, and says where their numbers or verdicts are not the same. */
  async differences(checks: readonly CheckDeclaration[], reference?: string): Promise<Difference[]> {
    return differencesOf(await this.judge(checks, reference), await this.judgeOnSpark(checks, reference));
  }
}

/** Whole numbers and texts are the same, floats to a billionth; samples are of DuckDB alone. */
export function differencesOf(duckdb: readonly Judged[], spark: readonly Judged[]): Difference[] {
  return duckdb.flatMap(({ check, ...ours }, i) => {
    const theirs = spark[i];
    const [left, right] = [told(ours), theirs === undefined ? undefined : told(theirs)];
    if (alike(left, right) || (theirs !== undefined && unmeasured(ours) && unmeasured(theirs))) return [];
    return [{ dataset: check.dataset, metric: metricText(check.measure), duckdb: left, spark: right }];
  });
}

function told({ measured, verdict }: Omit<Judged, 'check'>): unknown {
  if ('reason' in measured) return { reason: measured.reason, status: verdict.status };
  const { sample: _, ...numbers } = measured;
  return { ...numbers, status: verdict.status };
}

/** A refusal of one engine may be a number of the other that no band passes. */
function unmeasured({ measured, verdict }: Omit<Judged, 'check'>): boolean {
  return verdict.status === 'ERROR' && ('reason' in measured || !Number.isFinite(measured.value));
}

const TOLERANCE = 1e-9;

/** A refusal is worded by each engine as it likes. */
function alike(left: unknown, right: unknown, name = ''): boolean {
  if (name === 'reason') return typeof left === typeof right;
  if (typeof left === 'number' && typeof right === 'number')
    return Object.is(left, right) || left === right || Math.abs(left - right) <= TOLERANCE * Math.max(Math.abs(left), Math.abs(right));
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null) return left === right;
  const names = new Set([...Object.keys(left), ...Object.keys(right)]);
  const member = (of: object, key: string): unknown => (of as Readonly<Record<string, unknown>>)[key];
  return [...names].every((key) => alike(member(left, key), member(right, key), key));
}

const SPARK_TYPES = {
  text: 'string',
  bigint: 'bigint',
  integer: 'int',
  double: 'double',
  boolean: 'boolean',
  timestamp: 'timestamp',
  date: 'date',
} as const satisfies Record<ColumnType, string>;
