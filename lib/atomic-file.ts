import { closeSync, fsyncSync, mkdirSync, openSync, readdirSync, renameSync, rmSync, writeSync } from 'node:fs';
import path from 'node:path';

const TEMPORARY = /\.\d+\.tmp$/;

/** Replaces `file` whole: a reader sees the old text or the new, also after a crash. Synchronous, so that a state can be recorded before anything else happens. */
export function writeFileAtomically(file: string, text: string, mode = 0o644): void {
  mkdirSync(path.dirname(file), { recursive: true });
  const temporary = `${file}.${process.pid}.tmp`;
  const handle = openSync(temporary, 'w', mode);
  try {
    writeSync(handle, text);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
  renameSync(temporary, file);
}

/** Removes what killed writers left in `directory`; call it only where no other writer is at work. */
export function sweepTemporaryFiles(directory: string): void {
  for (const name of readdirSync(directory)) if (TEMPORARY.test(name)) rmSync(path.join(directory, name), { force: true });
}
