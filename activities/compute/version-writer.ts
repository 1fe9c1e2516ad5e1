import path from 'node:path';
import { bucketExpression } from '../../pipelines/bucket-sql';
import { columnsOf, type Column } from '../../pipelines/duckdb-sql';
import { copyToParquet } from '../../pipelines/output-sql';
import { duplicateKeysSql, keyHash, profileSql, readProfile, totalProfileSql, type Profile } from '../../pipelines/profile-sql';
import { quoteText } from '../../pipelines/quote-sql';
import type { DatasetSpec } from '../../pipelines/types';
import type { ScratchFile } from '../storage/dataset-store';
import { sealFile, type Seal } from '../storage/sealed-file';
import type { EngineSession, StatementLabel } from './engine';
import { writtenVersion, type WrittenVersion } from './written-version';

const PARTS = 'almanac.parts';
/** Buckets with more rows are checked for misplaced ones by a sample of about this many: the check costs an md5 a row. */
const PLACEMENT_SAMPLE = 10_000;

/** Writes one version's files into a scratch directory and measures each from the file as written. */
export class VersionWriter {
  readonly columns: readonly Column[];
  readonly #written: { file: string; bucket?: number; sealing: Promise<Seal> }[] = [];

  constructor(
    private readonly session: EngineSession,
    private readonly dataset: DatasetSpec,
    private readonly directory: string,
  ) {
    this.columns = columnsOf(dataset);
  }

  /** Writes the rows of a select with the dataset's columns. `expectedRows`, a guess, asks to check that all belong to the bucket. */
  async write(select: string, options: { bucket?: number; expectedRows?: number; label?: StatementLabel } = {}): Promise<void> {
    const { bucket, expectedRows, label } = options;
    const part = this.#written.length;
    const file = path.join(this.directory, `part-${part}.parquet`);
    await this.session.exec(copyToParquet(select, file), label);
    // Beside the next statements, which leave this process idle; whoever never finishes wants to know nothing of it.
    const sealing = sealFile(file);
    sealing.catch(() => undefined);
    this.#written.push({ file, ...(bucket !== undefined && { bucket }), sealing });
    const measured = profileSql(`read_parquet(${quoteText(file)})`, {
      columns: this.columns,
      ...(this.dataset.key && { key: this.dataset.key }),
      ...this.#placement(bucket, expectedRows),
    });
    const parts = `select ${part} as part, * from (${measured})`;
    await this.session.exec(
      part === 0 ? `create schema if not exists almanac; create table ${PARTS} as ${parts}` : `insert into ${PARTS} ${parts}`,
    );
  }

  /** The version as measured; files without rows are left out. */
  async finish(): Promise<WrittenVersion & { readonly measured: Profile }> {
    const { columns, dataset } = this;
    const [total] = await this.session.rows(totalProfileSql(PARTS, columns));
    const measured = readProfile(total ?? {}, columns);
    const counts = await this.session.rows<{ part: number; rows: string }>(`select part, "rows" from ${PARTS}`);
    const rows = new Map(counts.map((count) => [count.part, Number(count.rows)]));
    const files: ScratchFile[] = [];
    for (const [part, { sealing, ...file }] of this.#written.entries()) {
      const seal = await sealing;
      const written = rows.get(part) ?? 0;
      if (written > 0) files.push({ ...file, rows: written, seal });
    }
    const duplicateKeys = dataset.key && (await this.#duplicateKeys(dataset.key, measured, files));
    return { measured, ...writtenVersion(dataset, measured, files, duplicateKeys) };
  }

  /** Keys unique in every file are unique in all of them when a key's rows cannot lie in two. */
  async #duplicateKeys(key: readonly string[], measured: Profile, files: readonly ScratchFile[]): Promise<number> {
    const apart = files.length <= 1 || (this.dataset.buckets !== undefined && key.includes(this.dataset.buckets.by));
    if (files.length === 0 || (apart && measured.keysUnique)) return 0;
    const [counted] = await this.session.rows(
      duplicateKeysSql(`read_parquet([${files.map(({ file }) => quoteText(file)).join(', ')}])`, key),
    );
    return Number(counted?.['duplicates']);
  }

  #placement(bucket: number | undefined, expectedRows: number | undefined): { misplaced?: string } {
    const buckets = this.dataset.buckets;
    if (!buckets || bucket === undefined || expectedRows === undefined) return {};
    const elsewhere = `${bucketExpression(buckets.by, buckets.count)} <> ${bucket}`;
    const oneIn = Math.max(1, Math.floor(expectedRows / PLACEMENT_SAMPLE));
    return {
      // By the hash that is computed for the keys anyway.
      misplaced:
        oneIn === 1 ? elsewhere : `case when ${keyHash(this.dataset.key ?? [buckets.by])} % ${oneIn} = 0 then ${elsewhere} else false end`,
    };
  }
}
