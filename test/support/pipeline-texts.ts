import { readFileSync } from 'node:fs';
import path from 'node:path';
import { packageRoot } from '../../lib/package-root';
import { columnsOf, DUCKDB_TYPES } from '../../pipelines/duckdb-sql';
import { quoteName, quoteText } from '../../pipelines/quote-sql';
import { readDataset } from '../../pipelines/reads';
import { renderSql, windowValues } from '../../pipelines/sql-text';
import type { ColumnType, PipelineSpec } from '../../pipelines/types';
import { parseWindow } from '../../pipelines/window';
import type { TestDuckDb } from './duckdb';

/** A pipeline's texts run by themselves in one DuckDB, a table a dataset: fast enough for thousands of windows. */
export class PipelineTexts {
  readonly #texts = new Map<string, string>();

  constructor(
    private readonly duckdb: TestDuckDb,
    private readonly spec: PipelineSpec,
  ) {}

  /** Makes the table of a dataset anew, holding these rows; members left out are NULL. */
  async fill(dataset: string, rows: readonly Readonly<Record<string, unknown>>[], table = dataset): Promise<void> {
    const columns = columnsOf(this.#dataset(dataset));
    const typed = columns.map(({ name, type }) => `${quoteName(name)} ${DUCKDB_TYPES[type]}`);
    await this.duckdb.connection.run(`create or replace table ${quoteName(table)} (${typed.join(', ')})`);
    if (rows.length === 0) return;
    const tuples = rows.map((row) => `(${columns.map(({ name, type }) => literal(row[name], type)).join(', ')})`);
    await this.duckdb.connection.run(`insert into ${quoteName(table)} values ${tuples.join(', ')}`);
  }

  /** Runs a compute stage: `reads` says which table stands for an alias, by default the dataset's; the rows go to table `into`. */
  async compute(stage: string, window: string, options: { reads?: Readonly<Record<string, string>>; into?: string } = {}): Promise<void> {
    const compute = this.spec.stages[stage];
    if (compute?.kind !== 'compute' || compute.sql === undefined || compute.writes === undefined)
      throw new Error(`${stage} computes nothing`);
    for (const [alias, read] of Object.entries(compute.reads ?? {})) {
      const table = options.reads?.[alias] ?? readDataset(read);
      if (alias !== table) await this.duckdb.connection.run(`create or replace view ${quoteName(alias)} as from ${quoteName(table)}`);
    }
    const text = renderSql(
      this.#text(compute.sql),
      { ...windowValues(parseWindow(this.spec.window, window)), ...this.spec.params },
      compute.sql,
    );
    const columns = columnsOf(this.#dataset(compute.writes)).map(({ name }) => quoteName(name));
    await this.duckdb.connection.run(
      `create or replace table ${quoteName(options.into ?? compute.writes)} as select ${columns.join(', ')} from (${text}\n)`,
    );
  }

  #dataset(name: string): PipelineSpec['datasets'][string] {
    const dataset = this.spec.datasets[name];
    if (dataset === undefined) throw new Error(`${this.spec.id} has no dataset ${name}`);
    return dataset;
  }

  #text(file: string): string {
    const text = this.#texts.get(file) ?? readFileSync(path.join(packageRoot(), 'pipelines', this.spec.id, 'sql', file), 'utf8');
    this.#texts.set(file, text);
    return text;
  }
}

function literal(value: unknown, type: ColumnType): string {
  if (value === undefined || value === null) return 'null';
  return `cast(${quoteText(String(value as string | number | boolean))} as ${DUCKDB_TYPES[type]})`;
}
