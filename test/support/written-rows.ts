/** Rows in a Parquet file and all that is measured of them, by a DuckDB of this process. */
import { columnsOf, DUCKDB_TYPES } from '../../pipelines/duckdb-sql';
import { copyToParquet, selectText } from '../../pipelines/output-sql';
import { duplicateKeysSql, profileSql, readProfile, type Profile } from '../../pipelines/profile-sql';
import { quoteName, quoteText } from '../../pipelines/quote-sql';
import type { SparkView } from '../../pipelines/spark-order';
import type { DatasetSpec } from '../../pipelines/types';
import { testDuckDb } from './duckdb';

export interface WrittenRows {
  readonly profile: Profile;
  readonly duplicateKeys: number;
}

/** Writes the rows of a text over views, whose files are of this machine. */
export async function writeRows(
  text: string,
  views: readonly SparkView[],
  { columns, key = [] }: Pick<DatasetSpec, 'columns' | 'key'>,
  file: string,
): Promise<WrittenRows> {
  using duckdb = await testDuckDb();
  for (const view of views) await duckdb.connection.run(`create view ${quoteName(view.alias)} as ${rowsOf(view)}`);
  const declared = columnsOf({ columns });
  await duckdb.connection.run(copyToParquet(selectText(text, declared).sql, file));
  const table = `read_parquet(${quoteText(file)})`;
  const [profile = {}] = await duckdb.rows(profileSql(table, { columns: declared }));
  const [counted] = key.length === 0 ? [] : await duckdb.rows(duplicateKeysSql(table, key));
  return { profile: readProfile(profile, declared), duplicateKeys: Number(counted?.['duplicates'] ?? 0) };
}

function rowsOf({ layouts }: SparkView): string {
  return layouts
    .map(({ columns, files }) =>
      files.length === 0
        ? `select ${columns.map(({ name, type }) => `null::${DUCKDB_TYPES[type]} as ${quoteName(name)}`).join(', ')} limit 0`
        : `select * from read_parquet([${files.map((uri) => quoteText(uri.replace(/^file:\/\//, ''))).join(', ')}])`,
    )
    .join(' union all by name ');
}
