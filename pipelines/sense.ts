/**
 * Pure: what a sense stage waits for. Which windows of another pipeline, which landing folders, and whether what was found there is
 * enough; `now` is an argument.
 */
import { DAY_MS } from './local-day';
import type { Sensed } from './sensed';
import type { ResolvedCondition, SensedWindows, VersionRef, Window, WindowSpec } from './types';
import { lastOver, windowOf } from './window';
import { dateOf } from './window-grid';

/** What of another pipeline a condition names. */
export type SensedPipeline = Extract<ResolvedCondition, { kind: 'accepted' | 'published' }>;
/** What of landing a condition names. */
export type SensedFolder = Exclude<ResolvedCondition, SensedPipeline>;

/** A condition that does not hold. */
export interface Unmet {
  /** A clause that names the condition and what was found instead; the same as long as the same is found. */
  readonly found: string;
  /** The command or act that may mend it. */
  readonly next: string;
  /** Windows or folders that are missing, all of them. */
  readonly missing: readonly string[];
}

export type Verdict = { readonly unmet: Unmet } | { readonly sensed: readonly Sensed[] };

/** The windows of the other pipeline that ours waits for, oldest first; never none. Touching tilings of local days overlap in two. */
export function sensedWindows(spec: WindowSpec, ours: Window, other: WindowSpec, windows: SensedWindows): Window[] {
  if (windows === 'newest') return [lastOver(other, new Date(ours.end))];
  const { start, end } = windows === 'previous' ? windowOf(spec, new Date(Date.parse(ours.start) - 1)) : ours;
  const found = [windowOf(other, new Date(start))];
  for (let last = found[0]; last !== undefined && last.end < end;) {
    last = windowOf(other, new Date(last.end));
    found.push(last);
  }
  return found;
}

/** The folders below `landing/SOURCE/` that belong to a window: a plain one with `{window}` replaced, else the `dt=` folder of each of its days. */
export function sensedFolders(spec: WindowSpec, window: Window, folder: string | undefined): string[] {
  if (folder !== undefined) return [folder.replaceAll('{window}', window.key)];
  if (spec.every === 'day') return [`dt=${window.key}`];
  // A week is named by its Sunday, a window of minutes by the UTC date it begins on.
  const last = Date.parse(dateOf(window.key));
  const days = spec.every === 'week' ? 7 : 1;
  return Array.from({ length: days }, (_, at) => `dt=${new Date(last - (days - 1 - at) * DAY_MS).toISOString().slice(0, 10)}`);
}

/** What is known of the newest run of a window that is not there yet. */
export interface SensedRun {
  readonly state: string;
  /** ISO. */
  readonly since: string;
}

/** What of an accepted set a condition asks about. */
export interface SensedSet {
  readonly sequence: number;
  readonly versions: readonly VersionRef[];
}

/** Whether an accepted set of these datasets is what is waited for; undefined for a window without one. */
export function isWhole({ dataset }: SensedPipeline, datasets: readonly string[] | undefined): boolean {
  return datasets !== undefined && (dataset === undefined || datasets.includes(dataset));
}

/**
 * Whether every window is accepted, with the dataset asked for. `runs` holds what is known of the runs of those that are not; `sure` the
 * windows that were left unread because another is missing.
 */
export function judgeAccepted(
  { pipeline, dataset }: SensedPipeline,
  windows: readonly Window[],
  sets: ReadonlyMap<string, SensedSet>,
  runs: ReadonlyMap<string, SensedRun>,
  sure: ReadonlySet<string> = new Set(),
): Verdict {
  const sensed: Sensed[] = [];
  const missing: Missing[] = [];
  for (const { key } of windows) {
    if (sure.has(key)) continue;
    const set = sets.get(key);
    const versions = set?.versions.filter((version) => dataset === undefined || version.dataset === dataset) ?? [];
    if (set === undefined) missing.push(unbuilt(pipeline, key, runs.get(key)));
    else if (dataset !== undefined && versions.length === 0)
      missing.push({
        key,
        why: `it was accepted without ${dataset}`,
        next: `almanac run ${pipeline} --window ${key} --again --wait`,
      });
    else sensed.push({ kind: 'accepted', pipeline, window: key, sequence: set.sequence, versions });
  }
  if (missing.length === 0) return { sensed };
  const what = dataset === undefined ? 'accepted' : `accepted with ${dataset}`;
  return { unmet: unmetWindows(pipeline, what, windows, missing) };
}

/** A publication as the ledger shows it. */
export interface SensedPublication {
  readonly id: number;
  readonly state: string;
  /** Set when it was live and a restore took it back. */
  readonly withdrawn: boolean;
  readonly tables: readonly string[];
}

/** Publications that are live, or that a later one replaced: their rows were published and stand. */
const PUBLISHED: ReadonlySet<string> = new Set(['live', 'retired', 'superseded', 'collected']);

/** Whether every window is published; `found` holds the newest publication of each. */
export function judgePublished(
  { pipeline, table }: SensedPipeline,
  windows: readonly Window[],
  found: ReadonlyMap<string, SensedPublication>,
  runs: ReadonlyMap<string, SensedRun>,
): Verdict {
  const sensed: Sensed[] = [];
  const missing: Missing[] = [];
  for (const { key } of windows) {
    const publication = found.get(key);
    const why = publication === undefined ? undefined : unpublished(publication, table);
    if (publication === undefined) missing.push(unbuilt(pipeline, key, runs.get(key)));
    else if (why === undefined) sensed.push({ kind: 'published', pipeline, window: key, publication: publication.id });
    else missing.push({ key, why, next: `almanac why ${pipeline}/${key}` });
  }
  if (missing.length === 0) return { sensed };
  return { unmet: unmetWindows(pipeline, table === undefined ? 'published' : `published in ${table}`, windows, missing) };
}

function unpublished(publication: SensedPublication, table: string | undefined): string | undefined {
  if (publication.withdrawn) return `its publication ${publication.id} was withdrawn`;
  if (!PUBLISHED.has(publication.state)) return `its publication ${publication.id} is ${publication.state}`;
  return table === undefined || publication.tables.includes(table) ? undefined : `its publication ${publication.id} has no ${table}`;
}

/** A file as a listing shows it. */
export interface SensedFile {
  /** Below the folder. */
  readonly name: string;
  readonly bytes: number;
  readonly modifiedAt: Date;
}

const MINUTE = 60_000;
const SHOWN_FILES = 100;

/** Whether the marker lies in a folder, or no file there changed for the minutes asked for. `place` is what an operator opens. */
export function judgeFolder(condition: SensedFolder, folder: string, files: readonly SensedFile[], place: string, now: Date): Verdict {
  const wanted = condition.kind === 'marker' ? files.filter(({ name }) => name === condition.file) : files;
  const newest = Math.max(...wanted.map(({ modifiedAt }) => modifiedAt.getTime()));
  const state = files.length === 0 ? 'is missing or empty' : undefined;
  if (condition.kind === 'marker' && wanted.length === 0) {
    const found = state ?? `holds ${count(files.length, 'file')} and no ${condition.file}`;
    return { unmet: { found: `${folder} ${found}`, next: `see that ${place}/${condition.file} is written`, missing: [folder] } };
  }
  if (condition.kind === 'quiet' && (state !== undefined || now.getTime() - newest < condition.minutes * MINUTE)) {
    const changed = wanted.find(({ modifiedAt }) => modifiedAt.getTime() === newest)?.name ?? '';
    const found =
      state ?? `is not quiet for ${count(condition.minutes, 'minute')}: ${changed} changed at ${new Date(newest).toISOString()}`;
    const next = state === undefined ? `see who still writes to ${place}` : `see that the data are put into ${place}`;
    return { unmet: { found: `${folder} ${found}`, next, missing: [folder] } };
  }
  const names = wanted.map(({ name }) => name).sort();
  const bytes = wanted.reduce((sum, file) => sum + file.bytes, 0);
  const { kind } = condition;
  const at = new Date(newest).toISOString();
  return { sensed: [{ kind, folder, count: names.length, bytes, newest: at, files: names.slice(0, SHOWN_FILES) }] };
}

interface Missing {
  readonly key: string;
  readonly why: string;
  readonly next: string;
}

const NAMED_WINDOWS = 5;

function unbuilt(pipeline: string, key: string, run: SensedRun | undefined): Missing {
  if (run === undefined) return { key, why: 'it never ran', next: `almanac run ${pipeline} --window ${key} --wait` };
  return { key, why: `its run is ${run.state} since ${run.since}`, next: `almanac why ${pipeline}/${key}` };
}

function unmetWindows(pipeline: string, what: string, windows: readonly Window[], missing: readonly Missing[]): Unmet {
  const [first] = missing;
  const keys = missing.map(({ key }) => key);
  const next = first?.next ?? '';
  if (windows.length === 1) return { found: `${pipeline}/${first?.key} is not ${what}: ${first?.why}`, next, missing: keys };
  const named = missing.slice(0, NAMED_WINDOWS).map(({ key, why }) => `${key} (${why})`);
  const more = missing.length > NAMED_WINDOWS ? ` and ${missing.length - NAMED_WINDOWS} more` : '';
  const verb = missing.length === 1 ? 'is' : 'are';
  return {
    found: `${missing.length} of ${windows.length} windows of ${pipeline} ${verb} not ${what}: ${named.join(', ')}${more}`,
    next,
    missing: keys,
  };
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
