import { mkdir, readdir } from 'node:fs/promises';
import path from 'node:path';
import { bucketExpression } from '../../pipelines/bucket-sql';
import { combineDigests, digestSql, type DigestPart } from '../../pipelines/digest-sql';
import { columnsOf } from '../../pipelines/duckdb-sql';
import { AlmanacError } from '../../pipelines/failures';
import { acceptedView, countReasonsQuery, duplicatesQuery, quarantineQuery, type IngestShape } from '../../pipelines/ingest-sql';
import { quoteName, quoteText } from '../../pipelines/quote-sql';
import type { DatasetSpec, IngestSpec } from '../../pipelines/types';
import type { StageContext } from '../stage';
import type { CandidateInput, ScratchFile } from '../storage/dataset-store';
import type { EngineSession } from './engine';
import { retryCommand } from './landing';

const BUCKET = 'almanac_bucket';
/** More than there can be buckets, else DuckDB closes and reopens their files and a bucket gets several. */
const OPEN_FILES = 300;
const SHOWN_IDS = 10;

interface Ingested {
  /** An empty directory to write to. */
  readonly scratch: string;
  readonly shape: IngestShape;
  readonly dataset: DatasetSpec;
  readonly spec: IngestSpec;
  readonly rowsIn: number;
}

type Written = Pick<CandidateInput, 'digest' | 'files' | 'quarantine' | 'minKey' | 'maxKey'>;

/** Writes the session's accepted and quarantined rows to scratch files, and proves that no row was lost or made. */
export async function writeIngested(context: StageContext, session: EngineSession, ingested: Ingested): Promise<Written> {
  const { scratch, shape, dataset, spec, rowsIn } = ingested;
  await session.exec(acceptedView(shape));
  if (spec.reference !== undefined && dataset.key) await requireUnique(context, session, spec.reference, dataset.key);
  const reasons = await session.rows<{ reason: string | null; rows: string }>(countReasonsQuery());
  const quarantined = Object.fromEntries(reasons.flatMap(({ reason, rows }) => (reason === null ? [] : [[reason, Number(rows)]])));
  const columns = columnsOf(dataset);
  const [digest] = await session.rows<Record<'rows' | 'first' | 'second', string>>(digestSql('accepted', columns));
  const files = await writeAccepted(session, dataset, scratch);
  await context.point('ingest.accepted-written');
  const quarantineFiles = Object.keys(quarantined).length === 0 ? [] : await writeQuarantine(session, shape, scratch);
  const rowsOf = (written: readonly ScratchFile[]): number => written.reduce((sum, file) => sum + file.rows, 0);
  if (rowsOf(files) + rowsOf(quarantineFiles) !== rowsIn) {
    throw new AlmanacError(
      'internal',
      `Stage ${context.stage.id} read ${rowsIn} rows but wrote ${rowsOf(files)} and quarantined ${rowsOf(quarantineFiles)}.`,
      {
        next: 'Report it with the landing files; nothing was written.',
        details: { rowsIn, accepted: rowsOf(files), quarantined },
      },
    );
  }
  return {
    digest: combineDigests(columns, digest ? [digest satisfies DigestPart] : []),
    files,
    quarantine: { rows: quarantined, files: quarantineFiles },
    ...(await keyRange(session, dataset.key)),
  };
}

async function writeAccepted(session: EngineSession, dataset: DatasetSpec, scratch: string): Promise<ScratchFile[]> {
  if (!dataset.buckets) {
    const file = path.join(scratch, 'accepted.parquet');
    await session.exec(`copy (select * from accepted) to ${quoteText(file)} (format parquet, compression zstd)`);
    return (await withRows(session, [{ file }])).filter(({ rows }) => rows > 0);
  }
  const folder = path.join(scratch, 'accepted');
  await mkdir(folder);
  await session.exec(`set partitioned_write_max_open_files = ${OPEN_FILES}`);
  await session.exec(
    `copy (select *, ${bucketExpression(dataset.buckets.by, dataset.buckets.count)} as ${BUCKET} from accepted) to ${quoteText(folder)} (format parquet, compression zstd, partition_by (${BUCKET}))`,
  );
  const found: { file: string; bucket: number }[] = [];
  for (const name of (await readdir(folder, { recursive: true })).sort()) {
    const bucket = new RegExp(`^${BUCKET}=(\\d+)/.+\\.parquet$`).exec(name.replaceAll(path.sep, '/'))?.[1];
    if (bucket !== undefined) found.push({ file: path.join(folder, name), bucket: Number(bucket) });
  }
  return withRows(
    session,
    found.sort((a, b) => a.bucket - b.bucket),
  );
}

async function writeQuarantine(session: EngineSession, shape: IngestShape, scratch: string): Promise<ScratchFile[]> {
  const file = path.join(scratch, 'quarantine.parquet');
  await session.exec(`copy (${quarantineQuery(shape)}) to ${quoteText(file)} (format parquet, compression zstd)`);
  return withRows(session, [{ file }]);
}

/** Rows as the files themselves count them. */
async function withRows(session: EngineSession, files: readonly Omit<ScratchFile, 'rows'>[]): Promise<ScratchFile[]> {
  if (files.length === 0) return [];
  const list = files.map(({ file }) => quoteText(file)).join(', ');
  const counted = await session.rows<{ file: string; rows: string }>(
    `select file_name as file, num_rows as rows from parquet_file_metadata([${list}])`,
  );
  const rows = new Map(counted.map((row) => [row.file, Number(row.rows)]));
  return files.map((file) => ({ ...file, rows: rows.get(file.file) ?? NaN }));
}

async function requireUnique(context: StageContext, session: EngineSession, reference: string, key: readonly string[]): Promise<void> {
  const found = await session.rows<{ id: string; times: string }>(duplicatesQuery(key), SHOWN_IDS + 1);
  if (found.length === 0) return;
  const ids = found.slice(0, SHOWN_IDS).map(({ id }) => id);
  const shown = `${ids.join(', ')}${found.length > SHOWN_IDS ? ' and more' : ''}`;
  throw new AlmanacError(
    'reference.duplicate',
    `The reference file reference/${reference} has more than one row with ${key.join(', ')} ${shown}.`,
    {
      next: `Keep one row of each in ${context.store.place(`reference/${reference}`)}, then: ${retryCommand(context)}`,
      details: { file: `reference/${reference}`, key, ids },
    },
  );
}

async function keyRange(session: EngineSession, key: readonly string[] | undefined): Promise<Pick<CandidateInput, 'minKey' | 'maxKey'>> {
  if (!key) return {};
  const edges = key.map((name, index) => `min(${quoteName(name)}) as min${index}, max(${quoteName(name)}) as max${index}`);
  const [row] = await session.rows(`select count(*) > 0 as found, ${edges.join(', ')} from accepted`);
  if (row?.['found'] !== true) return {};
  return { minKey: key.map((_, index) => row[`min${index}`]), maxKey: key.map((_, index) => row[`max${index}`]) };
}
