/** The version that goes on without the rows that checks put aside: a candidate like any other, with those rows in its quarantine. */
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { versionSelect } from '../../pipelines/duckdb-sql';
import { AlmanacError } from '../../pipelines/failures';
import { copyToParquet } from '../../pipelines/output-sql';
import {
  countAsideQuery,
  goingOnSelect,
  putAsideStatements,
  quarantinedSelect,
  type SplitVersion,
} from '../../pipelines/quality/put-aside-sql';
import { quoteText } from '../../pipelines/quote-sql';
import { otherDatasets } from '../../pipelines/quality/other-datasets';
import { versionView } from '../../pipelines/suite-sql';
import type { DatasetSpec, PutAsideCheck, VersionRef } from '../../pipelines/types';
import type { EngineSession } from '../compute/engine';
import { exportVersion } from '../compute/export-version';
import { VersionWriter } from '../compute/version-writer';
import type { WrittenVersion } from '../compute/written-version';
import type { StageContext } from '../stage';
import { candidateKey } from '../storage/candidate-key';
import type { ScratchFile } from '../storage/dataset-store';
import type { Manifest, Quarantine } from '../storage/manifest';
import type { LocalFiles } from '../storage/object-store';
import { listReplays, type Replay } from '../storage/replays';

type Versions = ReadonlyMap<string, Manifest>;

/**
 * Puts aside the rows of each dataset that fail one of these checks, which were measured before: none is an ERROR. Answers the versions that
 * go on, by dataset; none for a dataset without failing rows, unless rows of it were replayed, so that the version says it knows of that.
 */
export async function putAside(
  context: StageContext,
  checks: readonly PutAsideCheck[],
  versions: Versions,
): Promise<Map<string, Manifest>> {
  const cleaned = new Map<string, Manifest>();
  for (const dataset of new Set(checks.map((check) => check.dataset))) {
    const from = versions.get(dataset);
    if (from === undefined) continue;
    const replays = (await listReplays(context.store, dataset, context.window.key, context.bootstrap)).filter(
      ({ checked }) => checked === true,
    );
    const manifest = await split(context, {
      checks: checks.filter((check) => check.dataset === dataset),
      from,
      replays,
      versions,
    });
    if (manifest !== undefined) cleaned.set(dataset, manifest);
  }
  return cleaned;
}

interface Split {
  readonly checks: readonly PutAsideCheck[];
  readonly from: Manifest;
  readonly replays: readonly Replay[];
  readonly versions: Versions;
}

async function split(context: StageContext, request: Split): Promise<Manifest | undefined> {
  const { checks, from, replays, versions } = request;
  const { run, stage, bootstrap } = context;
  const spec = context.plan.datasets[from.dataset];
  if (spec === undefined) throw new TypeError(`${from.dataset} is no dataset of the plan`);
  const read = new Set([from.dataset, ...checks.flatMap(({ measure }) => otherDatasets(measure))]);
  const inputs = [...read].flatMap((dataset) => {
    const manifest = versions.get(dataset);
    return manifest === undefined ? [] : [refOf(manifest)];
  });
  const key = candidateKey({
    ...{ run, stage: stage.id, stageHash: stage.hash, inputs, bootstrap },
    landing: replays.map(({ file }) => file),
  });
  const earlier = await context.datasets.find(from.dataset, from.window, key);
  if (earlier !== undefined) {
    await exportVersion(context, earlier);
    return earlier;
  }
  await using local = await context.store.localFiles(filesRead(request), context.signal);
  const scratch = await context.store.scratch();
  try {
    const written = await context.engine.session(context.limits, context.signal, async (session) => {
      context.computing(session.child);
      return write(context, session, local, scratch, spec, request);
    });
    if (written === undefined) return undefined;
    await context.point('check:aside-written');
    const { quarantine, ...version } = written;
    const manifest = await context.datasets.commit({
      ...version,
      dataset: from.dataset,
      window: from.window,
      key,
      quarantine,
      rowsIn: rowsInOf(from),
      provenance: {
        ...from.provenance,
        run,
        attempt: context.attempt,
        cleaned: { stage: stage.id, stageHash: stage.hash, from: refOf(from), replays: replays.map(({ file }) => file.path) },
      },
    });
    await context.point('check:aside-committed');
    await exportVersion(context, manifest);
    return manifest;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Versions of the datasets that checks compare with. */
function othersOf({ checks, versions }: Split): Manifest[] {
  return checks.flatMap(({ measure }) => otherDatasets(measure)).flatMap((dataset) => versions.get(dataset) ?? []);
}

function filesRead(request: Split): Manifest['files'] {
  const { from } = request;
  return [...[from, ...othersOf(request)].flatMap(({ files }) => files), ...(from.quarantine?.files ?? [])];
}

type Cleaned = WrittenVersion & { readonly quarantine: Quarantine<ScratchFile> };

async function write(
  context: StageContext,
  session: EngineSession,
  local: LocalFiles,
  scratch: string,
  spec: DatasetSpec,
  request: Split,
): Promise<Cleaned | undefined> {
  const { checks, from, replays } = request;
  const readable = (files: Manifest['files']): string[] => files.map((file) => local.path(file.path));
  const others = othersOf(request);
  const before = readable(from.quarantine?.files ?? []);
  await session.confine({ files: readable(filesRead(request)), folders: [scratch] });
  for (const other of new Map(others.map((manifest) => [manifest.dataset, manifest])).values())
    await session.exec(versionView(other.dataset, other.columns, readable(other.files)));
  const version: SplitVersion = {
    ...{ dataset: from.dataset, columns: from.columns },
    files: from.files.map((file) => ({ readable: local.path(file.path), path: file.path })),
  };
  const writer = new VersionWriter(session, spec, scratch);
  for (const statement of putAsideStatements(version, checks)) await session.exec(statement);
  const [counted] = await session.rows<Record<string, string>>(countAsideQuery(checks));
  const aside = Number(counted?.['rows']);
  if (aside === 0 && replays.length === 0) return undefined;
  if (from.files.length === 0) await writer.write(versionSelect(from.columns, []));
  for (const { path: file, bucket } of from.files)
    await writer.write(goingOnSelect(from.columns, local.path(file)), bucket === undefined ? {} : { bucket });
  const file = path.join(scratch, 'quarantine.parquet');
  const earlier = Object.values(from.quarantine?.rows ?? {}).reduce((sum, rows) => sum + rows, 0);
  if (aside + earlier > 0) await session.exec(copyToParquet(quarantinedSelect(version, checks, before), file));
  const written = await finished(writer);
  const files = aside + earlier === 0 ? [] : [{ file, rows: await rowsOf(session, file) }];
  requireAll(context, from, sum(written.files), sum(files) - earlier);
  return {
    ...written,
    quarantine: {
      rows: { ...from.quarantine?.rows, ...(aside === 0 ? {} : { check: aside }) },
      files,
      checks: Object.fromEntries(checks.map(({ id }, index) => [id, Number(counted?.[`c${index}`])])),
    },
  };
}

async function finished(writer: VersionWriter): Promise<WrittenVersion> {
  const { measured: _, ...written } = await writer.finish();
  return written;
}

async function rowsOf(session: EngineSession, file: string): Promise<number> {
  const [row] = await session.rows<{ rows: string }>(`select count(*) as "rows" from read_parquet(${quoteText(file)})`);
  return Number(row?.rows);
}

/** Every row that came in goes on or is put aside, as the files themselves count them. */
function requireAll({ stage }: StageContext, from: Manifest, kept: number, aside: number): void {
  if (kept + aside === from.rows) return;
  throw new AlmanacError(
    'internal',
    `Stage ${stage.id} read ${from.rows} rows of ${from.dataset}, but ${kept} go on and ${aside} are aside.`,
    {
      next: 'Report it with the declaration of the checks; nothing was written.',
      details: { dataset: from.dataset, version: from.version, rows: from.rows, kept, aside },
    },
  );
}

/** What an ingest read is still what its rows were taken of; other stages read no rows of this dataset. */
function rowsInOf({ quarantine, rowsIn, rows }: Manifest): number {
  return quarantine === undefined ? rows : rowsIn;
}

function refOf({ dataset, window, version, digest }: Manifest): VersionRef {
  return { dataset, window, version, digest };
}

function sum(files: readonly Pick<ScratchFile, 'rows'>[]): number {
  return files.reduce((total, { rows }) => total + rows, 0);
}
