/** Where things lie in the object store (docs/architecture.md, "Object store layout"). The only place that spells it. */
import { AlmanacError } from '../../pipelines/failures';
import type { VersionRef } from '../../pipelines/types';

const SEQUENCE_DIGITS = 6;

export const DATASETS = 'datasets/';
export const ACCEPTED = 'accepted/';
export const HEADS = 'heads/';
export const QUARANTINE = 'quarantine/';
export const SCRATCH = 'scratch/';
export const REPLAYS = 'replays/';
export const PROBES = 'probes/';

/** What a service's conditions are tried on. */
export const CONDITIONS_PROBE = `${PROBES}conditions`;

export function landingFolder(source: string, day: string): string {
  return `${landingSource(source)}dt=${segment(day)}/`;
}

export function landingSource(source: string): string {
  return `landing/${segment(source)}/`;
}

/** A folder below a landing source, several levels deep where it says so. */
export function landingPath(source: string, folder: string): string {
  return `${landingSource(source)}${folder.split('/').map(segment).join('/')}`;
}

export function referencePath(file: string): string {
  return `reference/${segment(file)}`;
}

export function manifestPath(ref: Pick<VersionRef, 'dataset' | 'window' | 'version'>): string {
  return `${DATASETS}${segment(ref.dataset)}/${segment(ref.window)}/${segment(ref.version)}.json`;
}

export function dataPath(dataset: string, window: string, name: string): string {
  return `${dataFolder(dataset, window)}${segment(name)}.parquet`;
}

/** What a job that runs elsewhere is told, claims and leaves; swept with the data files that no version names. */
export function jobPath(dataset: string, window: string, key: string, round: number, name: 'order' | 'token' | 'result'): string {
  return `${DATASETS}${segment(dataset)}/${segment(window)}/jobs/${segment(`${key}-${round}`)}/${name}.json`;
}

/** Where the data files of a window lie. */
export function dataFolder(dataset: string, window: string): string {
  return `${DATASETS}${segment(dataset)}/${segment(window)}/data/`;
}

/** A version as a file of its own name, written from its data. */
export function exportPath(ref: Pick<VersionRef, 'dataset' | 'window' | 'version'>, name: string): string {
  return `${DATASETS}${segment(ref.dataset)}/${segment(ref.window)}/${segment(ref.version)}/${segment(name)}`;
}

export function quarantinePath(dataset: string, window: string, name: string): string {
  return `${QUARANTINE}${segment(dataset)}/${segment(window)}/${segment(name)}.parquet`;
}

/** All replays of a dataset, or those into one of its windows. */
export function replays(dataset: string, window?: string): string {
  return `${REPLAYS}${segment(dataset)}/${window === undefined ? '' : `${segment(window)}/`}`;
}

export function replayPath(dataset: string, window: string, number: number): string {
  return `${replays(dataset, window)}${String(number).padStart(SEQUENCE_DIGITS, '0')}.json`;
}

export function replayFilePath(dataset: string, window: string, number: number, nonce: string): string {
  return `${replays(dataset, window)}${String(number).padStart(SEQUENCE_DIGITS, '0')}-${segment(nonce)}.parquet`;
}

export function acceptedChain(pipeline: string, branch: string): string {
  return `${ACCEPTED}${segment(pipeline)}/${segment(branch)}/`;
}

export function acceptedFolder(pipeline: string, branch: string, window: string): string {
  return `${acceptedChain(pipeline, branch)}${segment(window)}/`;
}

export function acceptedPath(pipeline: string, branch: string, window: string, sequence: number): string {
  return `${acceptedFolder(pipeline, branch, window)}${String(sequence).padStart(SEQUENCE_DIGITS, '0')}.json`;
}

export function chainHeads(pipeline: string): string {
  return `${HEADS}${segment(pipeline)}/`;
}

export function headPath(pipeline: string, number: number): string {
  return `${chainHeads(pipeline)}${String(number).padStart(SEQUENCE_DIGITS, '0')}.json`;
}

/** The parts of `heads/PIPELINE/NNNNNN.json`; undefined for every other path. */
export function parseHeadPath(objectPath: string): { pipeline: string; number: number } | undefined {
  const [, pipeline, digits] = /^heads\/([^/]+)\/(\d{6,})\.json$/.exec(objectPath) ?? [];
  return pipeline === undefined ? undefined : { pipeline, number: Number(digits) };
}

/** The parts of `datasets/DATASET/WINDOW/VERSION.json`; undefined for every other path. */
export function parseManifestPath(objectPath: string): Pick<VersionRef, 'dataset' | 'window' | 'version'> | undefined {
  const [, dataset, window, version] = /^datasets\/([^/]+)\/([^/]+)\/([^/]+)\.json$/.exec(objectPath) ?? [];
  return dataset !== undefined && window !== undefined && version !== undefined ? { dataset, window, version } : undefined;
}

/** The manifest of the version that `datasets/DATASET/WINDOW/VERSION/NAME` belongs to; undefined for every other path. */
export function manifestOfExport(objectPath: string): string | undefined {
  const [, folder, version] = /^(datasets\/[^/]+\/[^/]+\/)([^/]+)\/[^/]+$/.exec(objectPath) ?? [];
  return folder === undefined || version === undefined || version === 'data' ? undefined : `${folder}${version}.json`;
}

/** The parts of `replays/DATASET/WINDOW/NNNNNN.json`; undefined for every other path, the files of rows among them. */
export function parseReplayPath(objectPath: string): { dataset: string; window: string; number: number } | undefined {
  const [, dataset, window, digits] = /^replays\/([^/]+)\/([^/]+)\/(\d{6,})\.json$/.exec(objectPath) ?? [];
  return dataset !== undefined && window !== undefined ? { dataset, window, number: Number(digits) } : undefined;
}

/** The parts of `accepted/PIPELINE/BRANCH/WINDOW/NNNNNN.json`; undefined for every other path. */
export function parseAcceptedPath(objectPath: string): { pipeline: string; branch: string; window: string; sequence: number } | undefined {
  const [, pipeline, branch, window, digits] = /^accepted\/([^/]+)\/([^/]+)\/([^/]+)\/(\d{6,})\.json$/.exec(objectPath) ?? [];
  if (pipeline === undefined || branch === undefined || window === undefined) return undefined;
  return { pipeline, branch, window, sequence: Number(digits) };
}

/** Names become single path segments; anything else would reach beyond its folder. */
function segment(name: string): string {
  if (!/^[\p{L}\p{N}_][\p{L}\p{N}_.~=-]*$/u.test(name)) {
    throw new AlmanacError('store.path', `${JSON.stringify(name)} cannot be a name in the object store.`, {
      next: 'Use letters, digits, ".", "-" and "_", beginning with a letter, a digit or "_".',
      details: { name },
    });
  }
  return name;
}
