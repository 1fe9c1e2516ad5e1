/** Where the demos put their data: beside nothing that somebody else put there. */
import { link, mkdir, readdir, readFile, rename } from 'node:fs/promises';
import path from 'node:path';
import { AlmanacError } from '../pipelines/failures';

/** A file that lies in a landing folder a demo wrote, and says so. */
export interface DemoMark {
  readonly file: string;
  readonly content: Buffer;
}

/** Whether the demo wrote this source's folder; throws `demo.data-taken` when somebody else did. */
export async function isOurs(root: string, source: string, { file, content }: DemoMark): Promise<boolean> {
  const folder = path.join(root, 'landing', source);
  const mark = await readIfThere(path.join(folder, file));
  if (mark?.equals(content)) return true;
  if (await isThere(folder)) throw taken(folder);
  return false;
}

/** Moves a whole folder into place; of two demos at once one wins, and both wrote the same. */
export async function placeSource(root: string, made: string, source: string, mark: DemoMark): Promise<void> {
  const folder = path.join(root, 'landing', source);
  await mkdir(path.dirname(folder), { recursive: true });
  try {
    await rename(made, folder);
  } catch (error) {
    if (!isCode(error, 'ENOTEMPTY', 'EEXIST') || !(await isOurs(root, source, mark))) throw error;
  }
}

/** Puts a reference where it belongs, once. Throws `demo.data-taken` when another one lies there. */
export async function placeReference(root: string, made: string, file: string): Promise<void> {
  const placed = path.join(root, 'reference', file);
  await mkdir(path.dirname(placed), { recursive: true });
  try {
    await link(made, placed);
  } catch (error) {
    if (!isCode(error, 'EEXIST')) throw error;
    if (!(await readFile(placed)).equals(await readFile(made))) throw taken(placed);
  }
}

function taken(place: string): AlmanacError {
  return new AlmanacError('demo.data-taken', `${place} holds data the demo did not write.`, {
    next: 'Give the demo an empty data root: ALMANAC_HOME=.almanac-demo almanac demo',
    details: { place },
  });
}

/** Undefined where there is no such file. */
export async function readIfThere(file: string): Promise<Buffer | undefined> {
  try {
    return await readFile(file);
  } catch (error) {
    if (isCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}

async function isThere(folder: string): Promise<boolean> {
  try {
    return (await readdir(folder)).length > 0;
  } catch (error) {
    if (isCode(error, 'ENOENT')) return false;
    throw error;
  }
}

function isCode(error: unknown, ...codes: string[]): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && codes.includes(String(error.code));
}
