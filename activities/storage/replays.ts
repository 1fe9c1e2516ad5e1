/**
 * Rows that came back out of quarantine: numbered objects put if absent, read by the ingest of the window they belong to
 * beside its landing files. Landing itself is never written.
 */
import { randomUUID } from 'node:crypto';
import { inspectFile } from './compressed-file';
import type { DataFile } from './manifest';
import type { ObjectStore } from './object-store';
import { parseReplayPath, replayFilePath, replayPath, replays } from './store-paths';

/** `replays/DATASET/WINDOW/NNNNNN.json`: which rows, from where, by whom. */
export interface Replay {
  readonly format: 1;
  readonly dataset: string;
  /** The window the rows belong to. */
  readonly window: string;
  /** Counts the replays into this window from 1. */
  readonly number: number;
  readonly file: DataFile;
  /** Rows by quarantine reason. */
  readonly reasons: Readonly<Record<string, number>>;
  /** The rows were put aside by checks: the gate of their own window judges them anew, and no ingest reads them. */
  readonly checked?: true;
  /** The version in whose quarantine the rows lie. */
  readonly from: { readonly window: string; readonly version: string };
  readonly who: string;
  readonly reason?: string;
  readonly at: string;
}

/** Replays into a window of a dataset, or into all up to it, in the order of window and number. */
export async function listReplays(store: ObjectStore, dataset: string, window?: string, before = false): Promise<Replay[]> {
  const found: Replay[] = [];
  for (const { path } of await store.list(replays(dataset, before ? undefined : window))) {
    const place = parseReplayPath(path);
    if (place === undefined || (window !== undefined && place.window > window)) continue;
    const body = await store.get(path);
    if (body !== undefined) found.push(JSON.parse(body.toString('utf8')) as Replay);
  }
  return found;
}

/** Puts a replay under its number, moving `localFile` in; undefined when another one has the number by now. */
export async function putReplay(
  store: ObjectStore,
  replay: Omit<Replay, 'format' | 'file'> & { readonly rows: number },
  localFile: string,
): Promise<Replay | undefined> {
  const { dataset, window, number, rows, ...rest } = replay;
  const path = replayFilePath(dataset, window, number, randomUUID().slice(0, 8));
  if (!(await store.adoptFile(localFile, path))) throw new Error(`${path} is taken, which a random name cannot be`);
  const { bytes, sha256 } = await inspectFile(await store.read(path), 'none');
  const whole: Replay = { format: 1, dataset, window, number, file: { path, rows, bytes, sha256 }, ...rest };
  if (await store.putIfAbsent(replayPath(dataset, window, number), JSON.stringify(whole, undefined, 2))) return whole;
  await store.delete(path);
  return undefined;
}
