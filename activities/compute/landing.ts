import { AlmanacError } from '../../pipelines/failures';
import { isHidden, LANDING_ENDINGS, landingFormat, type LandingFormat } from '../../pipelines/landing-format';
import { retryCommand as retryCommandOf } from '../../pipelines/run-id';
import type { IngestSpec, LandingFile, Window } from '../../pipelines/types';
import { parseWindow, zoneName } from '../../pipelines/window';
import { dateOf } from '../../pipelines/window-grid';
import type { StageContext } from '../stage';
import { inspectFile, type FileInspection } from '../storage/compressed-file';
import { codeOf } from '../storage/error-code';
import type { ObjectInfo, ObjectStore } from '../storage/object-store';
import { listReplays, type Replay } from '../storage/replays';
import { landingFolder, landingSource, referencePath } from '../storage/store-paths';

const MINUTE = 60_000;

/** A file to ingest as it was seen; `window` is the day of its folder, absent for references. */
export interface SeenFile extends Pick<LandingFile, 'path' | 'bytes' | 'sha256'> {
  readonly format: LandingFormat;
  readonly modifiedAt: Date;
  readonly window?: Window;
  /** Rows out of quarantine, as JSON beside where they came from. */
  readonly replay?: true;
}

type LandingContext = Pick<StageContext, 'store' | 'clock' | 'run' | 'plan' | 'stage' | 'window' | 'bootstrap' | 'signal' | 'log'>;

/**
 * The files an ingest stage reads, in the order of their paths: those of the `dt=` folders that it declares, on a bootstrap of
 * every folder up to the window, or the one reference file; then the rows replayed into these windows. Of the files that `known` holds
 * those are not opened whose bytes and time are the same. Throws `landing.missing` (patience may mend it), `reference.missing` and
 * `landing.unreadable`, each naming the place.
 */
export async function seeFiles(context: LandingContext, spec: IngestSpec, known: readonly LandingFile[] = []): Promise<SeenFile[]> {
  if (spec.reference !== undefined) return [await see(context, await referenceInfo(context, spec.reference))];
  const infos = await landingInfos(context.store, spec, context.window, context.bootstrap);
  if ((spec.folders ?? 'window') === 'window') {
    const folder = landingFolder(spec.landing ?? '', context.window.key);
    requireReady(context, spec, folder, await context.store.listAll(folder));
  } else if (infos.length === 0) {
    throw noFolder(context, spec);
  } else if (spec.ready !== undefined) {
    const folder = landingFolder(spec.landing ?? '', infos[0]?.day ?? '');
    requireReady(context, spec, folder, await context.store.listAll(folder));
  }
  const unchanged = new Map(known.map((file) => [file.path, file]));
  const seen: SeenFile[] = [];
  for (const { info, day } of infos) {
    const window = parseWindow({ every: 'day', timezone: zoneName(context.plan.window) }, day);
    seen.push({ ...(seenBefore(info, unchanged.get(info.path)) ?? (await see(context, info))), window });
  }
  for (const { file, window } of await replaysOf(context.store, spec, context.window, context.bootstrap)) {
    const folder = file.path.slice(0, file.path.lastIndexOf('/') + 1);
    const info = (await context.store.list(folder)).find(({ path }) => path === file.path);
    if (info === undefined) throw unreadable(context, file.path, 'it is gone; a replay is never deleted');
    seen.push({ ...(await see(context, info)), window: parseWindow(context.plan.window, window), replay: true });
  }
  return seen;
}

/** The same files as they lie now, ready or not and readable or not, to compare with those a version was read from. */
export async function landingOf(store: ObjectStore, spec: IngestSpec, window: Window, bootstrap: boolean): Promise<LandingFile[]> {
  const infos =
    spec.reference === undefined
      ? (await landingInfos(store, spec, window, bootstrap)).map(({ info }) => info).filter(({ fault }) => fault === undefined)
      : (await store.list('reference/')).filter(({ path }) => path === referencePath(spec.reference ?? ''));
  const files: LandingFile[] = [];
  for (const { path } of infos) {
    const { bytes, sha256 } = await inspectFile(await store.read(path), 'none');
    files.push({ path, bytes, sha256 });
  }
  for (const { file } of await replaysOf(store, spec, window, bootstrap))
    files.push({ path: file.path, bytes: file.bytes, sha256: file.sha256 });
  return files;
}

/** Rows replayed into the window, on a bootstrap also into those before it: an ingest reads them as it reads its landing files. */
async function replaysOf(store: ObjectStore, spec: IngestSpec, window: Window, bootstrap: boolean): Promise<Replay[]> {
  if (spec.landing === undefined) return [];
  return (await listReplays(store, spec.writes, window.key, bootstrap)).filter(({ checked }) => checked !== true);
}

/** A file as an earlier ingest saw it, when it cannot have changed since. */
function seenBefore(info: ObjectInfo, known: LandingFile | undefined): SeenFile | undefined {
  if (known?.modifiedAt === undefined || info.fault !== undefined) return undefined;
  const { path, bytes, modifiedAt } = info;
  if (known.bytes !== bytes || known.modifiedAt !== modifiedAt.toISOString()) return undefined;
  const format = landingFormat(path);
  return format === undefined ? undefined : { path, bytes, sha256: known.sha256, format, modifiedAt };
}

/** Data files of the folders the ingest declares, with the day of each; a folder of a day that is none counts too. */
async function landingInfos(
  store: ObjectStore,
  spec: IngestSpec,
  window: Window,
  bootstrap: boolean,
): Promise<{ info: ObjectInfo; day: string }[]> {
  const source = landingSource(spec.landing ?? '');
  const { folders = 'window' } = spec;
  const listed = await store.listAll(bootstrap || folders !== 'window' ? source : landingFolder(spec.landing ?? '', window.key));
  const found = listed.flatMap((info) => {
    const [, day, name = ''] = /^dt=(\d{4}-\d{2}-\d{2})(?:\/(.+))?$/.exec(info.path.slice(source.length)) ?? [];
    if (
      day === undefined ||
      (name === '' && info.fault === undefined) ||
      day > dateOf(window.key) ||
      isMarker(spec, name) ||
      isHidden(name)
    )
      return [];
    return [{ info, day }];
  });
  if (folders !== 'newest') return found;
  const newest = found.reduce((last, { day }) => (day > last ? day : last), '');
  return found.filter(({ day }) => day === newest);
}

function noFolder(context: LandingContext, spec: IngestSpec): AlmanacError {
  const source = landingSource(spec.landing ?? '');
  return new AlmanacError('landing.missing', `No folder ${source}dt=… before ${context.window.end} holds a data file.`, {
    next: `Put data into ${context.store.place(landingFolder(spec.landing ?? '', dateOf(context.window.key)).slice(0, -1))}, then: ${retryCommand(context)}`,
    details: { folder: source, stage: context.stage.id, files: 0 },
  });
}

/** Throws `landing.changed` when a file is no longer the one that was hashed. */
export async function requireUnchanged(context: LandingContext, files: readonly SeenFile[]): Promise<void> {
  const folders = new Set(files.map(({ path }) => path.slice(0, path.lastIndexOf('/') + 1)));
  const now = new Map<string, ObjectInfo>();
  for (const folder of folders) for (const info of await context.store.list(folder)) now.set(info.path, info);
  for (const { path, bytes, modifiedAt } of files) {
    const found = now.get(path);
    if (found?.bytes === bytes && found.modifiedAt.getTime() === modifiedAt.getTime()) continue;
    throw new AlmanacError('landing.changed', `The file ${path} changed while it was read.`, {
      next: `Nothing: the stage reads it again by itself. Whoever writes ${path} should write beside it and rename.`,
      details: { file: path },
    });
  }
}

async function see(context: LandingContext, info: ObjectInfo): Promise<SeenFile> {
  context.signal.throwIfAborted();
  if (info.fault !== undefined) throw unreadable(context, info.path, info.fault);
  const format = landingFormat(info.path);
  if (!format) throw unreadable(context, info.path, `its name does not end in ${LANDING_ENDINGS}`);
  const { bytes, sha256, damage } = await inspect(context, info, format).catch((error: unknown) => {
    context.signal.throwIfAborted();
    if (codeOf(error) === 'EACCES' || codeOf(error) === 'EPERM') throw unreadable(context, info.path, 'Almanac may not read it', error);
    throw error;
  });
  if (damage !== undefined) throw unreadable(context, info.path, `it is truncated or corrupt (${damage})`);
  return { path: info.path, bytes, sha256, format, modifiedAt: info.modifiedAt };
}

async function inspect(context: LandingContext, { path }: ObjectInfo, { compression }: LandingFormat): Promise<FileInspection> {
  return inspectFile(await context.store.read(path, context.signal), compression, context.signal);
}

async function referenceInfo(context: LandingContext, file: string): Promise<ObjectInfo> {
  const path = referencePath(file);
  const found = (await context.store.listAll('reference/')).find((info) => info.path === path);
  if (found) return found;
  throw new AlmanacError('reference.missing', `The reference file ${path} is not there.`, {
    next: `Put it at ${context.store.place(path)}, then: ${retryCommand(context)}`,
    details: { file: path, stage: context.stage.id },
  });
}

function requireReady(context: LandingContext, spec: IngestSpec, folder: string, listed: readonly ObjectInfo[]): void {
  const { marker, files: wanted = 1, quietMinutes } = spec.ready ?? {};
  const names = listed.map(({ path }) => path.slice(folder.length));
  const data = listed.filter((_, index) => !isMarker(spec, names[index] ?? '') && !isHidden(names[index] ?? ''));
  const missing = (what: string): AlmanacError =>
    new AlmanacError('landing.missing', `The landing folder ${folder} ${what}.`, {
      next: `Put the data of ${context.window.key} into ${context.store.place(folder.slice(0, -1))}, then: ${retryCommand(context)}`,
      details: { folder, stage: context.stage.id, files: data.length },
    });
  if (data.length === 0) throw missing(listed.length === 0 ? 'is missing or empty' : 'holds no data file yet');
  if (data.length < Math.max(1, wanted)) throw missing(`holds ${data.length} of the ${wanted} files it is to hold`);
  if (marker !== undefined && !names.includes(marker)) throw missing(`does not hold its marker ${marker} yet`);
  if (quietMinutes === undefined) return;
  const newest = Math.max(...data.map(({ modifiedAt }) => modifiedAt.getTime()));
  if (context.clock.now().getTime() - newest < quietMinutes * MINUTE) {
    throw missing(`was written to at ${new Date(newest).toISOString()}, less than ${quietMinutes} minutes ago`);
  }
}

function isMarker(spec: IngestSpec, name: string): boolean {
  return spec.ready?.marker === name;
}

/** A file that cannot be read as a whole; the run holds, nothing of the window is written. */
export function unreadable(context: LandingContext, path: string, why: string, cause?: unknown): AlmanacError {
  return new AlmanacError('landing.unreadable', `The file ${path} cannot be read: ${why}.`, {
    next: `Replace ${context.store.place(path)}, then: ${retryCommand(context)}`,
    details: { file: path, stage: context.stage.id },
    cause,
  });
}

/** The command that goes on after the input was mended. */
export function retryCommand({ run, stage }: Pick<StageContext, 'run' | 'stage'>): string {
  return retryCommandOf(run, stage.id);
}
