import path from 'node:path';
import { AlmanacError } from '../pipelines/failures';

/** What a folder says that may not be written to, or is none. */
const UNWRITABLE = new Set(['EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'EEXIST']);

/** A failed use of a file as `store.unwritable` that names its folder; undefined for anything else. `again` is the command that goes on. */
export function unwritableFailure(error: unknown, again: string): AlmanacError | undefined {
  if (!isErrno(error)) return undefined;
  const { code, syscall, path: file, dest } = error;
  // Processes that cannot be started and sockets that refuse have codes of the same names.
  if (code === undefined || !UNWRITABLE.has(code) || file === undefined || syscall === undefined || /^(spawn|connect)/.test(syscall))
    return undefined;
  const place = dest ?? file;
  const folder = syscall === 'mkdir' || syscall === 'scandir' ? place : path.dirname(place);
  return new AlmanacError('store.unwritable', `Almanac cannot work in ${folder}: ${error.message}`, {
    next: `let the user of the workers (${process.getuid?.() ?? 'theirs'}) read and write ${folder}, a folder on a disk that is not read-only (almanac doctor looks again); then: ${again}`,
    details: { folder, errno: code },
    cause: error,
  });
}

/** By its shape, for errors of another realm too: those of Node's own modules are such in a sandbox. */
export function isErrno(error: unknown): error is NodeJS.ErrnoException & { readonly dest?: string } {
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string' && 'message' in error;
}
