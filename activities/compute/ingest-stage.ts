import { rm } from 'node:fs/promises';
import { columnsOf } from '../../pipelines/duckdb-sql';
import { AlmanacError } from '../../pipelines/failures';
import { type IngestColumn, type IngestFile, type IngestShape } from '../../pipelines/ingest-sql';
import type { DatasetSpec, IngestSpec, LandingFile, StageOutput, VersionRef } from '../../pipelines/types';
import type { StageBody, StageContext } from '../stage';
import { candidateKey } from '../storage/candidate-key';
import type { Manifest } from '../storage/manifest';
import { earlierWindows, isPrefix, type EarlierWindow } from './going-on';
import { parseFiles } from './ingest-parse';
import { writeIngested } from './ingest-write';
import { requireUnchanged, seeFiles, type SeenFile } from './landing';

/**
 * Reads the window's landing files, or a reference, once into an immutable version and its quarantine: every row that
 * is in a file is in one of the two. Landing is never written; whoever comes after reads the version.
 */
export const ingestStage: StageBody = async (context) => {
  const spec = ingestSpec(context);
  const dataset = datasetSpec(context, spec.writes);
  const { files, landing, since } = await filesToRead(context, spec);
  const { run, stage, bootstrap } = context;
  const identity = { run, stage: stage.id, stageHash: stage.hash, inputs: since ?? [], bootstrap, landing };
  const key = candidateKey(identity);
  await context.point('ingest.listed');
  const earlier = await context.datasets.find(spec.writes, context.window.key, key);
  if (earlier) {
    context.log(`found version ${key} of ${spec.writes}, written by an earlier attempt`);
    return { ...output(earlier), adopted: true };
  }
  await using local = await context.store.localFiles(files, context.signal);
  const read = files.map((file, id): IngestFile & SeenFile => ({
    ...file,
    id,
    readable: local.path(file.path),
    ...(file.window ? { start: file.window.start, end: file.window.end, day: file.window.key } : {}),
  }));
  // Awaited here, for the files are read until it is over.
  return await context.engine.session(context.limits, context.signal, async (session) => {
    context.computing(session.child);
    const shape = ingestShape(dataset, spec);
    const rowsIn = await parseFiles(context, session, shape, read);
    await requireUnchanged(context, files);
    const scratch = await context.store.scratch();
    try {
      const written = await writeIngested(context, session, { scratch, shape, dataset, spec, rowsIn });
      await context.point('ingest.written');
      const manifest = await context.datasets.commit({
        ...written,
        dataset: spec.writes,
        window: context.window.key,
        key,
        columns: columnsOf(dataset),
        ...(dataset.buckets ? { buckets: dataset.buckets } : {}),
        ...(dataset.pii ? { pii: dataset.pii } : {}),
        rowsIn,
        provenance: {
          run,
          stage: stage.id,
          attempt: context.attempt,
          stageHash: stage.hash,
          inputs: [],
          landing,
          ...(since ? { since } : {}),
          ...(bootstrap ? { bootstrap } : {}),
        },
      });
      await context.point('ingest.committed');
      const { cpuSeconds, peakMemoryBytes } = await session.usage();
      return { ...output(manifest), cpuSeconds, peakMemoryBytes };
    } finally {
      await rm(scratch, { recursive: true, force: true });
    }
  });
};

interface ToRead {
  /** Those whose rows this version takes. */
  readonly files: readonly SeenFile[];
  /** Every file it stands for. */
  readonly landing: readonly LandingFile[];
  readonly since?: readonly VersionRef[];
}

async function filesToRead(context: StageContext, spec: IngestSpec): Promise<ToRead> {
  const noted = ({ path, bytes, sha256, modifiedAt }: SeenFile): LandingFile =>
    spec.folders === 'every' ? { path, bytes, sha256, modifiedAt: modifiedAt.toISOString() } : { path, bytes, sha256 };
  if (spec.folders !== 'every') {
    const files = await seeFiles(context, spec);
    return { files, landing: files.map(noted) };
  }
  const { all, start } = await whereToGoOn(context, spec);
  if (start === undefined) {
    context.log(`reads all ${all.length} files: no accepted window before this one read exactly those that lie up to it`);
    return { files: all, landing: all.map(noted) };
  }
  const before = new Set(start.landing.map(({ path }) => path));
  const files = all.filter(({ path }) => !before.has(path));
  context.log(`goes on from ${start.window}, which read ${before.size} of the ${all.length} files`);
  return {
    files,
    landing: all.map((file) => ({ ...noted(file), ...(before.has(file.path) ? { carried: true as const } : {}) })),
    since: start.versions,
  };
}

/** All files there are, and the newest window that read exactly those that lie up to it. */
async function whereToGoOn(context: StageContext, spec: IngestSpec): Promise<{ all: readonly SeenFile[]; start?: EarlierWindow }> {
  let all: readonly SeenFile[] | undefined;
  if (!context.bootstrap) {
    for await (const earlier of earlierWindows(context, spec.writes)) {
      all ??= await seeFiles(context, spec, earlier.landing);
      if (isPrefix(earlier.landing, all, earlier.window)) return { all, start: earlier };
    }
  }
  return { all: all ?? (await seeFiles(context, spec)) };
}

function ingestSpec({ stage }: StageContext): IngestSpec {
  if (stage.spec.kind === 'ingest') return stage.spec;
  throw new Error(`stage ${stage.id} is a ${stage.spec.kind} stage, not an ingest`);
}

function datasetSpec({ plan, stage }: StageContext, name: string): DatasetSpec {
  const spec = plan.datasets[name];
  if (spec) return spec;
  throw new AlmanacError('pipeline.invalid', `Stage ${stage.id} of ${plan.pipeline} writes ${name}, which is not a dataset.`, {
    next: `Declare ${name} in \`datasets\` of ${plan.pipeline}, then \`almanac validate\`.`,
    details: { stage: stage.id, dataset: name },
  });
}

function ingestShape(dataset: DatasetSpec, spec: IngestSpec): IngestShape {
  const optional = new Set(dataset.optional);
  // A row without its instant belongs to no day, and one without its bucket's column to no bucket.
  const needed = new Set([spec.eventTime, dataset.buckets?.by, ...(dataset.key ?? [])]);
  const columns = columnsOf(dataset)
    .filter(({ name }) => name !== spec.folderDate)
    .map((column): IngestColumn => ({
      ...column,
      required: needed.has(column.name) || !optional.has(column.name),
      source: spec.names?.[column.name] ?? column.name,
    }));
  return {
    columns,
    ...(spec.eventTime === undefined ? {} : { eventTime: spec.eventTime }),
    ...(spec.folderDate === undefined ? {} : { folderDate: spec.folderDate }),
  };
}

function output(manifest: Manifest): StageOutput {
  const { dataset, window, version, digest, rows, rowsIn, bytes, quarantine, provenance } = manifest;
  return {
    versions: [{ dataset, window, version, digest }],
    rowsIn,
    rowsOut: rows,
    bytesIn: (provenance.landing ?? []).reduce((sum, file) => sum + (file.carried ? 0 : file.bytes), 0),
    bytesOut: bytes,
    quarantined: quarantine?.rows ?? {},
  };
}
